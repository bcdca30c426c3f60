"""A DuckDB in memory for work on files beside any backend."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend

from pipeline.backends.duckdb.errors import engine_errors


@contextlib.contextmanager
def scratch() -> Iterator[tuple[Backend, Path]]:
    """Open a database in memory and a folder that it spills to; both are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="pipeline-") as folder:
        con = ibis.duckdb.connect(temp_directory=f"{folder}/spill", preserve_insertion_order=False)
        try:
            with engine_errors():
                yield con, Path(folder)
        finally:
            con.disconnect()
