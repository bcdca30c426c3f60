"""The estimate of a batch on BigQuery counts all that an incremental build reads."""

from __future__ import annotations

import re
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest
import sqlglot

from harnesses.bytes_scanned import Reader, sizes_of
from pipeline import catalog
from pipeline.backends.bigquery.days import DAYS, Ids, looked_up_in
from pipeline.backends.bigquery.estimate import Batch
from pipeline.expressions import declared_table, model_sql
from pipeline.sql import to_sql

GRAPH = catalog.load()
COSTS = Path(__file__).parents[3] / "docs" / "COSTS.md"


class Published:
    """The published tables, and the bytes that BigQuery bills for a query of them."""

    def __init__(self, folder: Path) -> None:
        views = [name for name, each in GRAPH.models.items() if each.materialized == "view"]
        texts = {name: model_sql(GRAPH, name, "bigquery") for name in views}
        parsed = {name: sqlglot.parse_one(sql, read="bigquery") for name, sql in texts.items()}
        self._reader = Reader(sizes_of(folder, 100), parsed)

    def table(self, name: str) -> ir.Table:
        return declared_table(GRAPH, name, database="models")

    def schema(self, name: str):
        return self.table(name).schema()

    def bill(self, query: ir.Table) -> int:
        return self._reader.billed(sqlglot.parse_one(to_sql(query, "bigquery"), read="bigquery"))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return Published(tmp_path_factory.mktemp("estimate"))


def batch(published: Published, share: float) -> Batch:
    return Batch(GRAPH, published, published.bill, share)


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("stg_repeated_events", {"stg_sync_events": ["item_uuid", "update_timestamp"]}),
        ("fct_command_statuses", {"fct_command_statuses": ["command_uuid", "command_date"]}),
        (
            "fct_command_neighbours",
            {
                "fct_command_statuses": ["command_uuid", "device_id", "command_date", "command"],
                "fct_command_neighbours": ["command_uuid", "device_id", "command_date", "next_at"],
            },
        ),
        ("fct_command_readings", {"fct_command_statuses": ["command_uuid", "command_date"]}),
    ],
)
def test_the_smallest_batch_costs_the_columns_that_its_ids_are_looked_up_in(published, name, reads):
    least = [published.bill(published.table(up).select(*names)) for up, names in reads.items()]

    found = batch(published, 1e-9).billed(GRAPH.models[name], 0)

    # and little more: the other rows are those of a few days
    assert sum(least) < found < 1.5 * sum(least) + 500_000_000


@pytest.mark.parametrize(
    ("name", "looked_up"),
    [
        ("stg_repeated_events", ("stg_sync_events", "item_uuid", "update_timestamp")),
        ("fct_command_neighbours", ("fct_command_statuses", "device_id", "command_date")),
    ],
)
def test_ids_whose_days_are_kept_apart_cost_their_pairs_alone(
    published, monkeypatch, name, looked_up
):
    ids = Ids(*looked_up)
    pairs = ibis.table({ids.name: "int64"}, name=DAYS, database="models")
    table, asked = published.table, list[ir.Table]()

    def bill(query: ir.Table) -> int:
        asked.append(query)
        return 0 if query.columns == (ids.name,) else published.bill(query)

    without = batch(published, 1e-9).billed(GRAPH.models[name], 0)
    monkeypatch.setattr(published, "table", lambda name: pairs if name == DAYS else table(name))
    found = Batch(GRAPH, published, bill, 1e-9, [ids.name]).billed(GRAPH.models[name], 0)

    assert sum(query.columns == (ids.name,) for query in asked) == 1
    columns = table(ids.table).select(ids.column, ids.day)
    assert found == pytest.approx(without - published.bill(columns), abs=1)
    assert ids in looked_up_in(GRAPH)


def test_a_batch_costs_more_the_larger_it_is_and_nothing_if_there_is_none(published):
    for model in GRAPH.models.values():
        found = [batch(published, share).billed(model, 10**9) for share in (0, 0.001, 0.01)]

        assert found[0] == 0
        assert found == sorted(found)
        assert found[1] > 0


def test_the_kept_estimates_are_near_the_bills_of_the_same_batches():
    row = re.compile(r"\| `build (--dry-run )?--incremental, (\S+) new` \| ([\d.]+)")
    kept = {(which, bool(dry)): float(gb) for dry, which, gb in row.findall(COSTS.read_text())}

    assert {which for which, _ in kept} == {"1.0%", "0.1%"}
    for which in ("1.0%", "0.1%"):
        assert kept[which, True] == pytest.approx(kept[which, False], rel=0.25)
