"""The origins of each kind of expression: by value, and those that only decide."""

from __future__ import annotations

import ibis
import pytest
from ibis import _

from pipeline import catalog, lineage
from pipeline.contract import Column, model
from pipeline.dialect import json_elements, json_members, key_hash, sorted_structs, total
from pipeline.graph import Graph
from pipeline.lineage import trace
from pipeline.lineage.origins import table_rows

A = ibis.table(
    {
        "k": "string",
        "x": "int64",
        "y": "int64",
        "s": "struct<p: string, q: string>",
        "r": "array<struct<p: string, q: string>>",
        "doc": "string",
    },
    name="a",
)
B = ibis.table({"k": "string", "v": "int64", "w": "int64"}, name="b")
KEYS = {"a": ["k"], "b": ["k"]}


def made_of(expr, column="c"):
    """The origins of a column as two texts: by value, and those that only decide."""
    schemas = {table.get_name(): table.schema() for table in (A, B)}
    rows = trace(expr, lambda name: table_rows(name, schemas[name], KEYS[name]))
    made = rows.lineage[column]
    return _text(made.value), _text(made.only_decides)


def _text(origins):
    return " ".join(sorted(f"{origin.table}.{origin.part}" for origin in origins))


def _parsed():
    parsed = json_members(A, "doc", scalars=("m",), nested=("n",), found="found")
    return json_elements(parsed, "n", "e0", "e1")


COUNTED = B.group_by("k").agg(n=_.count(), most=_.v.max(where=_.w > 0))
CASES = {
    "renamed": (A.rename(c="x"), "a.x", ""),
    "computed": (A.select(c=_.x + _.y * 2), "a.x a.y", ""),
    "nothing": (A.select(c=ibis.literal(1)), "", ""),
    "case": (A.select(c=ibis.cases((_.x > 0, _.y), else_=7)), "a.y", "a.x"),
    "simple case": (A.select(c=_.x.cases((1, _.y), else_=0)), "a.y", "a.x"),
    "ifelse": (A.select(c=(_.x == 0).ifelse("u", _.k)), "a.k", "a.x"),
    "comparison": (A.select(c=_.x == _.y), "a.x a.y", ""),
    "coalesce": (A.select(c=ibis.coalesce(_.x, _.y)), "a.x a.y", ""),
    "nullif": (A.select(c=_.x.nullif(_.y)), "a.x", "a.y"),
    "filter": (A.filter(_.y > 0).select(c=_.x), "a.x", "a.y"),
    "sorted": (A.order_by("y").select(c=_.x), "a.x", ""),
    "first rows": (A.order_by("y").limit(3).select(c=_.x), "a.x", "a.y"),
    "distinct": (A.select("y", c=_.x).distinct(), "a.x", "a.y"),
    "dropped": (A.rename(c="x").drop("y"), "a.x", ""),
    "filled": (A.rename(c="x").fill_null({"c": 0}), "a.x", ""),
    "not null": (A.drop_null(["y"]).rename(c="x"), "a.x", "a.y"),
    "a group's key": (A.group_by(c="x").agg(n=_.count()), "a.x", ""),
    "sum of a group": (A.group_by("k").agg(c=_.x.sum(where=_.y > 0)), "a.x", "a.k a.y"),
    "count": (A.group_by("k").agg(c=_.count()), "", "a.k"),
    "count of values": (A.agg(c=_.x.nunique(where=_.y > 0)), "", "a.x a.y"),
    "total": (A.group_by("k").agg(c=total(A.x, where=A.y > 0)), "a.x", "a.k a.y"),
    "argmax": (A.agg(c=_.x.argmax(_.y)), "a.x", "a.y"),
    "window": (A.select(c=_.x.sum().over(group_by="k", order_by="y")), "a.x", "a.k a.y"),
    "lag": (A.select(c=_.x.lag().over(group_by="k", order_by=_.y.desc())), "a.x", "a.k a.y"),
    "number": (A.select(c=ibis.row_number().over(group_by="k", order_by="y")), "", "a.k a.y"),
    "hash": (A.select(c=key_hash(A.x, A.k)), "a.k a.x", ""),
    "field of a table's struct": (A.select(c=_.s.p), "a.s.p", ""),
    "a struct": (A.select(c=ibis.struct({"p": _.x, "q": _.y})), "a.x a.y", ""),
    "field of a struct": (
        A.mutate(t=ibis.struct({"p": _.x, "q": _.y})).select(c=_.t.p),
        "a.x",
        "",
    ),
    "field of a struct that may not be": (
        A.mutate(t=(_.y > 0).ifelse(ibis.struct({"p": A.x, "q": A.k}), None)).select(c=_.t.p),
        "a.x",
        "a.y",
    ),
    "array": (A.select(c=ibis.array([_.x, _.y])), "a.x a.y", ""),
    "element": (A.select(c=_.r[0].p), "a.r.p", ""),
    "mapped": (A.select(c=_.r.map(lambda e: e.p.lower())), "a.r.p", ""),
    "filtered array": (A.select(c=_.r.filter(lambda e: e.q == "1")[0].p), "a.r.p", "a.r.q"),
    "collected": (
        A.group_by("k").agg(t=ibis.struct({"p": A.x, "q": A.y}).collect()).select(c=_.t[0].p),
        "a.x",
        "a.k",
    ),
    "length": (A.select(c=_.r.length()), "", "a.r"),
    "unnested": (A.select(e=_.r.unnest()).select(c=_.e.p), "a.r.p", "a.r"),
    "unnested table": (A.unnest("r").select(c=_.r.q), "a.r.q", "a.r"),
    "beside what is unnested": (A.unnest("r").select(c=_.x), "a.x", "a.r"),
    "sorted structs": (
        A.select(t=sorted_structs(A.r, by=("p",), fields=("p", "q"))).select(c=_.t[0].q),
        "a.r.q",
        "a.r.p",
    ),
    "member": (_parsed().rename(c="m"), "a.doc.m", ""),
    "nested member": (_parsed().rename(c="n"), "a.doc.n", ""),
    "element of a member": (_parsed().rename(c="e1"), "a.doc.n[1]", ""),
    "left join with a unique key": (A.left_join(B, "k").select(c=_.x), "a.x", ""),
    "joined column": (A.left_join(B, "k").select(c=_.v), "b.v", "a.k b.k"),
    "left join with any key": (
        A.left_join(B, A.x == B.w).select(c=_.y),
        "a.y",
        "a.x b.w",
    ),
    "left join with groups": (A.left_join(COUNTED, "k").select(c=_.x), "a.x", ""),
    "joined count": (A.left_join(COUNTED, "k").select(c=_.most), "b.v", "a.k b.k b.w"),
    "inner join": (A.join(B, "k").select(c=_.x), "a.x", "a.k b.k"),
    "anti join": (A.anti_join(B.filter(_.w > 0), "k").select(c=_.x), "a.x", "a.k b.k b.w"),
    "cross join": (A.cross_join(B.filter(_.w > 0)).select(c=_.x), "a.x", "b.w"),
    "union": (A.select(c=_.x).union(B.select(c=_.v)), "a.x b.v", ""),
    "difference": (A.select(c=_.x).difference(B.select(c=_.v)), "a.x b.v", ""),
    "largest of another table": (A.select(c=_.x / B.v.max().as_scalar()), "a.x b.v", ""),
    "among another table's": (A.select(c=_.x.isin(B.v)), "a.x", "b.v"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_expression_is_made_of(name):
    expr, value, decides = CASES[name]

    assert made_of(expr) == (value, decides)


MODELS = catalog.load()
LINEAGE = lineage.of(MODELS)


@pytest.mark.parametrize(
    ("column", "sources"),
    [
        ("stg_commands.pin", "ItemData.desired_state[2]"),
        ("fct_command_readings.slot", "ItemData.desired_state[1]"),
        ("fct_command_readings._raw_command_desired_state", "ItemData.desired_state"),
        ("fct_command_readings.is_hub_success", "ItemData.result"),
        ("fct_command_statuses.command_date", "DateCreated"),
        ("stg_readings.state_value", "ItemData.state ItemData.state.value"),
        ("met_daily_command_count_by_username.username", "username"),
        ("met_command_outcomes.number_hub_success", ""),
    ],
)
def test_a_column_is_followed_to_the_raw_column_and_the_member_of_its_json(column, sources):
    name, _dot, column = column.partition(".")

    made = LINEAGE.full(name)[column]

    assert " ".join(sorted(origin.part for origin in made.value)) == sources


def test_the_columns_that_hold_a_pin_are_sensitive_and_no_others():
    sensitive = {name: set(LINEAGE.sensitive(name)) for name in MODELS.models}

    of_commands = {"pin", "_raw_command_desired_state"}
    assert {name: columns for name, columns in sensitive.items() if columns} == {
        "stg_sync_events": {"item_data", "desired_state", "desired_state_2"},
        "stg_repeated_events": {"desired_state", "desired_state_2"},
        "quarantined_events": {"item_data"},
        "stg_commands": of_commands,
        "fct_command_statuses": of_commands,
        "fct_command_readings": of_commands,
    }


def test_what_is_declared_sensitive_is_all_that_is():
    for name, declared in MODELS.models.items():
        assert declared.sensitive == LINEAGE.sensitive(name)


def with_mart(*columns, made):
    """The lineage of the models and one more that makes these columns of commands."""

    @model(key=[], tags=[], columns=[*columns])
    def met_doors(fct_command_statuses):
        """One row per command."""
        return fct_command_statuses.select(**made)

    return lineage.of(Graph([*MODELS.models.values(), met_doors.model]))


CODE = Column("code", "string", "a code")


@pytest.mark.parametrize(
    ("made", "is_sensitive"),
    [
        ({"code": _.pin}, True),
        ({"code": _.pin.substr(0, 2)}, True),
        ({"code": _.slot + "/" + _.pin}, True),
        ({"code": ibis.struct({"slot": _.slot, "pin": _.pin}).pin}, True),
        ({"code": ibis.array([_.slot, _.pin])[0]}, True),
        ({"code": (_.slot == "1").ifelse(_.pin, None)}, True),
        ({"code": _._raw_command_desired_state.length().cast("string")}, True),
        ({"code": ibis.struct({"slot": _.slot, "pin": _.pin}).slot}, False),
        ({"code": _.slot}, False),
        ({"code": _.dimmer_level}, False),
        ({"code": ibis.cases((_.pin.isnull(), "none"), else_="some")}, False),
    ],
)
def test_what_is_made_of_a_pin_by_value_is_sensitive_whatever_its_name(made, is_sensitive):
    assert with_mart(CODE, made=made).sensitive("met_doors") == (
        {"code"} if is_sensitive else set()
    )


def test_a_struct_that_holds_a_pin_is_sensitive():
    held = Column("held", "struct<slot: string, pin: string>", "both")

    made = {"held": ibis.struct({"slot": _.slot, "pin": _.pin})}

    assert with_mart(held, made=made).sensitive("met_doors") == {"held"}


def test_a_column_is_not_sensitive_where_its_declaration_says_why():
    length = Column("n", "int64", "digits", not_sensitive="a length opens no door")

    assert with_mart(length, made={"n": _.pin.length()}).sensitive("met_doors") == set()


def test_what_is_made_of_it_is_not_sensitive_either_nor_what_is_made_of_a_declared_one_harmless():
    @model(key=[], tags=[], columns=[CODE])
    def met_first(fct_command_statuses):
        """One row per command."""
        return fct_command_statuses.select(code=_.pin.upper())

    @model(key=[], tags=[], columns=[CODE, Column("n", "int64", "digits", not_sensitive="short")])
    def met_second(met_first):
        """One row per command."""
        return met_first.select("code", n=_.code.length())

    @model(key=[], tags=[], columns=[CODE, Column("m", "int64", "digits")])
    def met_third(met_second):
        """One row per command."""
        return met_second.select("code", m=_.n + 1)

    models = [function.model for function in (met_first, met_second, met_third)]
    traced = lineage.of(Graph([*MODELS.models.values(), *models]))

    assert traced.sensitive("met_third") == {"code"}


def test_a_resolved_model_says_which_columns_are_sensitive_by_origin():
    traced = with_mart(CODE, made={"code": _.pin})

    assert traced.resolved("met_doors").sensitive == {"code"}
    assert traced.resolved("stg_commands") is MODELS.models["stg_commands"]


def test_an_expression_of_models_tells_its_sensitive_columns():
    commands = ibis.table(MODELS.models["stg_commands"].schema, name="stg_commands")
    expr = commands.group_by(door_code="pin").agg(slots=_.slot.nunique(), last=_.slot.max())

    assert LINEAGE.sensitive_in(expr) == {"door_code"}


def test_a_table_or_column_that_no_model_declares_may_hold_anything():
    older = ibis.table({"user_id": "string", "door_code": "string"}, name="dim_users")
    nobodys = ibis.table({"x": "string"}, name="somebodys")

    assert LINEAGE.sensitive_in(older.mutate(a=_.user_id)) == {"door_code"}
    assert LINEAGE.sensitive_in(nobodys) == {"x"}
