"""Counts a table: its rows, its keys, and the rows that break a rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from pipeline.arrow_values import dicts_of
from pipeline.contract import Model, RowCheck
from pipeline.dialect import key_hash
from pipeline.results import RunRecord
from pipeline.schedule import all_at_once
from pipeline.sources import SOURCES

Fetch = Callable[[ir.Table], pa.Table]


class Queryable(Protocol):
    """A place with the tables that a check reads."""

    def table(self, name: str) -> ir.Table:
        """Return a built model."""
        ...

    def fetch(self, expr: ir.Table, *, model: str) -> pa.Table:
        """Evaluate an expression of these tables, for a model's checks."""
        ...

    def last_run(self) -> RunRecord | None:
        """Return the record of the last published build, if there is one."""
        ...

    @property
    def at_once(self) -> int:
        """The most statements that may run at a time."""
        ...


@dataclass(frozen=True)
class Expected:
    """The rows that a changed table should have: those before, less some, plus some.

    `before` is None if their number is unknown.
    """

    before: int | None
    went: int
    came: int

    @property
    def rows(self) -> int | None:
        """The number of rows now, None if it is unknown."""
        return None if self.before is None else self.before - self.went + self.came

    def refusal(self, name: str, counted: str) -> str:
        """Return the message on a model's table that has another number of rows."""
        return (
            f"{name} has {counted} rows after this build; {self.before:,} less {self.went:,} that"
            f" went, plus {self.came:,} that came, are {self.rows:,}."
        )


IN_FULL = "Build in full, without --incremental. The last build is unchanged."


@dataclass(frozen=True)
class Measured:
    """The counts of one pass over a built table; `breaking` is in the order of `row_checks`."""

    rows: int
    key_hashes: int
    """The number of distinct hashes of the key: as many as rows if the key is unique."""
    breaking: tuple[int, ...]
    """The number of rows that break each rule about rows."""
    seconds: float
    more: Mapping[str, Any] = field(default_factory=dict)
    """The other values that the caller asked for."""


class RowCounts(dict[str, int]):
    """Numbers of rows by source and model.

    It looks up other names when they are needed: a source in the record of the last build, a model
    by counting its rows. It never has a source that no build has recorded.
    """

    def __init__(self, known: Mapping[str, int], tables: Queryable) -> None:
        super().__init__(known)
        self._tables = tables

    def look_up(self, names: Iterable[str]) -> None:
        """Look up the numbers that are still unknown, all at once."""
        unknown = [partial(self._look_up, name) for name in names if name not in self]
        all_at_once(unknown, self._tables.at_once)

    def _look_up(self, name: str) -> None:
        if name not in SOURCES:
            self[name] = row_count(
                self._tables.table(name), partial(self._tables.fetch, model=name)
            )
            return
        run = self._tables.last_run()
        if run and name in run.sources:
            self[name] = run.sources[name].rows


def row_count(table: ir.Table, fetch: Fetch) -> int:
    """Count the rows of a table."""
    return int(fetch(table.aggregate(rows=table.count()))["rows"][0].as_py())


def measure(
    model: Model,
    built: ir.Table,
    fetch: Fetch,
    certain: Collection[str] = (),
    more: Mapping[str, ir.Value] | None = None,
) -> Measured:
    """Count a table's rows, its keys, and the rows that break each rule, in one aggregate.

    The table has the declared columns. The `certain` ones are never NULL by construction, so
    nothing reads them to check that. `more` are other values of the same aggregate.
    """
    started = time.perf_counter()
    rules = row_checks(model)
    found = dicts_of(fetch(counting(model, built, certain, more)))[0]
    return Measured(
        found["rows"],
        found.get("key_hashes", found["rows"]),
        tuple(found.get(check_column(i), 0) for i in range(len(rules))),
        time.perf_counter() - started,
        {name: found[name] for name in more or ()},
    )


def counting(
    model: Model,
    built: ir.Table,
    certain: Collection[str] = (),
    more: Mapping[str, ir.Value] | None = None,
) -> ir.Table:
    """Return the one row of counts that `measure` asks for."""
    counts: dict[str, ir.Value] = {"rows": built.count()}
    if model.key:
        counts["key_hashes"] = key_hash(*(built[column] for column in model.key)).nunique()
    rules = row_checks(model)
    held = {never_null_rule(name) for name in certain}
    counts |= {
        check_column(i): built.count(where=built.bind(rule.breaks)[0])
        for i, rule in enumerate(rules)
        if rule.name not in held
    }
    return built.aggregate(**counts, **(more or {}))


def asks_anything(model: Model, certain: Collection[str]) -> bool:
    """Tell whether a model has a key, or a rule about rows that does not hold by construction."""
    held = {never_null_rule(name) for name in certain}
    return bool(model.key) or any(rule.name not in held for rule in row_checks(model))


def check_column(number: int) -> str:
    """Return the column of `counting` that counts the rows that break a rule of `row_checks`."""
    return f"check_{number}"


def never_null_rule(column: str) -> str:
    """Return the name of the rule that a column is never NULL."""
    return f"not_null_{column}"


def row_checks(model: Model) -> list[RowCheck]:
    """Return all rules about single rows of a model: never NULL, then those it declares."""
    never_null = [
        RowCheck(
            never_null_rule(column.name),
            _[column.name].isnull(),
            f"{column.name} is never NULL",
            columns=(column.name,),
        )
        for column in model.columns
        if not column.nullable
    ]
    return never_null + [check for check in model.checks if isinstance(check, RowCheck)]
