"""Runs the whole build command on files that may be faulty."""

from __future__ import annotations

import subprocess
from pathlib import Path

import duckdb

from harnesses import builds
from harnesses.faulty_files import Case, Sound
from harnesses.one_read import write

_OPTIONS = {"raw_sync_events": "--events", "raw_users": "--users"}
_SECONDS = 120


class Command:
    """Builds of one database; the first build has sound files."""

    def __init__(self, folder: Path, sounds: list[Sound]) -> None:
        self._database = folder / "database" / "pipeline.duckdb"
        self._output = folder / "output"
        self._temporary = folder / "temporary"
        self._files = folder / "files"
        folder.mkdir()
        self._temporary.mkdir()
        self._sound = {sound.source: folder / sound.name for sound in sounds}
        for sound in sounds:
            (folder / sound.name).write_bytes(sound.content)
        words = [word for source, path in self._sound.items() for word in self._named(source, path)]
        if self._build(words) != 0:
            raise RuntimeError(f"sound files do not build: {self._output.read_text()}")

    def broken(self, case: Case, rows: int | None) -> str | None:
        """Build from a case's files; return the fault. `rows` is None if it must refuse them."""
        before = self._database.read_bytes()
        words = []
        for path in write(case.files, self._files):
            words += self._named(case.sound.source, path)
        for source, path in self._sound.items():
            if source != case.sound.source:
                words += self._named(source, path)
        status = self._build(words)
        if left := builds.beside(self._database) | set(self._temporary.iterdir()):
            return f"the command left {left}"
        if rows is None:
            return self._broken_refusal(next(iter(case.files)), status, before)
        if status != 0:
            return f"the command ended with {status}: {self._output.read_text()}"
        told = self._audited(case.sound.source)
        return f"the audit tells of {told} rows of {rows}" if told != rows else None

    def _broken_refusal(self, faulty: str, status: int, before: bytes) -> str | None:
        told = self._output.read_text()
        errors = told.count("Error: ")
        if status != 2 or errors != 1 or faulty not in told or "Traceback" in told:
            return f"the command ended with {status} and {errors} errors: {told}"
        return None if self._database.read_bytes() == before else "the command changed the database"

    def _named(self, source: str, path: Path) -> list[str]:
        return [_OPTIONS[source], str(path)]

    def _build(self, words: list[str]) -> int:
        database = ["--database", str(self._database)]
        process = builds.start(["build", *database, *words], self._output, self._temporary)
        try:
            return process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _audited(self, source: str) -> int:
        with duckdb.connect(str(self._database), read_only=True) as con:
            query = "SELECT sum(number_of_rows)::BIGINT FROM audit_dispositions WHERE source = ?"
            (rows,) = con.execute(query, [source]).fetchone() or (0,)
            return int(rows or 0)
