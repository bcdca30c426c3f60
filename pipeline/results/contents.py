"""What two databases hold, and how they differ."""

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
