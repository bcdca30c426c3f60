"""Faults to plant in a build, which `each_step` must find."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import ibis

from harnesses.steps import How
from pipeline.backends.duckdb import backend, folder, manifest, workspace
from pipeline.backends.duckdb.workspace import DuckDBWorkspace
from pipeline.results import FileRead, RunRecord

Patch = contextlib.AbstractContextManager[Any]


def _drop_before_copy() -> Patch:
    """The old file goes, and then comes a copy of the new one."""

    def replace(path: Path, target: Path) -> Path:
        target.unlink(missing_ok=True)
        shutil.copyfile(path, target)
        return target

    return mock.patch.object(Path, "replace", replace)


def _copy_not_synced() -> Patch:
    """A copy of the new file takes the old one's name before the disk has the copy."""
    plain = Path.replace

    def replace(path: Path, target: Path) -> Path:
        copy = path.with_name("copy")
        shutil.copyfile(path, copy)
        path.unlink()
        return plain(copy, target)

    return mock.patch.object(Path, "replace", replace)


def _list_of_files_before_the_data() -> Patch:
    """The published list of files names the new ones before their rows are there."""
    plain, kept = DuckDBWorkspace.publish, manifest.write

    def publish(self: DuckDBWorkspace, record: RunRecord) -> Sequence[str]:
        earlier: list[Callable[[Any], None]] = []

        def write(con: Any, files: Sequence[FileRead], run: Any, *, whole: bool) -> None:
            kept(con, files, run, whole=whole)
            earlier.append(lambda other: kept(other, files, run, whole=whole))

        def require_unwritten(self: DuckDBWorkspace) -> None:
            con = ibis.duckdb.connect(self.file)
            for each in earlier:
                each(con)
            con.disconnect()

        with (
            mock.patch.object(manifest, "write", write),
            mock.patch.object(DuckDBWorkspace, "require_unwritten", require_unwritten),
        ):
            return plain(self, record)

    return mock.patch.object(DuckDBWorkspace, "publish", publish)


def _list_of_files_outside_the_commit() -> Patch:
    """The list of files is written after the new build is there."""
    plain, kept = DuckDBWorkspace.publish, manifest.write

    def publish(self: DuckDBWorkspace, record: RunRecord) -> Sequence[str]:
        later: list[Callable[[Any], None]] = []

        def write(con: Any, files: Sequence[FileRead], run: Any, *, whole: bool) -> None:
            kept(con, (), run, whole=False)
            later.append(lambda other: kept(other, files, run, whole=whole))

        with mock.patch.object(manifest, "write", write):
            told = plain(self, record)
        con = ibis.duckdb.connect(self.file)
        for each in later:
            each(con)
        con.disconnect()
        return told

    return mock.patch.object(DuckDBWorkspace, "publish", publish)


def _folder_not_synced() -> Patch:
    """Nobody waits until the disk has the renamed file."""
    return mock.patch.object(workspace, "sync_folder", return_value=None)


def _lock_not_released() -> Patch:
    """After an error, the process goes on holding the folder."""
    plain = folder.building_folder

    @contextlib.contextmanager
    def building_folder(database: Path) -> Iterator[Path]:
        with mock.patch.object(folder.os, "close", return_value=None), plain(database) as held:
            yield held

    return mock.patch.object(backend, "building_folder", building_folder)


def _retry_that_appends_twice() -> Patch:
    """If the answer is lost, the list of files is written again.

    If rows of a model are appended twice, the build sees that they don't add up, and publishes
    nothing.
    """
    plain = manifest.write

    def write(con: Any, files: Sequence[FileRead], run: Any, *, whole: bool) -> None:
        try:
            plain(con, files, run, whole=whole)
        except duckdb.Error:
            plain(con, files, run, whole=whole)

    return mock.patch.object(manifest, "write", write)


@dataclass(frozen=True)
class Fault:
    """A fault to plant, and the way to fail that shows it, of the effects whose text begins so."""

    patch: Callable[[], Patch]
    how: How
    step: str = ""


FAULTS = {
    "drop_before_copy": Fault(_drop_before_copy, "crash_before"),
    "copy_not_synced": Fault(_copy_not_synced, "power_loss"),
    "list_of_files_before_the_data": Fault(_list_of_files_before_the_data, "crash_after"),
    "list_of_files_outside_the_commit": Fault(_list_of_files_outside_the_commit, "crash_after"),
    "folder_not_synced": Fault(_folder_not_synced, "power_loss"),
    "lock_not_released": Fault(_lock_not_released, "error"),
    "retry_that_appends_twice": Fault(_retry_that_appends_twice, "answer_lost", "INSERT"),
}


@contextlib.contextmanager
def planted(fault: str) -> Iterator[None]:
    """Plant a fault, or none."""
    with FAULTS[fault].patch() if fault else contextlib.nullcontext():
        yield
