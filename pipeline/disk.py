"""Turns the errors of a disk into expected failures."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ResourceError, UsageError

# a user's quota or a file's size limit counts as a full disk
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: Exception) -> bool:
    """Tell whether an error of Python or of an engine means that the disk is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(os.strerror(number) in str(error) for number in _FULL)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of writing a path into expected failures.

    Raises:
        ResourceError: the disk is full.
        UsageError: the user may not write there.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise ResourceError(
                f"The disk of {path} is full: {error.strerror}.", "Make room on it."
            ) from error
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise UsageError(
                f"{path} can't be written: a file is in its way.",
                "Name a place that you may write to.",
            ) from error
        raise UsageError(
            f"{path} can't be written: {error.strerror or error}.",
            "Name a place that you may write to.",
        ) from error


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Turn errors of printing into expected failures.

    Raises:
        ResourceError: the disk of the standard output is full.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        # `writing` guards every file, so this can only be standard output
        if not is_full(error):
            raise
        # so Python's last flush does not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ResourceError(
            f"The disk of the standard output is full: {error.strerror}.", "Make room on it."
        ) from error
