"""Each rule of the portability check, with something that breaks it."""

from __future__ import annotations

from dataclasses import replace

import ibis
import pytest
import sqlglot
from ibis import _

from pipeline import catalog
from pipeline.contract import Column
from pipeline.lint.expression_rules import EXPRESSION_RULES, Tree
from pipeline.lint.rule import broken
from pipeline.lint.sql_rules import SQL_RULES
from pipeline.lint.storage_rules import STORAGE_RULES
from pipeline.nullness import Nullness
from pipeline.sql import to_sql

T = ibis.table(
    {
        "id": "int64",
        "key": "string",
        "text": "string",
        "number": "float64",
        "day": "date",
        "at": "timestamp('UTC', 6)",
        "naive": "timestamp(6)",
        "xs": "array<string>",
        "struct": "struct<a: string>",
    },
    name="t",
)
OTHER = T.view()


def numbered(**window) -> ibis.Table:
    return T.select(n=ibis.row_number().over(group_by="key", **window))


NEVER_NULL = ibis.table({"user_id": "string"}, name="stg_users")
BESIDE = T.left_join(NEVER_NULL, T.key == NEVER_NULL.user_id)

EXPRESSIONS = {
    "window_order_with_nulls": [
        numbered(order_by="text"),
        numbered(order_by=ibis.desc("text", nulls_first=True)),
        numbered(order_by=[T.key.isnull(), T.text]),
        numbered(order_by=T.text.length()),
        numbered(order_by=ibis.coalesce(T.text, T.key)),
        NEVER_NULL.select(n=ibis.row_number().over(order_by=_.user_id.nullif(""))),
        BESIDE.select(n=ibis.row_number().over(order_by=BESIDE.user_id)),
    ],
    "window_without_order": [numbered(), T.select(x=T.text.lag().over(group_by="key"))],
    "range_window_of_times": [
        T.select(
            n=T.number.sum().over(
                ibis.range_window(preceding=ibis.interval(seconds=15), order_by="at")
            )
        )
    ],
    "limit_without_order": [T.limit(1)],
    "first_of_group": [
        T.distinct(on="key", keep="first"),
        T.group_by("key").agg(x=_.text.first()),
        T.aggregate(x=_.text.arbitrary()),
    ],
    "arg_max": [T.aggregate(x=_.text.argmax(_.number))],
    "not_reproducible": [T.select(x=ibis.random()), T.select(x=ibis.now()), T.sample(0.5)],
    "approximate": [T.aggregate(n=_.text.approx_nunique()), T.aggregate(n=_.id.approx_median())],
    "engine_hash": [T.select(x=T.text.hash())],
    "negative_index": [T.select(x=T.xs[-1]), T.select(x=T.text.split(" ")[-1])],
    "regex_group": [T.select(x=T.text.re_extract("a(b)", 1))],
    "text_of_float": [T.select(x=T.number.cast("string"))],
    "text_of_time": [T.select(x=T["at"].cast("string"))],
    "text_as_json": [T.select(x=T.text.cast("json")["a"].str)],
    "float_to_integer": [T.select(x=T.number.cast("int64"))],
    "text_of_any_form": [
        T.select(x=T.text.try_cast("int64")),
        T.select(x=T.text.try_cast("timestamp('UTC')")),
    ],
    "text_that_stops_the_build": [T.select(x=T.text.cast("float64"))],
    "difference_in_seconds": [T.select(x=T["at"].delta(T.day.cast("timestamp"), unit="second"))],
    "epoch_seconds": [T.select(x=T["at"].epoch_seconds())],
    "greatest_of_null": [T.select(x=ibis.greatest(T.id, 0)), T.select(x=ibis.least(T.id, 0))],
    "division_by_zero": [
        T.select(x=T.number / T.id),
        T.select(x=T.id // T.id),
        T.select(x=T.id % T.id),
        T.select(x=T.number / 0),
    ],
    "naive_time": [T.select("naive"), T.select(x=T["at"].truncate("D"))],
    "array_of_nothing": [T.group_by("key").agg(xs=_.text.collect(where=_.id > 0))],
    "grouping_by_nested": [
        T.group_by("xs").agg(n=_.count()),
        T.select("struct").distinct(),
        T.select(n=T.id.sum().over(group_by="number")),
    ],
    "comparing_nested": [T.filter(T.xs == T.xs), T.order_by("xs")],
    "array_of_arrays": [T.aggregate(x=_.xs.collect())],
    "refused_type": [
        T.select(x=ibis.map([1], [2])),
        T.aggregate(x=_.xs.collect()),
        T.select(x=T.id.cast("uint64")),
    ],
    "asof_join": [T.asof_join(OTHER, "at", predicates="key")],
    "unnest_as_column": [T.select(x=T.xs.unnest())],
}

RAW_USERS = ibis.table({"uid": "string", "username": "string"}, name="raw_users")

STATEMENTS = {
    "null_order_in_aggregate": [
        T.aggregate(x=_.text.collect(order_by="number")),
        T.aggregate(x=_.text.group_concat(order_by=ibis.desc("number", nulls_first=True))),
    ],
    "ignore_nulls_in_window": [T.select(x=T.text.collect().over(group_by="key"))],
    "count_distinct_in_order": [T.select(n=T.text.nunique().over(order_by="id"))],
    "cast_to_json": [
        T.select(x=T.struct.cast("json")),
        T.select(x=T.text.try_cast("json")),
    ],
    "outer_join_without_equality": [
        T.left_join(OTHER, T.id > OTHER.id).select("id"),
        T.outer_join(OTHER, T.id == 1).select("id"),
    ],
    "correlated_subquery": [
        T.filter((OTHER.id > T.id).any()),
        T.semi_join(OTHER, T.id > OTHER.id),
    ],
    "join_without_equality": [
        T.cross_join(OTHER).select("id"),
        T.inner_join(OTHER, T.id < OTHER.id).select("id"),
        T.inner_join(OTHER, T.id == T.id).select("id"),
    ],
    "order_of_result": [T.order_by("id").select("id")],
    "select_star_from_source": [RAW_USERS, RAW_USERS.filter(_.uid == "7")],
}

USERS = catalog.load().models["stg_users"]


def with_column(name: str, kind: str):
    return replace(USERS, columns=(*USERS.columns, Column(name, kind, "something")))


DECLARATIONS = {
    "column_name": [
        with_column("_PARTITIONTIME", "string"),
        with_column("_table_of", "string"),
        with_column("UserName", "string"),
        with_column("two words", "string"),
        with_column("x" * 301, "string"),
    ],
    "partition_column": [
        replace(USERS, partition_by="username"),
        replace(USERS, partition_by="no_column"),
    ],
    "cluster_columns": [
        replace(USERS, cluster_by=("user_id",) * 5),
        replace(USERS, cluster_by=("no_column",)),
        replace(with_column("number", "float64"), cluster_by=("number",)),
        replace(with_column("xs", "array<string>"), cluster_by=("xs",)),
    ],
    "stored_view": [replace(USERS, materialized="view", cluster_by=("user_id",))],
}


def cases(breaking):
    return [
        pytest.param(rule, subject, id=f"{rule}-{number}")
        for rule, subjects in breaking.items()
        for number, subject in enumerate(subjects)
    ]


def found(rules, subject) -> set[str]:
    return {finding.rule for finding in broken(rules, "model", subject)}


def statement(expr: ibis.Table) -> sqlglot.Expression:
    return sqlglot.parse_one(to_sql(expr, "bigquery"), dialect="bigquery")


def tree(expr: ibis.Table) -> Tree:
    return Tree(expr.op(), Nullness(catalog.load(), expr.op()))


@pytest.mark.parametrize(("rule", "expr"), cases(EXPRESSIONS))
def test_an_expression_that_breaks_a_rule_is_found(rule, expr):
    assert rule in found(EXPRESSION_RULES, tree(expr))


@pytest.mark.parametrize(("rule", "expr"), cases(STATEMENTS))
def test_an_expression_whose_statement_breaks_a_rule_is_found(rule, expr):
    assert rule in found(SQL_RULES, statement(expr))


@pytest.mark.parametrize(("rule", "model"), cases(DECLARATIONS))
def test_a_declaration_that_breaks_a_rule_is_found(rule, model):
    assert rule in found(STORAGE_RULES, model)


@pytest.mark.parametrize(
    ("rules", "breaking"),
    [(EXPRESSION_RULES, EXPRESSIONS), (SQL_RULES, STATEMENTS), (STORAGE_RULES, DECLARATIONS)],
    ids=["expressions", "statements", "declarations"],
)
def test_every_rule_has_something_that_breaks_it(rules, breaking):
    assert {rule.name for rule in rules} == set(breaking)


CLEAN = [
    numbered(order_by=[T.text.isnull(), T.text]),
    numbered(order_by=T.text.fill_null("")),
    numbered(order_by=ibis.desc("text")),
    T.filter(T.text.notnull()).select(n=ibis.row_number().over(order_by="text")),
    NEVER_NULL.select(n=ibis.row_number().over(order_by="user_id")),
    NEVER_NULL.select(n=ibis.row_number().over(order_by=_.user_id.length())),
    T.select(x=T.number / T.id.nullif(0), y=T.id // 7),
    T.select(x=T.xs[T.xs.length() - 1]),
    T.select(x=T.number.floor().cast("int64")),
    T.select(x=T.text.re_search("^[0-9]+$").ifelse(T.text, None).try_cast("int64")),
    T.select(x=T["at"].strftime("%Y"), y=T.day.cast("timestamp('UTC')")),
    T.group_by("key").agg(
        xs=ibis.coalesce(_.text.collect(where=_.id > 0), ibis.literal([], type="array<string>"))
    ),
]


@pytest.mark.parametrize("expr", CLEAN, ids=range(len(CLEAN)))
def test_what_a_remedy_says_breaks_no_rule(expr):
    assert found(EXPRESSION_RULES, tree(expr)) == set()


@pytest.mark.parametrize(
    "expr",
    [
        T.aggregate(x=_.text.collect(order_by=ibis.asc("number", nulls_first=True))),
        numbered(order_by="text"),
        T.left_join(OTHER, [T.id == OTHER.id, T.number > OTHER.number]).select("id"),
        T.cross_join(OTHER.aggregate(n=_.count())),
        T.unnest("xs").select("xs"),
        T.filter((OTHER.id == T.id).any()),
        T.order_by("id").limit(1),
        RAW_USERS.select("uid"),
    ],
    ids=lambda expr: type(expr.op()).__name__,
)
def test_what_bigquery_runs_well_breaks_no_rule(expr):
    assert found(SQL_RULES, statement(expr)) == set()
