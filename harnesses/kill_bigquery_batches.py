"""Kill incremental builds on a BigQuery emulator at random moments, and check the dataset.

python -m harnesses.kill_bigquery_batches --kills 30 --keep

It builds the small models of the tests. Each round loads a batch that changes every model. A build
in a process of its own gets SIGKILL: after a random request, or in each third round a moment after
it sent the transaction. The dataset must hold the old rows, or the new ones if the transaction was
sent. The next build must be incremental and equal DuckDB's full build of all batches, or find
nothing new if the killed one was published, and drop all tables of its own.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pyarrow.parquet as pq

import pipeline
from harnesses.each_request import GRAPH, raw
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery.backend import BigQuery
from pipeline.backends.bigquery.tables import PREFIX
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.build import build
from pipeline.digest import digest
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.results import Digest, Result
from pipeline.sources import EVENTS, SOURCES
from tests.emulator.server import PROJECT, emulator
from tests.emulator.service import Service, refusing

DATASET, USERS = "models", "raw_users"
FIGURES = [
    *("killed_before_the_transaction", "killed_after_it_was_sent", "ended_before_the_kill"),
    *("old_rows_were_there", "new_rows_were_there", "next_builds_that_succeeded"),
]
Digests = Mapping[str, Digest]


def build_batch(url: str) -> Result:
    """Build incrementally."""
    with contextlib.redirect_stdout(io.StringIO()):
        return build_incrementally(GRAPH, backend(url), RunOptions(checks=False))


def backend(url: str) -> BigQuery:
    """Return the dataset on the emulator."""
    return BigQuery(PROJECT, DATASET, DATASET, api_endpoint=url)


@dataclass
class Place:
    """A dataset on the emulator, and the files of the batches that it has."""

    service: Service
    folder: Path
    under_way: Counter[str] = field(default_factory=Counter)
    """The requests that the emulator answers now, and `sent`: the transactions it has begun."""
    files: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in SOURCES})

    def __post_init__(self) -> None:
        answer, lock = self.service.answer, threading.Lock()

        def counted(method: str, target: str, body: bytes, *more: Any) -> Any:
            with lock:
                self.under_way["sent"] += b"BEGIN TRANSACTION" in body
                self.under_way["requests"] += 1
            try:
                return answer(method, target, body, *more)
            finally:
                with lock:
                    self.under_way["requests"] -= 1

        self.service.answer = counted  # type: ignore[method-assign]

    def load(self) -> None:
        """Load a batch."""
        number = len(self.files[EVENTS])
        for name in SOURCES if number == 0 else [EVENTS]:
            file = self.folder / f"{name}-{number}.parquet"
            pq.write_table(raw(name, number), file)
            self.files[name].append(str(file))
        where = {"project": PROJECT, "dataset": DATASET, "api_endpoint": self.service.url}
        users = self.files[USERS][-1:] if number == 0 else ()
        project = pipeline.connect("bigquery", **where)
        project.load(self.files[EVENTS][-1], users, append=number > 0)

    def digests(self) -> Digests:
        """Digest the published models."""
        with backend(self.service.url).reader() as tables:
            return digest(GRAPH, tables, list(GRAPH.models))

    def on_duckdb(self, *events: str) -> Digests:
        """Digest a full build of these files of events on DuckDB, by default of all batches."""
        inputs = {EVENTS: tuple(events or self.files[EVENTS]), USERS: tuple(self.files[USERS])}
        database = self.folder / "full.duckdb"
        database.unlink(missing_ok=True)
        full = DuckDB(database, inputs=inputs)
        build(GRAPH, full, list(GRAPH.models), RunOptions(checks=False))
        with full.reader() as tables:
            return digest(GRAPH, tables, list(GRAPH.models))

    def is_publishing(self) -> bool:
        """Tell whether the transaction was sent."""
        return self.under_way["sent"] > 0

    def left(self) -> list[str]:
        """Return the tables that builds made for themselves and left."""
        listed = backend(self.service.url)
        with listed.reader() as tables:
            names = tables.dataset.con.client.list_tables(f"{PROJECT}.{DATASET}")
            return [each.table_id for each in names if each.table_id.startswith(PREFIX)]


@click.command()
@click.option("--kills", type=click.IntRange(1), default=30, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(kills: int, seed: int, keep: bool) -> None:
    """Kill incremental builds of a dataset."""
    verdict = Verdict("kill_bigquery_batches", FIGURES)
    random.seed(seed)
    with (
        tempfile.TemporaryDirectory(prefix="harness-kill-") as folder,
        emulator() as url,
        refusing(url) as service,
    ):
        _run(Place(service, Path(folder)), kills, verdict)
    verdict.finish(keep=keep, kills=kills, seed=seed)


def _run(place: Place, kills: int, verdict: Verdict) -> None:
    place.load()
    build(GRAPH, backend(place.service.url), list(GRAPH.models), RunOptions(checks=False))
    place.load()
    place.service.asked.clear()
    build_batch(place.service.url)
    requests, old, turn = len(place.service.asked), place.digests(), 0
    verdict.expect(old == place.on_duckdb(), "a batch makes what a full build makes")
    while verdict.figures["old_rows_were_there"] + verdict.figures["new_rows_were_there"] < kills:
        turn += 1
        place.load()
        new = place.on_duckdb()
        _kill(place, None if turn % 3 == 0 else random.randrange(requests), verdict)
        found, sent = place.digests(), place.is_publishing()
        what = f"after a kill all rows are old, or new: {turn}"
        verdict.expect(found == old or (sent and found == new), what)
        verdict.figures["new_rows_were_there" if found == new else "old_rows_were_there"] += 1
        _build_next(place, found == new, new, verdict)
        old = new


def _kill(place: Place, request: int | None, verdict: Verdict) -> None:
    """Kill a build after a request, or else a moment after it sent the transaction."""
    place.service.asked.clear()
    place.under_way["sent"] = 0
    process = multiprocessing.get_context("spawn").Process(
        target=build_batch, args=(place.service.url,)
    )
    process.start()

    def is_time() -> bool:
        return place.is_publishing() if request is None else len(place.service.asked) > request

    while process.is_alive() and not is_time():
        time.sleep(0.002)
    if request is None:
        time.sleep(random.uniform(0, 1))
    process.kill()
    process.join()
    ended = "ended_before_the_kill" if process.exitcode == 0 else ""
    stage = "killed_after_it_was_sent" if place.is_publishing() else "killed_before_the_transaction"
    verdict.figures[ended or stage] += 1
    while place.under_way["requests"]:  # the emulator ends what it runs
        time.sleep(0.1)


def _build_next(place: Place, is_new: bool, new: Digests, verdict: Verdict) -> None:
    before = {*place.left()}
    result = build_batch(place.service.url)
    mode = result.published != is_new and result.mode == "incremental"
    verdict.expect(mode, f"the next build is incremental: {[each.text for each in result.notes]}")
    verdict.expect(place.digests() == new, "the next build makes what a full build makes")
    verdict.expect({*place.left()} <= before, "the next build leaves nothing of its own")
    verdict.figures["next_builds_that_succeeded"] += 1


if __name__ == "__main__":
    main()
