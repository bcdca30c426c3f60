"""Loading checks each declaration: a fault is one message with file and line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest
from ibis import _

from pipeline.contract import Column, Model, RowCheck, TableCheck, accepted_values, model
from pipeline.errors import ContractError
from pipeline.expressions import declared_table, expression
from pipeline.graph import Graph

HERE = Path(__file__).read_text().splitlines()


def line_of(text: str) -> int:
    return 1 + next(number for number, line in enumerate(HERE) if text in line)


@model(
    key=["user_id"],
    tags=["x"],
    columns=[
        Column("user_id", "string", "the id"),
        Column("name", "string", "the name"),
    ],
)
def stg_users(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select(user_id=_.uid, name=_.username)


@model(key="user_id", tags="x", columns=[Column("user_id", "string", "the id")])
def dim_users(stg_users: ir.Table) -> ir.Table:
    """One row per user."""
    return stg_users.select("user_id")


def dim_of(another: ir.Table) -> ir.Table:
    """One row per user."""
    return another


def without_docstring(raw_users: ir.Table) -> ir.Table:
    return raw_users


def of_a_model(stg_users: ir.Table) -> ir.Table:
    """Two agree."""
    return stg_users


def of_no_model(stg_user: ir.Table) -> ir.Table:
    """Two agree."""
    return stg_user


def of_rows(stg_users: ir.Table, raw_users: ir.Table) -> ir.Table:
    """Two agree."""
    return stg_users


def undescribed(stg_users: ir.Table) -> ir.Table:
    return stg_users


def stg(**changed) -> Model:
    return replace(stg_users.model, **changed)


NAME, ID = Column("name", "string", "the name"), Column("user_id", "string", "the id")


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (stg(key=("userid",)), 'the key is not a column: "userid", did you mean "user_id"'),
        (stg(partition_by="nam"), 'the partition is not a column: "nam", did you mean "name"'),
        (
            stg(cluster_by=("xyz",)),
            'the cluster column is not a column: "xyz", known: user_id, name',
        ),
        (
            stg(columns=(ID, Column("name", "strng", "the name"))),
            'column "name" has the unknown type "strng", did you mean "string"',
        ),
        (stg(columns=(ID, NAME, NAME)), 'column "name" is declared twice'),
        (
            stg(columns=(ID, replace(NAME, sensitive=True, not_sensitive="why"))),
            'column "name" is sensitive, and says why it is not',
        ),
        (stg(materialized="tabel"), 'unknown materialization "tabel", did you mean "table"'),
        (stg(function=without_docstring), "no docstring"),
        (
            stg(checks=(RowCheck("r", _.name.isnull(), "r", columns=("nam",)),)),
            'check r: no column "nam", did you mean "name"',
        ),
        (
            stg(checks=(RowCheck("r", _.nam.isnull(), "r"),)),
            'check r: no column "nam", did you mean "name"',
        ),
        (
            stg(checks=(accepted_values("nam", ["a"], where=ibis.literal(True)),)),
            'check accepted_values_nam: no column "nam", did you mean "name"',
        ),
        (stg(checks=(RowCheck("r", _.name, "r"),)), "check r is string, not true or false"),
        (
            stg(checks=(RowCheck("r", _.name.isnull(), "r"),) * 2),
            "two checks are called r",
        ),
        (stg(checks=(TableCheck(undescribed),)), "check undescribed has no docstring"),
        (
            stg(checks=(TableCheck(of_no_model),)),
            'check of_no_model reads "stg_user", which is not a model, did you mean "stg_users"',
        ),
        (stg(checks=(TableCheck(of_rows),)), 'check of_rows reads "raw_users", a source'),
        (
            stg(checks=(TableCheck(of_a_model, within="nam"),)),
            "check of_a_model is within nam, which no model that it reads has",
        ),
        (
            stg(checks=(TableCheck(of_a_model, within="name", near_day="day"),)),
            "check of_a_model is near day, which stg_users lacks",
        ),
        (
            stg(checks=(TableCheck(of_a_model, near_day="name"),)),
            "check of_a_model is near a day, but within no column",
        ),
        (
            replace(dim_users.model, function=dim_of),
            'it reads "another", which is neither a model nor a source, known: ',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_one_message_that_takes_down_its_model_alone(faulty, message):
    models = {each.name: each for each in (stg_users.model, dim_users.model, faulty)}
    graph = Graph([*models.values(), sound.model])

    with pytest.raises(ContractError) as raised:
        graph.require([faulty.name])

    lines = raised.value.what.splitlines()
    assert re.fullmatch(rf"{faulty.name} \(tests/test_declarations\.py:\d+\): .*", lines[0])
    assert message in lines[0]
    assert f"--exclude {faulty.name}" in raised.value.next_step
    assert set(graph.models) == {*models, "sound"}
    graph.require(["sound"])
    assert graph.select(["sound"]) == ["sound"]


@model(key=["a"], tags=[], columns=[Column("a", "string", "a")])
def sound(raw_users: ir.Table) -> ir.Table:
    """One row per user."""
    return raw_users.select(a=_.username)


def test_the_line_is_that_of_the_faulty_words():
    faulty = stg(key=("nam",), columns=(ID, replace(NAME, type="strng")))
    graph = Graph([faulty])

    # the declaration has `name` and its type, but not the misspelt words
    decorator = line_of('key=["user_id"],') - 1
    assert [fault.place for fault in graph.faults] == [
        f"tests/test_declarations.py:{decorator}"
    ] * 2
    twice = Graph([stg(columns=(ID, NAME, NAME))]).faults
    assert twice[0].place.endswith(f":{line_of('        Column(' + chr(34) + 'name')}")


def test_what_reads_a_faulty_model_is_refused_and_what_reads_that_is_not():
    @model(key=["a"], tags=[], columns=[Column("a", "string", "a")])
    def third(dim_users: ir.Table) -> ir.Table:
        """One row per user."""
        return dim_users.select(a=_.user_id)

    graph = Graph([stg(key=("x",)), dim_users.model, third.model])

    with pytest.raises(ContractError, match="stg_users"):
        graph.require(["dim_users"])
    graph.require(["third"])


def test_one_name_for_key_tags_or_clusters_is_one_name():
    assert dim_users.model.key == ("user_id",)
    assert dim_users.model.tags == ("x",)


def test_two_models_of_a_name_are_refused():
    graph = Graph([stg_users.model, stg(), sound.model])

    with pytest.raises(ContractError, match=r"a model in tests/test_declarations\.py:\d+ has this"):
        graph.require(["stg_users"])
    graph.require(["sound"])


def test_models_in_a_circle_are_refused_and_the_others_stay():
    @model(key=[], tags=[], columns=[])
    def one(two: ir.Table) -> ir.Table:
        """One row."""
        return two

    @model(key=[], tags=[], columns=[])
    def two(one: ir.Table) -> ir.Table:
        """One row."""
        return one

    graph = Graph([one.model, two.model, sound.model])

    with pytest.raises(ContractError, match=r"circle: (one -> two -> one|two -> one -> two)"):
        graph.require(["one"])
    assert graph.needed_by("one") == set()
    graph.require(["sound"])


# --- A function that raises -----------------------------------------------------------------------


def slip(name, change):
    def made(stg_users: ir.Table) -> ir.Table:
        """One row per user."""
        return change(stg_users)

    made.__name__ = name
    return replace(dim_users.model, function=made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.select(x=_.nme), 'no column "nme", did you mean "name"'),
        (lambda t: t.nme, 'no column "nme", did you mean "name"'),
        (lambda t: t["nme"], 'no column "nme", did you mean "name"'),
        (lambda t: t.group_by("nme").agg(n=_.count()), 'no column "nme", did you mean "name"'),
        (lambda t: t.select(x=_.zzz), 'no column "zzz", known: user_id, name'),
        (
            lambda t: t.mutate(s=ibis.struct({"slot": t.name})).select(x=_.s.slt),
            'no field "slt", did you mean "slot"',
        ),
        (
            lambda t: t.select(x=_.name.lowr()),
            "AttributeError: 'StringColumn' object has no attribute 'lowr'",
        ),
        (lambda t: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda t: None, "it returns NoneType, not a table"),
    ],
)
def test_a_function_that_raises_is_told_with_its_line(change, message):
    faulty = slip("met_x", change)
    graph = Graph([stg_users.model, faulty])

    with pytest.raises(ContractError) as raised:
        expression(faulty, lambda name: declared_table(graph, name))

    found = re.fullmatch(r"met_x \(tests/test_declarations\.py:(\d+)\): (.*)", raised.value.what)
    assert found[2].rstrip(".") == message
    if "returns" not in message:
        assert int(found[1]) - change.__code__.co_firstlineno in (0, 1)
