"""The published file, which other programs may have open during a build."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import struct
import threading
from pathlib import Path

from pipeline.disk import writing
from pipeline.errors import UsageError

_HEADER = 4096
_MAGIC = slice(8, 12)
_IDENTITY = slice(124, 140)
_ATTEMPTS = 3

Stamp = tuple[tuple[int, int, int] | None, ...]


def log_of(file: Path) -> Path:
    """Return the path of DuckDB's log: the changes that are not in the database file yet."""
    return file.with_name(f"{file.name}.wal")


def stamp(file: Path) -> Stamp:
    """Return inode, size and time of change of a file and of its log, None for a missing one.

    Two equal stamps mean that nobody wrote in between.
    """
    return tuple(_stamp(path) for path in (file, log_of(file)))


def copy(file: Path, target: Path, *, log: bool) -> None:
    """Copy a database file, and its log if the log belongs to it.

    Raises:
        UsageError: another program keeps writing to the file.
        ResourceError: the disk is full.
    """
    for _ in range(_ATTEMPTS):
        before = stamp(file)
        with writing(target):
            shutil.copyfile(file, target)
            if log and log_of(file).exists():
                shutil.copyfile(log_of(file), log_of(target))
        if stamp(file) == before:
            return
        log_of(target).unlink(missing_ok=True)
    raise UsageError(
        f"Another program is writing to {file}.",
        "Wait until it has finished, or close it. The last build is unchanged.",
    )


def write_early(file: Path) -> None:
    """Let the disk begin to write a copied file, beside the build.

    DuckDB waits at the end of a build until the disk has every byte; most of them are the copy's.
    """

    def write() -> None:
        # if the disk fails, DuckDB's own wait reports it
        with contextlib.suppress(OSError), file.open("rb") as handle:
            getattr(os, "fdatasync", os.fsync)(handle.fileno())  # macOS has no fdatasync

    threading.Thread(target=write, daemon=True).start()


def renew_identity(file: Path) -> None:
    """Give a copied database file an identity of its own; no connection may be open.

    DuckDB matches a log to a database by its identity and its number of checkpoints. A copy has the
    identity of its original. If a program still writes to the original, its log lies at the path
    where the copy is now, and DuckDB would replay it on the copy.
    """
    with file.open("r+b") as handle:
        header = bytearray(handle.read(_HEADER))
        if header[_MAGIC] != b"DUCK" or not any(header[_IDENTITY]):
            return  # a file from before DuckDB 1.4 has no identity
        header[_IDENTITY] = secrets.token_bytes(16)
        struct.pack_into("<Q", header, 0, _checksum(header))
        handle.seek(0)
        handle.write(header)
        handle.flush()
        os.fsync(handle.fileno())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _checksum(header: bytes | bytearray) -> int:
    # DuckDB's checksum of a block; DuckDB refuses a file with a wrong one
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", header[8:]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return checksum
