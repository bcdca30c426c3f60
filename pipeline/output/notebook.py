"""Draws a project, its models and its results for a notebook."""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.catalog import load
from pipeline.contract import Column, Model
from pipeline.display import Watch, html, text, view, watch_by
from pipeline.explain import Explanation
from pipeline.graph import Models
from pipeline.lineage.columns import ColumnLineage
from pipeline.output import lines, render
from pipeline.output.fitting import Block, Sheet
from pipeline.output.lineage import column_lineage
from pipeline.output.rows import rows_table
from pipeline.output.timeline import timeline
from pipeline.results import (
    CheckResult,
    Diff,
    Digests,
    ModelResult,
    Overview,
    Result,
    RunRecord,
    Started,
    Verification,
)

view.register(Explanation, timeline)
view.register(ColumnLineage, column_lineage)


@view.register
def _(shown: Overview) -> RenderableType:
    title = _title("Pipeline on", shown.place)
    if shown.problem:
        return Group(title, Text(shown.problem, style="red"))
    if shown.run is None:
        return Group(title, Text("Nothing is built yet: p.build() builds all models."))
    return Group(title, *map(Text, _last_build(shown.run)), _built(shown.layers, shown.run))


@view.register
def _(models: Models) -> RenderableType:
    rows = [
        [Text(cell) for cell in (name, model.layer, ", ".join(model.key) or "-", model.grain)]
        for name, model in models.items()
    ]
    headings = ("model", "layer", "key", "what a row is")
    return Sheet(headings, rows, words=("key", "what a row is"))


@view.register
def _(model: Model) -> RenderableType:
    facts = Block([(name, Text(value)) for name, value in _facts(model)])
    rows = [
        [Text(cell) for cell in (column.name, _type(column), _meaning(column))]
        for column in model.columns
    ]
    columns = Sheet(("column", "type", "meaning"), rows, words=("type", "meaning"))
    return Group(_title(model.name), Text(model.grain), facts, Text(), columns)


@view.register
def _(result: Result) -> RenderableType:
    made = [lines.line(each) for each in result.models]
    checks = [found for found in result.checks if found.status != "PASS"]
    end = [Text(lines.done(result), style="bold")]
    if result.published is False:
        end.insert(0, Text(lines.NOT_PUBLISHED))
    return Group(*made, *checks, *end)


@view.register
def _(found: CheckResult) -> RenderableType:
    line = lines.line(found)
    if found.sample is None:
        return Group(line, Text(f"  {found.description}"))
    return Group(line, Text(f"  {found.description}"), rows_table(found.sample))


view.register(Diff, render.diff_view)
view.register(Verification, render.verification_view)


@view.register
def _(digests: Digests) -> RenderableType:
    return render.digests_table(digests)


@view.register
def _(run: RunRecord) -> RenderableType:
    layers = {name: model.layer for name, model in load().models.items()}
    return Group(*map(Text, _last_build(run)), _built(layers, run))


class CellWatch(Watch):
    """Shows the progress of a build or test in a notebook's cell, and at the end its result."""

    def __init__(self, shell: Any, display: Callable[..., Any]) -> None:
        self._shell, self._display = shell, display
        self._told: list[RenderableType] = []
        self._handle = display(
            _bundle(Text("reading the sources")), raw=True, display_id=uuid.uuid4().hex
        )

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Keep the finished lines if an error ends the work."""
        if error is not None:
            self._show(*self._told, Text("stopped", style="red"))

    def __call__(self, event: object) -> None:
        """Show an event."""
        if isinstance(event, Started):
            doing = "building" if event.what == "model" else "checking"
            self._show(*self._told, Text(f"{event.number} of {event.of}: {doing} {event.name}"))
        elif isinstance(event, ModelResult):
            self._told.append(lines.line(event))

    def end(self, result: object) -> None:
        """Show the result in place of the progress, so the cell's value does not repeat it."""
        self._show(result)
        cell, shown = self._shell.execution_count, vars(result)

        def show_later() -> None:
            del shown["_ipython_display_"]
            if self._shell.execution_count != cell:
                self._display(result)

        shown["_ipython_display_"] = show_later

    def _show(self, *shown: Any) -> None:
        self._handle.update(_bundle(Group(*shown)), raw=True)


def _cell_watch() -> Watch | None:
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return CellWatch(shell, display)


watch_by(_cell_watch)


def _bundle(shown: RenderableType) -> dict[str, str]:
    return {"text/plain": text(shown), "text/html": html(shown)}


def _title(kind: str, name: str = "") -> Text:
    return Text(f"{kind} {name}".strip(), style="bold")


def _last_build(run: RunRecord) -> Iterator[str]:
    yield f"Last build {run.started_at:%Y-%m-%d %H:%M:%S} UTC, in {run.seconds:.1f} s, of"
    for name, read in run.sources.items():
        yield f"  {name}: {read.rows:,} rows"


def _built(layers: Mapping[str, str], run: RunRecord) -> Sheet:
    counts = {made.name: f"{made.rows:,}" for made in run.models}
    rows = [
        [
            Text(name),
            Text(layer),
            Text(counts.get(name, "not built")),
            Text(_statuses(name, run.checks)),
        ]
        for name, layer in layers.items()
    ]
    return Sheet(("model", "layer", "rows", "checks"), rows, right=("rows",), words=("checks",))


def _statuses(model: str, checks: Sequence[CheckResult]) -> str:
    found = Counter(check.status for check in checks if check.model == model)
    return ", ".join(f"{number} {status}" for status, number in sorted(found.items()))


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    yield "layer", model.layer
    yield "tags", ", ".join(model.tags)
    yield "key", ", ".join(model.key) or "none"
    yield "stored as", model.materialized
    yield "reads", ", ".join(model.upstream)


def _type(column: Column) -> str:
    return column.type if column.nullable else f"{column.type}, never NULL"


def _meaning(column: Column) -> str:
    return f"{column.description} (sensitive)" if column.sensitive else column.description
