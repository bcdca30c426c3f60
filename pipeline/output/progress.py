"""Prints results while a build or test runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.status import Status

from pipeline.output import lines, render
from pipeline.output.fitting import Wrapped
from pipeline.output.rows import rows_table
from pipeline.results import CheckResult, Dropped, ModelResult, Note, Read, Started


class People:
    """Prints lines for people as results come: one per model, or with `every` one per check too.

    Failing rows follow their check. On a terminal, a last line shows the current step. `quiet`
    prints nothing before the end.
    """

    def __init__(self, console: Console, *, every: bool, quiet: bool) -> None:
        self._console = console
        self._every = every
        self._quiet = quiet
        self._status: Status | None = None
        self._made: ModelResult | None = None
        self._checks: list[CheckResult] = []

    def __enter__(self) -> None:
        if self._console.is_terminal and not self._quiet:
            self._status = self._console.status("reading the sources")
            self._status.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()
        self._tell_model()

    def __call__(self, event: lines.Event) -> None:
        """Print one event, at the latest when the next model begins."""
        if self._quiet:
            return
        if isinstance(event, Started):
            self._begin(event)
        elif self._every or isinstance(event, Note | Read | Dropped):
            self._tell_model()
            self._tell(event)
        elif isinstance(event, ModelResult):
            self._tell_model()
            self._made = event
        else:
            self._checks.append(event)

    def _begin(self, event: Started) -> None:
        if event.what == "model" or self._made is None:
            self._tell_model()
        if self._status:
            doing = "building" if event.what == "model" else "checking"
            self._status.update(f"{event.number} of {event.of}: {doing} {event.name}")

    def _tell_model(self) -> None:
        """Print a model and its checks on one line, then the checks that did not pass."""
        made, checks = self._made, self._checks
        self._made, self._checks = None, []
        if made or any(found.status == "PASS" for found in checks):
            self._print(Wrapped(lines.short_line(made, checks, self._console.width)))
        if made is None or made.status == "OK":
            for found in checks:
                if found.status != "PASS":
                    self._tell(found)

    def _tell(self, event: lines.Told) -> None:
        self._print(Wrapped(lines.line(event)))
        if isinstance(event, CheckResult) and event.sample is not None:
            self._print(rows_table(event.sample))

    def _print(self, shown: RenderableType) -> None:
        self._console.print(shown, crop=False)


class JsonLines:
    """Prints one JSON object a line for each result."""

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._write = write

    def __call__(self, event: lines.Event) -> None:
        """Print one event."""
        if not isinstance(event, Started):
            self._write(render.event_json(event))
