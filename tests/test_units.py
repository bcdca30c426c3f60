"""Each declaration holds on random rows full of collisions: units depend only on declared rows."""

from __future__ import annotations

from random import Random

import ibis
import messy
import pyarrow as pa
import pytest
from conftest import arrow, event_types, user_types

from pipeline import catalog, contract, units
from pipeline.contract import Column, Grows, Model, TableCheck, Within
from pipeline.dialect import time_of_microseconds
from pipeline.errors import ContractError
from pipeline.expressions import declared_expression, declared_table, expression
from pipeline.graph import Graph
from pipeline.locality import Near
from pipeline.rules.window import WINDOW
from pipeline.sql import to_sql

GRAPH = catalog.load()
MODELS = GRAPH.models
PARTS = 30
"""Draws of messy rows, each with ids and devices of its own."""


def stored(name: str) -> ibis.Table:
    return declared_table(GRAPH, name)


def former(name: str) -> ibis.Table:
    return declared_table(GRAPH, name, database="former")


def changed(name: str) -> list[ibis.Table]:
    now, old = stored(name), former(name)
    return [old.difference(now, distinct=False), now.difference(old, distinct=False)]


def of_check(check: TableCheck) -> Model:
    """Return the rows that break a rule as a model, to test its declaration like a model's."""
    schema = check.function(*map(stored, check.reads)).schema()
    columns = [
        Column(name, str(kind), "of a check", nullable=name != check.within)
        for name, kind in schema.items()
    ]
    declare = contract.model(key=(), columns=columns, tags=(), locality=Within(check.within))
    return declare(check.function).model


WITHIN = {name: each for name, each in MODELS.items() if isinstance(each.locality, Within)}
CHECKS = {
    check.name: of_check(check)
    for checks in GRAPH.table_checks.values()
    for check in checks
    if check.within is not None
}
DECLARED = pytest.mark.parametrize(
    "model", [*WITHIN.values(), *CHECKS.values()], ids=lambda m: m.name
)


class Twice:
    """All models built twice on DuckDB: of some events in the schema `former`, and of more."""

    def __init__(self) -> None:
        self._con = ibis.duckdb.connect(threads=1)
        self._con.raw_sql("CREATE SCHEMA former")
        random = Random(16)
        events = messy.many_events(16, PARTS)
        earlier = [event for event in events if random.random() < 0.8]
        users = messy.users_of(messy.entropy(16), "text", "text")
        texts = user_types(uid=pa.string(), time=pa.string())
        models = {name: to_sql(expression(each, stored), "duckdb") for name, each in MODELS.items()}
        for schema, rows in (("former", earlier), ("main", events)):
            self._con.raw_sql(f"USE {schema}")
            self._store("raw_sync_events", arrow(rows, event_types()))
            self._store("raw_users", arrow(users, texts))
            for name, sql in models.items():
                self._con.raw_sql(f"CREATE TABLE {name} AS {sql}")

    def _store(self, name: str, rows: pa.Table) -> None:
        self._con.con.register("incoming", rows)
        self._con.raw_sql(f"CREATE TABLE {name} AS FROM incoming")
        self._con.con.unregister("incoming")

    def rows(self, expr: ibis.Table) -> list[str]:
        return sorted(map(repr, self._con.con.execute(to_sql(expr, "duckdb")).fetchall()))


@pytest.fixture(scope="module")
def twice():
    return Twice()


def rows_of(some: ibis.Table) -> units.Rows:
    """Restrict tables to units; a view within the unit is its function of restricted tables."""

    def rows(name: str, column: str) -> ibis.Table:
        each = MODELS[name]
        if column not in each.schema:
            return stored(name)  # a check reads it whole
        if each.materialized == "view" and units.is_unit(each, column):
            made = units.upstream(each, rows, near_rows)
            return expression(each, made.__getitem__)
        return units.having(stored(name), column, some)

    return rows


def near_rows(name: str, link: Near, of: ibis.Table) -> ibis.Table:
    return units.near_rows(stored(name), link, of)


def touched(model: Model) -> ibis.Table:
    """The units, each once, whose rows may differ after upstream rows went or came."""
    parts = []
    for name in model.upstream:
        link = model.locality.link(name)
        for rows in changed(name) if isinstance(link, Near) or link in MODELS[name].schema else []:
            if isinstance(link, Near):
                unit = model.locality.link(link.of)
                parts.append(units.units_near(stored(link.of), unit, link, rows))
            else:
                parts.append(rows.select(unit=rows[link]))
    return units.united(parts)


def test_what_is_declared_is_what_is_tested_here():
    growing = {name for name, each in MODELS.items() if isinstance(each.locality, Grows)}

    assert growing == {"stg_sync_events", "quarantined_events"}
    assert set(WITHIN) == {
        *("stg_repeated_events", "stg_commands", "stg_command_actives", "stg_command_results"),
        *("stg_readings", "fct_command_statuses", "fct_command_neighbours"),
        "fct_command_readings",
    }
    assert set(CHECKS) == {
        "every_active_has_its_command",
        "every_result_has_its_command",
        "each_reading_is_attributed_at_most_once",
        "every_user_is_known",
    }


@DECLARED
def test_rows_of_units_are_made_of_what_the_declaration_restricts_to(twice, model):
    whole = expression(model, stored)
    every = whole.select(unit=whole[model.locality.unit]).distinct()
    nothing = ibis.literal("nothing").as_table().select(unit=ibis.literal("nothing"))
    some = every.filter(every.unit.hash() % 2 == 0).union(nothing)
    restricted = units.upstream(
        model,
        rows_of(some),
        near_rows,
    )

    rows = twice.rows(units.having(whole, model.locality.unit, some))
    assert twice.rows(expression(model, restricted.__getitem__)) == rows
    assert len(rows) > 10 or model.name in CHECKS


@DECLARED
def test_rows_that_differ_are_of_units_that_a_change_upstream_touches(twice, model):
    old, now = expression(model, former), expression(model, stored)
    changes = (old.difference(now, distinct=False), now.difference(old, distinct=False))
    differ = units.united([rows.select(unit=rows[model.locality.unit]) for rows in changes])

    expected = set(twice.rows(differ))
    assert expected <= set(twice.rows(touched(model)))
    assert len(expected) > 10 or model.name in CHECKS


@pytest.mark.parametrize("name", ["stg_sync_events", "quarantined_events"])
def test_what_grows_makes_rows_of_new_rows_alone(twice, name):
    (up,) = MODELS[name].upstream
    went, came = changed(name)

    assert twice.rows(went) == []
    new = twice.rows(expression(MODELS[name], lambda _: changed(up)[1]))
    assert new == twice.rows(came)
    assert len(new) > 10


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, ["c"]), (WINDOW, ["c"]), (WINDOW + 1, []), (-1, [])],
    ids=["at once", "at the window's end", "a microsecond later", "a microsecond before"],
)
def test_a_reading_touches_the_commands_whose_window_holds_it(after, expected):
    link = MODELS["fct_command_readings"].locality.link("stg_readings")
    one = ibis.literal("d").as_table()

    def at(microseconds: int) -> ibis.Value:
        return time_of_microseconds(ibis.literal(1_643_673_590_000_000 + microseconds, "int64"))

    device = ibis.literal("d")
    commands = one.select(command_uuid=ibis.literal("c"), device_id=device, **{link.start: at(0)})
    readings = one.select(device_id=device, **{link.at: at(after)})

    near = units.units_near(commands, "command_uuid", link, readings)
    assert ibis.duckdb.connect().to_pyarrow(near)["unit"].to_pylist() == expected


def declared(locality, *, nullable=False):
    """Return the graph of one model of raw_users with this declaration."""
    columns = [Column("uid", "string", "an id", nullable=nullable)]

    @contract.model(key=[], tags=[], columns=columns, locality=locality)
    def users(raw_users: ibis.Table) -> ibis.Table:
        """One row per user."""
        return raw_users.select("uid")

    return Graph([users.model])


@pytest.mark.parametrize(
    ("locality", "wrong"),
    [
        (Within("name"), "it has no column name that is never NULL"),
        (Within("uid", raw_users="id"), "raw_users has no column id"),
        (Within("uid", raw_events="uid"), "it does not read raw_events"),
        (
            Within("uid", raw_users=Near("raw_users", "uid", "username", "at", 15)),
            "raw_users has no column at",
        ),
    ],
)
def test_a_declaration_that_names_what_is_not_there_is_an_error(locality, wrong):
    with pytest.raises(ContractError, match=wrong):
        declared(locality).require(["users"])


def test_a_unit_that_may_be_null_is_an_error():
    with pytest.raises(ContractError, match="uid that is never NULL"):
        declared(Within("uid"), nullable=True).require(["users"])
    declared(Within("uid")).require(["users"])


@pytest.mark.parametrize(
    ("name", "column", "above"),
    [
        ("fct_command_readings", "command_uuid", ("fct_command_statuses", "command_uuid")),
        ("fct_command_neighbours", "device_id", ("fct_command_statuses", "device_id")),
        # one row for each status, so any of its columns will do
        ("fct_command_neighbours", "command_uuid", ("fct_command_statuses", "command_uuid")),
        ("fct_command_neighbours", "next_at", None),
        # a device is no unit of the readings, and the statuses compute their day
        ("fct_command_readings", "device_id", None),
        ("fct_command_statuses", "command_uuid", None),
    ],
)
def test_a_models_days_are_those_of_the_upstream_that_it_takes_its_day_from(name, column, above):
    assert units.same_days(GRAPH, MODELS[name], column) == above


def test_a_model_with_one_row_for_each_upstream_row_may_have_the_key_of_it():
    keyed = {name for name, each in MODELS.items() if units.has_key_of_upstream(GRAPH, each)}

    assert keyed == {"fct_command_neighbours", "dim_users"}


@pytest.mark.parametrize(
    ("key", "select"),
    [
        ("b", lambda rows: rows.select(b=rows.b)),
        ("a", lambda rows: rows.select(a=rows.a.upper())),
        ("a", lambda rows: rows.select(a=rows.a).union(rows.select(a=rows.b))),
        ("a", lambda rows: rows.select(a=rows.a, b=ibis.array([rows.a, rows.b]).unnest())),
    ],
    ids=["another column", "a computed key", "rows twice", "several rows for one"],
)
def test_a_key_that_may_come_twice_is_not_the_key_of_the_upstream(key, select):
    a, b = (Column(name, "string", "a text") for name in "ab")

    @contract.model(key=["a"], tags=(), columns=[a, b])
    def letters(raw_users: ibis.Table) -> ibis.Table:
        """One row per letter."""
        return raw_users.select(a=raw_users.username, b=raw_users.username)

    def others(letters: ibis.Table) -> ibis.Table:
        """Some rows."""
        return select(letters)

    names = select(declared_table(Graph([letters.model]), "letters")).columns
    columns = [each for each in (a, b) if each.name in names]
    other = contract.model(key=[key], tags=(), columns=columns)(others).model
    graph = Graph([letters.model, other])

    assert not graph.faults
    assert not units.has_key_of_upstream(graph, other)


def test_a_column_that_is_the_day_of_another_one_is_known_from_the_expression():
    statuses = declared_expression(GRAPH, "fct_command_statuses")

    assert units.is_day_of(statuses, "command_date", "command_update_timestamp")
    assert not units.is_day_of(statuses, "command_date", "active_update_timestamp")
    assert not units.is_day_of(statuses, "device_id", "command_update_timestamp")
    assert not units.is_day_of(stored("fct_command_statuses"), "command_date", "command_date")
