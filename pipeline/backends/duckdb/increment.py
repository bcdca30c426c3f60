"""The published database, held for an incremental build."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.backends.base import News
from pipeline.backends.duckdb import manifest
from pipeline.backends.duckdb.changing import DuckDBIncrementalWorkspace
from pipeline.backends.duckdb.contents import Contents
from pipeline.backends.duckdb.inputs import Inputs, inputs_of
from pipeline.backends.duckdb.workspace import VERSION
from pipeline.contract import Model
from pipeline.results import RunRecord
from pipeline.sources import EVENTS, SOURCES


@dataclass(frozen=True)
class DuckDBIncrement:
    """A published database that no other build can change meanwhile."""

    given: Mapping[str, tuple[str, ...]]
    """The paths and globs that the user named now, by source."""
    held: Contents
    """The contents of the published file."""
    open_copy: Callable[[Collection[str]], AbstractContextManager[DuckDBIncrementalWorkspace]]
    """Opens a copy of the published file to build models in."""

    @property
    def previous(self) -> RunRecord | None:
        """The record of the published build."""
        return self.held.previous

    def hindrance(self) -> str:
        """Say why only a full build is right; empty if an incremental one is right too."""
        previous = self.previous
        if previous is None or self.held.files is None:
            return "the published build keeps no record of the files that it read"
        if previous.engine != VERSION:
            return f"DuckDB {previous.engine or 'of an unknown version'} made it, this is {VERSION}"
        if self.given and not self._recorded_inputs(EVENTS):
            return "the published build is of the sample"
        return ""

    def news(self) -> News:
        """Compare the files with those that were read.

        Raises:
            InputError: a file that was read has changed, or a given one is missing.
        """
        lines = []
        compared = self._compared
        if compared.gone:
            are, their = manifest.verbs(compared.gone)
            lines.append(
                f"{manifest.told(compared.gone)} that earlier builds read {are} gone; "
                f"{their} rows stay"
            )
        changed = {EVENTS} if compared.new else set()
        changed |= {name for name in SOURCES if name != EVENTS and self._is_other(name)}
        return News(changed, lines)

    @contextlib.contextmanager
    def workspace(self, models: Mapping[str, Model]) -> Iterator[DuckDBIncrementalWorkspace]:
        """Open a copy of the published file to change, and the file itself to read.

        Raises:
            ResourceError: the disk is full.
        """
        with self.open_copy(list(models)) as workspace:
            # DuckDB would write three blocks anew once four have lost as many rows as the last one
            # has, which may be a few
            workspace.con.raw_sql("SET max_vacuum_tasks = 0")
            workspace.begin(self._compared.new, self._inputs(EVENTS))
            yield workspace

    @cached_property
    def _compared(self) -> manifest.Compared:
        patterns = self._inputs(EVENTS)
        found = manifest.find(patterns, self._recorded_inputs(EVENTS))
        return manifest.compare(self.held.files or (), found)

    def _inputs(self, source: str) -> tuple[str, ...]:
        """Return the recorded patterns of a source, and those given now."""
        found = self._inputs_of(source)
        if found.origin == "sample":
            return found.patterns
        return tuple(dict.fromkeys([*self._recorded_inputs(source), *found.to_record]))

    def _inputs_of(self, source: str) -> Inputs:
        return inputs_of(source, self.given, self.previous)

    def _recorded_inputs(self, source: str) -> tuple[str, ...]:
        read = self.previous.sources.get(source) if self.previous else None
        return read.inputs if read else ()

    def _is_other(self, source: str) -> bool:
        """Tell whether a source that is always read in full has other files than before."""
        read = self.previous.sources.get(source) if self.previous else None
        paths = self._inputs_of(source).find()
        now = sorted((os.path.realpath(path), *_state(path)) for path in paths)
        files_read = read.files if read else ()
        return now != sorted((each.path, each.bytes, each.modified_ns) for each in files_read)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
