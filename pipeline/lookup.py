"""All models on a backend, read-only: nothing here builds, writes or sends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pyarrow as pa

import pipeline.lineage as lineage
from pipeline.backends.base import Backend, Session
from pipeline.backends.choosing import choose
from pipeline.catalog import load
from pipeline.contract import Model
from pipeline.digest import digest
from pipeline.display import Displayed
from pipeline.errors import EngineError, PipelineError, UsageError, did_you_mean
from pipeline.expressions import columns_read, expression, model_sql, unbuilt
from pipeline.fingerprints import Code, why_modified
from pipeline.freshness import freshness
from pipeline.graph import Models
from pipeline.masking import Masking, hidden, masked
from pipeline.older import current, outdated
from pipeline.results import (
    Digests,
    Freshness,
    Overview,
    RunRecord,
    Verification,
)
from pipeline.schedule import all_at_once
from pipeline.sources import SOURCES
from pipeline.where import columns_of, condition

if TYPE_CHECKING:
    from pipeline.explain import Explanation
    from pipeline.lineage.columns import ColumnLineage

Spec = str | Sequence[str]
HISTORY = 20
"""The number of builds that a history covers."""


class Lookup(Displayed):
    """All models on one backend, with the built tables.

    Each built model is an attribute too: `p.dim_users` is `p.table("dim_users")`.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._graph = load()
        self._open = contextlib.ExitStack()

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
        """Return a model as one unbuilt expression of the sources, to take apart and change.

        It is on the connection of the built tables, so you can join and compare the two.
        """
        self._require(name)
        self._graph.require([name, *self._graph.needs(name)])
        return unbuilt(self._graph, name, self._raw([name, *self._graph.needs(name)]))

    def sql(self, name: str) -> str:
        """Return a model's SQL on this backend: one SELECT of its upstream tables."""
        self._require(name)
        self._graph.require([name])
        return model_sql(self._graph, name, self.backend.engine, *self.backend.namespaces)

    def digest(self, select: Spec = (), exclude: Spec = ()) -> Digests:
        """Return each selected model's rows and digest; equal content has equal digests anywhere.

        Raises:
            UsageError: a selection names nothing, or a model is not built yet.
        """
        names = self._selected(select, exclude)
        return Digests(digest(self._graph, self._session, names))

    def digest_built(self) -> Digests:
        """Return the digest of every built model."""
        built = self._session.names()
        return self.digest([name for name in self.models if name in built])

    def explain(self, command_uuid: str, *, reveal: bool = False) -> Explanation:
        """Return one command's whole story from raw to mart, shown as a timeline.

        If there is no such command, it returns the known facts on the id. Sensitive values are
        masked unless `reveal`.

        Raises:
            UsageError: a model that it reads is not built, or older code built it.
        """
        from pipeline.explain import explain

        masking = Masking(self._graph, reveal)
        return explain(
            command_uuid,
            self._current,
            lambda expr: self._session.fetch(masking.rows(expr)),
            partial(all_at_once, at_once=self._session.at_once, cancel=self._session.cancel),
            charges_by_bytes=self._session.charges_by_bytes,
        )

    def lineage(self, column: str, *, down: bool = False) -> ColumnLineage:
        """Return the upstream columns of `MODEL.COLUMN`, or with `down` the downstream ones.

        Upstream goes to the raw column and the member of its JSON. A source's column has only a
        downstream.

        Raises:
            UsageError: there is no such model or column.
        """
        from pipeline.lineage.columns import column_lineage

        return column_lineage(self._graph, lineage.of(self._graph), column, down=down)

    def preview(self, name: str) -> ir.Table:
        """Return a model by its current code, on the built upstream tables."""
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
        """Return the first rows of a model; sensitive columns are masked unless `reveal`.

        Raises:
            UsageError: there is no such model or column, it is not built yet, or `where` is wrong.
        """
        self._require(name)
        self._graph.require([name])
        model = lineage.of(self._graph).resolved(name)
        names = columns_of(model, columns)
        table = self.preview(name) if preview else self._current(name)
        if where is None and not preview:
            listed = self._session.listed(name, list(dict.fromkeys([*names, *model.key])), limit)
            if listed is not None:
                if model.key:
                    listed = listed.sort_by([(column, "ascending") for column in model.key])
                shown = listed.select(names)
                return shown if reveal else hidden(shown, model.sensitive)
        parts = self._session.parts(model, table) if where is None and not preview else [table]
        if not reveal:
            parts = (masked(part, model.sensitive) for part in parts)
        if where is not None:
            tree = condition(where, model, self.backend.engine, reveal=reveal)
            parts = [self.backend.filtered(part, tree) for part in parts]
        try:
            return self._first(model, parts, names, limit)
        except EngineError as error:
            # without the cause, because a traceback would show it
            what = Masking(self._graph, reveal).text(name, error.what)
            if where is None:
                raise EngineError(what, error.next_step) from None
            raise UsageError(
                f"--where {where!r} fails on a row: {what}",
                "Guard it, with TRY_CAST for instance.",
            ) from None

    def _first(
        self, model: Model, parts: Iterable[ir.Table], names: Sequence[str], limit: int
    ) -> pa.Table:
        """Return the first rows of the first part that has enough of them, else of the last one."""
        for part in parts:
            ordered = part.order_by(list(model.key)) if model.key else part
            rows = self.backend.fetch(ordered.select(*names).limit(limit))
            if rows.num_rows == limit:
                break
        return rows

    def last_run(self) -> RunRecord | None:
        """Return the record of the last build; None before the first one."""
        return self.backend.last_run()

    def runs(self, limit: int = HISTORY) -> list[RunRecord]:
        """Return the records of the last published builds, the latest first."""
        with self.backend.reader() as tables:
            return tables.runs(limit)

    def freshness(
        self, warn_after: timedelta | None = None, error_after: timedelta | None = None
    ) -> list[Freshness]:
        """Return the age of each source's newest event in the published build, and its rows.

        Raises:
            UsageError: nothing is built yet.
        """
        runs = self.runs(HISTORY)
        if not runs:
            raise UsageError("Nothing is built yet.", "Build first: `python cli.py build`.")
        return freshness(runs, datetime.now(UTC), warn_after, error_after)

    def verify(
        self, share: str = "1%", *, seed: int | None = None, on: str | None = None
    ) -> Verification:
        """Make the published rows of some devices anew from the raw rows, and compare the two.

        The devices are a `share` of all, and those that share a command id with one of them. By
        default `seed` is the number of days since 1970: each night takes other devices, and a
        hundred nights of 1 % take all. Models whose rows belong to no device are compared whole.
        `on="duckdb"` makes the rows of a BigQuery dataset anew on this machine.

        Raises:
            UsageError: nothing is built, other code built it, or a partial build left models older
                than the ones that they are made from.
            InputError: the files or raw tables are not as the build read them.
        """
        from pipeline.backends.duckdb.scratch import scratch
        from pipeline.verification import Share, Verifier

        part = Share.of(share, seed)
        if on not in (None, "duckdb"):
            raise UsageError(f"Rows can't be made anew on {on!r}.", "Take on=duckdb.")
        if on is None and self.backend.engine != "duckdb":
            raise UsageError(
                f"The rows of {self.backend.place} are made anew on this machine.",
                "Add --on duckdb.",
            )
        run = self._verifiable()
        limits = {
            name: getattr(self.backend, name, None) if self.backend.engine == "duckdb" else None
            for name in ("threads", "memory_limit")
        }
        with scratch() as (con, folder):
            verifier = Verifier(
                self._graph,
                self._session,
                self.backend.place,
                lambda database, files: choose(
                    "duckdb",
                    database=database,
                    events=files.get("raw_sync_events", ()),
                    users=files.get("raw_users", ()),
                    **limits,
                ),
                con,
                folder,
            )
            return verifier.verify(run, part)

    def _verifiable(self) -> RunRecord:
        """Return the record of the published build if the current code made all of it."""
        run = self._session.last_run()
        if run is None:
            raise UsageError("Nothing is built yet.", "Build first: `python cli.py build`.")
        names = {made.name for made in run.models}
        stale = {**outdated(self._graph, run), **self.modified()}
        if why := [f"{name} ({stale[name]})" for name in self.models if name in names & {*stale}]:
            raise UsageError(
                f"These models are not what the current code makes of what they read: "
                f"{', '.join(why)}.",
                "Bring them up to date: `python cli.py build --incremental`.",
            )
        return run

    def overview(self) -> Overview:
        """Return the overview that this object shows of itself."""
        place = f"{self.backend.engine}: {self.backend.place}"
        layers = {name: model.layer for name, model in self.models.items()}
        try:
            return Overview(place, layers, self.last_run())
        except PipelineError as error:
            return Overview(place, layers, None, str(error))

    def select(self, select: Spec = (), exclude: Spec = ()) -> list[str]:
        """Return the names of the selected models in dependency order."""
        return self._graph.select(as_list(select), as_list(exclude), self.modified)

    def modified(self) -> dict[str, str]:
        """Return the models whose code differs from the published build, and how."""
        published = self.last_run()
        code = Code.of(self._graph, self.backend.engine, list(self.models), published)
        was = {made.name: made for made in published.models} if published else {}
        why = {name: why_modified(was.get(name), code.models[name]) for name in self.models}
        return {name: reason for name, reason in why.items() if reason}

    def reconnect(self) -> None:
        """Read another process's newer build; existing expressions then read it too."""
        if "_session" in vars(self):
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
        """Return a function that returns each source with the columns that these models read."""
        columns = columns_read(self._graph, names)
        return lambda source: self._session.source(SOURCES[source], columns[source])

    def _current(self, name: str) -> ir.Table:
        """Return a built model with its declared columns.

        Raises:
            UsageError: it is not built yet, or older code built it.
        """
        self.table(name)
        return current(self.models[name], self._session)

    def _selected(self, select: Spec, exclude: Spec) -> list[str]:
        """Return the names of the selected models; all of them are sound."""
        names = self.select(select, exclude)
        self._graph.require(names)
        return names

    def _require(self, name: str) -> None:
        if name not in self.models:
            raise UsageError(f"There is no model {name!r}.", did_you_mean(name, self.models))


def as_list(spec: Spec) -> list[str]:
    """Return one or several selections as a list."""
    return [spec] if isinstance(spec, str) else list(spec)
