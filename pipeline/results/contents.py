"""The contents of databases, the differences of two, and the proof of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.display import Displayed

if TYPE_CHECKING:
    import pyarrow as pa

from pipeline.results.steps import Json


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
    """A model whose digests differ in two sets; None if a set does not have it."""

    model: str
    left: Digest | None
    right: Digest | None


@dataclass(frozen=True)
class ModelDiff:
    """How the rows of a model differ in two databases, called A and B.

    A row is `changed` if both have its key with different values; `columns` counts the changed rows
    by column. Without a unique key, a changed row counts as one only in A and one only in B.
    `notes` name the columns that could not be compared. `samples` are a few rows of each kind, with
    sensitive values masked.
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
        """Whether the two differ."""
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
        """The models that differ."""
        return tuple(model for model in self.models if model.differs)


@dataclass(frozen=True, repr=False)
class Verification(Displayed):
    """The published rows (A) beside the same rows made anew (B).

    `percent` of all devices were chosen by `seed`, with the devices that share a command id with
    them; these are `devices` of `all_devices`, with `events` of `all_events` raw rows. `made_from`
    says for each model what its rows were made anew from.
    """

    diff: Diff
    percent: float
    seed: int
    devices: int
    all_devices: int | None
    events: int
    all_events: int
    made_from: Mapping[str, str]

    def __repr__(self) -> str:
        return str(self)

    @property
    def ok(self) -> bool:
        """Whether all published rows are as they should be."""
        return not self.diff.differing
