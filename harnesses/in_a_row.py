"""Build incrementally many times in a row, and compare with a full build at the end.

python -m harnesses.in_a_row --builds 20 --events 1000000

Most events have landed before the first build. The others land by time, a file before each
further build; a tenth of them come some files late. At the end every model must equal that of a
full build. The figures also tell how much larger the database is than a fresh one, and how much
longer a query of one day takes: less than three times, if the facts still lie by day.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click
import duckdb

import pipeline
from harnesses import builds
from harnesses.verdict import KEEP, Verdict
from pipeline.generate import generate

LANDED = 0.8
"""The share of events that land before the first build."""
QUERIES = 15
FACT = "fct_command_readings"

FIGURES = [
    "events",
    "models_that_equal_a_full_build",
    "percent_of_the_size_of_a_fresh_one",
    "percent_of_the_time_of_a_day's_query",
]

_BATCHES = """
CREATE TABLE events AS
WITH placed AS (
    SELECT *, greatest(0, ceil((percent_rank() OVER (ORDER BY DateCreated) - {landed})
        / (1 - {landed}) * {builds}))::INT AS batch
    FROM read_parquet({files})
)
SELECT * EXCLUDE (batch), CASE
    WHEN hash(MapRevision, ItemData) % 10 > 0 THEN batch
    ELSE least({builds}, batch + 1 + hash(ItemData)::UBIGINT % 3)
END AS batch
FROM placed
"""
_DAY = f"""
SELECT count(*), sum(reading_count), count(DISTINCT device_id), max(len(readings)) FROM {FACT}
WHERE command_date = (SELECT max(command_date) - 3 FROM {FACT})
"""


@click.command()
@click.option("--builds", "number", type=click.IntRange(1), default=20, show_default=True)
@click.option("--events", type=click.IntRange(1_000), default=1_000_000, show_default=True)
@KEEP
def main(number: int, events: int, keep: bool) -> None:
    """Build in full, then incrementally many times, then in full beside it."""
    verdict = Verdict("in_a_row", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-in-a-row-") as folder:
        _run(Path(folder), number, events, verdict)
    verdict.finish(keep=keep, builds=number)


def _run(folder: Path, number: int, events: int, verdict: Verdict) -> None:
    made = generate(
        folder / "raw",
        commands=events // 10,
        devices=max(10, events // 1_000),
        days=60,
        seed=20,
        format="parquet",
    )
    landing, database, fresh = folder / "landing", folder / "d.duckdb", folder / "fresh.duckdb"
    landing.mkdir()
    options = {"events": str(landing / "*.parquet"), "users": str(made.users_file)}
    project = pipeline.connect("duckdb", database=database, **options)
    with duckdb.connect() as con:
        files = [str(file) for file in made.event_files]
        con.execute(_BATCHES.format(landed=LANDED, builds=number, files=files))
        for batch in range(number + 1):
            con.execute(
                f"COPY (SELECT * EXCLUDE (batch) FROM events WHERE batch = {batch})"
                f" TO '{landing / f'{batch:03}.parquet'}'"
            )
            result = project.build(incremental=True)
            mode = "incremental" if batch else "full"
            verdict.expect(result.mode == mode, f"build {batch} was {result.mode}, not {mode}")
            click.echo(f"build {batch}: {result.seconds:.1f} s")
    project.reconnect()
    whole = pipeline.connect("duckdb", database=fresh, **options)
    click.echo(f"full build: {whole.build().seconds:.1f} s")
    whole.reconnect()
    verdict.figures["events"] = made.events
    _compare(database, fresh, verdict)


def _compare(database: Path, fresh: Path, verdict: Verdict) -> None:
    found, wanted = builds.digests(database), builds.digests(fresh)
    for name in wanted:
        verdict.expect(found[name] == wanted[name], f"{name} differs from that of a full build")
        verdict.figures["models_that_equal_a_full_build"] += found[name] == wanted[name]
    larger = database.stat().st_size / fresh.stat().st_size
    verdict.figures["percent_of_the_size_of_a_fresh_one"] = round(100 * larger)
    seconds: dict[Path, list[float]] = {database: [], fresh: []}
    with duckdb.connect() as con:
        for place, name in ((database, "d"), (fresh, "f")):
            con.execute(f"ATTACH '{place}' AS {name} (READ_ONLY)")
        for _ in range(QUERIES):
            for place, name in ((database, "d"), (fresh, "f")):
                con.execute(f"USE {name}")
                clock = time.perf_counter()
                con.execute(_DAY).fetchall()
                seconds[place].append(time.perf_counter() - clock)
    slower = statistics.median(seconds[database]) / statistics.median(seconds[fresh])
    verdict.figures["percent_of_the_time_of_a_day's_query"] = round(100 * slower)


if __name__ == "__main__":
    main()
