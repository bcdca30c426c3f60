"""Builds to disturb: two inputs whose models all differ, and the command to run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pipeline
from pipeline.generate import Format, generate
from pipeline.results import Digest

ROOT = Path(__file__).parents[1]
Digests = Mapping[str, Digest]


@dataclass(frozen=True)
class Inputs:
    """Files of both sources."""

    events: str
    users: str

    @property
    def options(self) -> list[str]:
        """The options that read them."""
        return ["--events", self.events, "--users", self.users]


def two_inputs(folder: Path, commands: int = 60) -> dict[str, Inputs]:
    """Generate two inputs, A and B, of one size and of two file formats.

    Some values break checks that warn.
    """
    return {
        "A": _generated(folder / "A", commands, 1, "parquet"),
        "B": _generated(folder / "B", commands, 2, "csv"),
    }


def _generated(folder: Path, commands: int, seed: int, kind: Format) -> Inputs:
    made = generate(
        folder, commands=commands, devices=4, days=4, seed=seed, format=kind, messy_values=True
    )
    return Inputs(str(folder / f"raw_sync_events*.{kind}"), str(made.users_file))


def start(words: Sequence[str], output: Path, temporary: Path) -> subprocess.Popen[bytes]:
    """Start a command; its output goes to a file, its temporary files to a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "cli.py", *words],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def digests(database: Path) -> Digests:
    """Open a database anew, and digest all its models."""
    project = pipeline.connect("duckdb", database=database)
    try:
        return project.digest()
    finally:
        project.reconnect()


def beside(database: Path) -> set[str]:
    """Return the names of all other files in the database's folder."""
    return {path.name for path in database.parent.iterdir()} - {database.name}
