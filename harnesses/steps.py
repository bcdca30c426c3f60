"""The effects of a build, one by one: counts them, and lets one of them fail.

An effect changes a file or a lock, or runs a statement of the engine. All go through a few
functions of Python and of Ibis, which `Steps` replaces for a while.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal

import duckdb
import ibis
from ibis.backends.duckdb import Backend as IbisDuckDB

How = Literal["crash_before", "crash_after", "power_loss", "error", "answer_lost", "full_disk"]
HOW: tuple[How, ...] = (
    "crash_before",
    "crash_after",
    "power_loss",
    "error",
    "answer_lost",
    "full_disk",
)
ERRORS = ("error", "answer_lost", "full_disk")
CRASHED = 77
"""The exit status of a process that a crash ends."""

# the plain functions: the harness's own changes are no effects
_link, _rename, _truncate = os.link, os.rename, os.truncate
_EFFECTS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("mkdir", "rmdir", "rename", "replace", "unlink", "link", "fsync")),
    (fcntl, "flock"),
    (shutil, "copyfile"),
    (pathlib.Path, "write_text"),
    (ibis.duckdb, "connect"),
    (IbisDuckDB, "raw_sql"),
    (IbisDuckDB, "disconnect"),
)
_ENGINE = {"connect", "raw_sql", "disconnect"}


@dataclass
class Loss:
    """A change that the disk may not have yet, and how to undo it; `folder` is a folder or file."""

    folder: Path
    undo: Callable[[], None] | None = None
    """None for the content of a file, which is gone."""


@dataclass
class Steps:
    """Counts effects; the one of number `at` fails as `how` says."""

    at: int
    how: How
    seed: int = 0
    spare: Path = Path()
    """A folder for what a power loss brings back."""
    names: list[str] = field(default_factory=list)
    """The effects so far."""
    losses: list[Loss] = field(default_factory=list)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Replace the functions with effects."""
        plain = [(owner, name, getattr(owner, name)) for owner, name in _EFFECTS]
        try:
            for owner, name, function in plain:
                setattr(owner, name, self._wrapped(name, function))
            yield
        finally:
            for owner, name, function in plain:
                setattr(owner, name, function)

    def lose(self) -> None:
        """Undo changes as a power loss does: the last ones in a folder, and any unsynced content.

        The seed chooses how many.
        """
        random = Random(self.seed)
        moves = [each.undo for each in self.losses if each.undo]
        for content in [each.folder for each in self.losses if not each.undo]:
            if content.exists() and (self.seed == 0 or random.random() < 0.5):
                _truncate(content, 0)
        kept = 0 if self.seed == 0 else random.randint(0, len(moves))
        for undo in reversed(moves[kept:]):
            undo()

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            self.names.append(_described(name, args))
            if len(self.names) != self.at:
                return self._done(name, function, args, kwargs)
            if self.how == "crash_before":
                os._exit(CRASHED)
            if self.how != "answer_lost" and self.how in ERRORS:
                raise self._error(name)
            answer = self._done(name, function, args, kwargs)
            if self.how == "answer_lost":
                raise self._error(name)
            if self.how == "power_loss":
                self.lose()
            os._exit(CRASHED)
            return answer

        return step

    def _error(self, name: str) -> Exception:
        number = errno.ENOSPC if self.how == "full_disk" else errno.EIO
        if name in _ENGINE:
            return duckdb.IOException(f"IO Error: Could not write: {os.strerror(number)}")
        return OSError(number, os.strerror(number))

    def _done(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if self.how != "power_loss" or kwargs.get("dir_fd") is not None:
            return function(*args, **kwargs)
        loss = self._loss(name, args)
        answer = function(*args, **kwargs)
        if loss is not None:
            self.losses.append(loss)
        if name in ("rename", "replace"):
            self._moved(*map(Path, args[:2]))
        if name == "fsync":
            self._synced(Path(f"/proc/self/fd/{args[0]}").readlink())
        if name == "raw_sql" and args[1] == "CHECKPOINT":
            row = args[0].con.execute(
                "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
            )
            self._synced(Path(row.fetchone()[0]))
        return answer

    def _loss(self, name: str, args: tuple[Any, ...]) -> Loss | None:
        """Return how a power loss undoes a change; None if it is of no use to anybody."""
        if name in ("rename", "replace"):
            source, target = map(Path, args[:2])
            before = self._spared(target)

            def undo() -> None:
                _rename(target, source if source.parent.exists() else self.spare / source.name)
                if before:
                    _rename(before, target)

            return Loss(target.parent, undo)
        if name == "unlink" and Path(args[0]).is_file():
            file = Path(args[0])
            gone = self._spared(file)
            if gone is None:
                return None
            return Loss(file.parent, lambda: _back(gone, file))
        if name == "copyfile":
            return Loss(Path(args[1]))
        return None

    def _spared(self, file: Path) -> Path | None:
        if not file.exists():
            return None
        spare = self.spare / f"{len(self.losses)}-{file.name}"
        _link(file, spare)
        return spare

    def _moved(self, source: Path, target: Path) -> None:
        """Let the content that the disk may not have go by its new name."""
        for each in self.losses:
            if not each.undo and each.folder == source:
                each.folder = target

    def _synced(self, path: Path) -> None:
        self.losses = [each for each in self.losses if each.folder != path]


def _back(gone: Path, file: Path) -> None:
    if file.parent.exists() and not file.exists():
        _rename(gone, file)


def _described(name: str, args: tuple[Any, ...]) -> str:
    if name == "raw_sql":
        return " ".join(str(args[1]).split())[:60]
    if name in ("fsync", "flock", "connect", "disconnect"):
        return name
    return f"{name} {Path(str(args[0])).name}"
