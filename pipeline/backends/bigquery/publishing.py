"""Publishes the tables of a build: all in one moment, with the record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import sqlglot.expressions as sge
from google.cloud import bigquery

from pipeline.backends.bigquery import runs, storage
from pipeline.backends.bigquery.errors import is_passing, is_there
from pipeline.backends.bigquery.statements import (
    DIALECT,
    Copied,
    create_view,
    expires,
    quoted,
    renamed,
    script,
    transaction,
)
from pipeline.backends.bigquery.tables import Dataset
from pipeline.contract import Model
from pipeline.errors import EngineError, PipelineError
from pipeline.results import RunRecord
from pipeline.schedule import work_through

TEXT = "text"
"""The label of a published view that identifies its text, so an unchanged view stays."""

_LABEL = 32
_CONFLICT = "aborted due to concurrent update"


@dataclass(frozen=True)
class Built:
    """A model that is built but not published: its temporary table or view, and its query.

    `table` is BigQuery's answer when the build made it; `parts` are those of `Copied`.
    """

    model: Model
    name: str
    table: bigquery.Table
    query: sge.Query
    parts: Sequence[str] = ("",)


def require_replaceable(
    dataset: Dataset, model: Model, published: bigquery.Table, made: bigquery.Table
) -> None:
    """Refuse to replace a table that would lose its protection.

    New rows in the same table keep its policies. Another layout needs a new table, without them.

    Raises:
        UsageError: the published table has another layout, and policies.
    """
    if _takes_rows_of(published, made):
        return
    why = f"{model.name} declares other columns, types or partitions than the table has"
    storage.require_unprotected(dataset, published, why)


def publish(
    dataset: Dataset,
    kinds: Mapping[str, str],
    built: Mapping[str, Built],
    record: RunRecord,
    run: str,
    before: Sequence[str] = (),
    changed: Sequence[str] = (),
) -> bigquery.QueryJob:
    """Publish tables, views and record: no reader sees rows of two builds.

    First come tables that are new or have a new layout, each whole. Then come views whose text
    changed. Last, one transaction replaces the rows of all other tables and adds the record.
    A table that keeps its layout keeps its policies, tags, grants, labels and options. The
    transaction begins with the statements `before`; `changed` are those that change tables in
    place. BigQuery cancels a transaction if somebody else changes one of its tables: it is sent
    once more.

    Raises:
        UsageError, EngineError: BigQuery refuses; nothing of the transaction took effect.
    """
    steps: dict[str, Callable[[], Copied | None]] = {
        name: partial(_switch_view, dataset, each, built, kinds.get(name), run)
        if each.model.materialized == "view"
        else partial(_in_place, dataset, each, kinds.get(name), run)
        for name, each in built.items()
    }
    needs = {
        name: [up for up in each.model.upstream if up in built] for name, each in built.items()
    }
    steps[runs.RUNS] = partial(_require_runs, dataset, kinds)
    copies = dict[str, Copied | None]()
    work_through(
        {runs.RUNS: [], **needs},
        dataset.jobs.at_once,
        steps.__getitem__,
        copies.__setitem__,
        dataset.jobs.cancel,
    )
    in_order = [copies[name] for name in built]
    replaced = [line for rows in in_order if rows for line in rows.statements()]
    statements = [*before, *replaced, *changed, runs.insert(dataset.full, record, run)]
    mark = f"{runs.mark_published(dataset.full, run)};"
    sql = f"{transaction(statements)}\n{mark}"
    try:
        return _committed(dataset, sql, mark, run)
    except EngineError as error:
        if _CONFLICT not in error.what:
            raise
        return _committed(dataset, sql, mark, run)


def _committed(dataset: Dataset, sql: str, mark: str, run: str) -> bigquery.QueryJob:
    """Run a script with a transaction; `mark` is its last statement, after the commit."""
    try:
        return dataset.jobs.query(sql, run=run)
    except EngineError as error:
        # if BigQuery fails after the commit, the next attempt finds the record of this build
        is_unclear = is_passing(error.__cause__) or runs.MEANWHILE in error.what
        if not is_unclear or not runs.is_recorded(dataset.jobs, dataset.full, run):
            raise
        return dataset.jobs.query(mark, run=run)


def _in_place(dataset: Dataset, built: Built, kind: str | None, run: str) -> Copied | None:
    """Make a table ready to take its rows; if there is none to keep, put it in place whole."""
    model = built.model
    if kind == "TABLE":
        if rows := _rows_for(dataset, built, dataset.get(model.name)):
            return rows
        _swap(dataset, built, run)
        return None
    if kind is not None:
        # BigQuery neither renames a view nor replaces one by a table
        dataset.drop(model.name)
    try:
        return _made(dataset, built, run)
    except EngineError as error:
        # a copy by a killed build goes on, and may have put its table in place meanwhile
        is_made = is_there(error.__cause__)
        rows = _rows_for(dataset, built, dataset.get(model.name)) if is_made else None
        if rows is None:
            raise
        return rows


def _made(dataset: Dataset, built: Built, run: str) -> Copied | None:
    """Make the published table, with its rows or to take them."""
    model, target = built.model, dataset.full_name(built.model.name)
    if tags := storage.tags_of(built.table):
        # a copy may lose the tags, which would open the rows, so the table gets its tags first
        dataset.create(storage.table_of(model, target, tags=tags))
        dataset.keep(model.name, model.grain)
        return _copied(dataset, built)
    dataset.jobs.copy(dataset.full_name(built.name), target, model=model.name, run=run)
    dataset.keep(model.name, model.grain)
    return None


def _rows_for(dataset: Dataset, built: Built, published: bigquery.Table) -> Copied | None:
    """Return the rows for a published table; None if it has another layout."""
    if not _takes_rows_of(published, built.table):
        return None
    _describe(dataset, published, built.model)
    return _copied(dataset, built)


def _copied(dataset: Dataset, built: Built) -> Copied:
    name, model = dataset.full_name(built.name), built.model
    return Copied(name, dataset.full_name(model.name), model.schema.names, built.parts)


def _takes_rows_of(published: bigquery.Table, made: bigquery.Table) -> bool:
    return storage.same_partitions(published, made) and storage.same_columns(published, made)


def _describe(dataset: Dataset, published: bigquery.Table, model: Model) -> None:
    """Update a published table's clusters, and its description if it has none."""
    changed = []
    if list(published.clustering_fields or ()) != list(model.cluster_by):
        published.clustering_fields = list(model.cluster_by) or None
        changed.append("clustering_fields")
    if not published.description:
        published.description = model.grain
        changed.append("description")
    if changed:
        dataset.update(published, *changed)


def _swap(dataset: Dataset, built: Built, run: str) -> None:
    """Replace the published table by one of another layout.

    BigQuery can't change a layout, so one script renames both tables. The old one is there until
    the new one is, and is dropped last. BigQuery ends the script even if this program is killed.
    """
    name, made = built.model.name, dataset.full_name(built.name)
    come = f"ALTER TABLE {quoted(made)} RENAME TO {quoted(name)}"
    _replace(dataset, built, [expires(made, None)], come, run)
    dataset.drop(_before(built))


def _replace(dataset: Dataset, built: Built, first: Sequence[str], come: str, run: str) -> None:
    """Rename a published table, and run `come`, which makes another object of its name.

    The old table expires if nobody drops it. A script is no transaction: if BigQuery fails between
    two statements, the script can't be sent again, only the rest of it.
    """
    name, before = built.model.name, _before(built)
    go = f"ALTER TABLE {quoted(dataset.full_name(name))} RENAME TO {quoted(before)}"
    expire = expires(dataset.full_name(before), built.table.expires)
    try:
        dataset.jobs.query(script([*first, go, come, expire]), model=name, run=run)
    except PipelineError:
        if not dataset.has(before):
            raise
        rest = [expire] if dataset.has(name) else [come, expire]
        dataset.jobs.query(script(rest), model=name, run=run)


def _before(built: Built) -> str:
    return f"{built.name}_before"


def _switch_view(
    dataset: Dataset, built: Built, all_built: Mapping[str, Built], kind: str | None, run: str
) -> None:
    """Publish a view, unless its text is published already."""
    model = built.model
    published = {other.name: name for name, other in all_built.items()}
    query = renamed(built.query, published).sql(DIALECT, pretty=True)
    statement = create_view(model, dataset.full_name(model.name), query)
    text = hashlib.sha256(statement.encode()).hexdigest()[:_LABEL]
    if kind == "VIEW" and dataset.get(model.name).labels.get(TEXT) == text:
        return
    if kind == "TABLE":
        _replace(dataset, built, [], statement, run)
    else:
        if kind not in (None, "VIEW"):
            dataset.drop(model.name)
        dataset.jobs.query(statement, model=model.name, run=run)
    found = dataset.get(model.name)
    found.labels, found.expires = {**found.labels, TEXT: text}, None
    found.description = model.grain
    dataset.update(found, "labels", "expires", "description")
    if kind == "TABLE":
        dataset.drop(_before(built))


def _require_runs(dataset: Dataset, kinds: Mapping[str, str]) -> None:
    if runs.RUNS not in kinds:
        dataset.create(runs.table_of(dataset.full))
        dataset.keep(runs.RUNS, runs.DESCRIPTION)
        return
    found = dataset.get(runs.RUNS)
    if runs.with_new_columns(found):
        dataset.update(found, "schema")
