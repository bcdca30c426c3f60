"""Rules over a model's BigQuery SQL as a tree: parts that BigQuery refuses or bills dearly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlglot.expressions as sge

from pipeline.lint.rule import GOOGLE, IBIS, SQL, Rule
from pipeline.sources import SOURCES

Node = Any
"""A node of a syntax tree; its parts depend on its kind."""

Find = Callable[[Node], Iterator[str]]

# these navigate or number rows; BigQuery lets them skip NULLs
_NAVIGATING = (
    *(sge.FirstValue, sge.LastValue, sge.NthValue, sge.Lag, sge.Lead, sge.RowNumber),
    *(sge.Rank, sge.DenseRank, sge.PercentileCont, sge.PercentileDisc),
)


def _shown(node: Node) -> str:
    return " ".join(node.sql(dialect="bigquery").split())[:100]


def every(*kinds: type, when: Callable[[Node], bool] = lambda node: True) -> Find:
    """Find each node of some kinds for which a condition holds."""

    def find(tree: Node) -> Iterator[str]:
        yield from (_shown(node) for node in tree.find_all(*kinds) if when(node))

    return find


# --- Order of NULLs -------------------------------------------------------------------------------


def _needs_second_sort(key: Node) -> bool:
    # NULL is the lowest value, so its place is first when ascending, last when descending
    return bool(key.args.get("desc")) == bool(key.args.get("nulls_first"))


def _in_aggregate(key: Node) -> bool:
    around = key.find_ancestor(sge.AggFunc, sge.Window, sge.Query)
    return isinstance(around, sge.AggFunc) and _needs_second_sort(key)


def _called(window: Node) -> Node:
    nulls = isinstance(window.this, sge.IgnoreNulls | sge.RespectNulls)
    return window.this.this if nulls else window.this


def _skips_nulls(window: Node) -> bool:
    skips = isinstance(window.this, sge.IgnoreNulls | sge.RespectNulls)
    return skips and not isinstance(_called(window), _NAVIGATING)


def _counts_distinct_in_order(window: Node) -> bool:
    return bool(window.args.get("order")) and bool(window.this.find(sge.Distinct))


# --- Joins ----------------------------------------------------------------------------------------


def _has_equality(join: Node) -> bool:
    if join.args.get("using"):
        return True
    on = join.args.get("on")
    parts = on.flatten() if isinstance(on, sge.And) else [on] if on else []
    return any(isinstance(part.unnest(), sge.EQ) and _is_of_both(part.unnest()) for part in parts)


def _is_of_both(equality: Node) -> bool:
    left, right = (
        {column.table for column in side.find_all(sge.Column)}
        for side in (equality.left, equality.right)
    )
    return bool(left) and bool(right) and left != right


def _joins_tables_freely(join: Node) -> bool:
    return not isinstance(join.this, sge.Unnest | sge.Lateral) and not _has_equality(join)


def _is_outer(join: Node) -> bool:
    return bool(join.side) and _joins_tables_freely(join)


def _compares_all_pairs(join: Node) -> bool:
    return not join.side and _joins_tables_freely(join) and not _is_small(join.this)


def _is_small(source: Node) -> bool:
    # one row of aggregates, or a calendar unnested from such a row
    select = source.this if isinstance(source, sge.Subquery) else source
    if not isinstance(select, sge.Select):
        return False
    inner: Node = select.args.get("from_")
    is_unnested = any(isinstance(join.this, sge.Unnest) for join in select.args.get("joins") or ())
    is_aggregate = not select.args.get("group") and all(
        part.find(sge.AggFunc) for part in select.expressions
    )
    if is_aggregate or (is_unnested and inner is None):
        return True
    is_plain = inner is not None and (is_unnested or not select.args.get("joins"))
    return is_plain and _is_small(inner.this)


def _cannot_be_decorrelated(select: Node) -> bool:
    holder = select.parent.parent if isinstance(select.parent, sge.Subquery) else select.parent
    outermost = (sge.From, sge.Join, sge.CTE, sge.SetOperation)
    if holder is None or isinstance(holder, outermost) or not select.find(sge.Table):
        return False
    outer = _columns_from_outside(select)
    unequal = any(not isinstance(column.parent, sge.EQ) for column in outer)
    return bool(outer) and bool(
        select.args.get("limit") or isinstance(holder, sge.Array) or unequal
    )


def _columns_from_outside(select: Node) -> list[sge.Column]:
    own = {
        source.alias_or_name for source in select.find_all(sge.Table, sge.Subquery, sge.Unnest)
    } | {
        name.name
        for unnest in select.find_all(sge.Unnest)
        for name in unnest.find_all(sge.Identifier)
    }
    return [c for c in select.find_all(sge.Column) if c.table and c.table not in own]


# --- Result and scan ------------------------------------------------------------------------------


def _order(tree: Node) -> Iterator[str]:
    if tree.args.get("order") and not tree.args.get("limit"):
        yield _shown(tree.args["order"])


def _reads_all_of_a_source(select: Node) -> bool:
    source = select.args.get("from_")
    above = select
    while isinstance(above, sge.Select) and above.is_star:
        above = above.parent_select  # a list of columns further out limits the scan
    return (
        above is None
        and source is not None
        and isinstance(source.this, sge.Table)
        and source.this.name in SOURCES
    )


SQL_RULES = (
    Rule(
        "null_order_in_aggregate",
        "error",
        "BigQuery sorts an aggregate with NULLs first when ascending, last when descending, only.",
        "Order by ibis.asc(x, nulls_first=True), before it by x.isnull() for NULLs last.",
        f"{IBIS}/10236",
        every(sge.Ordered, when=_in_aggregate),
    ),
    Rule(
        "ignore_nulls_in_window",
        "error",
        "BigQuery's aggregates take no IGNORE NULLS with OVER, as collect().over() has it.",
        "Group, collect and join back.",
        f"{IBIS}/11663",
        every(sge.Window, when=_skips_nulls),
    ),
    Rule(
        "count_distinct_in_order",
        "error",
        "An aggregate of DISTINCT values takes no ORDER BY in its window.",
        "Leave the order out, or number the values first.",
        f"{SQL}/window-function-calls",
        every(sge.Window, when=_counts_distinct_in_order),
    ),
    Rule(
        "cast_to_json",
        "error",
        "BigQuery casts nothing to JSON.",
        "Use PARSE_JSON, or JSON_VALUE of the text.",
        f"{IBIS}/11753",
        every(sge.Cast, sge.TryCast, when=lambda cast: cast.to.is_type("json")),
    ),
    Rule(
        "outer_join_without_equality",
        "error",
        "BigQuery refuses an outer join without an equality of columns of both sides.",
        "Join on an equality, and the rest beside it.",
        "https://github.com/jOOQ/jOOQ/issues/11842",
        every(sge.Join, when=_is_outer),
    ),
    Rule(
        "correlated_subquery",
        "error",
        "BigQuery refuses a correlated subquery that is more than equalities of columns.",
        "Join and aggregate.",
        "https://github.com/jOOQ/jOOQ/issues/16766",
        every(sge.Select, when=_cannot_be_decorrelated),
    ),
    Rule(
        "join_without_equality",
        "cost",
        "A join without an equality compares every pair of rows.",
        "Join on an equality; for times, on buckets as rules.window does.",
        f"{GOOGLE}/best-practices-performance-patterns",
        every(sge.Join, when=_compares_all_pairs),
    ),
    Rule(
        "order_of_result",
        "cost",
        "One worker sorts the whole result, and a table has no order.",
        "Leave order_by out.",
        f"{GOOGLE}/best-practices-performance-compute",
        _order,
    ),
    Rule(
        "select_star_from_source",
        "cost",
        "Each column of a raw table is read and billed.",
        "Select the columns that are used.",
        f"{GOOGLE}/best-practices-costs",
        every(sge.Select, when=_reads_all_of_a_source),
    ),
)
"""The rules over a model's SELECT for BigQuery."""
