"""Files that the pipeline writes: what stands in the way is told as an expected failure."""

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
        if error.errno in _FULL:
            raise ResourceError(
                f"The disk of {path} is full: {error.strerror}.", "Make room on it."
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
        if error.errno not in _FULL:
            raise
        # what is still to be written must not fail once more when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ResourceError(
            f"The disk of the standard output is full: {error.strerror}.", "Make room on it."
        ) from error
