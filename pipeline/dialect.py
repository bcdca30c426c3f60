"""The seam between engines: the few operations that Ibis lacks or that differ between engines.

Each operation has one rule per engine, registered with `rules` right below it, and one test that
runs it on both. Models call the functions at the end of each section and never know the engine.
They write everything else in plain Ibis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis
import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.rules as rlz
import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.sql.compilers import BigQueryCompiler, DuckDBCompiler
from ibis.expr.operations.reductions import Filterable

from pipeline.contract import TIMESTAMP

Rule = Callable[..., sge.Expression]
UTC_MICROSECONDS = dt.dtype(TIMESTAMP)


def rules(operation: type[ops.Value], *, duckdb: Rule, bigquery: Rule) -> None:
    """Teach both compilers an operation; a rule gets the compiler, the operation and its SQL."""
    name = f"visit_{operation.__name__}"
    setattr(DuckDBCompiler, name, duckdb)
    setattr(BigQueryCompiler, name, bigquery)


def _function(name: str, *arguments: Any) -> sge.Expression:
    # Anonymous, because SQLGlot rewrites the functions it knows.
    return sge.Anonymous(this=name, expressions=[sge.convert(argument) for argument in arguments])


_NUL_DUCKDB = _function("chr", 0)
_NUL_BIGQUERY = _function("CODE_POINTS_TO_STRING", sge.Array(expressions=[sge.convert(0)]))


# --- JSON -----------------------------------------------------------------------------------------


class JsonObject(ops.Impure):
    """The named members of a JSON object as a struct of texts, NULL if `document` is not an object.

    Impure, so Ibis keeps the parse in a SELECT of its own. Otherwise Ibis merges it into the next
    SELECT, and the engine parses once for every member.
    """

    document: ops.Value[dt.String]
    scalars: tuple[str, ...]
    nested: tuple[str, ...]
    of_member: bool
    """Whether the document is a nested member: JSON without white space around it, or NULL."""
    shape = rlz.shape_like("document")

    @property
    def dtype(self) -> dt.Struct:  # noqa: D102
        return dt.Struct(dict.fromkeys(self.scalars + self.nested, dt.string))


def _begins_with(text: sge.Expression, *letters: str) -> sge.Condition:
    # prefix() costs a third of substr(text, 1, 1)
    return sge.or_(*(_function("prefix", text.copy(), letter) for letter in letters))


def _json_object_duckdb(
    compiler: Any,
    op: JsonObject,
    *,
    document: sge.Expression,
    scalars: tuple[str, ...],
    nested: tuple[str, ...],
    of_member: bool,
) -> sge.Expression:
    # Nested CASEs, not AND: json_transform raises on malformed text, and DuckDB may evaluate the
    # sides of an AND in any order. json_transform turns an array into a struct of NULLs, so the
    # first letter decides; the few texts that begin with white space take a second look.
    members = [f'"{name}":"VARCHAR"' for name in scalars] + [f'"{name}":"JSON"' for name in nested]
    parsed = _function("json_transform", document, "{" + ",".join(members) + "}")
    if of_member:
        return compiler.if_(_begins_with(document, "{"), parsed, sge.null())
    trimmed = _function("ltrim", document, " \t\r\n")
    is_object = sge.or_(_begins_with(document, "{"), _begins_with(trimmed, "{"))
    valid = compiler.if_(_function("json_valid", document), parsed, sge.null())
    return compiler.if_(is_object, valid, sge.null())


def _member_bigquery(kind: str, name: str) -> sge.Expression:
    path = f"$.{name}"
    j, t = sge.column("j", "parsed"), sge.column("t", "parsed")
    if kind == "nested":
        # on text it keeps the order of keys and the digits of numbers; on parsed JSON it does not
        return _function("SAFE.JSON_QUERY", t, path)
    kind_of = _function("JSON_TYPE", _function("JSON_QUERY", j, path))
    # Only the text has a number's digits; only the parsed value has a string's escapes right.
    return sge.If(
        this=sge.EQ(this=kind_of, expression=sge.convert("number")),
        true=_function("SAFE.JSON_VALUE", t, path),
        false=_function("JSON_VALUE", j, path),
    )


def _parse_json_bigquery(text: sge.Expression) -> sge.Expression:
    # Without wide_number_mode one long number makes a whole document NULL.
    wide = sge.Kwarg(this=sge.var("wide_number_mode"), expression=sge.convert("round"))
    return sge.Anonymous(this="SAFE.PARSE_JSON", expressions=[text, wide])


def _json_object_bigquery(
    compiler: Any,
    op: JsonObject,
    *,
    document: sge.Expression,
    scalars: tuple[str, ...],
    nested: tuple[str, ...],
    of_member: bool,
) -> sge.Expression:
    t, j = sge.column("t", "parsed"), sge.column("j", "parsed")
    members = [("scalar", name) for name in scalars] + [("nested", name) for name in nested]
    parsed = sge.Struct(
        expressions=[
            sge.alias_(document, "t"),
            sge.alias_(_parse_json_bigquery(document.copy()), "j"),
        ]
    )
    select = sge.Select(
        kind="STRUCT",
        expressions=[
            sge.alias_(_member_bigquery(kind, name), name, quoted=True) for kind, name in members
        ],
    )
    unnest = sge.Unnest(
        expressions=[sge.Array(expressions=[parsed])],
        alias=sge.TableAlias(columns=[sge.to_identifier("parsed")]),
    )
    is_object = sge.EQ(this=_function("JSON_TYPE", j), expression=sge.convert("object"))
    # PARSE_JSON accepts a byte-order mark, which is not JSON; JSON_QUERY of the text refuses it.
    whole = _function("SAFE.JSON_QUERY", t, "$").is_(sge.null()).not_()
    return select.from_(unnest).where(sge.and_(is_object, whole)).subquery()


rules(JsonObject, duckdb=_json_object_duckdb, bigquery=_json_object_bigquery)


class ReadableJson(ops.Impure):
    """The same document as a JSON text that all of an engine's functions can read.

    Impure for the same reason as `JsonObject`.
    """

    document: ops.Value[dt.String]
    shape = rlz.shape_like("document")
    dtype = dt.string


_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
"""A character beyond U+FFFF, escaped."""


def _readable_json_bigquery(
    compiler: Any, op: ReadableJson, *, document: sge.Expression
) -> sge.Expression:
    # JSON_QUERY mangles escaped surrogate pairs. We replace each pair by its character, token by
    # token, so `\\u` is not taken for an escape.
    pieces = _function("REGEXP_EXTRACT_ALL", document, rf"(?s){_PAIR}|\\.|[^\\]+")
    piece, position = sge.column("piece"), sge.to_identifier("position")
    character = _function("JSON_VALUE", _parse_json_bigquery(_function("CONCAT", '"', piece, '"')))
    is_pair = _function("REGEXP_CONTAINS", piece.copy(), f"^{_PAIR}$")
    unnest = sge.Unnest(
        expressions=[pieces],
        alias=sge.TableAlias(columns=[sge.to_identifier("piece")]),
        offset=position,
    )
    read = sge.select(sge.If(this=is_pair, true=character, false=piece.copy()))
    array = read.from_(unnest).order_by(sge.Column(this=position.copy()))
    return sge.If(
        this=_function("REGEXP_CONTAINS", document.copy(), _PAIR),
        true=_function("ARRAY_TO_STRING", _function("ARRAY", array), ""),
        false=document.copy(),
    )


rules(
    ReadableJson,
    duckdb=lambda compiler, op, *, document: document,
    bigquery=_readable_json_bigquery,
)


class JsonMember(ops.Value):
    """A scalar member of a parsed JSON object or array, NULL if it is an object or array itself."""

    member: ops.Value[dt.String]
    document: ops.Value[dt.String]
    path: str
    shape = rlz.shape_like("member")
    dtype = dt.string


def _json_member_duckdb(
    compiler: Any,
    op: JsonMember,
    *,
    member: sge.Expression,
    document: sge.Expression,
    path: str,
) -> sge.Expression:
    # json_transform gives an object as its text, and a string may look the same. So the few values
    # that begin like an object or array are looked up again in the document.
    nested = _function("json_type", document, path).isin("OBJECT", "ARRAY")
    checked = compiler.if_(nested, sge.null(), member)
    return compiler.if_(_begins_with(member, "{", "["), checked, member)


def _json_member_bigquery(
    compiler: Any,
    op: JsonMember,
    *,
    member: sge.Expression,
    document: sge.Expression,
    path: str,
) -> sge.Expression:
    return member  # JSON_VALUE has refused objects and arrays already


rules(JsonMember, duckdb=_json_member_duckdb, bigquery=_json_member_bigquery)


class JsonText(ops.Value):
    """A nested member of a parsed JSON object as plain text, NULL if it is null."""

    member: ops.Value[dt.String]
    shape = rlz.shape_like("member")
    dtype = dt.string


_UPPER_CASE_DUCKDB = ("000B", "000E", "000F", *(f"001{digit}" for digit in "ABCDEF"))
_ESCAPED_BIGQUERY = ("2028", "2029")


def _with_escapes(
    text: sge.Expression, nul: sge.Expression, meant: dict[str, str]
) -> sge.Expression:
    # NUL, which JSON text never holds, stands for an escaped backslash: `\\u` is no escape
    text = _function("REPLACE", text, r"\\", nul)
    for escape, as_meant in meant.items():
        text = _function("REPLACE", text, escape, as_meant)
    return _function("REPLACE", text, nul.copy(), r"\\")


def _json_text_duckdb(compiler: Any, op: JsonText, *, member: sge.Expression) -> sge.Expression:
    # control characters are escaped in lower case, as on the other engine
    text = sge.cast(member, "text")
    meant = {rf"\u{digits}": rf"\u{digits.lower()}" for digits in _UPPER_CASE_DUCKDB}
    lowered = _with_escapes(text.copy(), _NUL_DUCKDB.copy(), meant)
    return compiler.if_(_function("contains", text.copy(), r"\u00"), lowered, text)


def _json_text_bigquery(compiler: Any, op: JsonText, *, member: sge.Expression) -> sge.Expression:
    # JSON_QUERY escapes line separators
    meant = {rf"\u{digits}": chr(int(digits, 16)) for digits in _ESCAPED_BIGQUERY}
    return _function("NULLIF", _with_escapes(member, _NUL_BIGQUERY.copy(), meant), "null")


rules(JsonText, duckdb=_json_text_duckdb, bigquery=_json_text_bigquery)


class JsonScalar(ops.Value):
    """The scalar that is a whole JSON text; NULL for null, an object or an array."""

    document: ops.Value[dt.String]
    shape = rlz.shape_like("document")
    dtype = dt.string


def _json_scalar_duckdb(
    compiler: Any, op: JsonScalar, *, document: sge.Expression
) -> sge.Expression:
    return sge.Case(
        ifs=[
            compiler.if_(
                _begins_with(document, '"'), _function("json_extract_string", document, "$")
            ),
            compiler.if_(_begins_with(document, "{", "["), sge.null()),
        ],
        default=_function("nullif", document, "null"),
    )


def _scalar_bigquery(document: sge.Expression, path: str) -> sge.Expression:
    # The parsed value gives a string without escapes; the text gives a number with its digits.
    found = _function("SAFE.JSON_QUERY", document, path)
    return sge.If(
        this=_function("STARTS_WITH", found, '"'),
        true=_function("JSON_VALUE", _parse_json_bigquery(document.copy()), path),
        false=_function("SAFE.JSON_VALUE", document.copy(), path),
    )


rules(
    JsonScalar,
    duckdb=_json_scalar_duckdb,
    bigquery=lambda compiler, op, *, document: _scalar_bigquery(document, "$"),
)


class JsonElements(ops.Impure):
    """The first elements of a JSON array as texts `e0`, `e1`, …; NULL if it is not an array.

    Impure for the same reason as `JsonObject`. The document is JSON without white space around it.
    """

    document: ops.Value[dt.String]
    count: int
    shape = rlz.shape_like("document")

    @property
    def dtype(self) -> dt.Struct:  # noqa: D102
        return dt.Struct({f"e{i}": dt.string for i in range(self.count)})


def _json_elements_duckdb(
    compiler: Any, op: JsonElements, *, document: sge.Expression, count: int
) -> sge.Expression:
    elements = _function("json_transform", document, '["VARCHAR"]')
    struct = _function(
        "struct_pack",
        *(
            sge.PropertyEQ(
                this=sge.to_identifier(f"e{i}"),
                expression=_function("list_extract", elements.copy(), i + 1),
            )
            for i in range(count)
        ),
    )
    return compiler.if_(_begins_with(document, "["), struct, sge.null())


def _json_elements_bigquery(
    compiler: Any, op: JsonElements, *, document: sge.Expression, count: int
) -> sge.Expression:
    # A path `$[0]` also finds the key "0" of an object, so the first letter decides.
    elements = [_scalar_bigquery(document.copy(), f"$[{i}]") for i in range(count)]
    struct = sge.Struct(
        expressions=[sge.alias_(element, f"e{i}") for i, element in enumerate(elements)]
    )
    return sge.If(this=_function("STARTS_WITH", document, "["), true=struct, false=sge.null())


rules(JsonElements, duckdb=_json_elements_duckdb, bigquery=_json_elements_bigquery)


def json_members(
    table: ir.Table,
    document: str,
    *,
    scalars: tuple[str, ...] = (),
    nested: tuple[str, ...] = (),
    prefix: str = "",
    found: str,
    of_member: bool = False,
) -> ir.Table:
    """Parse the JSON objects in a column once: one text column `prefix` + name for each member.

    A scalar is its text (`"x"` is `x`, `7.0` is `7.0`, `true` is `true`) and NULL if it is null, an
    object or an array. A nested member is JSON text without white space, NULL if it is null.
    `found` names a BOOL column: whether the document is a JSON object. If not, all members are
    NULL. `of_member` says that this function returned the document as a nested member: then all of
    an engine's functions can read it. Contract, section 2.
    """
    text = table[document] if of_member else ReadableJson(table[document]).to_expr()
    readable = table.mutate(_readable=text)
    object_ = JsonObject(readable["_readable"], scalars, nested, of_member)
    parsed = readable.mutate(_parsed=object_.to_expr())
    struct = parsed["_parsed"]
    members: dict[str, ir.Value] = {
        prefix + name: JsonMember(struct[name], parsed[document], f"$.{name}").to_expr()
        for name in scalars
    }
    members |= {prefix + name: JsonText(struct[name]).to_expr() for name in nested}
    return parsed.mutate(**members, **{found: struct.notnull()}).drop("_parsed", "_readable")


def json_elements(table: ir.Table, document: str, *names: str) -> ir.Table:
    """Take the first elements of the JSON arrays in a column: one text column for each name.

    The documents are nested members that `json_members` returned. A scalar is its text, NULL if it
    is null, an object, an array or missing. Contract, section 2.
    """
    parsed = table.mutate(_elements=JsonElements(table[document], len(names)).to_expr())
    struct = parsed["_elements"]
    elements = {
        name: JsonMember(struct[f"e{i}"], parsed[document], f"$[{i}]").to_expr()
        for i, name in enumerate(names)
    }
    return parsed.mutate(**elements).drop("_elements")


def json_scalar(document: ir.Value) -> ir.StringColumn:
    """Return the text of a JSON scalar; NULL for JSON's null, an object or an array."""
    return JsonScalar(document).to_expr()


# --- Time -----------------------------------------------------------------------------------------


class IsoTime(ops.Value):
    """The time of an ISO-8601 text, cut to microseconds.

    The text has the right form already. NULL if no such time exists in the years 0001 to 9999 UTC.
    """

    text: ops.Value[dt.String]
    shape = rlz.shape_like("text")
    dtype = UTC_MICROSECONDS


def _iso_time_duckdb(compiler: Any, op: IsoTime, *, text: sge.Expression) -> sge.Expression:
    # DuckDB has times outside of these years; BigQuery and Python do not.
    time = sge.TryCast(this=text, to=sge.DataType.build("timestamptz"))
    first = sge.cast(sge.convert("0001-01-01 00:00:00+00"), "timestamptz")
    last = sge.cast(sge.convert("9999-12-31 23:59:59.999999+00"), "timestamptz")
    exists = sge.Between(this=time, low=first, high=last)
    return compiler.if_(exists, time.copy(), sge.null())


def _iso_time_bigquery(compiler: Any, op: IsoTime, *, text: sge.Expression) -> sge.Expression:
    # a text without a zone would be in the project's default one
    with_zone = _function("REGEXP_REPLACE", text, r"^(.{19}(?:\.[0-9]{1,6})?)[0-9]*$", r"\1+00")
    cut = _function("REGEXP_REPLACE", with_zone, r"(\.[0-9]{6})[0-9]+", r"\1")
    return _function("SAFE_CAST", sge.Alias(this=cut, alias=sge.var("TIMESTAMP")))


rules(IsoTime, duckdb=_iso_time_duckdb, bigquery=_iso_time_bigquery)


class UtcTime(ops.Value):
    """A time of any precision, with or without a zone, or a date, in UTC with microseconds.

    NULL if the engine's type has no such time.
    """

    time: ops.Value[dt.Timestamp | dt.Date]
    shape = rlz.shape_like("time")
    dtype = UTC_MICROSECONDS


def _utc_time_bigquery(compiler: Any, op: UtcTime, *, time: sge.Expression) -> sge.Expression:
    kind = op.time.dtype
    if kind.is_timestamp() and kind.timezone:
        return sge.cast(time, "timestamptz")
    # a cast would take the project's default zone
    return _function("TIMESTAMP", time, "UTC")


rules(
    UtcTime,
    # at the ends of INT64 even a TRY_CAST raises
    duckdb=lambda compiler, op, *, time: _function("try", sge.cast(time, "timestamptz")),
    bigquery=_utc_time_bigquery,
)


class Microseconds(ops.Value):
    """Microseconds since 1970-01-01 00:00 UTC."""

    time: ops.Value[dt.Timestamp]
    shape = rlz.shape_like("time")
    dtype = dt.int64


rules(
    Microseconds,
    duckdb=lambda compiler, op, *, time: _function("epoch_us", time),
    bigquery=lambda compiler, op, *, time: _function("UNIX_MICROS", time),
)


class TimeOfMicroseconds(ops.Value):
    """The time so many microseconds after 1970-01-01 00:00 UTC."""

    microseconds: ops.Value[dt.Integer]
    shape = rlz.shape_like("microseconds")
    dtype = UTC_MICROSECONDS


rules(
    TimeOfMicroseconds,
    duckdb=lambda compiler, op, *, microseconds: _function("make_timestamptz", microseconds),
    bigquery=lambda compiler, op, *, microseconds: _function("TIMESTAMP_MICROS", microseconds),
)


class TimeText(ops.Value):
    """A UTC time as `YYYY-MM-DD HH:MM:SS.ffffff+00`."""

    time: ops.Value[dt.Timestamp]
    shape = rlz.shape_like("time")
    dtype = dt.string


def _time_text_duckdb(compiler: Any, op: TimeText, *, time: sge.Expression) -> sge.Expression:
    # strftime of a time with a zone uses the zone's calendar and takes three times as long
    utc = _function("make_timestamp", _function("epoch_us", time))
    text = _function("strftime", utc, "%Y-%m-%d %H:%M:%S.%f+00")
    # strftime fails at the ends of INT64 and is NULL for infinity; a cast writes both
    return _function("coalesce", _function("try", text), sge.cast(time.copy(), "text"))


def _time_text_bigquery(compiler: Any, op: TimeText, *, time: sge.Expression) -> sge.Expression:
    # A cast writes 0, 3 or 6 digits of the second. FORMAT_TIMESTAMP writes 6, but the year 1 as
    # `1`; `%E4Y` would write `0001`, but the tests' emulator does not know it. A cast of the time
    # itself would write it in the project's default zone.
    text = sge.cast(_function("DATETIME", time, "UTC"), "text")
    point = sge.If(
        this=sge.EQ(this=_function("LENGTH", text.copy()), expression=sge.convert(19)),
        true=sge.convert("."),
        false=sge.convert(""),
    )
    return _function("CONCAT", _function("RPAD", _function("CONCAT", text, point), 26, "0"), "+00")


rules(TimeText, duckdb=_time_text_duckdb, bigquery=_time_text_bigquery)


def time_text(time: ir.Value) -> ir.StringColumn:
    """Write a UTC time as `YYYY-MM-DD HH:MM:SS.ffffff+00`, the same on every engine."""
    return TimeText(time).to_expr()


class Day(ops.Value):
    """The day of a UTC time."""

    time: ops.Value[dt.Timestamp]
    shape = rlz.shape_like("time")
    dtype = dt.date


rules(
    Day,
    duckdb=lambda compiler, op, *, time: sge.cast(time, "date"),
    bigquery=lambda compiler, op, *, time: _function("DATE", time, "UTC"),
)


class Days(ops.Value):
    """Every day from one date to another, both included; NULL if one is NULL."""

    first: ops.Value[dt.Date]
    last: ops.Value[dt.Date]
    shape = rlz.shape_like("args")
    dtype = dt.Array(dt.date)


def _days_duckdb(
    compiler: Any, op: Days, *, first: sge.Expression, last: sge.Expression
) -> sge.Expression:
    one_day = sge.Interval(this=sge.convert("1"), unit=sge.var("day"))
    return sge.cast(_function("generate_series", first, last, one_day), "date[]")


rules(
    Days,
    duckdb=_days_duckdb,
    bigquery=lambda compiler, op, *, first, last: _function("GENERATE_DATE_ARRAY", first, last),
)


def day(time: ir.Value) -> ir.DateColumn:
    """Return the day of a UTC time; Ibis' `date()` takes the session's time zone."""
    return Day(time).to_expr()


def days(first: ir.Value, last: ir.Value) -> ir.ArrayColumn:
    """Return every day from one date to another, both included; NULL if one is NULL."""
    return Days(first, last).to_expr()


def iso_time(text: ir.StringValue) -> ir.TimestampColumn:
    """Return the UTC time of a text in ISO-8601's form, or NULL if no such time exists."""
    return IsoTime(text).to_expr()


def utc_time(time: ir.Value) -> ir.TimestampColumn:
    """Return a time or a date as UTC with microseconds, a date as its midnight.

    A time without a zone is UTC. NULL if the engine has no such time.
    """
    return time if time.type() == UTC_MICROSECONDS else UtcTime(time).to_expr()


def microseconds(time: ir.Value) -> ir.IntegerColumn:
    """Return the microseconds from 1970-01-01 00:00 UTC to `time`."""
    return Microseconds(time).to_expr()


def time_of_microseconds(number: ir.Value) -> ir.TimestampColumn:
    """Return the UTC time that is `number` microseconds after 1970-01-01 00:00."""
    return TimeOfMicroseconds(number).to_expr()


# --- Keys and arrays ------------------------------------------------------------------------------


class KeyHash(ops.Value):
    """A 64-bit hash of a row's key: equal keys have equal hashes, different keys rarely do.

    Its values differ between engines: use it to find rows, never store it.
    """

    key: tuple[ops.Value, ...]
    shape = rlz.shape_like("key")
    dtype = dt.int64


def _key_hash_duckdb(
    compiler: Any, op: KeyHash, *, key: tuple[sge.Expression, ...]
) -> sge.Expression:
    return _function("hash", *key)


def _key_hash_bigquery(
    compiler: Any, op: KeyHash, *, key: tuple[sge.Expression, ...]
) -> sge.Expression:
    return _function(
        "FARM_FINGERPRINT", _function("TO_JSON_STRING", sge.Struct(expressions=[*key]))
    )


rules(KeyHash, duckdb=_key_hash_duckdb, bigquery=_key_hash_bigquery)


def key_hash(*key: ir.Value) -> ir.IntegerColumn:
    """Return a hash of the key, to find rows of one key fast; never store it."""
    return KeyHash(tuple(key)).to_expr()


class SortedStructs(ops.Value):
    """An array of structs, sorted by their first fields `by`, with the fields in order `fields`."""

    structs: ops.Value[dt.Array]
    by: tuple[str, ...]
    fields: tuple[str, ...]
    shape = rlz.shape_like("structs")

    @property
    def dtype(self) -> dt.Array:  # noqa: D102
        element = self.structs.dtype.value_type
        return dt.Array(dt.Struct({name: element[name] for name in self.fields}))


def _sorted_structs_duckdb(
    compiler: Any, op: SortedStructs, *, structs: sge.Expression, by: Any, fields: Any
) -> sge.Expression:
    # list_sort compares the fields in their order; a cast from struct to struct goes by name.
    return sge.cast(_function("list_sort", structs), compiler.type_mapper.from_ibis(op.dtype))


def _sorted_structs_bigquery(
    compiler: Any, op: SortedStructs, *, structs: sge.Expression, by: Any, fields: Any
) -> sge.Expression:
    def field(name: str) -> sge.Column:
        return sge.column(name, table="element", quoted=True)

    unnest = sge.Unnest(
        expressions=[structs],
        alias=sge.TableAlias(columns=[sge.to_identifier("element", quoted=True)]),
    )
    select = sge.Select(kind="STRUCT", expressions=[field(name) for name in fields])
    order = [sge.Ordered(this=field(name), nulls_first=True) for name in by]
    return _function("ARRAY", select.from_(unnest).order_by(*order))


rules(SortedStructs, duckdb=_sorted_structs_duckdb, bigquery=_sorted_structs_bigquery)


def sorted_structs(
    structs: ir.ArrayValue, *, by: tuple[str, ...], fields: tuple[str, ...]
) -> ir.ArrayColumn:
    """Sort an array of structs by its first fields `by`, then put the fields in order `fields`.

    The fields in `by` are the structs' first ones, in that order, and never NULL.
    """
    return SortedStructs(structs, by, fields).to_expr()


# --- Numbers --------------------------------------------------------------------------------------


class Total(Filterable, ops.Reduction):
    """The sum of INT64 values as INT64, which an engine may widen; NULL for no values."""

    arg: ops.Column[dt.Integer]
    dtype = dt.int64


def _total_duckdb(compiler: Any, op: Total, *, arg: Any, where: Any) -> sge.Expression:
    return sge.cast(compiler.agg.sum(arg, where=where), "bigint")


def _total_bigquery(compiler: Any, op: Total, *, arg: Any, where: Any) -> sge.Expression:
    return compiler.agg.sum(arg, where=where)


rules(Total, duckdb=_total_duckdb, bigquery=_total_bigquery)


def total(numbers: ir.Value, where: ir.Value | None = None) -> ir.IntegerScalar:
    """Sum INT64 values; the sum is an INT64 on every engine."""
    return Total(numbers, where=where).to_expr()


class Quotient(ops.Value):
    """The quotient of two INT64 as INT64, truncated toward zero; exact where FLOAT64 is not."""

    dividend: ops.Value[dt.Integer]
    divisor: ops.Value[dt.Integer]
    shape = rlz.shape_like("args")
    dtype = dt.int64


def _quotient_duckdb(
    compiler: Any, op: Quotient, *, dividend: sge.Expression, divisor: sge.Expression
) -> sge.Expression:
    return sge.cast(compiler.binop(sge.IntDiv, dividend, divisor), "bigint")


rules(
    Quotient,
    duckdb=_quotient_duckdb,
    bigquery=lambda compiler, op, *, dividend, divisor: _function("DIV", dividend, divisor),
)


def quotient(dividend: ir.Value, divisor: int) -> ir.IntegerColumn:
    """Divide an INT64 by another, truncating toward zero; exact over the whole range."""
    return Quotient(dividend, divisor).to_expr()


# --- Texts ----------------------------------------------------------------------------------------


class GivenText(ops.Value):
    """A text from outside, unchanged: it may hold NUL, which an engine's literal may not."""

    text: str
    shape = ds.scalar
    dtype = dt.string


def _given_text(nul: sge.Expression) -> Rule:
    def rule(compiler: Any, op: GivenText, *, text: str) -> sge.Expression:
        if "\0" not in text:
            return sge.Literal.string(text)
        first, *more = text.split("\0")
        return _function("CONCAT", first, *(each for part in more for each in (nul.copy(), part)))

    return rule


rules(
    GivenText,
    duckdb=_given_text(_NUL_DUCKDB),
    bigquery=_given_text(_NUL_BIGQUERY),
)


def given_text(text: str) -> ir.StringScalar:
    """Return a text from outside as a value of a query, whatever characters it has."""
    return GivenText(text).to_expr()


class TextOfParts(ops.Value):
    """Texts joined in order; NULL is empty."""

    parts: tuple[ops.Value[dt.String], ...]
    shape = rlz.shape_like("parts")
    dtype = dt.string


def _text_of_parts_duckdb(
    compiler: Any, op: TextOfParts, *, parts: tuple[sge.Expression, ...]
) -> sge.Expression:
    # CONCAT takes two thirds of the time of a chain of ||, and skips NULL by itself
    return _function("concat", *parts)


def _text_of_parts_bigquery(
    compiler: Any, op: TextOfParts, *, parts: tuple[sge.Expression, ...]
) -> sge.Expression:
    return _function("CONCAT", *(_function("COALESCE", part, "") for part in parts))


rules(TextOfParts, duckdb=_text_of_parts_duckdb, bigquery=_text_of_parts_bigquery)


def text_of_parts(*parts: ir.Value | str) -> ir.StringColumn:
    """Join texts in order; NULL is empty, so the result is never NULL."""
    return TextOfParts(parts).to_expr()


# --- Content --------------------------------------------------------------------------------------


class Digits17(ops.Value):
    """A FLOAT64 with 17 significant digits: different values have different texts."""

    number: ops.Value[dt.Floating]
    shape = rlz.shape_like("number")
    dtype = dt.string


rules(
    Digits17,
    duckdb=lambda compiler, op, *, number: _function("printf", "%.17g", number),
    bigquery=lambda compiler, op, *, number: _function("FORMAT", "%.17g", number),
)


class Md5(ops.Value):
    """The MD5 of a text's UTF-8 as 32 hex digits in lower case."""

    text: ops.Value[dt.String]
    shape = rlz.shape_like("text")
    dtype = dt.string


rules(
    Md5,
    duckdb=lambda compiler, op, *, text: _function("md5", text),
    bigquery=lambda compiler, op, *, text: _function("TO_HEX", _function("MD5", text)),
)


class JoinedTexts(ops.Value):
    """The texts that `body` makes of an array's elements, joined in order."""

    array: ops.Value[dt.Array]
    body: ops.Value[dt.String]
    element: ops.Argument
    shape = rlz.shape_like("array")
    dtype = dt.string


def _joined_texts_duckdb(
    compiler: Any, op: JoinedTexts, *, array: Any, body: Any, element: Any
) -> sge.Expression:
    texts = _function("list_transform", array, sge.Lambda(this=body, expressions=[element]))
    return _function("array_to_string", texts, "")


def _joined_texts_bigquery(
    compiler: Any, op: JoinedTexts, *, array: Any, body: Any, element: Any
) -> sge.Expression:
    position = sge.to_identifier("position")
    unnest = sge.Unnest(
        expressions=[array], alias=sge.TableAlias(columns=[element]), offset=position
    )
    texts = sge.select(body).from_(unnest).order_by(sge.Column(this=position.copy()))
    return _function("ARRAY_TO_STRING", _function("ARRAY", texts), "")


rules(JoinedTexts, duckdb=_joined_texts_duckdb, bigquery=_joined_texts_bigquery)


def exact_text(number: ir.FloatingValue) -> ir.StringColumn:
    """Write a FLOAT64 as text: the same for equal values on every engine, and for no others.

    -0.0 equals 0.0, and here NaN equals NaN.
    """
    digits = Digits17(number).to_expr()
    return ibis.cases((number.isnan(), "nan"), (number == 0, "0"), else_=digits)


def md5(text: ir.StringValue) -> ir.StringColumn:
    """Return the MD5 of a text's UTF-8 as 32 hex digits in lower case."""
    return Md5(text).to_expr()


def joined_texts(
    array: ir.ArrayValue, text: Callable[[ir.Value], ir.StringValue]
) -> ir.StringColumn:
    """Join the texts of an array's elements in order; none may be NULL."""
    mapped = array.map(lambda element: text(element)).op()
    return JoinedTexts(mapped.arg, mapped.body, mapped.param).to_expr()
