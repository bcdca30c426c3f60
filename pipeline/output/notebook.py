"""What there is to see of a project, its models and what came of them, in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.contract import Column, Model
from pipeline.display import view
from pipeline.errors import PipelineError
from pipeline.explain import Explanation
from pipeline.graph import Models
from pipeline.output import render
from pipeline.output.timeline import timeline
from pipeline.project import Project
from pipeline.results import CheckResult, Result, RunRecord

view.register(Explanation, timeline)


@view.register
def _(project: Project) -> RenderableType:
    title = _title("Pipeline on", f"{project.backend.engine}: {project.backend.place}")
    try:
        run = project.last_run()
    except PipelineError as error:
        return Group(title, Text(str(error), style="red"))
    if run is None:
        return Group(title, Text("Nothing is built yet: p.build() builds all models."))
    return Group(title, *map(Text, _last_build(run)), _built(project.models, run))


@view.register
def _(models: Models) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("model", no_wrap=True)
    for heading in ("layer", "key", "what a row is"):
        table.add_column(heading)
    for model in models.values():
        table.add_row(model.name, model.layer, ", ".join(model.key) or "-", model.grain)
    return table


@view.register
def _(model: Model) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(model):
        facts.add_row(Text(name, style="dim"), Text(value))
    columns = Table("column", "type", "meaning", box=box.SIMPLE_HEAD)
    for column in model.columns:
        columns.add_row(Text(column.name), Text(_type(column)), Text(_meaning(column)))
    return Group(_title(model.name), Text(model.grain), facts, columns)


@view.register
def _(result: Result) -> RenderableType:
    lines = [Text(render.line(made), style=render.style(made)) for made in result.models]
    checks = [found for found in result.checks if found.status != "PASS"]
    end = [Text(render.done(result), style="bold")]
    if result.published is False:
        end.append(Text("Nothing was published: the last build is unchanged."))
    return Group(*lines, *checks, *end)


@view.register
def _(found: CheckResult) -> RenderableType:
    line = Text(render.line(found), style=render.style(found))
    if found.sample is None:
        return Group(line, Text(f"  {found.description}"))
    return Group(line, Text(f"  {found.description}"), render.Rows(found.sample))


def _title(kind: str, name: str = "") -> Text:
    return Text(f"{kind} {name}".strip(), style="bold")


def _last_build(run: RunRecord) -> Iterator[str]:
    yield f"Last build {run.started_at:%Y-%m-%d %H:%M:%S} UTC, in {run.seconds:.1f} s, of"
    for name, read in run.sources.items():
        yield f"  {name}: {read.rows:,} rows"


def _built(models: Mapping[str, Model], run: RunRecord) -> Table:
    rows = {made.name: made.rows for made in run.models}
    table = Table("model", "layer", box=box.SIMPLE_HEAD)
    table.add_column("rows", justify="right")
    table.add_column("checks")
    for name, model in models.items():
        built = f"{rows[name]:,}" if name in rows else "not built"
        table.add_row(name, model.layer, built, _statuses(name, run.checks))
    return table


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
