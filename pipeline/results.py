"""What came of a command, as plain data: what was read, built, checked, digested and found.

Each kind writes itself as JSON field by field, so renaming a field changes no public output. A
record reads itself back; what an older version did not write has a default.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pipeline.display import Displayed

if TYPE_CHECKING:
    import pyarrow as pa

Json = dict[str, Any]
_TIB = 2**40
Severity = Literal["error", "warn"]
ModelStatus = Literal["OK", "ERROR", "SKIP"]
Origin = Literal["given", "recorded", "sample"]
ModelMode = Literal["created", "updated", "kept"]
RunMode = Literal["full", "partial", "incremental"]
CheckStatus = Literal["PASS", "WARN", "FAIL", "ERROR", "SKIP"]
Level = Literal["error", "cost"]


@dataclass(frozen=True)
class Started:
    """Work on a model or on its checks begins: for progress."""

    name: str
    what: Literal["model", "checks"]
    number: int
    of: int


@dataclass(frozen=True)
class Read:
    """What a build has read of a source, before it builds anything.

    `inputs` are absolute paths and globs, or a warehouse's table, of which `files` is None.
    `origin` says who named them: the user, the record of an earlier build, or nobody: then they
    are the sample. An incremental build reads the files and rows that are new; builds before it
    have read `rows_before`.
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
    """A table that an earlier build made is gone, since no model makes it any more."""

    name: str

    def to_json(self) -> Json:
        """Return the fields."""
        return {"name": self.name}


@dataclass(frozen=True)
class Note:
    """Whoever builds should know this, in a line: it went well, yet not as they may expect."""

    text: str

    def to_json(self) -> Json:
        """Return the field."""
        return {"message": self.text}


@dataclass(frozen=True)
class ModelResult:
    """What came of building one model; `seconds` is the engine's time for it.

    `bytes_processed` and `bytes_billed` are None where the engine does not charge by bytes.
    `built_at` is when the build that last changed the table started (UTC), `made_from` says the
    same of each upstream as it was then (ISO-8601). An incremental build updates or keeps a table:
    `rows_came` and `rows_went` are the rows that it added and took away. `reason` says why a model
    was made in full. `fingerprint` is of the code that the model was made by, part by part.
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
    """What came of one check: how many rows break it, and a few of them, masked as asked for.

    `changed_rows` are the rows that an incremental build looked at, None where it was all of them.
    `fingerprint` is of the check's code.
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
        """Whether this keeps a build from being published."""
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
    """What came of a build, run or test.

    `published` is None for a test, which publishes nothing. `mode` says how a build went about it.
    """

    models: list[ModelResult] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """The tables of models that are no more, which the build dropped."""
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


@dataclass(frozen=True)
class Loaded:
    """What was loaded into a raw table; `bytes` are those of the files that were sent."""

    source: str
    rows: int
    bytes: int
    seconds: float

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "source": self.source,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Estimate:
    """The bytes that building a model would scan, or why nobody knows them yet."""

    name: str
    bytes: int | None
    unknown: str = ""

    def to_json(self) -> Json:
        """Return the fields."""
        return {"name": self.name, "bytes": self.bytes, "unknown": self.unknown}


@dataclass(frozen=True)
class Price:
    """The bytes of all models whose bytes are known, and their price in US dollars."""

    bytes: int
    price: float
    complete: bool

    @classmethod
    def of(cls, found: Sequence[Estimate], price_per_tib: float) -> Price:
        """Add estimates up."""
        known = sum(estimate.bytes or 0 for estimate in found)
        complete = all(estimate.bytes is not None for estimate in found)
        return cls(known, known / _TIB * price_per_tib, complete)

    def to_json(self) -> Json:
        """Return the fields."""
        return {"bytes": self.bytes, "price": self.price, "complete": self.complete}


@dataclass(frozen=True)
class Digest:
    """A model's content: equal content has an equal digest, on every engine, in any row order."""

    rows: int
    digest: str

    def to_json(self) -> Json:
        """Return the fields."""
        return {"rows": self.rows, "digest": self.digest}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Digest:
        """Read what `to_json` wrote."""
        return cls(found["rows"], found["digest"])


class Digests(Displayed, dict[str, Digest]):
    """Digests by model, in dependency order."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Difference:
    """A model that two sets of digests disagree about; None where a set does not have it."""

    model: str
    left: Digest | None
    right: Digest | None


@dataclass(frozen=True)
class ModelDiff:
    """How the rows of a model differ in two databases, called A and B.

    A row is `changed` where both have its key with other values; `columns` counts the changed rows
    by column. Without a unique key a changed row is one only in A and another only in B. `notes`
    say what could not be compared. `samples` are a few rows of each kind, sensitive values masked.
    """

    model: str
    rows: tuple[int | None, int | None]
    only_in_a: int = 0
    only_in_b: int = 0
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    samples: Mapping[str, pa.Table] = field(default_factory=dict, compare=False)

    @property
    def differs(self) -> bool:
        """Whether anything is different."""
        return bool(self.only_in_a or self.only_in_b or self.changed or self.notes)


@dataclass(frozen=True, repr=False)
class Diff(Displayed):
    """How the models differ in two databases, in dependency order."""

    a: str
    b: str
    models: tuple[ModelDiff, ...]

    def __repr__(self) -> str:
        return str(self)

    @property
    def differing(self) -> tuple[ModelDiff, ...]:
        """The models that are not the same."""
        return tuple(model for model in self.models if model.differs)


@dataclass(frozen=True)
class Finding:
    """One place in one model that breaks a rule of the portability check."""

    model: str
    rule: str
    level: Level
    where: str
    reason: str
    remedy: str
    link: str

    def to_json(self) -> Json:
        """Return the fields."""
        return {
            "model": self.model,
            "rule": self.rule,
            "level": self.level,
            "where": self.where,
            "reason": self.reason,
            "remedy": self.remedy,
            "link": self.link,
        }
