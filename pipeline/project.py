"""The pipeline on a backend, as scripts and notebooks use it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import ibis.expr.types as ir
import pyarrow as pa

import pipeline.lineage as lineage
from pipeline.backends.base import Backend, Session, Tables, Warehouse
from pipeline.backends.choosing import Files, choose, paths_of
from pipeline.build import OnFailure, Report, build, test
from pipeline.catalog import load
from pipeline.checks import declared_checks
from pipeline.comparison import Comparison
from pipeline.digest import digest
from pipeline.disk import writing
from pipeline.display import Displayed, Watch, view, watch
from pipeline.errors import EngineError, PipelineError, UsageError, did_you_mean
from pipeline.explain import Explanation, explain
from pipeline.expressions import columns_read, expression, model_sql, unbuilt
from pipeline.fingerprints import Code, why_modified
from pipeline.graph import Models
from pipeline.incremental import build_incrementally
from pipeline.lineage.columns import ColumnLineage, column_lineage
from pipeline.masking import Masking, masked
from pipeline.older import built_by_older_code, current
from pipeline.results import (
    CheckResult,
    Diff,
    Digests,
    Estimate,
    Loaded,
    Note,
    Overview,
    Result,
    RunRecord,
)
from pipeline.sources import SOURCES
from pipeline.sql import Engine
from pipeline.where import columns_of, condition

Spec = str | Sequence[str]


class Project(Displayed):
    """All models on one backend: look at them, build them, take them apart.

    Each built model is an attribute too: `p.dim_users` is `p.table("dim_users")`.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._graph = load()
        self._open = contextlib.ExitStack()

    @classmethod
    def connect(cls, backend: str | None = None, **options: Any) -> Project:
        """Return the pipeline on a backend; see `pipeline.connect`."""
        return cls(choose(backend, **options))

    @classmethod
    def at(cls, place: str | Path, **options: Any) -> Project:
        """Return the pipeline on a DuckDB file or on `bigquery:project.dataset`.

        `options` are those of either backend; those that are not for this one are left out.
        """
        named, colon, where = str(place).partition(":")
        if named != "bigquery" or not colon:
            limits = {name: options.get(name) for name in ("threads", "memory_limit")}
            return cls(choose("duckdb", database=place, **limits))
        project, _, dataset = where.rpartition(".")
        if not project or not dataset:
            raise UsageError(f"{place} names no dataset.", "Write bigquery:PROJECT.DATASET.")
        names = ("location", "api_endpoint", "max_bytes_billed")
        asked = {name: options.get(name) for name in names}
        return cls(choose("bigquery", project=project, dataset=dataset, **asked))

    def __repr__(self) -> str:
        return f"<pipeline on {self.backend.engine}: {self.backend.place}>"

    @property
    def models(self) -> Models:
        """All models by name, in dependency order: grain, columns, key, tags."""
        return self._graph.models

    def table(self, name: str) -> ir.Table:
        """Return a built model, unmasked.

        Raises:
            UsageError: there is no such model, or it is not built yet.
        """
        self._require(name)
        tables = self._session
        if name not in tables.names():
            raise UsageError(
                f"{name} is not built yet.", f"Build it: p.build(select={f'+{name}'!r})."
            )
        return tables.table(name)

    def expr(self, name: str) -> ir.Table:
        """Return a model as one unbuilt expression from the sources, to take apart and change.

        It is on the connection of the built tables, so the two can be joined and compared.
        """
        self._require(name)
        self._graph.require([name, *self._graph.needs(name)])
        return unbuilt(self._graph, name, self._raw([name, *self._graph.needs(name)]))

    def sql(self, name: str) -> str:
        """Return a model's SQL on this backend: one SELECT of its upstream tables."""
        self._require(name)
        self._graph.require([name])
        return model_sql(self._graph, name, self.backend.engine, *self.backend.namespaces)

    def build(
        self,
        select: Spec = (),
        exclude: Spec = (),
        *,
        checks: bool = True,
        fail_fast: bool = False,
        warn_error: bool = False,
        incremental: bool | None = None,
        allow_fewer_rows: bool = False,
        report: Report | None = None,
        reveal: bool = False,
        on_failure: OnFailure = lambda result, rows, tables: None,
    ) -> Result:
        """Build, check and publish the selected models, all of them by default.

        `incremental` reads only the raw events that are new, and makes of all models what a full
        build would; by default PIPELINE_INCREMENTAL decides. `allow_fewer_rows` goes on where
        files are gone that the last build read. Sensitive values are masked in failing rows and
        messages unless `reveal`. The same object reads the new build afterwards. Without a
        `report` of one's own a notebook's cell shows the progress, and in the end the result.

        Raises:
            UsageError: a selection that names nothing, lacks something upstream, or comes with
                `incremental`.
            InputError: a source can't be read, or files that the last build read are gone.
        """
        names = self._selected(select, exclude)
        if not names:
            return Result(published=False, notes=[Note("No model is modified.")])
        if incremental is None:
            incremental = os.environ.get("PIPELINE_INCREMENTAL", "") not in ("", "0", "false")
        if incremental and (select or exclude):
            raise UsageError(
                "An incremental build brings every model up to date, not a selection.",
                "Leave out the selection, or the option --incremental (PIPELINE_INCREMENTAL).",
            )
        with watch() if report is None else Watch() as watching:
            options: dict[str, Any] = {
                "checks": checks,
                "fail_fast": fail_fast,
                "warn_error": warn_error,
                "allow_fewer_rows": allow_fewer_rows,
                "report": report or watching,
                "reveal": reveal,
                "on_failure": on_failure,
            }
            try:
                if incremental:
                    result = build_incrementally(self._graph, self.backend, **options)
                else:
                    result = build(self._graph, self.backend, names, **options)
            finally:
                self.reconnect()
            watching.end(result)
        return result

    def test(
        self,
        select: Spec = (),
        exclude: Spec = (),
        *,
        fail_fast: bool = False,
        warn_error: bool = False,
        report: Report | None = None,
        reveal: bool = False,
        on_failure: OnFailure = lambda result, rows, tables: None,
    ) -> Result:
        """Check the selected models, by default all that are built, and change nothing.

        Raises:
            UsageError: a selection that names nothing, or a model that is not built yet.
        """
        tables = self._session
        names = self.select(select, exclude)
        if not _as_list(select):
            names = [name for name in names if name in tables.names()]
        self._graph.require(names)
        with watch() if report is None else Watch() as watching:
            result = test(
                self._graph,
                tables,
                names,
                fail_fast=fail_fast,
                warn_error=warn_error,
                report=report or watching,
                reveal=reveal,
                on_failure=on_failure,
            )
            watching.end(result)
        return result

    def digest(self, select: Spec = (), exclude: Spec = ()) -> Digests:
        """Return each selected model's rows and digest: equal content, on any engine, is equal.

        Raises:
            UsageError: a selection that names nothing, or a model that is not built yet.
        """
        names = self._selected(select, exclude)
        return Digests(digest(self._graph, self._session, names))

    def digest_built(self) -> Digests:
        """Return the digest of every model that is built."""
        built = self._session.names()
        return self.digest([name for name in self.models if name in built])

    def diff(
        self,
        other: Project | str | Path,
        models: Spec = (),
        *,
        columns: Sequence[str] = (),
        limit: int = 5,
        store: str | Path | None = None,
    ) -> Diff:
        """Return how the rows of this database (A) and another (B) differ, model by model.

        `other` may be a DuckDB file or `bigquery:project.dataset` too. `limit` rows of each kind
        are kept as samples; `store` is a folder for all of them, as Parquet. Sensitive values are
        masked.

        Raises:
            UsageError: a model or column that is not there, nothing built, or a folder that can't
                be written.
        """
        from pipeline.backends.duckdb.scratch import scratch

        theirs = other if isinstance(other, Project) else Project.at(other)
        if store is not None:
            with writing(Path(store)):
                Path(store).mkdir(parents=True, exist_ok=True)
        traced = lineage.of(self._graph)
        with scratch() as (local, folder):
            comparison = Comparison(
                (self._session, theirs._session),
                local,
                folder,
                traced.sensitive,
                columns,
                limit,
                Path(store) if store is not None else None,
            )
            compared = (comparison.compare(self.models[name]) for name in self.select(models))
            found = tuple(model for model in compared if model)
        return Diff(self.backend.place, theirs.backend.place, found)

    def explain(self, command_uuid: str, *, reveal: bool = False) -> Explanation:
        """Return one command's whole story from raw to mart, shown as a timeline.

        Where there is no such command, it tells what is known of the id. Sensitive values are
        masked unless `reveal`.

        Raises:
            UsageError: a model that the story is told from is not built, or not as it is now.
        """
        masking = Masking(self._graph, reveal)

        return explain(
            command_uuid, self._current, lambda expr: self.backend.fetch(masking.rows(expr))
        )

    def lineage(self, column: str, *, down: bool = False) -> ColumnLineage:
        """Return where `MODEL.COLUMN` comes from, or with `down` what is made of it.

        Up to the raw column and the member of its JSON; of a source's column, `down` alone has
        something to tell.

        Raises:
            UsageError: there is no such model or column.
        """
        return column_lineage(self._graph, lineage.of(self._graph), column, down=down)

    def preflight(self, select: Spec = (), exclude: Spec = ()) -> Iterator[Estimate | Note]:
        """Try every statement of a build on empty tables of the warehouse, and tell of the place.

        Raises:
            UsageError: the backend is no warehouse, or does not allow it.
        """
        remedy = "A preflight is for --backend bigquery."
        warehouse = self._warehouse("has no place to try a build in.", remedy)
        return warehouse.preflight(self._graph, self._selected(select, exclude))

    def estimate(self, select: Spec = (), exclude: Spec = ()) -> Iterator[Estimate]:
        """Estimate what building the selected models would scan, one after the other.

        Raises:
            UsageError: the backend does not charge by the bytes that it scans.
        """
        remedy = "A dry run is for --backend bigquery."
        warehouse = self._warehouse("charges nothing for what it scans.", remedy)
        return warehouse.estimates(self._graph, self._selected(select, exclude))

    def load(
        self,
        events: Files = (),
        users: Files = (),
        *,
        append: bool = False,
    ) -> list[Loaded]:
        """Load local files into the backend's raw tables: replace them, or add to them.

        Raises:
            UsageError: the backend reads files itself, or there is nothing to load.
            InputError: a file can't be used.
        """
        lacks = "has no raw tables: a build reads the files themselves."
        warehouse = self._warehouse(lacks, "Give the files to the build.")
        return warehouse.load(paths_of(events, users), append=append)

    def preview(self, name: str) -> ir.Table:
        """Return a model as its code is now, on the built upstream tables."""
        self._require(name)
        self._graph.require([name])
        raw = self._raw([name])
        return expression(
            self.models[name], lambda up: (raw if up in SOURCES else self._current)(up)
        )

    def rows(
        self,
        name: str,
        *,
        limit: int,
        columns: Sequence[str] = (),
        where: str | None = None,
        preview: bool = False,
        reveal: bool = False,
    ) -> pa.Table:
        """Return the first rows of a model, sensitive columns masked unless `reveal`.

        Raises:
            UsageError: no such model or column, not built yet, or `where` can't be used.
        """
        self._require(name)
        self._graph.require([name])
        model = lineage.of(self._graph).resolved(name)
        names = columns_of(model, columns)
        table = self.preview(name) if preview else self._current(name)
        if not reveal:
            table = masked(table, model.sensitive)
        if where is not None:
            tree = condition(where, model, self.backend.engine, reveal=reveal)
            table = self.backend.filtered(table, tree)
        ordered = table.order_by(list(model.key)) if model.key else table
        try:
            return self.backend.fetch(ordered.select(*names).limit(limit))
        except EngineError as error:
            # without its cause, which a traceback would show
            what = Masking(self._graph, reveal).text(name, error.what)
            if where is None:
                raise EngineError(what, error.next_step) from None
            raise UsageError(
                f"--where {where!r} fails on a row: {what}",
                "Guard it, with TRY_CAST for instance.",
            ) from None

    def failing(self, name: str, check: str, *, limit: int, reveal: bool = False) -> pa.Table:
        """Return the first rows that break a check of a built model, masked unless `reveal`.

        Raises:
            UsageError: no such model or check, not built yet, or the check can't be run.
        """
        self._require(name)
        checks = [declared for declared, _, _ in declared_checks(self._graph, name)]
        if check not in checks:
            raise UsageError(f"{name} has no check {check!r}.", did_you_mean(check, checks))
        rows = pa.table({})

        def keep(found: CheckResult, breaking: ir.Table, tables: Tables) -> None:
            nonlocal rows
            if found.name == check:
                rows = tables.fetch(breaking.limit(limit))

        result = self.test(name, report=lambda event: None, reveal=reveal, on_failure=keep)
        [found] = [each for each in result.checks if each.name == check]
        if found.status in ("SKIP", "ERROR"):
            raise UsageError(f"{name}.{check} can't be run: {found.message}")
        return rows

    def last_run(self) -> RunRecord | None:
        """Return what the last build read, made and checked; None before the first one."""
        return self.backend.last_run()

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """Return the records of the last builds that were published, the latest first."""
        with self.backend.reader() as tables:
            return tables.runs(limit)

    def docs(
        self, output: str | Path = "build/docs", select: Spec = (), exclude: Spec = ()
    ) -> Path:
        """Write the site that documents the selected models, and return its first page.

        It tells of the last build; what is not built yet is told from its declaration.

        Raises:
            UsageError: a selection that names nothing, or a folder that can't be written.
        """
        from pipeline.docs import describe, write

        names = self._selected(select, exclude)
        run = self.last_run()
        site = describe(
            self._graph,
            names,
            engine=self.backend.engine,
            sql=self._sql_on_each_engine(names),
            run=run,
            audit=self._audit() if run else [],
        )
        return write(site, Path(output))

    def overview(self) -> Overview:
        """Return what is built, for the picture of this object."""
        place = f"{self.backend.engine}: {self.backend.place}"
        layers = {name: model.layer for name, model in self.models.items()}
        try:
            return Overview(place, layers, self.last_run())
        except PipelineError as error:
            return Overview(place, layers, None, str(error))

    def select(self, select: Spec = (), exclude: Spec = ()) -> list[str]:
        """Return the names of the selected models in dependency order."""
        return self._graph.select(_as_list(select), _as_list(exclude), self.modified)

    def modified(self) -> dict[str, str]:
        """Return the models whose code differs from what is published, and in which way."""
        published = self.last_run()
        code = Code.of(self._graph, self.backend.engine, list(self.models), published)
        was = {made.name: made for made in published.models} if published else {}
        why = {name: why_modified(was.get(name), code.models[name]) for name in self.models}
        return {name: reason for name, reason in why.items() if reason}

    def reconnect(self) -> None:
        """Read what another process has published since; expressions made before read it too."""
        self._session.refresh()

    def __getattr__(self, name: str) -> ir.Table:
        if name.startswith("_") or name not in self.models:
            raise AttributeError(f"There is no model {name!r}. {did_you_mean(name, self.models)}")
        return self.table(name)

    def __dir__(self) -> Iterator[str]:
        yield from super().__dir__()
        yield from self.models

    @cached_property
    def _session(self) -> Session:
        return self._open.enter_context(self.backend.session())

    def _raw(self, names: Sequence[str]) -> Callable[[str], ir.Table]:
        """Return what gives each source with the columns that these models read."""
        columns = columns_read(self._graph, names)
        return lambda source: self._session.source(SOURCES[source], columns[source])

    def _sql_on_each_engine(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the models' SQL by engine, this backend's first."""
        sql: dict[str, dict[str, str]] = {
            self.backend.engine: {name: self.sql(name) for name in names}
        }
        for engine in get_args(Engine):
            if engine not in sql:
                where = (None, None) if engine == "duckdb" else ("project", "dataset")
                sql[engine] = {
                    name: model_sql(self._graph, name, engine, where, where) for name in names
                }
        return sql

    def _audit(self) -> list[dict[str, Any]]:
        """Return the rows of audit_dispositions; none where it is not built as the code is now."""
        tables = self._session
        model = self.models["audit_dispositions"]
        if model.name not in tables.names() or built_by_older_code(model, tables):
            return []
        return tables.fetch(tables.table(model.name)).to_pylist()

    def _current(self, name: str) -> ir.Table:
        """Return a built model with the columns that it declares.

        Raises:
            UsageError: it is not built yet, or older code has built it.
        """
        self.table(name)
        return current(self.models[name], self._session)

    def _warehouse(self, lacks: str, remedy: str) -> Warehouse:
        if not isinstance(self.backend, Warehouse):
            raise UsageError(f"{self.backend.engine} {lacks}", remedy)
        return self.backend

    def _selected(self, select: Spec, exclude: Spec) -> list[str]:
        """Return the names of the selected models, all of which can be used."""
        names = self.select(select, exclude)
        self._graph.require(names)
        return names

    def _require(self, name: str) -> None:
        if name not in self.models:
            raise UsageError(f"There is no model {name!r}.", did_you_mean(name, self.models))


view.register(Project, lambda project: view(project.overview()))


def _as_list(spec: Spec) -> list[str]:
    return [spec] if isinstance(spec, str) else list(spec)
