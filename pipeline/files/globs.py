"""Globs as in a shell, except that a folder that can't be read is an error."""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

_ESCAPED = re.compile(r"\[([*?[])\]")


def split(pattern: str) -> tuple[Path, tuple[str, ...]]:
    """Return the path that a pattern begins with, and the parts from its first wildcard on.

    A part is no wildcard if it exists literally, whatever characters it has, or if `glob.escape`
    wrote it.
    """
    path = Path(pattern)
    base, parts = Path(path.anchor), path.parts[bool(path.anchor) :]
    for place, part in enumerate(parts):
        name = _ESCAPED.sub(r"\1", part)
        if not os.path.lexists(base / part):
            if glob.escape(name) != part:
                return base, parts[place:]
            base /= name
        else:
            base /= part
    return base, ()


def absolute(pattern: str) -> str:
    """Return a pattern that names the same files from any folder, even if some files are gone."""
    base, parts = split(pattern)
    # `..` is removed only if that is the same place: a link's parent is not its target's parent
    plain = Path(os.path.normpath(base.absolute()))
    start = plain if _are_same(plain, base) else base.absolute()
    return str(Path(glob.escape(str(start)), *parts))


def _are_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False  # whoever reads it says why it can't be read


def matches(base: Path, parts: Sequence[str]) -> list[Path]:
    """Return the paths that the parts of a pattern match below a path, sorted, each once.

    As in a shell, a wildcard matches no hidden name. `**` goes through any folders, into each once,
    even if links lead back.

    Raises:
        OSError: a folder on the way can't be read.
    """
    return sorted(set(_below(base, parts)))


def _below(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        for folder in _folders(base, set()):
            yield from _below(folder, rest or ["*"])
        return
    for path in _named(base, part):
        if not rest:
            yield path
        elif is_folder(path):
            yield from _below(path, rest)


def _named(base: Path, part: str) -> list[Path]:
    if not glob.has_magic(part):
        return [base / part] if _is_there(base / part) else []
    fits = re.compile(fnmatch.translate(part)).match
    return [
        base / name
        for name in _names(base)
        if fits(name) and (part.startswith(".") or not name.startswith("."))
    ]


def _folders(base: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    found = base.stat()
    if (found.st_dev, found.st_ino) in seen:
        return
    seen.add((found.st_dev, found.st_ino))
    yield base
    for name in _names(base):
        if not name.startswith(".") and is_folder(base / name):
            yield from _folders(base / name, seen)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder or a link to one.

    Raises:
        OSError: the system does not tell; `Path.is_dir` would return False.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise
