"""The contents of databases, and the differences of two."""

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
