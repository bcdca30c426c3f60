"""One program with a failure: the harnesses that let each step fail once try many of these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A program of some kind whose step number `at` fails in some way.

    The seed decides what else happens meanwhile; its text, with `--only`, repeats the schedule.
    """

    kind: str
    how: str
    at: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.how}:{self.at}:{self.seed}"

    @classmethod
    def of(cls, text: str) -> Schedule:
        """Read what `str` wrote."""
        kind, how, at, *seed = text.split(":")
        return cls(kind, how, int(at), int(seed[0]) if seed else 0)
