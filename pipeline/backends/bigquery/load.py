"""Loads local files into a warehouse's raw tables, all of them or none."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import ibis

from pipeline.errors import InputError, UsageError
from pipeline.files import Export, export
from pipeline.results import Loaded
from pipeline.sources import SOURCES

AS_THEY_COME = {
    "raw_sync_events": ("DateCreated",),
    "raw_users": ("uid", "username", "dateRegistered", "last_modified"),
}
"""The columns that keep the files' types, so a load loses nothing."""


class Loading(Protocol):
    """A place beside the raw tables to load into, discarded if it is never published."""

    def add(self, exported: Export) -> None:
        """Load the files of one source."""
        ...

    def publish(self, *, append: bool) -> None:
        """Replace the raw tables by the loaded rows, or add the rows to them."""
        ...


class HasRawTables(Protocol):
    """A backend whose sources are tables of its own."""

    def raw_schema(self, source: str) -> ibis.Schema | None:
        """Return the types of a raw table, None if it does not exist yet."""
        ...

    def loading(self) -> AbstractContextManager[Loading]:
        """Open a place to load into."""
        ...


def load(
    backend: HasRawTables,
    inputs: Mapping[str, Sequence[str]],
    *,
    append: bool = False,
) -> list[Loaded]:
    """Load each source's files into its raw table; replace all tables at once, or none.

    Raises:
        UsageError: no files are named, or the backend can't be used.
        InputError: a file can't be used, or does not fit the table it is added to.
    """
    if not inputs:
        raise UsageError("There is nothing to load.", "Name files with --events or --users.")
    done: list[Loaded] = []
    with backend.loading() as place:
        for name, patterns in inputs.items():
            there = backend.raw_schema(name) if append else None
            clock = time.perf_counter()
            with _exported(name, patterns, there) as exported:
                _require_same_types(exported, there)
                size = sum(part.stat().st_size for part in exported.parts)
                place.add(exported)
            done.append(Loaded(name, exported.rows, size, time.perf_counter() - clock))
        place.publish(append=append)
    return done


@contextlib.contextmanager
def _exported(name: str, patterns: Sequence[str], there: ibis.Schema | None) -> Iterator[Export]:
    with tempfile.TemporaryDirectory(prefix="pipeline-load-") as folder:
        source = SOURCES[name]
        yield export(source, patterns, AS_THEY_COME[name], Path(folder), there or {})


def _require_same_types(exported: Export, there: ibis.Schema | None) -> None:
    for column, kind in exported.schema.items() if there else ():
        if there and there.get(column) != kind:
            raise InputError(
                f"{exported.source.name} has {column} as {there.get(column, 'no column')}, the"
                f" files have it as {kind}.",
                "Load without --append, which replaces the table, or export the files alike.",
            )
