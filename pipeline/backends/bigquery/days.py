"""The table of days: on which days a large table has rows of an id, in 8 bytes a pair.

An incremental build looks up the days of the ids that it touches. The columns themselves take 46
bytes a row. A full build makes this table anew, and every other one adds the pairs of its rows, in
the transaction that publishes these rows. A pair may be out of date: then a build reads a day too
many. None is missing: the record of a build names the ids that are complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from google.cloud import bigquery

from pipeline import pruning, units
from pipeline.arrow_values import dicts_of
from pipeline.backends.bigquery.statements import DIALECT, insert, quoted
from pipeline.backends.bigquery.tables import Dataset
from pipeline.contract import Model, Within
from pipeline.graph import Graph
from pipeline.sql import to_query

DAYS = "_pipeline_days"
DESCRIPTION = (
    "A hash of each id in 49 bits, and in 15 bits a day on which the column's table has rows of it."
    " Incremental builds read it, and no other program should write it."
)
_OTHER = 2**15 - 1
"""Stands for no day, and for days that have no number below it since 1970."""
_FIRST = date(1970, 1, 1)


@dataclass(frozen=True)
class Ids:
    """A column of ids, and the column of the day, in a model's table."""

    table: str
    column: str
    day: str

    @property
    def name(self) -> str:
        """The column of the table of days."""
        return f"{self.table}__{self.column}"


@ibis.udf.scalar.builtin(name="FARM_FINGERPRINT")  # type: ignore[untyped-decorator]
def _fingerprint(text: str) -> int:  # type: ignore[empty-body]
    """Return BigQuery's hash of a text, which never changes."""


@ibis.udf.scalar.builtin(name="UNIX_DATE")  # type: ignore[untyped-decorator]
def _number(day: date) -> int:  # type: ignore[empty-body]
    """Return the days from 1970-01-01 to a day."""


def looked_up_in(graph: Graph) -> list[Ids]:
    """Return the ids whose days a build may look up.

    Not those that are no text or are sensitive: whoever reads the hash may guess the value.
    """
    found = {
        each
        for model in graph.models.values()
        if isinstance(model.locality, Within)
        for each in units.looked_up(graph, model)
    }
    return [
        Ids(name, column, day)
        for name, column in sorted(found)
        if (day := graph.models[name].partition_by)
        and graph.models[name].schema[column].is_string()
        and column not in graph.models[name].sensitive
    ]


def named(models: Iterable[Model], names: Collection[str]) -> Mapping[tuple[str, str], Ids]:
    """Return the ids with these names, by table and column."""
    all_ids = [
        Ids(model.name, column, model.partition_by)
        for model in models
        if model.partition_by
        for column in model.schema
    ]
    return {(ids.table, ids.column): ids for ids in all_ids if ids.name in names}


def emptying(dataset: Dataset, kinds: Mapping[str, str], ids: Sequence[Ids]) -> list[str]:
    """Make the table, or add the columns that it lacks; return the statements that empty it."""
    if ids:
        _require(dataset, kinds, [bigquery.SchemaField(each.name, "INT64") for each in ids])
    return [f"TRUNCATE TABLE {quoted(dataset.full_name(DAYS))}"] if ids else []


def _require(
    dataset: Dataset, kinds: Mapping[str, str], fields: Sequence[bigquery.SchemaField]
) -> None:
    if DAYS not in kinds:
        dataset.create(bigquery.Table(dataset.full_name(DAYS), fields))
        dataset.keep(DAYS, DESCRIPTION)
        return
    found = dataset.get(DAYS)
    there = {field.name for field in found.schema}
    if lacking := [field for field in fields if field.name not in there]:
        found.schema = [*found.schema, *lacking]
        dataset.update(found, "schema")


def adding(dataset: Dataset, rows: ir.Table, ids: Ids) -> str:
    """Return the statement that adds the pairs of these rows."""
    query = to_query(in_pairs(rows, ids), "bigquery").sql(DIALECT)
    return insert(dataset.full_name(DAYS), [ids.name], query)


def in_pairs(rows: ir.Table, ids: Ids) -> ir.Table:
    """Return the pairs of these rows, each once."""
    pairs = rows.select(ids.column, ids.day)
    number = _number(pruning.day_of(pairs[ids.day]))
    day = number.between(0, _OTHER - 1).ifelse(number, _OTHER)
    return pairs.select(**{ids.name: _hash(pairs[ids.column]) | day}).distinct()


def lookup(table: ir.Table, ids: Ids, unit: ir.Table) -> ir.Table:
    """Return the query of the numbered days of units, with the number of pairs of each."""
    pairs = table.select(hash=table[ids.name] & ~_OTHER, day=table[ids.name] & _OTHER)
    found = units.having(pairs, "hash", unit.select(unit=_hash(unit["unit"])))
    return found.group_by("day").agg(number=found.count())


def days(answer: pa.Table) -> pruning.Days | None:
    """Return the days that the answer to `lookup` lists; None if some have no number."""
    found = {each["day"]: each["number"] for each in dicts_of(answer)}
    if _OTHER in found:
        return None
    return Counter({_FIRST + timedelta(number): count for number, count in found.items()})


def _hash(ids: ir.Column) -> ir.IntegerColumn:
    return _fingerprint(ids) & ~_OTHER
