"""Turns declarations into checks of a built table, and counts into results."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from pipeline.arrow_values import dicts_of
from pipeline.contract import Check, Model, TableCheck
from pipeline.counting import (
    Fetch,
    Measured,
    Queryable,
    RowCounts,
    asks_anything,
    check_column,
    counting,
    measure,
    row_checks,
    row_count,
)
from pipeline.expressions import declared_table
from pipeline.graph import Graph
from pipeline.masking import Masking
from pipeline.results import CheckResult, CheckStatus, Severity
from pipeline.schedule import all_at_once
from pipeline.sources import SOURCES

Found = tuple[CheckResult, ir.Table | None]
"""The result of a check, and an expression of the rows that break it."""

COLUMNS = "columns"
"""The check of a table's columns, which every other check needs."""

SAMPLE_ROWS = 5
FETCHED_ROWS = 10_000
"""The most failing rows of a table check that are fetched; beyond, a query counts them."""


@dataclass(frozen=True)
class Scope:
    """The part of a model that an incremental build checks: the rows that came.

    `rows` is the model's number of rows. `came` are the rows that came, None if none did, and
    `number` is their number. `fresh` are all rows that may share a key with one that came, None for
    the whole table. `covered` are the rules that earlier builds checked on every other row.
    `arguments` gives a rule's tables restricted to the changes, None if the rule must see all.
    `untouched` are the rules whose tables did not change.
    """

    rows: int | None
    came: ir.Table | None
    number: int
    fresh: ir.Table | None
    covered: frozenset[str]
    untouched: frozenset[str]
    arguments: Callable[[TableCheck], list[ir.Table] | None]

    def looks_at_few(self, model: Model) -> bool:
        """Tell whether the rules about rows and keys need only the rows that came."""
        rules = {rule.name for rule in row_checks(model)}
        keys = {name for name, *_ in _key_checks(model)}
        return self.rows is not None and rules | keys <= self.covered


def measure_changed(model: Model, scope: Scope, built: ir.Table, fetch: Fetch) -> Measured:
    """Count the rows that break the rules among those that came, and repeated keys.

    Raises:
        TypeError: the number of rows is unknown.
    """
    if scope.rows is None:
        raise TypeError(f"nobody counted the rows of {model.name}")
    started = time.perf_counter()
    rules, keyed = replace(model, key=()), replace(model, columns=(), checks=())
    breaking: tuple[int, ...] = (0,) * len(row_checks(model))
    repeated = 0
    if scope.came is not None:
        keys = counting(keyed, built if scope.fresh is None else scope.fresh)
        # one statement, because each is a job for some engines
        both = counting(rules, scope.came).cross_join(keys.rename(keys="rows"))
        (found,) = dicts_of(fetch(both))
        breaking = tuple(found[check_column(i)] for i in range(len(breaking)))
        repeated = found["keys"] - found.get("key_hashes", found["keys"])
    seconds = time.perf_counter() - started
    return Measured(scope.rows, scope.rows - repeated, breaking, seconds)


def declared_checks(graph: Graph, name: str) -> list[tuple[str, Severity, str]]:
    """Return name, severity and description of every check that belongs to a model."""
    model = graph.models[name]
    checks: list[Check] = [*row_checks(model), *graph.table_checks[name]]
    found = [_columns_check(model), *_key_checks(model)]
    return found + [(check.name, check.severity, check.description) for check in checks]


def check(
    graph: Graph,
    name: str,
    tables: Queryable,
    *,
    masking: Masking,
    absent: Mapping[str, str],
    rows: RowCounts,
    warn_error: bool = False,
    measured: Measured | None = None,
    certain: Collection[str] = (),
    scope: Scope | None = None,
) -> Iterator[Found]:
    """Check one built model; yield each result with the time of its statement.

    With a result come the masked rows that break the rule, if there are any.
    `absent` maps the models that checks over several models can't read to the reason: "not built".
    `rows` are the known numbers of rows; this function adds to them. `measured` is an earlier
    result of `measure`, and `certain` its argument. An incremental build gives a `scope`.
    """
    model = graph.models[name]
    fetch = partial(tables.fetch, model=name)
    judge = _Judge(name, fetch, masking, warn_error)
    built = tables.table(name)
    columns, _rows = _check_columns(model, built, judge)
    yield columns, None
    if columns.failed:
        for check_name, severity, text in declared_checks(graph, name)[1:]:
            message = "the columns are not the declared"
            yield CheckResult(name, check_name, severity, text, "SKIP", message=message), None
        return

    def of_rows() -> list[Found]:
        if scope and scope.looks_at_few(model):
            return list(_check_changed_rows(graph, model, built, judge, rows, scope))
        counts = measured
        if counts is None and not asks_anything(model, certain):
            counts = Measured(0, 0, (0,) * len(row_checks(model)), 0.0)
        else:
            counts = counts or measure(model, built, fetch, certain)
            rows[name] = counts.rows
        return list(_check_rows(model, built, judge, counts, built))

    def of_tables(rule: TableCheck) -> list[Found]:
        missing = [
            f"{read} ({absent.get(read, 'not recorded')})"
            for read in rule.reads
            if read in absent or (read in SOURCES and read not in rows)
        ]
        if missing:
            return [(judge.skipped(rule, f"needs {', '.join(missing)}"), None)]
        few_rows = scope.arguments(rule) if scope and rule.name in scope.covered else None
        if scope and few_rows is not None:
            like = rule.function(*(declared_table(graph, read) for read in rule.reads))
            found, failing = judge.rows(rule, rule.function(*few_rows), like)
            return [(replace(found, changed_rows=scope.number), failing)]
        arguments = [
            rows[read] if read in rule.counted else tables.table(read) for read in rule.reads
        ]
        return [judge.rows(rule, rule.function(*arguments))]

    rules = [
        rule for rule in graph.table_checks[name] if not scope or rule.name not in scope.untouched
    ]
    counted = dict.fromkeys(read for rule in rules for read in rule.reads if read in rule.counted)
    rows.look_up(read for read in counted if read != name and read not in absent)
    # a rule that compares the number of the model's own rows waits until they are counted
    waiting = [rule for rule in rules if name in rule.counted]
    first: list[Callable[[], list[Found]]] = [of_rows]
    first += [partial(of_tables, rule) for rule in rules if rule not in waiting]
    found = [each for some in all_at_once(first, tables.at_once) for each in some]
    rows.look_up([name] if waiting else [])
    found += [each for rule in waiting for each in of_tables(rule)]
    order = [each for each, *_ in declared_checks(graph, name)]
    yield from sorted(found, key=lambda each: order.index(each[0].name))


def _check_changed_rows(
    graph: Graph, model: Model, built: ir.Table, judge: _Judge, rows: RowCounts, scope: Scope
) -> Iterator[Found]:
    few = measure_changed(model, scope, built, judge.fetch)
    rows[model.name] = few.rows
    if scope.came is None:
        return
    keys = built if scope.fresh is None else scope.fresh
    declared = declared_table(graph, model.name)
    for found, failing in _check_rows(model, scope.came, judge, few, keys, declared):
        yield replace(found, changed_rows=scope.number), failing


@dataclass(frozen=True)
class _Judge:
    """Turns counts of failing rows into results."""

    model: str
    fetch: Fetch
    masking: Masking
    warn_error: bool

    def rows(self, rule: Check, failing: ir.Table, like: ir.Table | None = None) -> Found:
        # fetched, not counted: so one statement both finds and shows a few failing rows
        started = time.perf_counter()
        if _is_empty(failing):
            return self.result(rule.name, rule.severity, rule.description, 0, None, 0.0)
        found = self.fetch(self.masking.rows(failing, like).limit(FETCHED_ROWS))
        count = found.num_rows
        if count == FETCHED_ROWS:
            count = row_count(failing, self.fetch)
        return self.result(
            rule.name,
            rule.severity,
            rule.description,
            count,
            failing,
            time.perf_counter() - started,
            sample=found.slice(0, SAMPLE_ROWS),
            like=like,
        )

    def skipped(self, rule: Check, why: str) -> CheckResult:
        return CheckResult(
            self.model, rule.name, rule.severity, rule.description, "SKIP", message=why
        )

    def result(
        self,
        name: str,
        severity: Severity,
        description: str,
        failures: int,
        failing: ir.Table | None,
        seconds: float,
        message: str = "",
        shown: Sequence[str] = (),
        sample: pa.Table | None = None,
        like: ir.Table | None = None,
    ) -> Found:
        if not failures:
            passed = CheckResult(self.model, name, severity, description, "PASS", seconds=seconds)
            return passed, None
        status: CheckStatus = "WARN" if severity == "warn" and not self.warn_error else "FAIL"
        if failing is not None:
            failing = self.masking.rows(failing, like)
        if failing is not None and sample is None:
            telling = failing.select(*shown) if shown else failing
            sample = self.fetch(telling.limit(SAMPLE_ROWS))
        result = CheckResult(
            self.model,
            name,
            severity,
            description,
            status,
            failures,
            seconds,
            message,
            sample=sample,
        )
        return result, failing


def _is_empty(rows: ir.Table) -> bool:
    # a rule that compares known numbers says so itself; no engine need answer
    op = rows.op()
    return isinstance(op, ops.Limit) and op.n == 0


def _columns_check(model: Model) -> tuple[str, Severity, str]:
    return COLUMNS, "error", "every documented column exists with its type"


def _key_checks(model: Model) -> list[tuple[str, Severity, str]]:
    if not model.key:
        return []
    return [("unique_key", "error", f"{', '.join(model.key)} is unique")]


def _check_columns(model: Model, built: ir.Table, judge: _Judge) -> Found:
    found: Mapping[str, dt.DataType] = built.schema()
    wrong = [
        f"{name} is {found.get(name, 'missing')}, declared {declared}"
        for name, declared in model.schema.items()
        if found.get(name) != declared
    ]
    return judge.result(*_columns_check(model), len(wrong), None, 0.0, "; ".join(wrong))


def _check_rows(
    model: Model,
    built: ir.Table,
    judge: _Judge,
    measured: Measured,
    keys: ir.Table,
    like: ir.Table | None = None,
) -> Iterator[Found]:
    if model.key:
        yield _check_key(model, keys, judge, measured, like)
    for rule, breaking in zip(row_checks(model), measured.breaking, strict=True):
        yield judge.result(
            rule.name,
            rule.severity,
            rule.description,
            breaking,
            rule.failing_rows(built) if breaking else None,
            measured.seconds,
            shown=list(dict.fromkeys([*model.key, *rule.columns])),
            like=like,
        )


def _check_key(
    model: Model, built: ir.Table, judge: _Judge, measured: Measured, like: ir.Table | None
) -> Found:
    [declared], failures, failing = _key_checks(model), 0, None
    if measured.key_hashes < measured.rows:
        # two keys may share a hash, so the keys themselves decide
        groups = built.group_by(list(model.key)).agg(copies=_.count())
        failing = groups.filter(_.copies > 1)
        failures = row_count(failing, judge.fetch)
    return judge.result(*declared, failures, failing, measured.seconds, like=like)
