"""Every check's SQL runs on Google's own engine, and finds the same rows as DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import googlesql
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from conftest import command, raw_user, reading, result

from pipeline import catalog
from pipeline.checks import RowCounts, check
from pipeline.expressions import declared_table
from pipeline.masking import Masking
from pipeline.sql import to_sql

GRAPH = catalog.load()
RAW_ROWS = {"raw_sync_events": 8, "raw_users": 3}
EVENTS = (
    command("c1"),
    command("c2", "PinAssignment", "slot one", "12", at=20),
    command("c3", "SwitchState", "halfway", at=40),
    result("c1"),
    result("no command"),
    reading("r1"),
    reading("r1"),
    reading(None, at=41),
)
USERS = (raw_user(7), raw_user(8), raw_user(None))


@pytest.fixture
def both(built):
    """The same built models for DuckDB, and as rows for Google's engine."""
    models = built(*EVENTS, users=USERS)
    rows = {
        f"project.dataset.{name}": models.table(name).to_pyarrow().cast(model.schema.to_pyarrow())
        for name, model in GRAPH.models.items()
    }
    return models, rows


@dataclass
class Place:
    """Tables as checks read them."""

    table: Callable[[str], ir.Table]
    evaluate: Callable[[ir.Table], pa.Table]

    def fetch(self, expr, *, model):
        return self.evaluate(expr)


def outcomes(name, place):
    found = check(
        GRAPH,
        name,
        place,
        masking=Masking(GRAPH),
        absent={},
        rows=RowCounts(RAW_ROWS, place),
    )
    return [(each.name, each.status, each.failures) for each, _failing in found]


def test_every_check_finds_the_same_on_both_engines(both):
    models, rows = both

    def on_bigquery(expr):
        return googlesql.query(to_sql(expr, "bigquery"), rows)

    def declared(name):
        return declared_table(GRAPH, name, "project", "dataset")

    for name in GRAPH.models:
        expected = outcomes(name, Place(models.table, lambda expr: expr.to_pyarrow()))
        assert outcomes(name, Place(declared, on_bigquery)) == expected, name


def test_a_miscounted_raw_row_is_found_on_bigquery(both):
    _, rows = both

    def on_bigquery(expr):
        return googlesql.query(to_sql(expr, "bigquery"), rows)

    def declared(name):
        return declared_table(GRAPH, name, "project", "dataset")

    place = Place(declared, on_bigquery)
    found = check(
        GRAPH,
        "audit_dispositions",
        place,
        masking=Masking(GRAPH),
        absent={},
        rows=RowCounts(RAW_ROWS | {"raw_users": 4}, place),
    )

    failed = {each.name: each.failures for each, _failing in found if each.failed}
    assert failed == {"every_raw_row_is_accounted_for": 1}
