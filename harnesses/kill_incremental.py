"""Kill incremental builds at random moments of their life, and check the database.

python -m harnesses.kill_incremental --kills 200

Event files land one after the other. After each kill the database must hold exactly the old or the
new build, and its list of files must agree. The next incremental build must equal a full build,
digest for digest. Then nothing may lie beside the database.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
import duckdb
import pyarrow.parquet as pq

import pipeline
from harnesses import batches, builds, killing
from harnesses.builds import Digests
from harnesses.killing import Place
from harnesses.verdict import KEEP, Verdict
from pipeline.generate import generate

BATCHES = 6
FIGURES = [
    *(f"killed_in_{stage}" for stage in killing.STAGES),
    "ended_before_the_kill",
    "the_old_build_was_there",
    "the_new_build_was_there",
    "next_builds_that_equal_a_full_one",
]


@dataclass(frozen=True)
class State:
    """A database after so many files have landed: the rows of each file, and the digests."""

    files: Sequence[int]
    digests: Digests


@click.command()
@click.option("--kills", type=click.IntRange(1), default=200, show_default=True)
@KEEP
def main(kills: int, keep: bool) -> None:
    """Kill incremental builds of a DuckDB database."""
    verdict = Verdict("kill_incremental", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-kill-incremental-") as folder:
        _run(Path(folder), kills, verdict)
    verdict.finish(keep=keep, kills=kills)


def _run(folder: Path, kills: int, verdict: Verdict) -> None:
    place = Place(folder / "output", folder / "temporary")
    place.temporary.mkdir()
    files, users = _landing(folder)
    landing, database = folder / "landing", folder / "database" / "pipeline.duckdb"
    options = {"events": str(landing / "*.parquet"), "users": str(users)}
    words = ["build", "--incremental", "--database", str(database)]
    states = _states(folder, files, landing, options)
    project = pipeline.connect("duckdb", database=database, **options)
    project.build()
    begun, killed, turn = folder / "begun.duckdb", 0, 0
    shutil.copyfile(database, begun)
    _land(files[1], landing)
    life = killing.live(place, words)
    while killed < kills:
        number = turn % BATCHES + 1
        if number == 1:
            _begin_again(landing, files, begun, database)
        _land(files[number], landing)
        # the end is short, so each third kill is there
        stage = killing.kill(place, words, life, publishing=turn % 3 == 2)
        turn += 1
        killed += stage is not None
        verdict.figures[f"killed_in_{stage}" if stage else "ended_before_the_kill"] += 1
        found, old, new = _state(database), states[number - 1], states[number]
        allowed = {"start_up": [old], "building": [old], "publishing": [old, new]}
        verdict.expect(
            found in allowed.get(stage or "end", [new]),
            f"after a kill in {stage} data and files are the old ones or the new ones",
        )
        verdict.figures[f"the_{'old' if found == old else 'new'}_build_was_there"] += 1
        project.build(incremental=True)
        equal = _state(database) == new
        verdict.expect(equal, "the next build equals a full one")
        verdict.figures["next_builds_that_equal_a_full_one"] += equal
        left = builds.beside(database) | {path.name for path in place.temporary.iterdir()}
        verdict.expect(not left, f"nothing is left after the next build, but {left}")


def _landing(folder: Path) -> tuple[list[Path], Path]:
    """Write event files to land one after the other, the first of them large."""
    made = generate(
        folder / "raw", commands=60, devices=4, days=4, seed=3, format="parquet", messy_values=True
    )
    events = pq.read_table(next((folder / "raw").glob("raw_sync_events*.parquet")))
    random = Random(3)
    parts = [events, *(batches.moved(random, events, 20) for _ in range(BATCHES))]
    (folder / "parts").mkdir()
    paths = [folder / "parts" / f"{number}.parquet" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        pq.write_table(part, path)
    return paths, made.users_file


def _states(
    folder: Path, files: Sequence[Path], landing: Path, options: dict[str, str]
) -> list[State]:
    """Build in full after each file; at the end only the first one has landed."""
    landing.mkdir()
    states = []
    for path in files:
        _land(path, landing)
        anew = folder / "anew" / "full.duckdb"
        pipeline.connect("duckdb", database=anew, **options).build(checks=False)
        states.append(_state(anew))
    for path in files[1:]:
        (landing / path.name).unlink()
    return states


def _begin_again(landing: Path, files: Sequence[Path], begun: Path, database: Path) -> None:
    for path in files[1:]:
        (landing / path.name).unlink(missing_ok=True)
    shutil.copyfile(begun, database)


def _land(path: Path, landing: Path) -> None:
    # copy2 keeps the time of change, so a file that lands again counts as the same
    shutil.copy2(path, landing / path.name)


def _state(database: Path) -> State:
    with duckdb.connect(database, read_only=True) as con:
        rows = con.execute("SELECT rows FROM _pipeline.files ORDER BY path").fetchall()
    return State([number for (number,) in rows], builds.digests(database))


if __name__ == "__main__":
    main()
