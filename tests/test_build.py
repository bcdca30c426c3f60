"""The order of work, skipped and published models, on small models of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import wraps

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pytest
from conftest import arrow, raw_user, user_types
from ibis import _
from pyarrow import parquet

from pipeline import build as builds
from pipeline import catalog, sql
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.backends.duckdb.workspace import DuckDBWorkspace
from pipeline.contract import Column, RowCheck, TableCheck, model
from pipeline.errors import UsageError
from pipeline.graph import Graph
from pipeline.options import RunOptions
from pipeline.sql import COMPILERS

NAME = Column("username", "string", "a name")
NO_BOB = RowCheck("no_bob", _.username == "bob", "nobody is called bob")
NO_CARL = RowCheck("no_carl", _.username == "carl", "nobody is called carl", "warn")


@model(key=["username"], tags=[], columns=[NAME], checks=[NO_BOB, NO_CARL])
def first(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select("username")


@model(key=[], tags=[], columns=[NAME])
def second(first: ir.Table) -> ir.Table:
    """One row per row of the first."""
    return first


@model(key=[], tags=[], columns=[NAME])
def third(second: ir.Table) -> ir.Table:
    """One row per row of the second."""
    return second


def as_many(first: ir.Table, apart: ir.Table) -> ir.Table:
    """Both have as many rows."""
    return first.anti_join(apart, "username")


@model(key=[], tags=[], columns=[NAME], checks=[TableCheck(as_many)])
def apart(raw_users: ir.Table) -> ir.Table:
    """One row per user, from the source itself."""
    return raw_users.select("username")


@model(key=[], tags=[], columns=[Column("number", "int64", "a name that is a number")])
def breaking(raw_users: ir.Table) -> ir.Table:
    """One row per user whose name is a number."""
    return raw_users.select(number=_.username.cast("int64"))


@model(key=[], tags=[], columns=[Column("number", "int64", "the same")])
def after_breaking(breaking: ir.Table) -> ir.Table:
    """One row per number."""
    return breaking


@model(key=["username"], tags=[], columns=[NAME], materialized="view", checks=[NO_BOB, NO_CARL])
def viewed(raw_users: ir.Table) -> ir.Table:
    """One row per user, computed whenever it is read."""
    return raw_users.select("username")


GRAPH = Graph(function.model for function in (first, second, third, apart))
VIEW = Graph([viewed.model])
BROKEN = Graph(function.model for function in (breaking, after_breaking, apart, first))


@pytest.fixture
def build(tmp_path):
    """Build the small models on users of these names."""

    def build(*names, graph=GRAPH, select=None, **options):
        file = tmp_path / "users.parquet"
        rows = [raw_user(number, username=name) for number, name in enumerate(names)]
        parquet.write_table(arrow(rows, user_types()), file)
        backend = DuckDB(tmp_path / "db.duckdb", inputs={"raw_users": (str(file),)})
        return builds.build(graph, backend, select or list(graph.models), RunOptions(**options))

    return build


@pytest.fixture
def published(tmp_path):
    """Return the names that are published in a model."""

    def published(name):
        with DuckDB(tmp_path / "db.duckdb").reader() as tables:
            return tables.fetch(tables.table(name))["username"].to_pylist()

    return published


def statuses(result) -> dict[str, str]:
    models = {made.name: made.status for made in result.models}
    return models | {f"{found.model}.{found.name}": found.status for found in result.checks}


def test_all_is_built_checked_and_published(build, published):
    result = build("ann")

    assert result.ok
    assert result.published
    assert set(statuses(result).values()) == {"OK", "PASS"}
    assert published("third") == ["ann"]


def test_a_failing_check_skips_what_depends_on_it_and_publishes_nothing(build, published):
    build("ann")

    result = build("bob")

    found = statuses(result)
    assert not result.ok
    assert result.published is False
    assert (found["first"], found["first.no_bob"]) == ("OK", "FAIL")
    assert found["second"] == found["third"] == found["third.columns"] == "SKIP"
    assert (found["apart"], found["apart.columns"]) == ("OK", "PASS")
    assert published("third") == ["ann"]
    assert {made.message for made in result.models if made.status == "SKIP"} == {"first failed"}


def test_a_check_that_reads_what_failed_is_skipped_with_the_reason(build):
    [check] = [found for found in build("bob").checks if found.name == "as_many"]

    assert (check.status, check.message) == ("SKIP", "needs first (first failed)")


def test_a_model_that_errors_skips_its_checks_and_what_depends_on_it(build):
    result = build("ann", graph=BROKEN)

    found = statuses(result)
    assert (found["breaking"], found["breaking.columns"]) == ("ERROR", "SKIP")
    assert (found["after_breaking"], found["after_breaking.columns"]) == ("SKIP", "SKIP")
    assert (found["apart"], found["first.no_bob"]) == ("OK", "PASS")
    assert result.published is False
    assert result.counts["ERROR"] == 1


def test_a_warning_publishes_unless_warnings_are_errors(build, published):
    warned = build("carl")
    failed = build("carl", warn_error=True)

    assert (statuses(warned)["first.no_carl"], warned.published) == ("WARN", True)
    assert (statuses(failed)["first.no_carl"], failed.published) == ("FAIL", False)
    assert published("first") == ["carl"]


def test_without_checks_what_they_would_stop_is_published(build, published):
    result = build("bob", checks=False)

    assert (result.ok, result.checks) == (True, [])
    assert published("third") == ["bob"]


@pytest.mark.parametrize("checks", [True, False])
def test_a_view_is_computed_once_for_its_rows_and_all_its_checks(build, monkeypatch, checks):
    read = []
    fetch = DuckDBWorkspace.fetch

    def counted(self, expr, **labels):
        read.append(expr)
        return fetch(self, expr)

    monkeypatch.setattr(DuckDBWorkspace, "fetch", counted)
    result = build("ann", "eve", graph=VIEW, checks=checks)

    assert [made.rows for made in result.models] == [2]
    assert len(result.checks) == (4 if checks else 0)
    assert len(read) == 1


def test_fail_fast_skips_all_that_would_come_later(build):
    result = build("ann", graph=BROKEN, fail_fast=True, select=["breaking", "apart"])

    assert statuses(result)["apart"] == "SKIP"
    assert result.models[-1].message == "the build failed fast"


def test_a_partial_build_checks_what_it_can_and_keeps_the_rest(build, published):
    build("ann")

    result = build("eve", select=["apart"])

    [check] = [found for found in result.checks if found.name == "as_many"]
    assert (check.status, check.message) == ("SKIP", "needs first (not selected)")
    assert published("apart") == ["eve"]
    assert published("first") == published("third") == ["ann"]


def test_what_is_needed_and_not_built_is_an_error_before_anything_is_read(build):
    with pytest.raises(UsageError, match="second reads first, not built yet") as caught:
        build("ann", select=["second"])

    assert "--select +second" in caught.value.next_step


def test_failing_rows_can_be_read_while_they_are_told(build):
    kept = {}

    build(
        "bob",
        "ann",
        on_failure=lambda found, rows, tables: kept.update(
            {found.name: tables.fetch(rows).to_pylist()}
        ),
    )

    assert kept == {"no_bob": [{"username": "bob"}]}


def test_each_model_is_announced_before_its_result(build):
    told = []

    build("ann", report=told.append, checks=False, select=["first", "second"])

    names = [type(event).__name__ for event in told]
    assert names == ["Read", *["Started", "ModelResult"] * 2]
    assert [(event.number, event.of) for event in told[1::2]] == [(1, 2), (2, 2)]


def test_a_build_calls_no_model_and_compiles_no_expression_a_second_time(tmp_path, monkeypatch):
    calls: Counter[str] = Counter()
    compiled: list[ops.Node] = []
    compiler = type(COMPILERS["duckdb"])
    compile_anew = compiler.to_sqlglot

    def counted(model):
        @wraps(model.function)
        def function(*tables):
            calls[model.name] += 1
            return model.function(*tables)

        return replace(model, function=function)

    def to_sqlglot(self, expr, **options):
        compiled.append(expr.unbind().op())
        return compile_anew(self, expr, **options)

    graph = Graph([counted(model) for model in catalog.load().models.values()])
    # tests before this one may have compiled the same
    sql._query.cache_clear()
    sql._text.cache_clear()
    monkeypatch.setattr(compiler, "to_sqlglot", to_sqlglot)

    result = builds.build(graph, DuckDB(tmp_path / "a.duckdb"), list(graph.models), RunOptions())

    assert result.published
    assert len(compiled) > len(graph.models)
    assert [op for op, times in Counter(compiled).items() if times > 1] == []
    # the times of the sample's users are no text, as they are declared
    assert calls == {name: 2 if name == "stg_user_versions" else 1 for name in graph.models}
