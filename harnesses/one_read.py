"""Reads files as a build does, in a process that may crash or hang, and judges the result."""

from __future__ import annotations

import multiprocessing
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

import pipeline
from harnesses import independent
from harnesses.faulty_files import Case
from harnesses.faulty_schemas import USED
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.errors import PipelineError
from pipeline.sources import SOURCES

SECONDS = 60
"""The most seconds of a read of such small files; a longer one hangs."""


@dataclass(frozen=True)
class Outcome:
    """The result for files: the rows that were read, None if they were refused; what is wrong.

    `doubtful` says why another reader refuses a file that was read.
    """

    rows: int | None
    broken: str | None = None
    doubtful: bool = False


class Reader:
    """A process that reads one case after the other; if it dies, the next one takes over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def read(self, case: Case) -> Outcome:
        """Write the files, read them, and judge the result."""
        try:
            self._ours.send(case)
            if self._ours.poll(SECONDS):
                outcome: Outcome = self._ours.recv()
                return outcome
            broken = f"hung for {SECONDS} s"
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            broken = f"crashed with exit code {self._process.exitcode}"
        self.close()
        self._start()
        return Outcome(None, broken)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._ours.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()


def _serve(connection: Connection, folder: Path) -> None:
    while True:
        connection.send(_judge(connection.recv(), folder))


def write(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write exactly these files to a folder; return them in their order."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def _judge(case: Case, folder: Path) -> Outcome:
    paths = write(case.files, folder / "files")
    try:
        recorded, made = _build(case.sound.source, paths, folder / "database.duckdb")
    except PipelineError as error:
        return Outcome(None, _broken_refusal(case, error))
    except Exception:
        return Outcome(None, traceback.format_exc())
    if len(made) != recorded:
        return Outcome(recorded, f"{recorded} rows recorded, {len(made)} in the table")
    if case.fault.must == "be refused":
        return Outcome(recorded, f"read as {recorded} rows, but can't be sound")
    return _rows(case, paths, made, folder / "sound")


def _build(source: str, paths: list[Path], database: Path) -> tuple[int, pa.Table]:
    """Return the number of rows that a build records of a source, and the rows that it reads."""
    backend = DuckDB(database, 2, "1GB", {source: tuple(map(str, paths))})
    staged = pipeline.connect("duckdb", database=database).models["stg_sync_events"]
    model = replace(staged, columns=())
    with backend.workspace([model.name], keep=False) as workspace:
        raw = workspace.read_source(SOURCES[source], USED[source])
        workspace.create(model, raw.table)
        return raw.read.rows, workspace.fetch(workspace.table(model.name))


def _broken_refusal(case: Case, error: PipelineError) -> str | None:
    faulty = next(iter(case.files))
    if case.fault.must == "be read":
        return f"refused, although it is sound: {error}"
    told = all(words in error.what for words in (faulty, case.fault.told))
    if error.exit_status != 2 or not told or not error.next_step:
        return f"refused with status {error.exit_status} in other words: {error}"
    return None if str(error).replace("\n", "").isprintable() else f"refused unprintably: {error!r}"


def _values(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values; if files differ in a column's type, each type has a field."""
    return {
        name: next((each for each in value.values() if each is not None), None)
        if isinstance(value, dict)
        else value
        for name, value in row.items()
    }


def _rows(case: Case, paths: list[Path], made: pa.Table, folder: Path) -> Outcome:
    columns = USED[case.sound.source]
    try:
        expected = independent.read(paths, columns)
    except independent.UnreadableError as error:
        # the damaged bytes may not be needed: then the number of rows must be the same as before
        sound = independent.read(write({case.sound.name: case.sound.content}, folder), columns)
        lost = len(sound.rows) != len(made) or case.sound.ending != "parquet"
        told = f"{len(made)} rows of {len(sound.rows)}, and another reader refuses it: {error}"
        return Outcome(len(made), told if lost else None, doubtful=True)
    found = independent.content_of(map(_values, independent.dicts(made)), columns)
    if len(expected.rows) != len(made):
        return Outcome(len(made), f"{len(made)} rows, not {len(expected.rows)}")
    if not (expected.exact and found.exact):
        return Outcome(len(made))
    lacking = Counter(expected.rows) - Counter(found.rows)
    others = Counter(found.rows) - Counter(expected.rows)
    broken = f"{min(lacking, key=str)} is {min(others, key=str)}" if lacking else None
    return Outcome(len(made), broken)
