"""Columns that are never NULL by construction: an engine that bills bytes does not check them."""

from __future__ import annotations

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pytest
from ibis import _

from pipeline import catalog
from pipeline.counting import measure
from pipeline.nullness import Nullness, never_null

GRAPH = catalog.load()
USERS = ibis.table({"user_id": "string", "username": "string"}, name="dim_users")
OTHER = ibis.table({"name": "string", "n": "int64"}, name="someones")


@pytest.mark.parametrize(
    ("rows", "never"),
    [
        (USERS.select(a=_.user_id), True),
        (OTHER.select(a=_.name), False),
        (OTHER.select(a=_.name.fill_null("")), True),
        (OTHER.select(a=ibis.coalesce(_.name, _.n.cast("string"))), False),
        (OTHER.filter(_.name == "x").select(a=_.name), True),
        (OTHER.filter(_.name != "x").select(a=_.n), False),
        (USERS.select(a=(_.user_id == "1").ifelse(_.username, "")), True),
        (USERS.select(a=(_.user_id == "1").ifelse(_.username, ibis.null("string"))), False),
        (OTHER.select(a=(_.name == "x").ifelse("a", "b")), True),
        (USERS.select(a=ibis.literal("-").join([USERS.user_id, USERS.username])), True),
        (USERS.select(a=_.user_id).union(OTHER.select(a=_.name)), False),
        (USERS.select(a=_.user_id).union(USERS.select(a=_.username)), True),
        (OTHER.left_join(USERS, _.name == USERS.user_id).select(a=_.username), False),
        (OTHER.join(USERS, _.name == USERS.user_id).select(a=_.username), True),
        (USERS.group_by("username").agg(a=_.count()), True),
        (USERS.group_by("username").agg(a=_.user_id.max()), False),
    ],
)
def test_it_is_told_from_the_tree_whether_a_column_may_be_null(rows, never):
    root = rows.op()

    assert Nullness(GRAPH, root).may_be_null(ops.Field(root, "a")) is not never


def test_what_a_story_or_a_name_is_made_of_is_certain_and_keys_from_outside_are_not():
    assert "_uid" in never_null(GRAPH, "stg_readings")
    assert "device_id" not in never_null(GRAPH, "stg_readings")
    certain = never_null(GRAPH, "fct_command_readings")
    assert certain >= {"command_uuid", "is_hub_success", "readings", "reading_count"}


def test_certain_columns_are_not_read():
    model = GRAPH.models["stg_readings"]
    built = ibis.table(model.schema, name="stg_readings")
    asked = []

    def fetch(expr):
        asked.append(ibis.to_sql(expr, dialect="bigquery"))
        return pa.table({name: [0] for name in expr.columns})

    found = measure(model, built, fetch, never_null(GRAPH, "stg_readings"))

    assert "_uid" not in asked[0]
    assert "update_timestamp" in asked[0]
    assert set(found.breaking) == {0}
