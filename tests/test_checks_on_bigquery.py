"""Every check's SQL runs on Google's own engine, and finds the same rows as DuckDB."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import googlesql
import ibis.expr.types as ir
import pyarrow as pa
import pytest
from conftest import command, raw_user, reading, result

from pipeline import catalog
from pipeline.checks import check
from pipeline.counting import RowCounts
from pipeline.expressions import declared_table
from pipeline.masking import Masking
from pipeline.nullness import never_null
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
    at_once: int = 1

    def fetch(self, expr, *, model):
        return self.evaluate(expr)

    def last_run(self):
        return None


def outcomes(name, place, rows=RAW_ROWS, **options):
    found = check(
        GRAPH,
        name,
        place,
        masking=Masking(GRAPH),
        absent={},
        rows=RowCounts(rows, place),
        **options,
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


STATEMENTS = {
    # the counts of its rows, and four rules
    "audit_dispositions": 5,
    # the counts, and three rules: the fourth compares numbers that are known
    "fct_command_statuses": 4,
    # no key, and its columns are never NULL by construction
    "quarantined_events": 0,
}


def test_a_models_statements_are_sent_at_once_and_none_for_what_is_known(both):
    models, _ = both
    tables = {name: models.table(name) for name in GRAPH.models}
    rows = {name: table.count().to_pyarrow().as_py() for name, table in tables.items()}
    for name, number in STATEMENTS.items():
        together, one_at_a_time = threading.Barrier(number or 1, timeout=60), threading.Lock()
        sent = []

        def evaluate(expr, together=together, one_at_a_time=one_at_a_time, sent=sent):
            together.wait()
            with one_at_a_time:
                sent.append(expr)
                return expr.to_pyarrow()

        place = Place(tables.__getitem__, evaluate, at_once=8)
        found = outcomes(name, place, RAW_ROWS | rows, certain=never_null(GRAPH, name))

        assert len(sent) == number, name
        assert found == outcomes(name, Place(models.table, lambda expr: expr.to_pyarrow())), name
