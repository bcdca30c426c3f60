"""The expected failures: each says what happened and the next step, and knows its exit status."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_COMMAND = re.compile(
    r"(?:python cli\.py )?(?P<made>build|run) --select (?P<select>\S+?)(?=[`\s.,:]|$)"
    r"|python cli\.py (?:(?P<command>build|run|test|docs|load|ls)|show (?P<shown>\w+))"
    r"(?=[`\s.,:]|$)"
)
_OPTION = re.compile(
    r"--(?P<option>[a-z][a-z-]*[a-z])(?:[ =](?P<value>[A-Z]{2,}\b|\+\w+|bigquery|duckdb))?"
)
_CONNECTION = {
    *("database", "threads", "memory-limit", "events", "users"),
    *("project", "dataset", "source-dataset", "location", "api-endpoint"),
    *("max-bytes-billed", "policy-tag"),
}
_FLAGS = {
    *("allow-fewer-rows", "append", "fail-fast", "incremental", "keep-staged"),
    *("preview", "reveal", "warn-error"),
}
_ARGUMENTS = {"columns", "exclude", "limit", "on", "select", "where"}


class PipelineError(Exception):
    """An expected failure: a message to the user, without a traceback.

    `what` names the thing and the place (file, column, model), `next_step` the remedy. Both name
    commands and options of the command line; `str()` names those of Python.
    """

    exit_status = 1

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    @property
    def typed(self) -> str:
        """The message for users of the command line."""
        return f"{self.what}\n{self.next_step}" if self.next_step else self.what

    def __str__(self) -> str:
        return in_python(self.typed)


class UsageError(PipelineError):
    """The request can't be understood or met: exit status 2."""

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


class OutOfMemoryError(ResourceError):
    """Memory ran out: fewer rows at a time may fit."""


def in_python(text: str) -> str:
    """Return a text with Python's calls and arguments in place of commands and options."""
    return _OPTION.sub(_argument, _COMMAND.sub(_call, text))


def _call(found: re.Match[str]) -> str:
    command = found["command"] or found["made"]
    if found["shown"]:
        return f'p.table("{found["shown"]}")'
    if command == "ls":
        return "p.models"
    arguments = [f'select="{found["select"]}"'] if found["select"] else []
    if command == "run":
        return f"p.build({', '.join([*arguments, 'checks=False'])})"
    return f"p.{command}({', '.join(arguments)})"


def _argument(found: re.Match[str]) -> str:
    option, value = found["option"], found["value"]
    name = option.replace("-", "_")
    if option == "backend" and value:
        return f'connect("{value}")'
    if option == "dry-run":
        return "p.estimate()"
    if option in _CONNECTION:
        return f"connect({name}=…)"
    if option in _FLAGS:
        return f"{name}=True" + (f" {value}" if value else "")
    if option in _ARGUMENTS:
        return f'{name}="{value}"' if value else name
    return found[0]


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
