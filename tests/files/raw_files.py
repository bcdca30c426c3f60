"""Fixtures of the tests that read files; a test module imports those that it uses."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from conftest import in_memory

from pipeline import files
from pipeline.errors import InputError
from pipeline.sources import SOURCES


@dataclass(frozen=True)
class Read:
    """The result of reading files: the table's rows, its types, and the independent count."""

    values: list[tuple[Any, ...]]
    types: dict[str, str]
    rows: int


Reader = Callable[..., Read]


@pytest.fixture
def con() -> Iterator[Any]:
    with in_memory(preserve_insertion_order=False) as con:
        yield con


@pytest.fixture
def read(con: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Read files of the test's folder; a fault that DuckDB finds becomes our error."""
    monkeypatch.chdir(tmp_path)

    def read(
        *patterns: str,
        columns: tuple[str, ...] = ("ItemKey", "ItemData"),
        source: str | None = None,
    ) -> Read:
        the_source = SOURCES[source or "raw_sync_events"]
        raw = files.read(
            con, the_source, files.find(patterns), columns, scratch=tmp_path / "scratch"
        )
        try:
            try:
                table: pa.Table = con.to_pyarrow(raw.table)
            except duckdb.Error as error:
                if not files.mended(error, [raw]):
                    raise
                table = con.to_pyarrow(raw.table)
        except duckdb.Error as error:
            raise files.diagnose(error, raw) or error from error
        values = [tuple(row.values()) for row in table.to_pylist()]
        types = {name: str(kind) for name, kind in raw.table.schema().items()}
        return Read(sorted(values, key=str), types, raw.rows)

    return read


@pytest.fixture
def fault(read: Reader) -> Callable[..., str]:
    """Read faulty files and return the message."""

    def fault(*patterns: str, **options: Any) -> str:
        with pytest.raises(InputError) as caught:
            read(*patterns, **options)
        assert caught.value.exit_status == 2
        assert caught.value.next_step.endswith("The last build is unchanged.")
        return caught.value.what

    return fault


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write bytes into a file of the test's folder, compressed if its name ends in .gz."""

    def write(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return name

    return write
