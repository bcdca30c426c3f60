"""Split events into batches in random ways, and compare with a full build after each batch.

python -m harnesses.incremental --splits 20

Each split has other events, another way to split them, and files of different kinds and types.
Users change their names between batches. After each batch an incremental build must have every
digest of a full build of the same files. Sometimes a plain partial build comes between, or a build
without checks.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from random import Random

import click
import pyarrow as pa
import pyarrow.parquet as pq

import pipeline
from harnesses import batches, builds
from harnesses.verdict import KEEP, Verdict
from pipeline.generate import generate

FIGURES = ["batches", "rows", "built_incrementally", "built_in_full", "partial_builds_between"]
_BETWEEN = ("stg_sync_events", "fct_command_statuses", "stg_user_versions", "staging")


@click.command()
@click.option("--splits", type=click.IntRange(1), default=20, show_default=True)
@click.option("--commands", type=click.IntRange(1), default=60, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(splits: int, commands: int, seed: int, keep: bool) -> None:
    """Compare incremental builds with full ones."""
    verdict, started = Verdict("incremental", FIGURES), time.perf_counter()
    for number in range(splits):
        with tempfile.TemporaryDirectory(prefix="harness-incremental-") as folder:
            one_split(verdict, Path(folder), commands, Random(f"{seed} {number}"), number)
    seconds = round(time.perf_counter() - started)
    verdict.finish(keep=keep, splits=splits, commands=commands, seed=seed, seconds=seconds)


def one_split(verdict: Verdict, folder: Path, commands: int, random: Random, number: int) -> None:
    """Build batch after batch, and compare."""
    made = generate(
        folder / "raw",
        commands=commands,
        devices=random.choice((2, 5)),
        days=random.choice((1, 4)),
        seed=number,
        format="parquet",
        messy_values=True,
    )
    events = pa.concat_tables(
        [pq.read_table(path) for path in sorted((folder / "raw").glob("raw_sync_events*.parquet"))]
    )
    how = batches.SPLITS[number % len(batches.SPLITS)]
    parts = batches.split(random, events, how, random.choice((2, 3, 5)))
    users = folder / "users.parquet"
    pq.write_table(pq.read_table(made.users_file), users)
    database, anew = folder / "d.duckdb", folder / "anew.duckdb"
    landing = folder / "landing"
    landing.mkdir()
    options = {"events": str(landing / "*"), "users": str(users)}
    project = pipeline.connect("duckdb", database=database, **options)
    for batch, _path in enumerate(batches.write(random, landing, parts)):
        if random.random() < 0.3:
            _rename(random, users)
        if batch and random.random() < 0.15:
            project.build(random.choice(_BETWEEN), checks=False)
            verdict.figures["partial_builds_between"] += 1
        result = project.build(incremental=True, checks=random.random() < 0.5)
        verdict.figures["built_in_full" if result.mode == "full" else "built_incrementally"] += 1
        verdict.figures["batches"] += 1
        anew.unlink(missing_ok=True)
        pipeline.connect("duckdb", database=anew, **options).build(checks=False)
        found, wanted = builds.digests(database), builds.digests(anew)
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        verdict.expect(
            not differing, f"split {number} ({how}), batch {batch}: {', '.join(differing)} differ"
        )
    verdict.figures["rows"] += sum(part.num_rows for part in parts)


def _rename(random: Random, users: Path) -> None:
    table = pq.read_table(users)
    names = [
        random.choice(("ann", "bob", name)) if random.random() < 0.2 else name
        for name in table["username"].to_pylist()
    ]
    place = table.schema.get_field_index("username")
    pq.write_table(table.set_column(place, "username", pa.array(names, pa.string())), users)


if __name__ == "__main__":
    main()
