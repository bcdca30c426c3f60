"""From the engine's error to the file and line at fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from pipeline.errors import InputError
from pipeline.sources import Source


def diagnose(error: duckdb.Error, source: Source, paths: Sequence[Path]) -> InputError | None:
    """Return what is wrong with which file, or None if the error is not about the files."""
    return None
