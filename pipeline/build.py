"""Build and run: makes models in dependency order, checks them, and publishes all at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import ibis.expr.types as ir

import pipeline.lineage as lineage
from pipeline import slices, staged
from pipeline.arrivals import arrived, require_whole
from pipeline.arrow_values import dicts_of
from pipeline.backends.base import Backend, KeepsStaged, RawTable, Workspace
from pipeline.checks import Found, Scope
from pipeline.contract import Model
from pipeline.counting import Measured, RowCounts, measure, row_count
from pipeline.errors import EngineError, UsageError
from pipeline.expressions import bound, columns_read, declared_expression
from pipeline.fingerprints import Code
from pipeline.graph import Graph
from pipeline.masking import Masking
from pipeline.older import require_current
from pipeline.options import RunOptions
from pipeline.results import (
    CheckResult,
    Dropped,
    ModelResult,
    Note,
    Read,
    Result,
    RunMode,
    RunRecord,
    SourceRead,
    Started,
)
from pipeline.schedule import InOrder, all_at_once, work_through
from pipeline.sources import EVENTS, SOURCES
from pipeline.testing import certain_columns, checked, skipped

Step = tuple[str, Literal["model", "checks"]]
"""The steps of a model: make it, then count and check it."""
Outcome = tuple[ModelResult, list[Found] | None]
"""The model after a step, and the results of its checks, None if none ran."""

_STOPPED = "the build failed fast"


def build(
    graph: Graph,
    backend: Backend,
    names: Sequence[str],
    options: RunOptions,
) -> Result:
    """Materialize the models in dependency order, check each, and publish all of them at once.

    It publishes nothing if a model or a check of severity error fails.

    Raises:
        UsageError: an upstream model is neither selected nor built, or another build runs.
        InputError: a source can't be read, files that the last build read are gone, or it has less
            than half of what that build read.
        ContractError: an expression and its declared columns disagree.
    """
    for name in names:
        declared_expression(graph, name)  # a faulty model stops a build before anything runs
    columns = columns_read(graph, names)
    started, clock = datetime.now(UTC), time.perf_counter()
    partial = len(names) < len(graph.models)
    with backend.workspace(names, keep=partial, gone=options.if_gone) as workspace:
        run = Run(graph, workspace, names, options, started)
        run.require_upstream()
        run.read_sources(columns)
        for text in workspace.notes:
            run.note(text)
        run.work()
        result = run.result
        result.seconds = time.perf_counter() - clock
        result.published = result.ok
        if result.ok:
            result.mode = "partial" if partial else "full"
            # at the end, because the statements of the fingerprints are compiled by then
            code = Code.of(graph, backend.engine, names, workspace.last_run())
            for text in workspace.publish(run.record(result.mode, code)):
                run.note(text)
            for name in workspace.obsolete:
                result.dropped.append(name)
                options.report(Dropped(name))
    return result


@dataclass
class Run:
    """A running build."""

    graph: Graph
    workspace: Workspace
    names: Sequence[str]
    options: RunOptions
    started: datetime
    result: Result = field(default_factory=Result)
    raw: dict[str, ir.Table] = field(default_factory=dict)
    read: dict[str, SourceRead] = field(default_factory=dict)
    made: dict[str, ModelResult] = field(default_factory=dict)
    """The results of the models so far."""
    found: dict[str, list[Found]] = field(default_factory=dict)
    """The results of the checks of each model so far."""
    failed: set[str] = field(default_factory=set)
    """The models that failed themselves."""
    stopped: bool = False
    """Whether a failure ended the build."""
    masking: Masking = field(init=False)
    told: InOrder = field(init=False)

    def __post_init__(self) -> None:
        self.masking = Masking(self.graph, self.options.reveal)

    def require_upstream(self) -> None:
        """Raise UsageError if an upstream model is neither built nor selected."""
        there = self.workspace.names() | set(self.names) | set(SOURCES)
        for name in self.names:
            missing = [up for up in self.graph.models[name].upstream if up not in there]
            if missing:
                raise UsageError(
                    f"{name} reads {', '.join(missing)}, not built yet and not selected.",
                    f"Select what it needs as well: --select +{name}.",
                )
        models = self.graph.models
        read = {up: None for name in self.names for up in models[name].upstream if up in models}
        kept = [models[name] for name in read if name not in self.names]
        require_current(kept, self.workspace)

    def tell_read(self, told: Read) -> None:
        """Report the rows and files that were read of a source."""
        self.result.sources.append(told)
        self.options.report(told)

    def note(self, text: str) -> None:
        """Report a fact about the whole build."""
        self.result.notes.append(Note(text))
        self.options.report(self.result.notes[-1])

    def read_sources(self, columns: Mapping[str, frozenset[str]]) -> None:
        """Open the sources that the models read."""
        sources = self.graph.sources_of(self.names)
        asked: list[Callable[[], Any]] = [self.workspace.last_run]
        asked += [partial(self.workspace.read_source, SOURCES[s], columns[s]) for s in sources]
        previous, *read = all_at_once(asked, self.workspace.at_once, self.workspace.cancel)
        self.read = dict(previous.sources) if previous else {}
        for source, raw in zip(sources, read, strict=True):
            self.raw[source] = raw.table
            self.note_read(source, raw)

    def note_read(self, source: str, raw: RawTable) -> None:
        """Record the rows and files that were read of a source, and report them.

        Raises:
            InputError: the source has less than half of the last build's rows.
        """
        self.read[source] = replace(raw.read, read_at=self.started.isoformat())
        self.tell_read(raw.told)
        self._require_whole(source)

    def table(self, name: str) -> ir.Table:
        """Return a source or a model."""
        return self.raw[name] if name in self.raw else self.workspace.table(name)

    def work(self) -> None:
        """Make and check each model when its upstream models are made; report them in order."""
        needs: dict[Step, list[Step]] = {}
        for name in self.names:
            above = self.graph.models[name].upstream
            read = {read for rule in self.graph.table_checks[name] for read in rule.reads}
            needs[name, "model"] = [(up, "model") for up in above if up in self.names]
            needs[name, "checks"] = [
                (name, "model"),
                *((other, "checks") for other in self.names if other in read - {name}),
            ]
        self.told = InOrder(self.names, self._tell)
        work_through(needs, self.workspace.at_once, self._begin, self._end, self.workspace.cancel)

    def broken(self, name: str) -> str:
        """Return why a model can't be used, empty if it can."""
        if name not in self.names:
            return ""
        above = [self.broken(up) for up in self.graph.models[name].upstream if up in self.names]
        causes = "; ".join(dict.fromkeys(why for why in above if why))
        return causes or (f"{name} failed" if name in self.failed else "")

    def record(self, mode: RunMode, code: Code) -> RunRecord:
        """Return the record of this build, and of the models that it left unchanged.

        `code` holds the fingerprints of the models' code.
        """
        previous = self.workspace.last_run()
        models, checks = list(self.result.models), list(self.result.checks)
        if previous and mode != "full":
            models += [made for made in previous.models if made.name not in self.names]
            checks += [found for found in previous.checks if self.still_holds(found)]
        made_at = {name: read.read_at for name, read in self.read.items()}
        made_at |= {made.name: made.built_at.isoformat() for made in models if made.built_at}
        return RunRecord(
            self.started,
            self.result.seconds,
            self.read,
            tuple(self._signed(made, code, made_at) for made in models),
            tuple(replace(found, fingerprint=code.of_check(found)) for found in checks),
            mode,
            code.key,
        )

    def make(self, model: Model) -> ModelResult:
        """Make one model; its rows are None if they must still be counted."""
        clock = time.perf_counter()
        rows = {name: made.rows for name, made in self.made.items()}
        # so the engine protects every sensitive column, declared or not
        resolved = lineage.of(self.graph).resolved(model.name)
        workspace = self.workspace
        if isinstance(workspace, KeepsStaged) and workspace.gone and EVENTS in model.upstream:
            created = staged.create(workspace, self.graph, resolved, self.table)
        else:
            whole = bound(self.graph, model.name, self.table)
            created = slices.create(workspace, resolved, whole, self.table, rows)
        return ModelResult(
            model.name,
            model.materialized,
            "OK",
            created.rows,
            time.perf_counter() - clock,
            bytes_processed=created.bytes_processed,
            bytes_billed=created.bytes_billed,
            built_at=self.started,
        )

    def scope(self, model: Model) -> Scope | None:
        """Return the part of a model to check, None for all of it."""
        return None

    def has_to_check(self, model: Model) -> bool:
        """Tell whether any part of a model must be checked."""
        return True

    def still_holds(self, found: CheckResult) -> bool:
        """Tell whether an earlier build's result also holds for the tables of this one."""
        return found.model not in self.names

    def came(self, model: Model, built: ir.Table) -> ir.Table:
        """Return the rows of a model in which to look for the newest events and the devices."""
        return built

    def with_arrivals(self, read: SourceRead, found: Mapping[str, Any]) -> SourceRead:
        """Add the newest events and the devices to the record of a source."""
        return replace(read, **found)

    def _signed(self, made: ModelResult, code: Code, made_at: Mapping[str, str]) -> ModelResult:
        if made.name not in self.names:
            return made
        upstream = self.graph.models[made.name].upstream
        return replace(
            made,
            fingerprint=code.models.get(made.name, {}),
            made_from={name: made_at[name] for name in upstream if name in made_at},
        )

    def _begin(self, step: Step) -> Callable[[], Outcome] | None:
        name, what = step
        model = self.graph.models[name]
        if self.stopped or self.broken(name):
            work = None
        elif what == "model":
            work = partial(self._make, model)
        elif self._has_to_look(model):
            work = partial(self._look, model)
        else:
            work = None
        if work is not None:
            number = self.names.index(name) + 1
            self.options.report(Started(name, what, number, len(self.names)))
        elif what == "checks":
            self.told.end(name)
        return work

    def _has_to_look(self, model: Model) -> bool:
        made = self.made[model.name]
        is_to_count = made.rows is None or (model.arrivals and made.mode != "kept")
        return bool(is_to_count) or (self.options.checks and self.has_to_check(model))

    def _end(self, step: Step, outcome: Outcome) -> None:
        name, what = step
        # when the build has stopped, the running steps are cancelled
        if not self.stopped:
            self._keep(name, *outcome)
        if what == "checks":
            self.told.end(name)

    def _keep(self, name: str, made: ModelResult, found: list[Found] | None) -> None:
        self.made[name] = made
        if found is not None:
            self.found[name] = found
        if made.status == "ERROR" or any(result.failed for result, _ in found or ()):
            self.failed.add(name)
            if self.options.fail_fast:
                self.stopped = True
                # failing rows are kept before no statement may begin any more
                for each in self.names:
                    self.told.end(each)
                self.workspace.cancel()

    def _make(self, model: Model) -> Outcome:
        clock = time.perf_counter()
        try:
            return self.make(model), None
        except EngineError as error:
            return self._error(model, error, time.perf_counter() - clock), None

    def _look(self, model: Model) -> Outcome:
        """Count a model's rows and its source's arrivals if they are not counted yet; check it."""
        made, counts, clock = self.made[model.name], None, time.perf_counter()
        fetch = partial(self.workspace.fetch, model=model.name)
        arrivals = model.arrivals if made.mode != "kept" else None
        has_to_check = self.options.checks and self.has_to_check(model)
        try:
            built = self.workspace.table(model.name)
            came = self.came(model, built)
            more = arrived(arrivals, came, self.started) if arrivals else {}
            if (made.rows is None or more) and has_to_check and self.scope(model) is None:
                # counting a view computes it, so one query counts all that its checks need
                certain = certain_columns(self.graph, self.workspace, model.name)
                counts = measure(model, built, fetch, certain, more)
            if made.rows is None:
                rows = counts.rows if counts else row_count(built, fetch)
                made = self.made[model.name] = replace(made, rows=rows)
            if more:
                found = counts.more if counts else dicts_of(fetch(came.aggregate(**more)))[0]
                self._note_arrivals(model, found)
        except EngineError as error:
            return self._error(model, error, time.perf_counter() - clock), None
        return made, self._check(model, counts) if has_to_check else None

    def _note_arrivals(self, model: Model, found: Mapping[str, Any]) -> None:
        [source] = model.upstream
        self.read[source] = self.with_arrivals(self.read[source], found)
        self._require_whole(source)

    def _require_whole(self, source: str) -> None:
        previous = self.workspace.last_run()
        if previous and self.options.if_gone != "lose":
            require_whole(source, previous.sources.get(source), self.read[source])

    def _error(self, model: Model, error: EngineError, seconds: float) -> ModelResult:
        text = self.masking.text(model.name, error.what)
        return ModelResult(model.name, model.materialized, "ERROR", seconds=seconds, message=text)

    def _check(self, model: Model, measured: Measured | None) -> list[Found]:
        made = {name: made.rows for name, made in self.made.items() if made.rows is not None}
        read = {name: read.rows for name, read in self.read.items()}
        rows = RowCounts(read | made, self.workspace)
        absent = dict.fromkeys(set(self.graph.models) - set(self.names), "not selected")
        absent |= {name: why for name in self.names if (why := self.broken(name))}
        return checked(
            self.graph,
            self.workspace,
            model.name,
            self.masking,
            absent,
            rows,
            self.options.warn_error,
            measured,
            self.scope(model),
        )

    def _tell(self, name: str) -> None:
        """Report a model and its checks; its upstream models have been reported already."""
        model, made, found = self.graph.models[name], self.made.get(name), self.found.get(name)
        is_left = made is None or (self.stopped and made.rows is None and made.status == "OK")
        if made is None or is_left or self.broken(name) not in ("", f"{name} failed"):
            reason = _STOPPED if self.stopped else self.broken(name)
            self._add(ModelResult(name, model.materialized, "SKIP", message=reason))
            self._skip_checks(model, reason)
            return
        self._add(made)
        if made.status == "ERROR":
            self._skip_checks(model, f"{name} failed")
        elif found is not None:
            for result, rows in found:
                self._add(result)
                if rows is not None:
                    self.options.on_failure(result, rows, self.workspace)
        elif self.stopped:
            self._skip_checks(model, _STOPPED)

    def _skip_checks(self, model: Model, reason: str) -> None:
        for left_out in skipped(self.graph, [model.name], reason) if self.options.checks else ():
            self._add(left_out)

    def _add(self, made: ModelResult | CheckResult) -> None:
        kept = self.result.models if isinstance(made, ModelResult) else self.result.checks
        kept.append(made)  # type: ignore[arg-type]
        self.options.report(made)
