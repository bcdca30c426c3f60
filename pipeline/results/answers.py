"""A warehouse's loads and estimates, and findings of the portability check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.results.steps import Json

Level = Literal["error", "cost"]
_TIB = 2**40


@dataclass(frozen=True)
class Loaded:
    """A loaded raw table; `bytes` are those of the files that were sent."""

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
    """The bytes that BigQuery would bill for building a model, or why they are unknown."""

    name: str
    bytes: int | None
    unknown: str = ""

    def to_json(self) -> Json:
        """Return the fields."""
        return {"name": self.name, "bytes": self.bytes, "unknown": self.unknown}


@dataclass(frozen=True)
class Price:
    """The sum of the known estimates in bytes, and its price in US dollars."""

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
