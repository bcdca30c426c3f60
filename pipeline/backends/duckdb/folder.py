"""The folder beside a database file that one build at a time works in, and removes."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.disk import writing
from pipeline.errors import UsageError


@contextlib.contextmanager
def building_folder(database: Path) -> Iterator[Path]:
    """Make a folder beside the database that only one build holds; remove it at the end.

    A killed build's lock ends with its process, and the next build clears its files.

    Raises:
        UsageError: another build holds the folder, or it can't be made.
    """
    folder = database.with_name(f".{database.name}.building")
    with writing(database):
        database.parent.mkdir(parents=True, exist_ok=True)
        handle = _lock(folder)
    try:
        with writing(database):
            for leftover in folder.iterdir():
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            (folder / "pid").write_text(str(os.getpid()))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's renamed files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    try:
        import fcntl
    except ImportError as error:
        raise UsageError(
            "This system has no file locks as Unix has them, which a build needs.",
            "On Windows, run the pipeline in WSL, the Windows Subsystem for Linux.",
        ) from error
    while True:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"Another build of this database is running{_process_in(folder)}.",
                    "Wait until it ends, or build into another file with --database.",
                ) from error
            if _is_same(folder, handle):
                stack.pop_all()
                return handle
        # the build that held it has just ended and removed it: try again


def _is_same(folder: Path, handle: int) -> bool:
    try:
        return folder.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


def _process_in(folder: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int((folder / 'pid').read_text())})"
    return ""
