"""`test`: runs the checks on the built tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from pipeline.backends.base import Tables
from pipeline.checks import (
    COLUMNS,
    Found,
    Scope,
    check,
    declared_checks,
)
from pipeline.counting import Measured, RowCounts
from pipeline.errors import EngineError, UsageError
from pipeline.graph import Graph
from pipeline.masking import Masking
from pipeline.nullness import never_null
from pipeline.older import built_by_older_code
from pipeline.options import RunOptions
from pipeline.results import CheckResult, Result, Started
from pipeline.schedule import InOrder, all_at_once, work_through


def test(
    graph: Graph,
    tables: Tables,
    names: Sequence[str],
    options: RunOptions,
) -> Result:
    """Check the built tables, and change nothing.

    Raises:
        UsageError: a selected model is not built yet, or none is.
    """
    built = tables.names() & set(graph.models)
    if not names:
        raise UsageError("No model is built yet.", "Build first: `python cli.py build`.")
    if missing := [name for name in names if name not in built]:
        raise UsageError(
            f"{', '.join(missing)} can't be tested: not built yet.",
            f"Build it first: `python cli.py build --select +{missing[0]}`.",
        )
    absent = dict.fromkeys(set(graph.models) - built, "not built")
    older = _older(graph, tables, names)
    rows, report = RowCounts({}, tables), options.report
    result, clock = Result(), time.perf_counter()
    masking = Masking(graph, options.reveal)
    found: dict[str, list[Found]] = {}

    def stopped() -> bool:
        each = (result for results in found.values() for result, _ in results)
        return options.fail_fast and any(result.failed for result in each)

    def begin(name: str) -> Callable[[], list[Found]] | None:
        if stopped():
            told.end(name)
            return None
        report(Started(name, "checks", names.index(name) + 1, len(names)))
        others = absent | dict.fromkeys(older.keys() - {name}, "built by older code")
        return partial(checked, graph, tables, name, masking, others, rows, options.warn_error)

    def end(name: str, came: list[Found]) -> None:
        # when the test has stopped, the running checks are cancelled
        if not stopped():
            found[name] = came
            if stopped():
                # failing rows are kept before no statement may begin any more
                for each in names:
                    told.end(each)
                tables.cancel()
        told.end(name)

    def tell(name: str) -> None:
        left = [(each, None) for each in skipped(graph, [name], "the test failed fast")]
        for each, failing in found.get(name, left):
            if each.name == COLUMNS and each.failed:
                each = replace(each, message=older.get(name, each.message))
            result.checks.append(each)
            report(each)
            if failing is not None:
                options.on_failure(each, failing, tables)

    told = InOrder(names, tell)
    needs = {
        name: [
            read
            for rule in graph.table_checks[name]
            for read in rule.counted
            if read in names and read != name
        ]
        for name in names
    }
    work_through(needs, tables.at_once, begin, end, tables.cancel)
    result.seconds = time.perf_counter() - clock
    return result


def skipped(graph: Graph, names: Sequence[str], reason: str) -> list[CheckResult]:
    """Return results for checks that do not run, with the reason."""
    return [
        CheckResult(name, rule, severity, text, "SKIP", message=reason)
        for name in names
        for rule, severity, text in declared_checks(graph, name)
    ]


def _older(graph: Graph, tables: Tables, names: Sequence[str]) -> dict[str, str]:
    """Return the models that checks read and that older code built, each with the remedy."""
    read = {read for name in names for check in graph.table_checks[name] for read in check.reads}
    looked_at = sorted(tables.names().intersection(graph.models, {*names, *read}))
    asked = [partial(built_by_older_code, graph.models[name], tables) for name in looked_at]
    found = zip(looked_at, all_at_once(asked, tables.at_once), strict=True)
    return {name: text for name, text in found if text}


def checked(
    graph: Graph,
    tables: Tables,
    name: str,
    masking: Masking,
    absent: Mapping[str, str],
    rows: RowCounts,
    warn_error: bool,
    measured: Measured | None = None,
    scope: Scope | None = None,
) -> list[Found]:
    """Return the results of a model's checks; each is an ERROR if the engine can't answer."""
    try:
        return list(
            check(
                graph,
                name,
                tables,
                masking=masking,
                absent=absent,
                rows=rows,
                warn_error=warn_error,
                measured=measured,
                certain=certain_columns(graph, tables, name),
                scope=scope,
            )
        )
    except EngineError as error:
        message = masking.text(name, error.what)
        return [
            (CheckResult(name, rule, severity, text, "ERROR", message=message), None)
            for rule, severity, text in declared_checks(graph, name)
        ]


def certain_columns(graph: Graph, tables: Tables, name: str) -> frozenset[str]:
    """Return the columns that need no check for NULL, because they are never NULL by construction.

    Only if the engine bills bytes: elsewhere the check costs nothing, and proves more.
    """
    return never_null(graph, name) if tables.charges_by_bytes else frozenset()
