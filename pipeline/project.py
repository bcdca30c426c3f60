"""The pipeline on a backend, for scripts and notebooks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import ibis.expr.types as ir
import pyarrow as pa

import pipeline.lineage as lineage
from pipeline.backends.base import KeepsTested, Tables, Warehouse
from pipeline.backends.choosing import Files, choose, paths_of
from pipeline.build import build
from pipeline.checks import declared_checks
from pipeline.disk import writing
from pipeline.display import Watch, view, watch
from pipeline.errors import PipelineError, UsageError, did_you_mean
from pipeline.expressions import model_sql
from pipeline.lookup import HISTORY, Lookup, Spec, as_list
from pipeline.older import built_by_older_code
from pipeline.options import OnFailure, Report, RunOptions, keep_none
from pipeline.results import (
    CheckResult,
    Diff,
    Estimate,
    LastTest,
    Loaded,
    Note,
    Result,
    RunRecord,
)
from pipeline.schedule import all_at_once
from pipeline.sql import Engine
from pipeline.testing import test


class Project(Lookup):
    """All models on one backend: look at them, build them, take them apart.

    Each built model is an attribute too: `p.dim_users` is `p.table("dim_users")`.
    """

    @classmethod
    def connect(cls, backend: str | None = None, **options: Any) -> Project:
        """Return the pipeline on a backend; see `pipeline.connect`."""
        return cls(choose(backend, **options))

    @classmethod
    def at(cls, place: str | Path, **options: Any) -> Project:
        """Return the pipeline on a DuckDB file or on `bigquery:project.dataset`.

        `options` are those of either backend; it ignores those of the other one.
        """
        named, colon, where = str(place).partition(":")
        if named != "bigquery" or not colon:
            limits = {name: options.get(name) for name in ("threads", "memory_limit")}
            return cls(choose("duckdb", database=place, **limits))
        project, _, dataset = where.rpartition(".")
        if not project or not dataset:
            raise UsageError(f"{place} names no dataset.", "Write bigquery:PROJECT.DATASET.")
        names = ("location", "api_endpoint", "max_bytes_billed", "threads")
        asked = {name: options.get(name) for name in names}
        return cls(choose("bigquery", project=project, dataset=dataset, **asked))

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
        keep_staged: bool = False,
        report: Report | None = None,
        reveal: bool = False,
        on_failure: OnFailure = keep_none,
    ) -> Result:
        """Build, check and publish the selected models, all of them by default.

        `incremental` reads only new raw events; all models become equal to those of a full build.
        By default PIPELINE_INCREMENTAL decides. If files that the last build read are gone,
        `keep_staged` keeps their rows as they were staged, and `allow_fewer_rows` loses them. With
        the latter, a source may also have less than half of the rows or devices it had before.
        Sensitive values are masked in failing rows and messages unless `reveal`. The same object
        reads the new build afterwards. Without a `report`, a notebook's cell shows the progress,
        and at the end the result.

        Raises:
            UsageError: a selection names nothing, lacks an upstream model, or comes with
                `incremental`.
            InputError: a source can't be read, files that the last build read are gone, or it has
                less than half of what that build read.
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
        if allow_fewer_rows and keep_staged:
            raise UsageError(
                "--keep-staged keeps the rows of files that are gone, --allow-fewer-rows loses "
                "them.",
                "Leave out one of the two.",
            )
        with watch() if report is None else Watch() as watching:
            options = RunOptions(
                checks=checks,
                fail_fast=fail_fast,
                warn_error=warn_error,
                if_gone="keep" if keep_staged else "lose" if allow_fewer_rows else "refuse",
                reveal=reveal,
                report=report or watching,
                on_failure=on_failure,
            )
            try:
                if incremental:
                    from pipeline.incremental import build_incrementally

                    result = build_incrementally(self._graph, self.backend, options)
                else:
                    result = build(self._graph, self.backend, names, options)
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
        on_failure: OnFailure = keep_none,
    ) -> Result:
        """Check the selected models, by default all built ones, and change no table.

        On DuckDB the docs show the results until the next build.

        Raises:
            UsageError: a selection names nothing, or a model is not built yet.
        """
        with watch() if report is None else Watch() as watching:
            options = RunOptions(
                fail_fast=fail_fast,
                warn_error=warn_error,
                reveal=reveal,
                report=report or watching,
                on_failure=on_failure,
            )
            result = self._test(select, exclude, options)
            self._keep_tested(result, options)
            watching.end(result)
        return result

    def _test(self, select: Spec, exclude: Spec, options: RunOptions) -> Result:
        tables = self._session
        names = self.select(select, exclude)
        if not as_list(select):
            names = [name for name in names if name in tables.names()]
        self._graph.require(names)
        return test(self._graph, tables, names, options)

    def _keep_tested(self, result: Result, options: RunOptions) -> None:
        if not isinstance(self.backend, KeepsTested) or not (build := self._session.last_run()):
            return
        # an engine's message may hold sensitive values if the test revealed them
        checks = [
            replace(found, message="") if options.reveal else found for found in result.checks
        ]
        now = LastTest(
            build.started_at,
            datetime.now(UTC),
            tuple(found for found in checks if found.status != "SKIP"),
        )
        try:
            before = self.backend.tested()
            if before and before.build == now.build:
                now = replace(now, checks=now.over(before.checks))
            self.backend.keep_tested(now)
        except PipelineError as error:
            note = Note(f"The docs will not show this test. {error.what}")
            result.notes.append(note)
            options.report(note)

    def _with_last_test(self, run: RunRecord) -> tuple[RunRecord, datetime | None]:
        """Return the record with the results of a later test, and the time of that test."""
        tested = self.backend.tested() if isinstance(self.backend, KeepsTested) else None
        if tested is None or tested.build != run.started_at:
            return run, None
        return replace(run, checks=tested.over(run.checks)), tested.at

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

        `other` may also be a DuckDB file or `bigquery:project.dataset`. The result keeps `limit`
        rows of each kind as samples; the folder `store` gets all of them, as Parquet. Sensitive
        values are masked.

        Raises:
            UsageError: a model or column does not exist, nothing is built, or the folder can't be
                written.
        """
        from pipeline.backends.duckdb.scratch import scratch
        from pipeline.comparison import Comparison

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

    def preflight(self, select: Spec = (), exclude: Spec = ()) -> Iterator[Estimate | Note]:
        """Try every statement of a build on empty tables, and describe the dataset.

        Raises:
            UsageError: the backend is not a warehouse, or does not allow it.
        """
        remedy = "A preflight is for --backend bigquery."
        warehouse = self._warehouse("has no place to try a build in.", remedy)
        return warehouse.preflight(self._graph, self._selected(select, exclude))

    def estimate(
        self, select: Spec = (), exclude: Spec = (), *, incremental: bool = False
    ) -> Iterator[Estimate]:
        """Estimate the bytes that building each selected model would scan.

        With `incremental`, those that an incremental build of the new raw rows would scan.

        Raises:
            UsageError: the backend does not bill the bytes that it scans.
        """
        remedy = "A dry run is for --backend bigquery."
        warehouse = self._warehouse("does not charge for scanned bytes.", remedy)
        names = self._selected(select, exclude)
        return warehouse.estimates(self._graph, names, incremental=incremental)

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

    def failing(self, name: str, check: str, *, limit: int, reveal: bool = False) -> pa.Table:
        """Return the first rows that break a check of a built model, masked unless `reveal`.

        Raises:
            UsageError: there is no such model or check, it is not built yet, or the check fails.
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

        result = self._test(name, (), RunOptions(reveal=reveal, on_failure=keep))
        [found] = [each for each in result.checks if each.name == check]
        if found.status in ("SKIP", "ERROR"):
            raise UsageError(f"{name}.{check} can't be run: {found.message}")
        return rows

    def docs(
        self, output: str | Path = "build/docs", select: Spec = (), exclude: Spec = ()
    ) -> Path:
        """Write the site that documents the selected models, and return its first page.

        It shows the results of the last build, and of a later `test` on DuckDB; for a model that is
        not built, its declaration.

        Raises:
            UsageError: a selection names nothing, or the folder can't be written.
        """
        from pipeline.docs import describe, write

        names = self._selected(select, exclude)
        runs, audit = self._history() if self._session.exists() else ([], [])
        run, tested_at = self._with_last_test(runs[0]) if runs else (None, None)
        site = describe(
            self._graph,
            names,
            engine=self.backend.engine,
            sql=self._sql_on_each_engine(names),
            run=run,
            audit=audit if run else [],
            places=self._places(),
            runs=runs,
            tested_at=tested_at,
        )
        return write(site, Path(output))

    def _history(self) -> tuple[list[RunRecord], list[dict[str, Any]]]:
        """Return the records of the last builds, and the rows of the audit."""
        asked: list[Callable[[], Any]] = [lambda: self._session.runs(HISTORY), self._audit]
        runs, audit = all_at_once(asked, self._session.at_once, self._session.cancel)
        return runs, audit

    def _places(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return database and schema of the models, and of the sources, as the engine names them.

        DuckDB names a database by its file.
        """
        file = Path(self.backend.place).stem
        models, sources = (
            (database or file, schema or "main") for database, schema in self.backend.namespaces
        )
        return models, sources

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
        """Return the rows of audit_dispositions; none if it is not built by the current code."""
        tables = self._session
        model = self.models["audit_dispositions"]
        if model.name not in tables.names() or built_by_older_code(model, tables):
            return []
        return tables.fetch(tables.table(model.name)).to_pylist()

    def _warehouse(self, lacks: str, remedy: str) -> Warehouse:
        if not isinstance(self.backend, Warehouse):
            raise UsageError(f"{self.backend.engine} {lacks}", remedy)
        return self.backend


view.register(Project, lambda project: view(project.overview()))
