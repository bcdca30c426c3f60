"""The changes of an incremental build: it copies no published table.

It keeps the rows that went and came beside the published tables, and one transaction puts all of
them in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from google.cloud import bigquery

from pipeline import pruning
from pipeline.arrow_values import dicts_of
from pipeline.backends.base import Append, Made, RawTable
from pipeline.backends.bigquery import days, load_days, partitions, runs, sources, storage
from pipeline.backends.bigquery.publishing import publish
from pipeline.backends.bigquery.sources import every_row, name_of
from pipeline.backends.bigquery.statements import (
    DIALECT,
    as_of,
    delete,
    insert,
    quoted,
    require,
    script,
    text,
)
from pipeline.backends.bigquery.stores import Store, Stores, filling, tables_of
from pipeline.backends.bigquery.tables import PublishedTables
from pipeline.backends.bigquery.workspace import BigQueryWorkspace
from pipeline.contract import Model
from pipeline.counting import IN_FULL, Expected, row_count
from pipeline.dialect import key_hash
from pipeline.digest import differing, row_hash
from pipeline.errors import EngineError, InputError
from pipeline.expressions import expression
from pipeline.results import Read, RunRecord, SourceRead
from pipeline.sources import EVENTS, Source
from pipeline.sql import to_query

_KEY = "_key"
"""The column of a hash of a key, so NULL equals NULL and one equality finds a row."""


@dataclass(frozen=True)
class Change:
    """The rows of a published table that go, and the table of those that come.

    `gone` has the hash of a key in `_key`, made of the columns `by`; `days` are the days of these
    rows, None if the table has none.
    """

    rows: ir.Table
    by: tuple[str, ...] = ()
    gone: ir.Table | None = None
    days: pruning.Days | None = None


@dataclass(frozen=True)
class BigQueryIncrementalWorkspace(BigQueryWorkspace):
    """The published tables, and the changes of this build beside them."""

    models: Mapping[str, Model] = field(default_factory=dict)
    arrived: load_days.Arrived = field(default_factory=lambda: load_days.Arrived(0))
    looked: Mapping[str, SourceRead] = field(default_factory=dict)
    """The records of the raw tables, as they are at the build's moment."""
    changes: dict[str, Change] = field(default_factory=dict)
    _requirements: dict[str, str] = field(default_factory=dict)
    """The statements that fail if a changed table has another number of rows than expected."""
    _mixed: dict[str, ir.Table] = field(default_factory=dict)
    """The raw rows of the load days that have old and new ones, by source."""
    _stores: Stores = field(default_factory=Stores)
    _rows: dict[str, int] = field(default_factory=dict)
    """The known numbers of rows of the stored tables."""
    _days: dict[str, pruning.Days] = field(default_factory=dict)
    """The days of the rows that went and came, by model."""
    _numbers: Iterator[int] = field(default_factory=count)

    def table(self, name: str) -> ir.Table:
        """Return a model as it will be published."""
        model = self.models.get(name)
        if model is None or (name in self.built and model.materialized == "table"):
            return super().table(name)
        if model.materialized == "view":
            return expression(model, self.table)
        change, names = self.changes.get(name), model.schema.names
        former = self.former(name)
        if change is None:
            return former.select(*names)
        if change.gone is not None:
            keyed = former.select(*names, row_hash(former, change.by).name(_KEY))
            former = keyed.anti_join(change.gone, _KEY)
        return former.select(*names).union(change.rows.select(*names))

    def former(self, name: str) -> ir.Table:
        """Return a published table."""
        found, rows = self.describe(name), PublishedTables.table(self, name)
        if not (where := every_row(found)):
            return rows
        query = f"SELECT * FROM {quoted(name_of(found))} WHERE {where}"
        return ops.SQLQueryResult(query, rows.schema(), self.dataset.con).to_expr()

    def read_source(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return a raw table with the columns in use.

        Raises:
            InputError: as in a full build.
        """
        read = self.looked.get(source.name)
        if read is None:
            return super().read_source(source, columns)
        found = self.raw(source)
        self.held.add(found.table_id)
        table = sources.raw_table(self.dataset.con, source, found, columns)
        return RawTable(table, read, Read(source.name, read.inputs, read.rows))

    def read_new(self, source: Source, columns: Collection[str]) -> RawTable:
        """Return the rows of a raw table that are new by their load time.

        `staged` finds those that came on load days with older rows.
        """
        whole = self.read_source(source, {*columns, load_days.STAMP})
        stamp = load_days.stamp_of(whole.table)
        self._mixed[source.name] = self.arrived.on_mixed_days(whole.table, stamp)
        number = self.arrived.rows
        before = whole.read.rows - number
        told = replace(whole.told, rows=number, rows_before=before)
        return RawTable(
            self.arrived.by_stamp(whole.table), replace(whole.read, new_rows=number), told
        )

    def staged(self, model: Model, new: ir.Table) -> ir.Table:
        """Store the rows that a model makes of the rows that came to its source.

        Of a load day with old and new rows, it makes all rows anew: those that the published table
        lacks are new.

        Raises:
            InputError: rows of such a day are gone or have changed.
        """
        came = expression(model, lambda _: new)
        if self.arrived.mixed:
            parts = [self._came_late(model)]
            if self.arrived.whole or self.arrived.after:
                parts.append(self._stored(came, model, apart=model.parsed_apart))
            came, apart = ibis.union(*parts) if len(parts) > 1 else parts[0], False
        else:
            apart = model.parsed_apart
        stored = self._stored(came, model, apart=apart)
        if self.count(stored) != self.arrived.rows:
            raise InputError(
                f"{EVENTS} has {self.arrived.rows:,} new rows, and {self.count(stored):,} of them"
                " were found by their load time.",
                IN_FULL,
            )
        return stored

    def _came_late(self, model: Model) -> ir.Table:
        (source,) = model.upstream
        if model.arrivals is None:
            raise InputError(
                f"New rows of {source} have load times that an earlier build has read, and"
                f" {model.name} does not keep the load time.",
                IN_FULL,
            )
        raw, load = self._mixed[source], model.arrivals.load
        again = self._stored(expression(model, lambda _: raw), model, apart=model.parsed_apart)
        former = self.former(model.name).select(*again.columns)
        if (day := model.partition_by) is not None:
            narrow = former.select(*dict.fromkeys((load, day)))
            rows = self.arrived.on_mixed_days(narrow, narrow[load])
            former = pruning.of_days(former, day, pruning.days(self.fetch, rows, day))
        former = self.arrived.on_mixed_days(former, former[load])
        differ = self.stored(differing(former, again), model=model.name)
        went = self.count(differ.filter(differ["_side"] == 0))
        if went:
            raise InputError(
                f"{went:,} of the rows of {source} loaded on"
                f" {load_days.told(self.arrived.mixed)} are gone or have changed since a build read"
                " them.",
                "Build once without --incremental, which reads all rows anew. The last build is"
                " unchanged.",
            )
        return differ.select(*again.columns)

    def known_days(self, name: str, column: str, units: ir.Table) -> pruning.Days | None:
        """Return the days that the table of days names, None if it does not have these ids."""
        ids = days.named([self.models[name]], self._indexed).get((name, column))
        if ids is None:
            return None
        table = PublishedTables.table(self, days.DAYS)
        return days.days(self.fetch(days.lookup(table, ids, units)))

    def fetch(self, expr: ir.Table, *, model: str = "") -> pa.Table:
        """Evaluate an expression, for a model's checks if it is named.

        The job also fills the stored tables that the expression reads.
        """
        labels = {"run": self.run, **({"model": model} if model else {})}

        def run(stores: Sequence[Store]) -> pa.Table:
            return self.dataset.jobs.fetch(expr, filling(stores), **labels)

        return self._stores.after(tables_of(expr), run)

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression of these tables to a Parquet file."""
        self._fill_all(expr)
        super().export(expr, file)

    def stored(self, expr: ir.Table, *, model: str = "") -> ir.Table:
        """Evaluate an expression into a table of this build, once its rows are needed.

        Raises:
            UsageError, EngineError: BigQuery refuses to make the table.
        """
        return self._stored(expr, self.models.get(model))

    def _stored(self, expr: ir.Table, model: Model | None, *, apart: bool = False) -> ir.Table:
        name = self._temporary(f"stored_{next(self._numbers)}")
        query = to_query(expr, "bigquery")
        if model is not None and apart:
            query, _ = self.parsed(model, query)
        sql = as_of(query, self.held, self.moment).sql(DIALECT, pretty=True)
        place = self.dataset.full_name(name)
        table = bigquery.Table(place, self._fields(expr.schema()))
        table.expires = self._expiry()
        self.dataset.create(table)
        self._stores.add(name, insert(place, expr.columns, sql), place, tables_of(expr))
        return sources.table(self.dataset.con, table, expr.schema())

    def _fill_all(self, *exprs: ir.Table) -> None:
        """Fill all stored tables that these expressions read."""

        def run(stores: Sequence[Store]) -> None:
            if stores:
                self.dataset.jobs.query(script(filling(stores)), run=self.run)

        self._stores.after([name for expr in exprs for name in tables_of(expr)], run)

    def _fields(self, schema: ibis.Schema) -> list[bigquery.SchemaField]:
        """Return the columns of a stored table; a protected column's name protects."""
        tagged: dict[str, Sequence[str]] = {}
        for found in [*self.described.values()]:
            tagged |= storage.tags_of(found)
        return storage.nullable_fields(schema, tagged)

    def count(self, table: ir.Table) -> int:
        """Return the number of rows; the job that fills a stored table tells it."""
        op = table.op()
        if not isinstance(op, ops.DatabaseTable):
            return row_count(table, self.fetch)

        def run(stores: Sequence[Store]) -> int:
            jobs = self.dataset.jobs
            if [each.name for each in stores] == [op.name]:
                job = jobs.query(stores[0].statement, run=self.run)
                return int(job.num_dml_affected_rows or 0)
            before = filling(stores)
            return row_count(table, lambda expr: jobs.fetch(expr, before, run=self.run))

        if op.name not in self._rows:
            self._rows[op.name] = self._stores.after([op.name], run)
        return self._rows[op.name]

    def identity(self, units: ir.Table) -> tuple[int, int]:
        """Return the number of units, and a hash of all of them."""
        hashed = key_hash(units["unit"]).bit_xor().fill_null(0)
        (found,) = dicts_of(self.fetch(units.aggregate(rows=units.count(), hashed=hashed)))
        return found["rows"], found["hashed"]

    def counted(self, model: Model, expected: Expected) -> int | None:
        """Return the expected number of rows; the transaction at the end counts them."""
        if expected.rows is not None:
            where = every_row(self.describe(model.name))
            counted = f"SELECT COUNT(*) FROM {quoted(self.dataset.full_name(model.name))}"
            rows = f"({counted} WHERE {where})" if where else f"({counted})"
            before, after = expected.refusal(model.name, "\0").split("\0")
            message = f"CONCAT({text(before)}, CAST({rows} AS STRING), {text(after)})"
            self._requirements[model.name] = require(f"{rows} = {expected.rows}", message)
        return expected.rows

    def differing(self, one: ir.Table, other: ir.Table) -> ir.Table:
        """Return the rows that are in one table only, counting copies."""
        return differing(one, other).select(*one.columns)

    def differences(
        self, model: Model, old: ir.Table, new: ir.Table
    ) -> tuple[ir.Table, ir.Table, int, int]:
        """Return a model's rows in `old` only and in `new` only, and their numbers.

        One statement finds both, so BigQuery reads each table once.
        """
        differ = self.stored(differing(old.select(*new.columns), new), model=model.name)
        day = model.partition_by
        by = {"side": differ["_side"], **({"day": pruning.day_of(differ[day])} if day else {})}
        sides = differ.group_by(**by).agg(number=differ.count())
        found = dicts_of(self.fetch(sides, model=model.name))
        if not found:
            return old, new, 0, 0
        if day:
            self._days[model.name] = Counter()
            for each in found:
                self._days[model.name][each["day"]] += each["number"]
        went, came = (
            differ.filter(differ["_side"] == side).select(*new.columns) for side in (0, 1)
        )
        rows = [sum(each["number"] for each in found if each["side"] == side) for side in (0, 1)]
        return went, came, rows[0], rows[1]

    def append(self, model: Model, rows: ir.Table) -> None:
        """Note rows to add to a model's table."""
        self.changes[model.name] = Change(rows)

    def replace(self, model: Model, by: tuple[str, ...], gone: ir.Table, rows: ir.Table) -> None:
        """Note rows to replace: those that equal a row of `gone` in the columns `by`."""
        keys = gone.select(row_hash(gone, by).name(_KEY))
        matching = rows.semi_join(keys, [row_hash(rows, by) == keys[_KEY]])
        self.changes[model.name] = Change(matching, by, keys, self._days.get(model.name))

    def create(
        self, model: Model, expr: ir.Table, fill: Callable[[Append], None] = lambda append: None
    ) -> Made:
        """Create the model's table under a name of this build; a view of the published tables.

        Raises:
            UsageError, EngineError: as in a full build.
        """
        self.changes.pop(model.name, None)
        if model.materialized == "view":
            # its text names the tables, and not the changes beside them
            expr = expression(model, super().table)
        self._fill_all(expr)
        return super().create(model, expr, fill)

    def publish(self, record: RunRecord) -> Sequence[str]:
        """Change all published tables in one moment, with the record.

        Raises:
            EngineError: another build was published meanwhile, or a table has other rows than it
                should; nothing has changed.
            InputError: the rows are of more days than one statement may change.
        """
        changed = [line for name in self.changes for line in self._statements(name)]
        before = [runs.require_none_since(self.dataset.full, self.moment)]
        record, pairs = self._with_days(record)
        try:
            job = publish(
                self.dataset,
                self.kinds,
                self.built,
                record,
                self.run,
                before,
                [*changed, *pairs, *self._requirements.values()],
            )
        except EngineError as error:
            if not partitions.are_too_many(error):
                raise
            raise InputError(
                "The new rows change more days of a table than BigQuery lets one statement change,"
                f" {partitions.MOST:,}.",
                IN_FULL,
            ) from error
        return [self._bill(job)]

    def _known_models(self) -> Iterable[Model]:
        return self.models.values()

    def _came(self, name: str) -> ir.Table | None:
        return self.changes[name].rows if name in self.changes else super()._came(name)

    def _statements(self, name: str) -> Iterator[str]:
        model, change, target = self.models[name], self.changes[name], self.dataset.full_name(name)
        self._fill_all(change.rows, *([change.gone] if change.gone is not None else []))
        if change.gone is not None:
            rows = PublishedTables.table(self, name)
            conditions = [row_hash(rows, change.by).isin(change.gone[_KEY])]
            if change.days is not None:
                on_days = pruning.on_days(rows[str(model.partition_by)], change.days)
                conditions.insert(0, ibis.or_(*on_days))
            yield delete(target, to_query(rows.filter(*conditions), "bigquery"))
        columns = model.schema.names
        yield insert(target, columns, to_query(change.rows, "bigquery").sql(DIALECT))
