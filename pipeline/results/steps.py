"""The events of a build or test while it runs, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pipeline.display import Displayed

if TYPE_CHECKING:
    import pyarrow as pa

Json = dict[str, Any]
Severity = Literal["error", "warn"]
ModelStatus = Literal["OK", "ERROR", "SKIP"]
Origin = Literal["given", "recorded", "sample"]
ModelMode = Literal["created", "updated", "kept"]
RunMode = Literal["full", "partial", "incremental"]
CheckStatus = Literal["PASS", "WARN", "FAIL", "ERROR", "SKIP"]


@dataclass(frozen=True)
class Started:
    """Work on a model or on its checks begins, to show progress."""

    name: str
    what: Literal["model", "checks"]
    number: int
    of: int


@dataclass(frozen=True)
class Read:
    """The files and rows of a source that a build has read, before it builds anything.

    `inputs` are absolute paths and globs, or a warehouse's table; then `files` is None. `origin`
    says who named them: the user, the record of an earlier build, or nobody: then they are the
    sample. An incremental build counts only new files and rows; earlier builds have read
    `rows_before`.
    """

    source: str
    inputs: tuple[str, ...]
    rows: int
    files: int | None = None
    origin: Origin = "given"
    rows_before: int | None = None

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "source": self.source,
            "inputs": list(self.inputs),
            "rows": self.rows,
            "files": self.files,
            "origin": self.origin,
            "rows_before": self.rows_before,
        }


@dataclass(frozen=True)
class Dropped:
    """The build dropped a table of an earlier build, because no model makes it any more."""

    name: str

    def to_json(self) -> Json:
        """Return the fields."""
        return {"name": self.name}


@dataclass(frozen=True)
class Note:
    """A note to the user, a line: the build went well, but perhaps not as expected."""

    text: str

    def to_json(self) -> Json:
        """Return the field."""
        return {"message": self.text}


@dataclass(frozen=True)
class ModelResult:
    """The result of building one model; `seconds` is the engine's time for it.

    `bytes_processed` and `bytes_billed` are None if the engine does not bill bytes. `built_at` is
    the start of the build that last changed the table (UTC); `made_from` has the `built_at` of each
    upstream table at that time (ISO-8601). An incremental build updates or keeps a table:
    `rows_came` and `rows_went` are the numbers of rows that it added and removed. `reason` says why
    it made a model in full. `fingerprint` has the parts of the fingerprint of the model's code.
    """

    name: str
    materialized: str
    status: ModelStatus
    rows: int | None = None
    seconds: float = 0.0
    message: str = ""
    bytes_processed: int | None = None
    bytes_billed: int | None = None
    built_at: datetime | None = None
    mode: ModelMode = "created"
    reason: str = ""
    rows_came: int | None = None
    rows_went: int | None = None
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the fields; the time is ISO-8601."""
        return {
            "name": self.name,
            "materialized": self.materialized,
            "status": self.status,
            "rows": self.rows,
            "seconds": self.seconds,
            "message": self.message,
            "bytes_processed": self.bytes_processed,
            "bytes_billed": self.bytes_billed,
            "built_at": self.built_at.isoformat() if self.built_at else None,
            "mode": self.mode,
            "reason": self.reason,
            "rows_came": self.rows_came,
            "rows_went": self.rows_went,
            "fingerprint": dict(self.fingerprint),
            "made_from": dict(self.made_from),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> ModelResult:
        """Read what `to_json` wrote, in this version or an older one."""
        built_at = found.get("built_at")
        return cls(
            found["name"],
            found.get("materialized", "table"),
            found.get("status", "OK"),
            found.get("rows"),
            found.get("seconds", 0.0),
            found.get("message", ""),
            found.get("bytes_processed"),
            found.get("bytes_billed"),
            datetime.fromisoformat(built_at) if built_at else None,
            found.get("mode", "created"),
            found.get("reason", ""),
            found.get("rows_came"),
            found.get("rows_went"),
            found.get("fingerprint", {}),
            found.get("made_from", {}),
        )


@dataclass(frozen=True, repr=False)
class CheckResult(Displayed):
    """The result of one check: the number of failing rows, and a few of them, masked by default.

    `changed_rows` is the number of rows that an incremental build checked, None for all rows.
    `fingerprint` is that of the check's code.
    """

    model: str
    name: str
    severity: Severity
    description: str
    status: CheckStatus
    failures: int = 0
    seconds: float = 0.0
    message: str = ""
    changed_rows: int | None = None
    fingerprint: str = ""
    sample: pa.Table | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"<{self.status} {self.failures:,} {self.model}.{self.name}>"

    @property
    def failed(self) -> bool:
        """Whether this result stops a build from publishing."""
        return self.status in ("FAIL", "ERROR")

    def to_json(self) -> Json:
        """Return the fields, without any row."""
        return {
            "model": self.model,
            "name": self.name,
            "severity": self.severity,
            "description": self.description,
            "status": self.status,
            "failures": self.failures,
            "seconds": self.seconds,
            "message": self.message,
            "changed_rows": self.changed_rows,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> CheckResult:
        """Read what `to_json` wrote, in this version or an older one."""
        return cls(
            found["model"],
            found["name"],
            found.get("severity", "error"),
            found.get("description", ""),
            found["status"],
            found.get("failures", 0),
            found.get("seconds", 0.0),
            found.get("message", ""),
            found.get("changed_rows"),
            found.get("fingerprint", ""),
        )


@dataclass(repr=False)
class Result(Displayed):
    """The result of a build, run or test.

    `published` is None for a test, which publishes nothing. `mode` is a build's mode, such as full.
    """

    models: list[ModelResult] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """The tables that the build dropped, because no model makes them any more."""
    sources: list[Read] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    published: bool | None = None
    seconds: float = 0.0
    mode: RunMode | None = None

    def __repr__(self) -> str:
        return str(self)

    @property
    def ok(self) -> bool:
        """Whether no model and no check of severity error failed."""
        return not any(result.status == "ERROR" for result in self.models) and not any(
            result.failed for result in self.checks
        )

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of the `Done.` line; models built and checks count alike."""
        statuses = ["PASS" if result.status == "OK" else result.status for result in self.models]
        statuses += [result.status for result in self.checks]
        names = ("PASS", "WARN", "FAIL", "ERROR", "SKIP")
        return {name: statuses.count(name) for name in names} | {"TOTAL": len(statuses)}

    def to_json(self) -> Json:
        """Return all results as one object."""
        return {
            "ok": self.ok,
            "published": self.published,
            "seconds": self.seconds,
            "mode": self.mode,
            "counts": self.counts,
            "notes": [note.text for note in self.notes],
            "sources": [read.to_json() for read in self.sources],
            "models": [made.to_json() for made in self.models],
            "checks": [found.to_json() for found in self.checks],
            "dropped": self.dropped,
        }
