"""The expected failures: each says what happened and the next step, and knows its exit status."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PipelineError(Exception):
    """An expected failure, told to the user as a message without a traceback.

    `what` names the thing and the place (file, column, model), `next_step` what to do about it.
    """

    exit_status = 1

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n{self.next_step}" if self.next_step else self.what


class UsageError(PipelineError):
    """The request can't be understood or can't be met as asked: exit status 2."""

    exit_status = 2


class InputError(PipelineError):
    """An input file or source table can't be used: exit status 2."""

    exit_status = 2


class ContractError(PipelineError):
    """A model's expression and its declared contract disagree: exit status 1."""


class EngineError(PipelineError):
    """The engine could not run a model's or a check's statement: exit status 1."""


class ResourceError(PipelineError):
    """Disk or memory ran out: exit status 1."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean a or b?" for the known names nearest to `name`, else their list."""
    names = sorted(known)
    if near := _near(name, names, 3):
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(names)}."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `did you mean "a"` for the known name nearest to `name`, else their list."""
    names = list(known)
    if near := _near(name, names, 1):
        return f'did you mean "{near[0]}"'
    return f"known: {', '.join(names) or 'none'}"


def _near(name: str, known: Iterable[str], most: int) -> list[str]:
    candidates = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), candidates, n=most, cutoff=0.5)
    return [candidates[match] for match in found]
