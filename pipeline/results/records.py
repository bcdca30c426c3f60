"""What a database keeps of its builds, and what a picture of it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.display import Displayed
from pipeline.results.steps import CheckResult, Json, ModelResult, RunMode


@dataclass(frozen=True)
class FileRead:
    """One file that was read: its real path, its state before that, and its rows.

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
    """What the published tables were made of: where from, how many raw rows, and read when.

    `files` are all that the rows are from; a database keeps those of raw_sync_events in a table of
    their own. `read_at` is when the build that read the source last started (ISO-8601). An
    incremental build read `new_files` of them, with `new_rows`.
    """

    inputs: tuple[str, ...]
    rows: int
    files: tuple[FileRead, ...] = ()
    read_at: str = ""
    new_files: int | None = None
    new_rows: int | None = None

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "inputs": list(self.inputs),
            "rows": self.rows,
            "files": [each.to_json() for each in self.files],
            "read_at": self.read_at,
            "new_files": self.new_files,
            "new_rows": self.new_rows,
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
        )


@dataclass(frozen=True, repr=False)
class RunRecord(Displayed):
    """One build as its database keeps it: what the build read, built and found.

    `sources` holds, for each source, the latest reading that the published tables are made of.
    `models` and `checks` are about all that is published: what this run did not touch is as the
    run before recorded it. `code` stands for the pipeline's code, `engine` for the engine's version
    (1.5).
    """

    started_at: datetime
    seconds: float
    sources: Mapping[str, SourceRead]
    models: tuple[ModelResult, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    mode: RunMode = "full"
    code: str = ""
    engine: str = ""

    @property
    def made(self) -> tuple[ModelResult, ...]:
        """The models that this run built; older versions did not tell them from the others."""
        return tuple(m for m in self.models if m.built_at in (None, self.started_at))

    @property
    def statuses(self) -> dict[str, int]:
        """The number of this run's checks by status."""
        names = {made.name for made in self.made}
        return dict(Counter(found.status for found in self.checks if found.model in names))

    @property
    def bytes_processed(self) -> int | None:
        """The bytes that the run scanned, None where the engine does not charge by bytes."""
        scanned = [m.bytes_processed for m in self.made if m.bytes_processed is not None]
        return sum(scanned) if scanned else None

    def to_json(self) -> Json:
        """Return what the run did; times are ISO-8601."""
        return {
            "started_at": self.started_at.isoformat(),
            "seconds": self.seconds,
            "sources": {name: read.to_json() for name, read in self.sources.items()},
            "models": {made.name: made.rows for made in self.made},
            "bytes_processed": self.bytes_processed,
            "checks": self.statuses,
        }

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Overview:
    """What there is on a backend: the last build, and the layer of each model by its name.

    `problem` says why the last build can't be read.
    """

    place: str
    layers: Mapping[str, str]
    run: RunRecord | None
    problem: str = ""
