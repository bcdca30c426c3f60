"""Builds incrementally: reads only new raw events, and remakes the rows that they change.

Afterwards every model equals a full build over all raw rows ever read.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import ibis.expr.types as ir

from pipeline import units
from pipeline.backends.base import (
    Backend,
    Increment,
    IncrementalWorkspace,
    News,
)
from pipeline.build import Run, build
from pipeline.changes import Changes
from pipeline.checks import Scope, declared_checks
from pipeline.contract import Grows, Model, TableCheck, Within
from pipeline.expressions import columns_read
from pipeline.fingerprints import Code, why_modified
from pipeline.graph import Graph
from pipeline.older import outdated
from pipeline.options import Report, RunOptions
from pipeline.results import CheckResult, ModelResult, Note, Result, RunRecord, SourceRead
from pipeline.sources import EVENTS, SOURCES


def build_incrementally(
    graph: Graph,
    backend: Backend,
    options: RunOptions,
) -> Result:
    """Bring every model up to date with new raw events, check the changes, and publish.

    If that can't be right, it builds in full and notes why.

    Raises:
        UsageError: another build runs, or rows don't add up.
        InputError: a file can't be read, or one that was read has changed.
    """

    def in_full(why: str) -> Result:
        note = Note(f"building in full: {why}")
        options.report(note)
        result = build(graph, backend.for_all(), list(graph.models), options)
        result.notes.insert(0, note)
        return result

    started, clock = datetime.now(UTC), time.perf_counter()
    with backend.increment() as increment:
        plan = _plan(graph, backend, increment)
        if isinstance(plan, str):
            why = plan
        else:
            news = increment.news()
            notes = [Note(line) for line in news.lines]
            for note in notes:
                options.report(note)
            if not news.sources and not plan.remade and not plan.unchecked(options.checks):
                return _nothing_new(graph, plan, options.report, clock, notes)
            with increment.workspace(graph.models) as workspace:
                names = list(graph.models)
                run = IncrementalRun(
                    graph, workspace, names, options, started, plan=plan, news=news
                )
                result = run.result
                result.mode, result.notes = "incremental", notes
                run.read_sources(columns_read(graph, names))
                run.work()
                result.seconds = time.perf_counter() - clock
                result.published = result.ok
                if result.ok:
                    for text in workspace.publish(run.record("incremental", plan.code)):
                        run.note(text)
                return result
    return in_full(why)


def _nothing_new(
    graph: Graph, plan: Plan, report: Report, clock: float, notes: list[Note]
) -> Result:
    note = Note("nothing new")
    report(note)
    kept = [replace(made, mode="kept", seconds=0.0) for made in plan.published.values()]
    return Result(
        [made for made in kept if made.name in graph.models],
        published=False,
        seconds=time.perf_counter() - clock,
        mode="incremental",
        notes=[*notes, note],
    )


@dataclass(frozen=True)
class Plan:
    """The published build, and the models that must be made in full."""

    graph: Graph
    previous: RunRecord
    remade: Mapping[str, str]
    code: Code

    @property
    def published(self) -> dict[str, ModelResult]:
        """The published models."""
        return {made.name: made for made in self.previous.models}

    def covered(self, model: str) -> frozenset[str]:
        """Return the checks that covered all published rows of a model."""
        return frozenset(
            found.name
            for found in self.previous.checks
            if found.model == model
            and found.status in ("PASS", "WARN")
            and found.fingerprint == self.code.checks.get((model, found.name), "")
        )

    def unchecked(self, checks: bool) -> bool:
        """Tell whether a published table must still be checked."""
        return checks and any(
            rule not in self.covered(name)
            for name in self.graph.models
            for rule, *_ in declared_checks(self.graph, name)
        )


def _plan(graph: Graph, backend: Backend, increment: Increment) -> Plan | str:
    """Return the plan of an incremental build, or why only a full one is right."""
    previous = increment.previous
    if previous is None:
        return "nothing is published yet"
    if why := increment.hindrance():
        return why
    for model in graph.models.values():
        if EVENTS in model.upstream and not isinstance(model.locality, Grows):
            return f"{model.name} reads {EVENTS} and does not grow with it"
    code = Code.of(graph, backend.engine, list(graph.models), previous)
    published = {made.name: made for made in previous.models}
    modified = {
        name: why
        for name in graph.models
        if (why := why_modified(published.get(name), code.models.get(name, {})))
    }
    for name, why in modified.items():
        if EVENTS in graph.models[name].upstream:
            return f"{name}: {why}"
    remade = _with_downstream(graph, {**outdated(graph, previous), **modified})
    return Plan(graph, previous, remade, code)


def _with_downstream(graph: Graph, models: Mapping[str, str]) -> dict[str, str]:
    found = dict(models)
    for name, model in graph.models.items():
        above = [up for up in model.upstream if up in found]
        if above and name not in found:
            found[name] = f"the build remakes {above[0]}"
    return found


@dataclass
class IncrementalRun(Run):
    """A running incremental build."""

    plan: Plan = field(kw_only=True)
    news: News = field(kw_only=True)
    changes: Changes = field(init=False)

    def read_sources(self, columns: Mapping[str, frozenset[str]]) -> None:
        """Read the new events, and the other sources in full."""
        workspace: IncrementalWorkspace = self.workspace  # type: ignore[assignment]
        self.read = dict(self.plan.previous.sources)
        for source in self.graph.sources_of(self.names):
            if source != EVENTS or source in self.news.sources:
                read = workspace.read_new if source == EVENTS else workspace.read_source
                raw = read(SOURCES[source], columns[source])
                self.raw[source] = raw.table
                if source in self.news.sources or self._is_remade(source):
                    self.note_read(source, raw)
        rows = {name: made.rows for name, made in self.plan.published.items()}
        self.changes = Changes(
            self.graph, workspace, self.plan.remade, self.raw, self.news.sources, rows
        )

    def make(self, model: Model) -> ModelResult:
        """Bring one model up to date; its rows are None if they must still be counted."""
        clock = time.perf_counter()
        step = self.changes.make(model)
        seconds = time.perf_counter() - clock
        published = self.plan.published.get(model.name)
        if step.mode == "kept" and published is not None:
            return replace(published, mode="kept", seconds=seconds, reason="", message="")
        return ModelResult(
            model.name,
            model.materialized,
            "OK",
            step.rows,
            seconds,
            built_at=self.started,
            mode=step.mode,
            reason=step.reason,
            rows_came=step.rows_came,
            rows_went=step.rows_went,
        )

    def scope(self, model: Model) -> Scope | None:
        """Return the part of a model to check, None for all of it."""
        step, covered = self.changes.steps[model.name], self.plan.covered(model.name)
        if step.mode == "created":
            return None
        return Scope(
            self.made[model.name].rows,
            step.came,
            step.rows_came or 0,
            step.fresh if self._fresh_hold_the_key(model) else None,
            covered if step.mode == "kept" or step.came is not None else frozenset(),
            frozenset(
                rule.name
                for rule in self.graph.table_checks[model.name]
                if rule.name in covered and not any(map(self._is_changed, rule.reads))
            ),
            self._arguments,
        )

    def came(self, model: Model, built: ir.Table) -> ir.Table:
        """Return the rows that came, where the engine bills those of the whole table."""
        came = self.changes.steps[model.name].came
        return built if came is None or not self.workspace.charges_by_bytes else came

    def with_arrivals(self, read: SourceRead, found: Mapping[str, Any]) -> SourceRead:
        """Add the newest events and devices, of all rows or those that came, to the former ones.

        If only new rows were looked at, the number of devices is that of the last full build, or
        of the new rows if they have more.
        """
        former = self.plan.previous.sources.get(EVENTS)
        if former is None or not self.workspace.charges_by_bytes:
            return super().with_arrivals(read, found)
        both = {name: (getattr(former, name), value) for name, value in found.items()}
        known = {name: [v for v in values if v is not None] for name, values in both.items()}
        newest = {name: max(values, default=None) for name, values in known.items()}
        return super().with_arrivals(read, newest)

    def has_to_check(self, model: Model) -> bool:
        """Tell whether any part of a model must be checked."""
        scope = self.scope(model)
        if scope is None or self.changes.steps[model.name].mode != "kept":
            return True
        rules = {name for name, *_ in declared_checks(self.graph, model.name)}
        of_tables = {rule.name for rule in self.graph.table_checks[model.name]}
        return not rules - of_tables <= scope.covered or of_tables > scope.untouched

    def still_holds(self, found: CheckResult) -> bool:
        """Tell whether an earlier build's result also holds for the tables of this one."""
        if any((found.model, found.name) == (each.model, each.name) for each in self.result.checks):
            return False
        if found.model not in self.names or found.name not in self.plan.covered(found.model):
            return False
        rules = {rule.name: rule for rule in self.graph.table_checks[found.model]}
        reads = rules[found.name].reads if found.name in rules else (found.model,)
        # a build with checks leaves out only those for which nothing changed
        return bool(self.result.checks) or not any(map(self._is_changed, reads))

    def _arguments(self, rule: TableCheck) -> list[ir.Table] | None:
        if rule.within is None or rule.counted:
            return None
        steps = [self.changes.steps[name] for name in rule.reads]
        if any(step.mode == "created" for step in steps):
            return None
        if any(step.mode != "kept" and step.came is None for step in steps):
            return None
        schemas = {name: self.graph.models[name].schema for name in rule.reads}
        whole = [name for name, schema in schemas.items() if rule.within not in schema]
        if any(map(self._is_changed, whole)):
            return None
        restricted = [name for name in rule.reads if name not in whole]
        found = self.changes.of_units(restricted, rule.within, rule.near_day)
        return [found[name] if name in found else self.changes.now(name) for name in rule.reads]

    def _fresh_hold_the_key(self, model: Model) -> bool:
        """Tell whether a row that came can share its key only with rows of the remade units."""
        unit = model.locality.unit if isinstance(model.locality, Within) else ""
        # the build checks the upstream's key
        return unit in model.key or units.has_key_of_upstream(self.graph, model)

    def _is_changed(self, name: str) -> bool:
        return self.changes.is_changed(name)

    def _is_remade(self, source: str) -> bool:
        return any(source in self.graph.models[name].upstream for name in self.plan.remade)
