"""Rules over the Ibis tree: expressions that engines evaluate differently, or refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops

from pipeline.lint.rule import DUCKDB, IBIS, OPERATIONS, SQL, Rule
from pipeline.nullness import Nullness

Find = Callable[["Tree"], Iterator[str]]


@dataclass(frozen=True)
class Tree:
    """A model's expression, and the tables that it reads."""

    root: ops.Node
    nullness: Nullness

    def nodes(self, *kinds: type) -> list[ops.Node]:
        """Return all nodes of some kinds."""
        return list(self.root.find(kinds))


def _shown(node: ops.Node) -> str:
    name = getattr(node, "name", "")
    return f"{type(node).__name__} {name}".strip() if isinstance(name, str) else str(node)


def every(*kinds: type, when: Callable[[ops.Node], bool] = lambda node: True) -> Find:
    """Find each node of some kinds for which a condition holds."""

    def find(tree: Tree) -> Iterator[str]:
        yield from (_shown(node) for node in tree.nodes(*kinds) if when(node))

    return find


def _cast(*, source: Callable[[dt.DataType], bool], to: Callable[[dt.DataType], bool]) -> Find:
    return every(
        ops.Cast,
        when=lambda cast: (
            source(cast.arg.dtype) and to(cast.to) and not isinstance(cast.arg, ops.Literal)
        ),
    )


# --- Order ----------------------------------------------------------------------------------------

_NEED_ORDER = (ops.RowNumber, ops.Lag, ops.Lead, ops.First, ops.Last, ops.NthValue)


def _order_with_nulls(tree: Tree) -> Iterator[str]:
    for window in tree.nodes(ops.WindowFunction):
        guarded: set[ops.Node] = set()
        for key in window.order_by:
            if isinstance(key.arg, ops.IsNull | ops.NotNull):
                guarded.add(key.arg.arg)
            nulls_low = key.ascending == key.nulls_first
            if not nulls_low and key.arg not in guarded and tree.nullness.may_be_null(key.arg):
                yield f"order by {_shown(key.arg)}"


def _no_order(window: ops.Node) -> bool:
    return isinstance(window.func, _NEED_ORDER) and not window.order_by


def _any_of_group(tree: Tree) -> Iterator[str]:
    in_windows = {window.func for window in tree.nodes(ops.WindowFunction)}
    for node in tree.nodes(ops.Arbitrary, ops.First, ops.Last):
        if node not in in_windows and not getattr(node, "order_by", ()):
            yield _shown(node)


def _range_of_times(window: ops.Node) -> bool:
    ranged = window.how == "range" and (window.start is not None or window.end is not None)
    return ranged and any(key.arg.dtype.is_temporal() for key in window.order_by)


# --- Numbers --------------------------------------------------------------------------------------


def _may_be_zero(division: ops.Node) -> bool:
    by = division.right
    return by.value == 0 if isinstance(by, ops.Literal) else not isinstance(by, ops.NullIf)


def _is_rounded(cast: ops.Node) -> bool:
    return bool(cast.arg.find((ops.Floor, ops.Ceil, ops.Round)))


def _cuts_a_fraction(cast: ops.Node) -> bool:
    return cast.arg.dtype.is_floating() and cast.to.is_integer() and not _is_rounded(cast)


def _reads_any_form(cast: ops.Node) -> bool:
    reads = cast.arg.dtype.is_string() and (cast.to.is_numeric() or cast.to.is_temporal())
    return reads and not cast.arg.find(ops.RegexSearch)


def _largest_with_null(tree: Tree) -> Iterator[str]:
    for node in tree.nodes(ops.Greatest, ops.Least):
        if any(map(tree.nullness.may_be_null, node.arg)):
            yield _shown(node)


# --- Types ----------------------------------------------------------------------------------------


def _is_nested(dtype: dt.DataType) -> bool:
    return dtype.is_array() or dtype.is_struct() or dtype.is_json() or dtype.is_map()


def _groups_nested(tree: Tree) -> Iterator[str]:
    for node in tree.nodes(ops.Aggregate):
        yield from (f"group by {name}" for name, by in node.groups.items() if _is_nested(by.dtype))
    for node in tree.nodes(ops.Distinct):
        yield from (f"distinct {name}" for name, dtype in node.schema.items() if _is_nested(dtype))
    for node in tree.nodes(ops.WindowFunction):
        for by in node.group_by:
            if _is_nested(by.dtype) or by.dtype.is_floating():
                yield f"partition by {_shown(by)}"


def _is_naive(dtype: dt.DataType) -> bool:
    return dtype.is_timestamp() and dtype.timezone is None


def _refused_types(tree: Tree) -> Iterator[str]:
    for name, dtype in tree.root.schema.items():
        nested = dtype.is_array() and dtype.value_type.is_array()
        if nested or dtype.is_map() or dtype.is_unsigned_integer() or dtype.is_uuid():
            yield f"{name} {dtype}"


def _arrays_of_nothing(tree: Tree) -> Iterator[str]:
    coalesced = any(node.dtype.is_array() for node in tree.nodes(ops.Coalesce))
    for node in tree.nodes(ops.ArrayCollect):
        if node.where is not None and not coalesced:
            yield _shown(node)


EXPRESSION_RULES = (
    Rule(
        "window_order_with_nulls",
        "error",
        "A window sorts NULLs last on DuckDB and first on BigQuery.",
        "Put x.isnull() before x in order_by, or filter the NULLs out.",
        f"{SQL}/window-function-calls",
        _order_with_nulls,
    ),
    Rule(
        "window_without_order",
        "error",
        "Without an order each engine numbers and navigates rows as it finds them.",
        "Give order_by, down to a key that is unique in the group.",
        f"{SQL}/numbering_functions",
        every(ops.WindowFunction, when=_no_order),
    ),
    Rule(
        "range_window_of_times",
        "error",
        "BigQuery has no RANGE frame over a time.",
        "Order by the microseconds since 1970, bounds as integers.",
        f"{SQL}/window-function-calls#def_window_frame",
        every(ops.WindowFunction, when=_range_of_times),
    ),
    Rule(
        "limit_without_order",
        "error",
        "Which rows a LIMIT keeps is each engine's choice.",
        "Number the rows in a total order and filter by the number.",
        f"{SQL}/query-syntax#limit_and_offset_clause",
        every(ops.Limit, when=lambda limit: not isinstance(limit.parent, ops.Sort)),
    ),
    Rule(
        "first_of_group",
        "error",
        "Without an order, first, last and arbitrary take any row, and another for each column; so"
        " does distinct(on=...).",
        "Number the rows with row_number() over a total order and keep number 0.",
        f"{SQL}/aggregate_functions#any_value",
        _any_of_group,
    ),
    Rule(
        "arg_max",
        "error",
        "Of rows that tie, argmax and argmin take any.",
        "Number the rows with row_number() over a total order and keep number 0.",
        f"{SQL}/aggregate_functions#max_by",
        every(ops.ArgMax, ops.ArgMin),
    ),
    Rule(
        "not_reproducible",
        "error",
        "Random numbers, samples and the clock give other rows in every run.",
        "Take the value from a source column.",
        f"{SQL}/mathematical_functions#rand",
        every(
            *(ops.RandomScalar, ops.RandomUUID, ops.Sample),
            *(ops.TimestampNow, ops.DateNow),
        ),
    ),
    Rule(
        "approximate",
        "error",
        "Each engine approximates in its own way.",
        "Count or rank exactly: nunique(), row_number() and count() over the group.",
        f"{SQL}/approximate_aggregate_functions",
        every(
            *(ops.ApproxCountDistinct, ops.ApproxMedian, ops.ApproxQuantile),
            ops.ApproxMultiQuantile,
        ),
    ),
    Rule(
        "engine_hash",
        "error",
        "Each engine hashes in its own way.",
        "Use dialect.key_hash to find rows, and store no hash.",
        f"{SQL}/hash_functions",
        every(ops.Hash),
    ),
    Rule(
        "negative_index",
        "error",
        "A negative index counts from the end on DuckDB and is always NULL on BigQuery.",
        "Write xs[xs.length() - 1].",
        f"{SQL}/operators#array_subscript_operator",
        every(
            ops.ArrayIndex,
            when=lambda at: isinstance(at.index, ops.Literal) and at.index.value < 0,
        ),
    ),
    Rule(
        "regex_group",
        "error",
        "Where nothing matches, re_extract is '' on DuckDB and NULL on BigQuery, and on BigQuery it"
        " keeps the text around a group in a text of several lines.",
        "Ask re_search first, or add an operation to dialect.py.",
        f"{SQL}/string_functions#regexp_extract",
        every(ops.RegexExtract),
    ),
    Rule(
        "text_of_float",
        "error",
        "7.0 as text is 7.0 on DuckDB and 7 on BigQuery.",
        "Use rules.source_values.as_text, and make no keys of floats.",
        f"{SQL}/conversion_functions#cast_as_string",
        _cast(source=dt.DataType.is_floating, to=dt.DataType.is_string),
    ),
    Rule(
        "text_of_time",
        "error",
        "A time as text has other digits and another zone on each engine.",
        'Write strftime("%Y-%m-%d %H:%M:%S.%f+00").',
        f"{SQL}/conversion_functions#cast_as_string",
        _cast(source=dt.DataType.is_timestamp, to=dt.DataType.is_string),
    ),
    Rule(
        "text_as_json",
        "error",
        "BigQuery refuses to cast a text to JSON.",
        "Use dialect.json_members.",
        f"{IBIS}/11753",
        _cast(source=dt.DataType.is_string, to=dt.DataType.is_json),
    ),
    Rule(
        "float_to_integer",
        "error",
        "7.5 as an integer is 8 on DuckDB and 7 on BigQuery.",
        "Use floor(), ceil() or round() first.",
        f"{SQL}/conversion_functions#cast_as_integer",
        every(ops.Cast, ops.TryCast, when=_cuts_a_fraction),
    ),
    Rule(
        "text_of_any_form",
        "error",
        "Each engine reads other texts as numbers and times: 1_000, 0x1F, nan, 24:00:00.",
        "Look at the form with re_search first, as rules.numbers and rules.time do.",
        f"{SQL}/conversion_functions#safe_casting",
        every(ops.TryCast, when=_reads_any_form),
    ),
    Rule(
        "text_that_stops_the_build",
        "error",
        "A text of another form than the cast expects ends the query.",
        "Use rules.numbers and rules.time, which are NULL for it.",
        f"{SQL}/conversion_functions#cast",
        every(
            ops.Cast,
            when=lambda cast: not isinstance(cast.arg, ops.Literal) and _reads_any_form(cast),
        ),
    ),
    Rule(
        "difference_in_seconds",
        "error",
        "DuckDB counts the boundaries between two times, BigQuery whole units.",
        "Subtract dialect.microseconds of both, then divide.",
        f"{DUCKDB}/functions/timestamptz",
        every(ops.TimestampDelta, ops.TimeDelta),
    ),
    Rule(
        "epoch_seconds",
        "error",
        "The seconds since 1970 have a fraction on DuckDB and none on BigQuery.",
        "Use dialect.microseconds.",
        f"{DUCKDB}/functions/timestamptz",
        every(ops.ExtractEpochSeconds),
    ),
    Rule(
        "greatest_of_null",
        "error",
        "greatest and least leave NULLs out on DuckDB and are NULL on BigQuery.",
        "coalesce each argument first.",
        f"{SQL}/mathematical_functions#greatest",
        _largest_with_null,
    ),
    Rule(
        "division_by_zero",
        "error",
        "A division by 0 is NULL on DuckDB, an infinity or an error on BigQuery.",
        "Divide by x.nullif(0).",
        f"{SQL}/mathematical_functions#ieee_divide",
        every(ops.Divide, ops.FloorDivide, ops.Modulus, when=_may_be_zero),
    ),
    Rule(
        "naive_time",
        "error",
        "A timestamp without a zone is a DATETIME on BigQuery, another type.",
        "Cast to contract.TIMESTAMP; write utc_time(day(x)) for truncate().",
        f"{SQL}/data-types#datetime_type",
        every(ops.Value, when=lambda value: _is_naive(value.dtype)),
    ),
    Rule(
        "array_of_nothing",
        "error",
        "collect(where=...) of no rows is NULL on DuckDB, and [] once BigQuery stored it.",
        "coalesce with ibis.literal([], type=...).",
        f"{SQL}/data-types#array_nulls",
        _arrays_of_nothing,
    ),
    Rule(
        "grouping_by_nested",
        "error",
        "BigQuery groups by no array, struct or JSON, and partitions a window by no FLOAT64.",
        "Group by the fields that identify it.",
        "https://github.com/open-metadata/OpenMetadata/issues/6795",
        _groups_nested,
    ),
    Rule(
        "comparing_nested",
        "error",
        "BigQuery compares no arrays and no JSON.",
        "Compare their texts or fields.",
        "https://github.com/datafold/data-diff/issues/445",
        every(
            *(ops.Comparison, ops.SortKey),
            when=lambda node: any(
                _is_nested(part.dtype) for part in node.__args__ if isinstance(part, ops.Value)
            ),
        ),
    ),
    Rule(
        "array_of_arrays",
        "error",
        "BigQuery has no array of arrays, which collect() of an array would be.",
        "Put the array in a struct.",
        f"{IBIS}/10553",
        every(ops.ArrayCollect, when=lambda node: node.arg.dtype.is_array()),
    ),
    Rule(
        "refused_type",
        "error",
        "BigQuery has no column of this type.",
        "Use a struct, an int64 or a string.",
        f"{SQL}/data-types",
        _refused_types,
    ),
    Rule(
        "asof_join",
        "error",
        "BigQuery has no ASOF join.",
        "Join by an equality, then number the rows and filter.",
        f"{SQL}/query-syntax#join_types",
        every(ops.JoinLink, when=lambda link: link.how == "asof"),
    ),
    Rule(
        "unnest_as_column",
        "cost",
        "array.unnest() as a column becomes a join of all pairs of positions on BigQuery.",
        "Write table.unnest(column).",
        f"{OPERATIONS}/expression-tables#ibis.expr.types.relations.Table.unnest",
        every(ops.Unnest),
    ),
)
"""The rules over a model's Ibis expression."""
