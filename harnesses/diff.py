"""Alter ten rows of a copy of a build, and compare the two.

python -m harnesses.diff --commands 100000

`diff` must find exactly the altered rows. At most a hundredth of a table's rows may leave the
engine; it sums up the others by bucket.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import duckdb
import ibis.expr.types as ir
import pyarrow.parquet as pq

import pipeline
import pipeline.lineage as lineage
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.base import Tables
from pipeline.backends.duckdb.scratch import scratch
from pipeline.catalog import load
from pipeline.comparison import Comparison
from pipeline.generate import generate

DELETED, ADDED, CHANGED = 3, 3, 4
ALTERED = DELETED + ADDED + CHANGED
ONE_OF = 100
"""One of so many rows, at most, may leave the engine."""

MODELS = {
    "stg_sync_events": ("_uid", "map_revision"),
    "fct_command_readings": ("command_uuid", "command_map_revision"),
}
"""The tables to alter: the column that makes an added row unique, and the column that changes."""

FIGURES = ["models", "rows_of_both_sides", "altered_rows", "rows_that_left_the_engines"]


class Counting:
    """The tables of one side, and the number of rows that leave them."""

    def __init__(self, tables: Tables) -> None:
        self._tables, self.rows = tables, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows to a file, and count them."""
        self._tables.export(expr, file)
        self.rows += pq.read_metadata(file).num_rows


@click.command()
@click.option("--commands", type=click.IntRange(2_000), default=100_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(commands: int, seed: int, keep: bool) -> None:
    """Build, alter a copy, and compare."""
    verdict = Verdict("diff", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-diff-") as folder:
        _run(Path(folder), commands, seed, verdict)
    verdict.finish(keep=keep, commands=commands, seed=seed)


def _run(folder: Path, commands: int, seed: int, verdict: Verdict) -> None:
    made = generate(
        folder, commands=commands, devices=commands // 50, days=60, seed=seed, format="parquet"
    )
    files = {"events": [str(file) for file in made.event_files], "users": str(made.users_file)}
    one, other = folder / "one.duckdb", folder / "other.duckdb"
    pipeline.connect(database=one, **files).build(checks=False)
    shutil.copyfile(one, other)
    chance = random.Random(seed)
    for model, (own, changing) in MODELS.items():
        _alter(other, model, own, changing, chance)
    for model in MODELS:
        _compare(one, other, model, verdict)


def _alter(database: Path, model: str, own: str, changing: str, chance: random.Random) -> None:
    """Delete, add and change rows of a table at random places."""
    with duckdb.connect(database) as con:
        ((count,),) = con.execute(f"SELECT count(*) FROM {model}").fetchall()
        places = chance.sample(range(count), ALTERED)
        gone, copied = places[:DELETED], places[DELETED : DELETED + ADDED]
        changed = places[DELETED + ADDED :]
        con.execute(f"CREATE TABLE more AS FROM {model} WHERE rowid IN {tuple(copied)}")
        con.execute(f"UPDATE more SET {own} = {own} || ' added'")
        con.execute(
            f"UPDATE {model} SET {changing} = concat({changing}, '0')"
            f" WHERE rowid IN {tuple(changed)}"
        )
        con.execute(f"DELETE FROM {model} WHERE rowid IN {tuple(gone)}")
        con.execute(f"INSERT INTO {model} FROM more; DROP TABLE more")


def _compare(one: Path, other: Path, name: str, verdict: Verdict) -> None:
    model, traced = load().models[name], lineage.of(load())
    projects = [pipeline.connect(database=place) for place in (one, other)]
    clock = time.perf_counter()
    with (
        projects[0].backend.session() as a,
        projects[1].backend.session() as b,
        scratch() as (local, folder),
    ):
        sides = Counting(a), Counting(b)
        found = Comparison(sides, local, folder, traced.sensitive).compare(model)
    seconds = time.perf_counter() - clock
    assert found is not None
    # without a key, a changed row is one only in A and another one only in B
    moved = 0 if model.key else CHANGED
    wanted = (DELETED + moved, ADDED + moved, CHANGED - moved)
    verdict.expect(
        (found.only_in_a, found.only_in_b, found.changed) == wanted,
        f"{name}: {found.only_in_a} only in A, {found.only_in_b} only in B, "
        f"{found.changed} changed",
    )
    rows, left = sum(number or 0 for number in found.rows), sum(side.rows for side in sides)
    verdict.expect(left * ONE_OF <= rows, f"{name}: {left:,} of {rows:,} rows left the engines")
    verdict.figures["models"] += 1
    verdict.figures["rows_of_both_sides"] += rows
    verdict.figures["altered_rows"] += ALTERED
    verdict.figures["rows_that_left_the_engines"] += left
    click.echo(f"{name}: {rows:,} rows, {left:,} left the engines, {seconds:.1f} s")


if __name__ == "__main__":
    main()
