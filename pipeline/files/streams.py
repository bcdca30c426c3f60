"""The bytes of text files, plain or compressed, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.finding import UNCHANGED, is_gzip, unreadable

CHUNK = 2**18


def chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes piece by piece, of a .gz what was compressed, up to its checksum.

    The engine's readers take a .gz that is cut or damaged without a word.

    Raises:
        InputError: the file can't be read, or is no whole .gz file.
    """
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            empty = True
            while chunk := file.read(CHUNK):
                empty = False
                yield chunk
        if empty and is_gzip(path) and path.stat().st_size == 0:
            raise EOFError
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path} is cut off or damaged: it can't be decompressed to its end.",
            f"Copy or export it again. {UNCHANGED}",
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def compression(path: Path) -> str:
    """Name a file's compression as the engine's readers do."""
    return "gzip" if is_gzip(path) else "uncompressed"
