"""The contents of the pages: the declarations and the results of the last run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import pipeline.lineage as lineage
from pipeline.checks import declared_checks
from pipeline.contract import Column, Model
from pipeline.docs import history
from pipeline.docs.dispositions import SourceChart, charts
from pipeline.docs.lineage import Picture, draw
from pipeline.graph import Graph
from pipeline.lineage.columns import Edge, edges_of
from pipeline.results import ModelResult, RunRecord, SourceRead
from pipeline.sources import SOURCES, Source
from pipeline.sql import Engine

NOT_RUN = "not run"
WORST_FIRST = ("ERROR", "FAIL", "WARN", "SKIP", NOT_RUN, "PASS")


@dataclass(frozen=True)
class CheckLine:
    """A declared check and its last result; `status` may be NOT_RUN."""

    name: str
    severity: str
    description: str
    status: str = NOT_RUN
    failures: int = 0
    seconds: float = 0.0
    message: str = ""
    reads: tuple[str, ...] = ()
    """The models and sources that it looks at."""


@dataclass(frozen=True)
class ModelPage:
    """A model, its neighbours, its SQL by engine, and its results of the last run.

    `built` is its part of the run's record, None if it is not built.
    """

    model: Model
    upstream: tuple[str, ...]
    downstream: tuple[str, ...]
    built: ModelResult | None
    checks: tuple[CheckLine, ...]
    sql: Mapping[str, str]
    lineage: Picture

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def layer(self) -> str:
        """The model's layer: `staging` or `marts`."""
        return self.model.layer

    @property
    def path(self) -> str:
        """Where the page is, from the site's root."""
        return f"models/{self.name}.html"

    @property
    def summary(self) -> str:
        """What one row is."""
        return self.model.grain

    @property
    def columns(self) -> tuple[Column, ...]:
        """The declared columns."""
        return self.model.columns

    @cached_property
    def statuses(self) -> dict[str, int]:
        """The number of checks by status, the worst first."""
        found = [check.status for check in self.checks]
        return {status: found.count(status) for status in WORST_FIRST if status in found}


@dataclass(frozen=True)
class SourcePage:
    """A source, the models that read it, and the rows that the last build read of it."""

    source: Source
    downstream: tuple[str, ...]
    read: SourceRead | None
    lineage: Picture

    layer = "source"

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def path(self) -> str:
        """Where the page is, from the site's root."""
        return f"sources/{self.name}.html"

    @property
    def summary(self) -> str:
        """What one row is."""
        return self.source.description

    @property
    def columns(self) -> tuple[Column, ...]:
        """The declared columns."""
        return self.source.columns


Page = ModelPage | SourcePage


@dataclass(frozen=True)
class Site:
    """All pages, the picture of the lineage, and the run whose results they show."""

    engine: Engine
    run: RunRecord | None
    models: tuple[ModelPage, ...]
    sources: tuple[SourcePage, ...]
    lineage: Picture
    edges: tuple[Edge, ...]
    """The single steps from column to column."""
    dispositions: tuple[SourceChart, ...]
    places: tuple[tuple[str, str], tuple[str, str]]
    """Database and schema of the models, and of the sources."""
    history: tuple[history.Chart, ...]
    tested_at: datetime | None
    """The time of a test after the last build, which gave the checks' results."""

    @cached_property
    def pages(self) -> Mapping[str, Page]:
        """The pages by the names of their models and sources."""
        pages: list[Page] = [*self.sources, *self.models]
        return {page.name: page for page in pages}

    @cached_property
    def statuses(self) -> dict[str, int]:
        """The number of checks of all models by status, the worst first."""
        sums = {
            status: sum(page.statuses.get(status, 0) for page in self.models)
            for status in WORST_FIRST
        }
        return {status: number for status, number in sums.items() if number}


def describe(
    graph: Graph,
    names: Sequence[str],
    *,
    engine: Engine,
    sql: Mapping[str, Mapping[str, str]],
    run: RunRecord | None = None,
    audit: Sequence[Mapping[str, Any]] = (),
    places: tuple[tuple[str, str], tuple[str, str]] = (("pipeline", "main"),) * 2,
    runs: Sequence[RunRecord] = (),
    tested_at: datetime | None = None,
) -> Site:
    """Collect all facts on the named models and the sources that they read.

    `sql` is by engine, then by model; `audit` are the rows of audit_dispositions, if it is built;
    `runs` are the last builds, the latest first. `tested_at` is the time of a later test whose
    results are in `run`.
    """
    sources = graph.sources_of(names)
    reads = dict.fromkeys(sources, ()) | {
        name: _among(graph.models[name].upstream, {*names, *sources}) for name in names
    }
    return Site(
        engine,
        run,
        tuple(_model_page(graph, name, reads, sql, run) for name in names),
        tuple(_source_page(name, reads, run) for name in sources),
        draw(reads),
        tuple(edges_of(lineage.of(graph), names)),
        tuple(charts(audit)),
        places,
        tuple(history.charts(runs)),
        tested_at,
    )


Reads = Mapping[str, tuple[str, ...]]


def _model_page(
    graph: Graph,
    name: str,
    reads: Reads,
    sql: Mapping[str, Mapping[str, str]],
    run: RunRecord | None,
) -> ModelPage:
    built = {made.name: made for made in run.models} if run else {}
    return ModelPage(
        lineage.of(graph).resolved(name),
        reads[name],
        _readers(name, reads),
        built.get(name),
        tuple(_checks(graph, name, run)),
        {engine: models[name] for engine, models in sql.items()},
        draw(_around(name, reads)),
    )


def _source_page(name: str, reads: Reads, run: RunRecord | None) -> SourcePage:
    read = run.sources.get(name) if run else None
    return SourcePage(SOURCES[name], _readers(name, reads), read, draw(_around(name, reads)))


def _checks(graph: Graph, name: str, run: RunRecord | None) -> list[CheckLine]:
    """Return the model's checks: first those that need a look, then the others as declared."""
    return sorted(_results(graph, name, run), key=lambda check: WORST_FIRST.index(check.status))


def _results(graph: Graph, name: str, run: RunRecord | None) -> Iterable[CheckLine]:
    results = {found.name: found for found in run.checks if found.model == name} if run else {}
    reads = {rule.name: rule.reads for rule in graph.table_checks[name]}
    for check, severity, description in declared_checks(graph, name):
        line = CheckLine(check, severity, description, reads=reads.get(check, (name,)))
        if found := results.get(check):
            line = replace(
                line,
                status=found.status,
                failures=found.failures,
                seconds=found.seconds,
                message=found.message,
            )
        yield line


def _readers(name: str, reads: Reads) -> tuple[str, ...]:
    return tuple(reader for reader, ups in reads.items() if name in ups)


def _around(name: str, reads: Reads) -> Reads:
    """Return the lineage around a name: itself, its upstream and its downstream."""
    near = _reached(name, lambda at: reads[at]) | _reached(name, lambda at: _readers(at, reads))
    return {at: _among(ups, near) for at, ups in reads.items() if at in near}


def _reached(name: str, step: Callable[[str], Iterable[str]]) -> set[str]:
    return {name}.union(*(_reached(near, step) for near in step(name)))


def _among(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in set(known))
