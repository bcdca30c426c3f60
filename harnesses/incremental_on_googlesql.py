"""Evaluate each statement of an incremental build on BigQuery by Google's own engine for its SQL.

python -m harnesses.incremental_on_googlesql --keep

The build runs on the emulator, with all models: generated events, then a batch of new events and of
late copies that were moved. Just before it publishes, Google's engine evaluates every statement on
the emulator's tables, and must find the emulator's rows. Afterwards every model must equal a full
build on DuckDB.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

import pipeline
from harnesses.batches import moved
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery import changing
from pipeline.generate import generate
from tests import googlesql
from tests.emulator.evaluated import Compared, compared
from tests.emulator.server import PROJECT, emulator
from tests.emulator.service import refusing

DATASET = "models"
NEW, MOVED = 0.1, 6
"""The share of events in the batch, and the number of late copies in it."""
FIGURES = ["events", "events_in_the_batch", "models", "inserts", "deletes", "selects", "rows"]


@click.command()
@click.option("--commands", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(commands: int, seed: int, keep: bool) -> None:
    """Evaluate the statements of an incremental build."""
    verdict = Verdict("incremental_on_googlesql", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        events, users = _events(Path(folder), commands, seed)
        first = round(events.num_rows * (1 - NEW))
        new = events.slice(first)
        late = moved(Random(seed), events, MOVED)
        parts = [events.slice(0, first), pa.concat_tables([new, _loaded_last(late, new)])]
        _build(Path(folder), parts, users, verdict)
        verdict.figures["events"] = sum(part.num_rows for part in parts)
        verdict.figures["events_in_the_batch"] = parts[1].num_rows
    verdict.finish(keep=keep, commands=commands, seed=seed)


def _events(folder: Path, commands: int, seed: int) -> tuple[pa.Table, str]:
    made = generate(folder, commands=commands, devices=3, days=4, seed=seed, format="parquet")
    events = pa.concat_tables([pq.read_table(file) for file in made.event_files])
    return events.sort_by("_scheduled_timestamp"), str(made.users_file)


def _loaded_last(late: pa.Table, new: pa.Table) -> pa.Table:
    at = late.schema.get_field_index("_scheduled_timestamp")
    times = [max(new["_scheduled_timestamp"].to_pylist())] * late.num_rows
    return late.set_column(at, late.schema.field(at), pa.array(times, late.schema.field(at).type))


def _build(folder: Path, parts: list[pa.Table], users: str, verdict: Verdict) -> None:
    files = [str(folder / f"part-{number}.parquet") for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        pq.write_table(part, file)
    with emulator() as url, refusing(url) as service:
        where = {"project": PROJECT, "dataset": DATASET, "api_endpoint": service.url}
        project = pipeline.connect("bigquery", **where)
        project.load(files[0], users)
        verdict.expect(project.build().published, "the first build is published")
        project.load(files[1], append=True)
        service.asked.clear()
        found: list[Compared] = []
        publish = changing.publish

        def evaluated(dataset: Any, *given: Any) -> Any:
            publishing, name = [*given[-2], *given[-1]], f"{PROJECT}.{DATASET}"
            client, query = dataset.con.client, googlesql.query
            found.append(compared(client, name, service.statements(), publishing, query))
            return publish(dataset, *given)

        changing.publish = evaluated  # type: ignore[assignment]
        try:
            result = project.build(incremental=True)
        finally:
            changing.publish = publish
        is_right = result.published and result.mode == "incremental"
        verdict.expect(is_right, f"the batch is built incrementally: {result}")
        project.reconnect()
        digests = project.digest()
    for sql in found[0].differing:
        verdict.expect(False, f"Google's engine finds the emulator's rows: {sql}")
    kinds = found[0].statements
    verdict.figures.update(
        models=len(digests),
        inserts=kinds["INSERT"],
        deletes=kinds["DELETE"],
        selects=kinds["SELECT"] + kinds["WITH"],
        rows=found[0].rows,
    )
    database = folder / "whole.duckdb"
    whole = pipeline.connect("duckdb", database=database, events=files, users=users)
    whole.build(checks=False)
    whole.reconnect()
    verdict.expect(digests == whole.digest(), "every model equals a full build on DuckDB")


if __name__ == "__main__":
    main()
