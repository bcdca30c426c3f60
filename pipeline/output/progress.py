"""Results told while a build or test goes on, and failing rows kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import ibis.expr.types as ir
from rich.console import Console
from rich.status import Status
from rich.text import Text

from pipeline.backends.base import Tables
from pipeline.disk import writing
from pipeline.errors import PipelineError
from pipeline.output import render
from pipeline.results import CheckResult, Started


class People:
    """One line for each result, failing rows below it, and on a terminal what goes on now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    def __enter__(self) -> None:
        if self._console.is_terminal:
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

    def __call__(self, event: render.Event) -> None:
        """Tell one event."""
        if isinstance(event, Started):
            if self._status:
                doing = "building" if event.what == "model" else "checking"
                self._status.update(f"{event.number} of {event.of}: {doing} {event.name}")
            return
        self._console.print(Text(render.line(event), style=render.style(event)))
        if isinstance(event, CheckResult) and event.sample is not None:
            self._console.print(render.Rows(event.sample))


class JsonLines:
    """One JSON object a line for each result, and for what put an end to them."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, PipelineError):
            self._write(render.error_json(error))

    def __call__(self, event: render.Event) -> None:
        """Tell one event."""
        if not isinstance(event, Started):
            self._write(render.event_json(event))

    def _write(self, fields: Mapping[str, Any]) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class FailureStore:
    """Writes the rows that break a rule to `FOLDER/<model>.<check>.parquet`, as the engine can."""

    folder: Path

    def __call__(self, found: CheckResult, rows: ir.Table, tables: Tables) -> None:
        """Keep the rows of one failing check."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            tables.export(rows, self.folder / f"{found.model}.{found.name}.parquet")
