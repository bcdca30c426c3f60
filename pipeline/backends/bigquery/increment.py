"""The published dataset, held for an incremental build."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from google.cloud import bigquery

from pipeline.backends.base import News
from pipeline.backends.bigquery import load_days, look
from pipeline.backends.bigquery.changing import BigQueryIncrementalWorkspace
from pipeline.backends.bigquery.sources import has_load_times, is_by_load_day, name_of
from pipeline.backends.bigquery.tables import Dataset, PublishedTables
from pipeline.contract import Model
from pipeline.results import RunRecord, SourceRead
from pipeline.schedule import all_at_once
from pipeline.sources import EVENTS, SOURCES, Source

_GB = 1_000_000_000


@dataclass(frozen=True)
class BigQueryIncrement:
    """A dataset that no other build can change meanwhile."""

    dataset: Dataset
    raw: Callable[[Source], bigquery.Table]
    moment: datetime
    run: str
    policy_tag: str | None = None

    @property
    def previous(self) -> RunRecord | None:
        """The record of the published build."""
        return self._published.last_run()

    def hindrance(self) -> str:
        """Say why only a full build is right; empty if an incremental one is right too."""
        previous, found = self.previous, self._raw[EVENTS]
        read = previous.sources.get(EVENTS) if previous else None
        if previous is None or read is None or read.days is None:
            return f"the published build keeps no record of the load days of {EVENTS}"
        if found.table_type != "TABLE":
            kind = found.table_type.lower().replace("_", " ")
            return f"{name_of(found)} is a {kind}, of which BigQuery keeps no past"
        if read.inputs != (name_of(found),):
            return f"the published build read {', '.join(read.inputs)}"
        if not has_load_times(SOURCES[EVENTS], found):
            return f"{name_of(found)} has no {load_days.STAMP}, so new rows look like old ones"
        kinds = self._published.kinds
        gone = [
            made.name
            for made in previous.models
            if kinds.get(made.name) != made.materialized.upper()
        ]
        return f"{', '.join(gone)} is not there as it was published" if gone else ""

    def news(self) -> News:
        """Compare the raw tables with the record of what was read.

        Raises:
            InputError: rows of raw_sync_events are gone, or a raw table can't be read.
        """
        changed = {EVENTS} if self.arrived.rows else set()
        changed |= {name for name in SOURCES if name != EVENTS and self._is_other(name)}
        return News(changed, [*self._lines()] if EVENTS in changed else [])

    @contextlib.contextmanager
    def workspace(self, models: Mapping[str, Model]) -> Iterator[BigQueryIncrementalWorkspace]:
        """Open the published tables of all models, to change and publish."""
        workspace = BigQueryIncrementalWorkspace(
            self.dataset,
            lambda source: self._raw[source.name],
            self.moment,
            self.run,
            self.policy_tag,
            models=models,
            arrived=self.arrived,
            looked={name: read for name, (read, _) in self._looked.items()},
        )
        try:
            yield workspace
        finally:
            workspace.clear()

    @cached_property
    def arrived(self) -> load_days.Arrived:
        """The events that came since the published build."""
        before = self._before(EVENTS)
        if before is None or before.days is None:
            raise TypeError("the published build has no record of load days")
        _, days = self._looked[EVENTS]
        return load_days.arrived(EVENTS, before.days, before.watermark, days)

    @cached_property
    def _published(self) -> PublishedTables:
        return PublishedTables(self.dataset)

    @cached_property
    def _raw(self) -> dict[str, bigquery.Table]:
        asked = [partial(self.raw, SOURCES[name]) for name in SOURCES]
        return dict(zip(SOURCES, all_at_once(asked, self.dataset.jobs.at_once), strict=True))

    @cached_property
    def _looked(self) -> dict[str, tuple[SourceRead, Sequence[load_days.LoadDay]]]:
        """Look through the raw tables that BigQuery can read as they were, all at once."""
        held = [name for name, found in self._raw.items() if found.table_type == "TABLE"]
        asked = [partial(self._look, name) for name in held]
        return dict(zip(held, all_at_once(asked, self.dataset.jobs.at_once), strict=True))

    def _look(self, name: str) -> tuple[SourceRead, Sequence[load_days.LoadDay]]:
        source, before = SOURCES[name], self._before(name)
        watermark = before.watermark if before else None
        found = self._raw[name]
        return look.through(self.dataset, source, found, self.moment, self.run, watermark)

    def _before(self, name: str) -> SourceRead | None:
        return self.previous.sources.get(name) if self.previous else None

    def _is_other(self, name: str) -> bool:
        """Tell whether a source that is always read in full may have other rows than before."""
        before, looked = self._before(name), self._looked.get(name)
        if before is None:
            return False  # no published model reads it
        return looked is None or not looked[0].version or before.version != looked[0].version

    def _lines(self) -> Iterator[str]:
        found = self._raw[EVENTS]
        if not is_by_load_day(found):
            size = (found.num_bytes or 0) / _GB
            yield (
                f"{name_of(found)} is not partitioned by day of {load_days.STAMP}: to find new rows"
                f" BigQuery reads the whole columns, up to {size:,.1f} GB. `load` makes a table"
                " that is; or CREATE TABLE … PARTITION BY"
                f" TIMESTAMP_TRUNC({load_days.STAMP}, DAY) AS SELECT *."
            )
        if self.arrived.mixed:
            yield (
                f"{self.arrived.late:,} new on load days that earlier builds have read: compared"
                f" all rows of {load_days.told(self.arrived.mixed)}"
            )
