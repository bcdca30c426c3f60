"""Fixtures of the tests that type commands; a test module imports those that it uses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from conftest import Row, arrow, event_types, user_types

from pipeline.cli import cli

Type = Callable[..., Result]


@pytest.fixture
def type_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type a command in an empty folder and return its result."""
    monkeypatch.chdir(tmp_path)

    def type_(*words: str | Path, **environment: str) -> Result:
        # an exception without a message to the user fails the test
        return CliRunner().invoke(
            cli, [str(word) for word in words], env=environment, catch_exceptions=False
        )

    return type_


def run_into(database: Path, *options: str) -> Path:
    """Build a database without any check, for tests to look at."""
    words = ["run", "--database", str(database), *options]
    ran = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return database


@pytest.fixture
def built(sample: Path, type_: Type) -> Path:
    """The sample, built at the default place, for this test alone."""
    database = Path("build/pipeline.duckdb")
    database.parent.mkdir()
    shutil.copyfile(sample, database)
    return database


def write_raw(
    events: Sequence[Row], users: Sequence[Row] = (), folder: Path | None = None
) -> list[str]:
    """Write raw rows into the current folder or another; return the options that read them."""
    paths = [(folder or Path()) / name for name in ("events.parquet", "users.parquet")]
    pq.write_table(arrow(events, event_types()), paths[0])
    pq.write_table(arrow(users, user_types()), paths[1])
    return ["--events", str(paths[0]), "--users", str(paths[1])]


def rows(shown: Result) -> list[dict[str, Any]]:
    """Read what `show --format json` printed."""
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    """Read a Parquet file's rows."""
    table: pa.Table = pq.read_table(path)
    return table.to_pylist()
