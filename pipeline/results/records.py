"""The records of builds that a database keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pipeline.display import Displayed
from pipeline.results.steps import CheckResult, Json, ModelResult, RunMode

FreshnessStatus = Literal["PASS", "WARN", "ERROR"]


@dataclass(frozen=True)
class FileRead:
    """One file that was read: its real path, its size and time before reading, and its rows.

    The rows are counted without the engine's reader. `modified_ns` is the time of the last change
    in nanoseconds since 1970.
    """

    path: str
    bytes: int
    modified_ns: int
    rows: int

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "path": self.path,
            "bytes": self.bytes,
            "modified_ns": self.modified_ns,
            "rows": self.rows,
        }


@dataclass(frozen=True)
class SourceRead:
    """A source of the published tables: its inputs, its number of raw rows, and when it was read.

    `files` are all that the rows came from; a database keeps those of raw_sync_events in a table of
    their own. `read_at` is the start of the last build that read the source (ISO-8601). An
    incremental build read `new_files` of them, with `new_rows`. `kept_rows` came from files that
    were gone when a build staged all others anew: they stay as an earlier build staged them.

    Of a warehouse's table: the rows of each load day in `days` (ISO-8601; the empty day has those
    without a load time), the newest load time of all as `watermark` (UTC), or, of a source without
    load times, a text `version` that changes with the rows. They say which rows are new later.

    Of a source that has devices: how many there are, and the newest event and load (UTC). Events
    later than the build do not count: some clock is wrong.
    """

    inputs: tuple[str, ...]
    rows: int
    files: tuple[FileRead, ...] = ()
    read_at: str = ""
    new_files: int | None = None
    new_rows: int | None = None
    kept_rows: int | None = None
    devices: int | None = None
    newest_event: datetime | None = None
    newest_load: datetime | None = None
    days: Mapping[str, int] | None = None
    watermark: datetime | None = None
    version: str = ""

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "inputs": list(self.inputs),
            "rows": self.rows,
            "files": [each.to_json() for each in self.files],
            "read_at": self.read_at,
            "new_files": self.new_files,
            "new_rows": self.new_rows,
            "kept_rows": self.kept_rows,
            "devices": self.devices,
            "newest_event": self.newest_event and self.newest_event.isoformat(),
            "newest_load": self.newest_load and self.newest_load.isoformat(),
            "days": None if self.days is None else dict(self.days),
            "watermark": self.watermark and self.watermark.isoformat(),
            "version": self.version,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> SourceRead:
        """Read what `to_json` wrote, in this version or an older one."""
        return cls(
            tuple(found["inputs"]),
            found["rows"],
            tuple(FileRead(**each) for each in found.get("files", ())),
            found.get("read_at", ""),
            found.get("new_files"),
            found.get("new_rows"),
            found.get("kept_rows"),
            found.get("devices"),
            _time(found.get("newest_event")),
            _time(found.get("newest_load")),
            found.get("days"),
            _time(found.get("watermark")),
            found.get("version", ""),
        )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass(frozen=True, repr=False)
class RunRecord(Displayed):
    """The record of one build: its sources, models and checks.

    `sources` has each source as it was last read for the published tables. `models` and `checks`
    cover all published tables: those that this run did not touch keep the record of the run before.
    `code` identifies the pipeline's code, `engine` is the engine's version (1.5). `indexed` names
    the columns of ids whose days a warehouse keeps in a table of its own.
    """

    started_at: datetime
    seconds: float
    sources: Mapping[str, SourceRead]
    models: tuple[ModelResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    mode: RunMode = "full"
    code: str = ""
    engine: str = ""
    indexed: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[ModelResult, ...]:
        """The models that this run built; in a record of an older version, all models."""
        return tuple(m for m in self.models if m.built_at in (None, self.started_at))

    @property
    def statuses(self) -> dict[str, int]:
        """The number of this run's checks by status."""
        names = {made.name for made in self.made}
        return dict(Counter(found.status for found in self.checks if found.model in names))

    @property
    def rows(self) -> int:
        """The rows of the tables that this run built."""
        return sum(made.rows or 0 for made in self.made)

    @property
    def bytes_processed(self) -> int | None:
        """The bytes that the run scanned, None if the engine does not bill bytes."""
        scanned = [m.bytes_processed for m in self.made if m.bytes_processed is not None]
        return sum(scanned) if scanned else None

    def to_json(self) -> Json:
        """Return the run's results; times are ISO-8601."""
        return {
            "started_at": self.started_at.isoformat(),
            "mode": self.mode,
            "seconds": self.seconds,
            "sources": {name: read.to_json() for name, read in self.sources.items()},
            "models": {made.name: made.rows for made in self.made},
            "bytes_processed": self.bytes_processed,
            "checks": self.statuses,
        }

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class LastTest:
    """The results of the checks that `test` ran on one build, and the time of the last one (UTC).

    `build` is when that build started.
    """

    build: datetime
    at: datetime
    checks: tuple[CheckResult, ...]

    def to_json(self) -> Json:
        """Return the fields; times are ISO-8601."""
        return {
            "build": self.build.isoformat(),
            "at": self.at.isoformat(),
            "checks": [found.to_json() for found in self.checks],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> LastTest:
        """Read the JSON of `to_json`."""
        return cls(
            datetime.fromisoformat(found["build"]),
            datetime.fromisoformat(found["at"]),
            tuple(CheckResult.from_json(each) for each in found["checks"]),
        )

    def over(self, earlier: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
        """Return earlier results with these in their place."""
        both = {(each.model, each.name): each for each in (*earlier, *self.checks)}
        return tuple(both.values())


@dataclass(frozen=True)
class Freshness:
    """A source of the published build: its newest load and event (UTC), and its age.

    The age is that of the newest event; all three are None if the source has no such times.
    `rows` are those of the last builds that read the source, the latest first.
    """

    source: str
    newest_load: datetime | None
    newest_event: datetime | None
    age: timedelta | None
    rows: tuple[int, ...]
    status: FreshnessStatus

    def to_json(self) -> Json:
        """Return the fields; times are ISO-8601, the age is in seconds."""
        return {
            "source": self.source,
            "newest_load": self.newest_load and self.newest_load.isoformat(),
            "newest_event": self.newest_event and self.newest_event.isoformat(),
            "age_seconds": None if self.age is None else self.age.total_seconds(),
            "rows": list(self.rows),
            "status": self.status,
        }


@dataclass(frozen=True)
class Overview:
    """The overview of a backend: the last build, and the layer of each model by its name.

    `problem` says why the last build can't be read.
    """

    place: str
    layers: Mapping[str, str]
    run: RunRecord | None
    problem: str = ""
