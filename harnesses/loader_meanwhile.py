"""Build incrementally on a BigQuery emulator, two builders at once, while a loader adds rows.

python -m harnesses.loader_meanwhile --rounds 10 --keep

Somebody else's loader inserts an event each 0.3 s, from the first round to the last. In each round
two incremental builds of the small models begin within a second. The dataset's lock refuses one of
them, unless the other has ended by then. A build reads the events that were there at one moment,
which are the first that the loader inserted: the published models must equal DuckDB's full build of
as many events. At the end, without the loader, one more build must bring in all events.
"""

from __future__ import annotations

import datetime as dt
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from harnesses.each_request import GRAPH, raw
from harnesses.kill_bigquery_batches import DATASET, Place, backend
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery.load_days import STAMP
from pipeline.build import build
from pipeline.errors import PipelineError
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.results import Result
from pipeline.sources import EVENTS
from tests.emulator.server import PROJECT, emulator
from tests.emulator.service import refusing

EVERY = 0.3
"""Seconds."""
BUILDERS = 2
FIGURES = [
    *("published", "found_nothing_new", "refused_by_the_lock"),
    *("events_inserted", "inserted_during_builds"),
]
_COLUMNS = ("MapRevision", "ItemKey", "MapUniqueName", "DateCreated", STAMP)


@dataclass
class Loader:
    """Inserts an event each 0.3 s; `events` are all raw events, in the order of their arrival."""

    place: Place
    events: list[pa.Table]
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Insert events until it is over."""
        number, client = 1_000, backend(self.place.service.url).con.client
        while not self.over.wait(EVERY):
            number += 1
            event = _stamped(raw(EVENTS, number).slice(random.randrange(5), 1))
            (row,) = event.select(_COLUMNS).to_pylist()
            values = ", ".join(_literal(value) for value in row.values())
            names = f"`{PROJECT}`.{DATASET}.{EVENTS} ({', '.join(_COLUMNS)})"
            client.query_and_wait(f"INSERT INTO {names} VALUES ({values})")
            self.events.append(event)


def _literal(value: str | dt.datetime) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    return f"TIMESTAMP '{value.isoformat()}'"


def _stamped(rows: pa.Table) -> pa.Table:
    """Return rows that are loaded now."""
    place, kind = rows.column_names.index(STAMP), rows.schema.field(STAMP)
    now = [dt.datetime.now(dt.UTC)] * rows.num_rows
    return rows.set_column(place, kind, pa.array(now, kind.type))


def _built(place: Place) -> Result | PipelineError:
    time.sleep(random.uniform(0, 1))
    try:
        return build_incrementally(GRAPH, backend(place.service.url), RunOptions(checks=False))
    except PipelineError as error:
        return error


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(rounds: int, seed: int, keep: bool) -> None:
    """Build while a loader adds rows."""
    verdict = Verdict("loader_meanwhile", FIGURES)
    random.seed(seed)
    with (
        tempfile.TemporaryDirectory(prefix="harness-loader-") as folder,
        emulator() as url,
        refusing(url) as service,
    ):
        _run(Place(service, Path(folder)), rounds, verdict)
    verdict.finish(keep=keep, rounds=rounds, seed=seed)


def _run(place: Place, rounds: int, verdict: Verdict) -> None:
    place.load()
    build(GRAPH, backend(place.service.url), list(GRAPH.models), RunOptions(checks=False))
    loader = Loader(place, [raw(EVENTS, 0).slice(row, 1) for row in range(raw(EVENTS, 0).num_rows)])
    before = len(loader.events)
    with ThreadPoolExecutor(BUILDERS + 1) as pool:
        loading = pool.submit(loader.run)
        try:
            # the emulator knows a table's past from its first INSERT on
            while len(loader.events) == before and not loading.done():
                time.sleep(EVERY)
            for _ in range(rounds):
                there = len(loader.events)
                ended = list(pool.map(_built, [place] * BUILDERS))
                verdict.figures["inserted_during_builds"] += len(loader.events) - there
                _judge(place, loader, ended, verdict)
        finally:
            loader.over.set()
        loading.result()
    verdict.figures["events_inserted"] = len(loader.events) - before
    read = _judge(place, loader, [_built(place)], verdict)
    verdict.expect(read == len(loader.events), f"the last build has read all events: {read}")


def _judge(
    place: Place, loader: Loader, ended: list[Result | PipelineError], verdict: Verdict
) -> int:
    """Compare what is published with DuckDB's build; return how many events it has read."""
    errors = [each.what for each in ended if isinstance(each, PipelineError)]
    refused = [each for each in errors if each.startswith("Another build of")]
    built = [each for each in ended if isinstance(each, Result)]
    verdict.figures["refused_by_the_lock"] += len(refused)
    verdict.figures["published"] += sum(each.published for each in built)
    verdict.figures["found_nothing_new"] += sum(not each.published for each in built)
    verdict.expect(len(built) > 0, "one of the builders builds")
    for error in errors:
        verdict.expect(error in refused, f"only the lock refuses a build: {error}")
    for result in built:
        notes = [each.text for each in result.notes]
        verdict.expect(result.mode == "incremental", f"a build is incremental: {notes}")
    last = backend(place.service.url).last_run()
    read = last.sources[EVENTS].rows if last else 0
    file = str(place.folder / "first.parquet")
    pq.write_table(pa.concat_tables(loader.events[:read]), file)
    what = f"the models are those of a full build of the first {read} events"
    verdict.expect(place.digests() == place.on_duckdb(file), what)
    left = place.left()
    verdict.expect(not left, f"no build leaves tables of its own: {left}")
    return read


if __name__ == "__main__":
    main()
