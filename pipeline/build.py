"""Build and run: makes models in dependency order, checks them, and publishes all at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

import ibis.expr.types as ir

import pipeline.lineage as lineage
from pipeline import slices, staged
from pipeline.arrivals import measured, require_whole
from pipeline.backends.base import Backend, KeepsStaged, RawTable, Workspace
from pipeline.checks import (
    Measured,
    RowCounts,
    Scope,
    measure,
    row_count,
)
from pipeline.contract import Arrivals, Model
from pipeline.errors import EngineError, UsageError
from pipeline.expressions import bound, columns_read
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
from pipeline.sources import EVENTS, SOURCES
from pipeline.testing import certain_columns, checked, skipped


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
            # at the end, when the statements that fingerprints are made of are compiled
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
    broken: dict[str, str] = field(default_factory=dict)
    """The models that can't be used, and why."""
    measured: dict[str, Measured] = field(default_factory=dict)
    """The counts of a model that were made before its checks."""
    masking: Masking = field(init=False)

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
        previous = self.workspace.last_run()
        self.read = dict(previous.sources) if previous else {}
        for source in self.graph.sources_of(self.names):
            raw = self.workspace.read_source(SOURCES[source], columns[source])
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
        """Make and check the models in dependency order."""
        checks = self.options.checks
        for number, name in enumerate(self.names, 1):
            model = self.graph.models[name]
            if causes := {self.broken[up]: None for up in model.upstream if up in self.broken}:
                self._skip(model, "; ".join(causes))
                continue
            self.options.report(Started(name, "model", number, len(self.names)))
            self._build(model)
            if checks and name in self.broken:
                self._skip_checks(model, f"{name} failed")
            elif checks and self.has_to_check(model):
                self.options.report(Started(name, "checks", number, len(self.names)))
                self._check(model)
            if self.options.fail_fast and self.broken:
                for rest in self.names[number:]:
                    self._skip(self.graph.models[rest], "the build failed fast")
                return

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

    def make(self, model: Model) -> tuple[ModelResult, bool]:
        """Make one model; tell whether its rows must still be counted."""
        clock = time.perf_counter()
        rows = {made.name: made.rows for made in self.result.models}
        # so the engine protects every sensitive column, declared or not
        resolved = lineage.of(self.graph).resolved(model.name)
        workspace = self.workspace
        if isinstance(workspace, KeepsStaged) and workspace.gone and EVENTS in model.upstream:
            created = staged.create(workspace, self.graph, resolved, self.table)
        else:
            whole = bound(self.graph, model.name, self.table)
            created = slices.create(workspace, resolved, whole, self.table, rows)
        made = ModelResult(
            model.name,
            model.materialized,
            "OK",
            created.rows,
            time.perf_counter() - clock,
            bytes_processed=created.bytes_processed,
            bytes_billed=created.bytes_billed,
            built_at=self.started,
        )
        return made, created.rows is None

    def scope(self, model: Model) -> Scope | None:
        """Return the part of a model to check, None for all of it."""
        return None

    def has_to_check(self, model: Model) -> bool:
        """Tell whether any part of a model must be checked."""
        return True

    def still_holds(self, found: CheckResult) -> bool:
        """Tell whether an earlier build's result also holds for the tables of this one."""
        return found.model not in self.names

    def _signed(self, made: ModelResult, code: Code, made_at: Mapping[str, str]) -> ModelResult:
        if made.name not in self.names:
            return made
        upstream = self.graph.models[made.name].upstream
        return replace(
            made,
            fingerprint=code.models.get(made.name, {}),
            made_from={name: made_at[name] for name in upstream if name in made_at},
        )

    def _build(self, model: Model) -> None:
        clock = time.perf_counter()
        try:
            made, uncounted = self.make(model)
            if uncounted:
                made = replace(made, rows=self._rows(model))
            if model.arrivals and made.mode != "kept":
                self._note_arrivals(model, model.arrivals)
        except EngineError as error:
            self.broken[model.name] = f"{model.name} failed"
            made = ModelResult(
                model.name,
                model.materialized,
                "ERROR",
                seconds=time.perf_counter() - clock,
                message=self.masking.text(model.name, error.what),
            )
        self._add(made)

    def _note_arrivals(self, model: Model, arrivals: Arrivals) -> None:
        [source] = model.upstream
        fetch = partial(self.workspace.fetch, model=model.name)
        built = self.workspace.table(model.name)
        self.read[source] = measured(self.read[source], arrivals, built, fetch, self.started)
        self._require_whole(source)

    def _require_whole(self, source: str) -> None:
        previous = self.workspace.last_run()
        if previous and self.options.if_gone != "lose":
            require_whole(source, previous.sources.get(source), self.read[source])

    def _rows(self, model: Model) -> int:
        # counting a view computes it, so one query counts all that its checks need
        built = self.workspace.table(model.name)
        fetch = partial(self.workspace.fetch, model=model.name)
        if not self.options.checks:
            return row_count(built, fetch)
        certain = certain_columns(self.graph, self.workspace, model.name)
        self.measured[model.name] = measure(model, built, fetch, certain)
        return self.measured[model.name].rows

    def _check(self, model: Model) -> None:
        made = {made.name: made.rows for made in self.result.models if made.rows is not None}
        read = {name: read.rows for name, read in self.read.items()}
        rows = RowCounts(read | made, self.workspace)
        absent = dict.fromkeys(set(self.graph.models) - set(self.names), "not selected")
        absent |= self.broken
        for found, failing in checked(
            self.graph,
            self.workspace,
            model.name,
            self.masking,
            absent,
            rows,
            self.options.warn_error,
            self.measured.get(model.name),
            self.scope(model),
        ):
            self._add(found)
            if failing is not None:
                self.options.on_failure(found, failing, self.workspace)
            if found.failed:
                self.broken[model.name] = f"{model.name} failed"

    def _skip(self, model: Model, reason: str) -> None:
        self.broken[model.name] = reason
        self._add(ModelResult(model.name, model.materialized, "SKIP", message=reason))
        if self.options.checks:
            self._skip_checks(model, reason)

    def _skip_checks(self, model: Model, reason: str) -> None:
        for left_out in skipped(self.graph, [model.name], reason):
            self._add(left_out)

    def _add(self, made: ModelResult | CheckResult) -> None:
        kept = self.result.models if isinstance(made, ModelResult) else self.result.checks
        kept.append(made)  # type: ignore[arg-type]
        self.options.report(made)
