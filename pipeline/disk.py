"""What a disk refuses, told as an expected failure."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import ResourceError, UsageError

# a quota, of the user's or of one file, is a disk that ends earlier
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: Exception) -> bool:
    """Tell whether the disk is full, by an error of Python's or by an engine's words."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(os.strerror(number) in str(error) for number in _FULL)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say why a path can't be written to.

    Raises:
        ResourceError: the disk is full.
        UsageError: it is no place that this user may write to.
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
    """Say that what is printed goes to a full disk.

    Raises:
        ResourceError: it does.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        # every file is written under `writing`: this can only be standard output
        if not is_full(error):
            raise
        # what is still to be written must not fail once more when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ResourceError(
            f"The disk of the standard output is full: {error.strerror}.", "Make room on it."
        ) from error
