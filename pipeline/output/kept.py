"""Writes a run's results and its failing rows to files that the user names."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from pipeline.backends.base import Tables
from pipeline.disk import writing
from pipeline.errors import PipelineError
from pipeline.output.lines import Event
from pipeline.results import CheckResult, Result


@dataclass(frozen=True)
class ResultsFile:
    """A file of results as JSON; it never holds the results of an earlier run."""

    path: Path

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Write that the run has not ended; if it ends without results, write why.

        Raises:
            ResourceError: the disk is full.
            UsageError: the file can't be written.
        """
        self._say("This run has not ended, or it was stopped.", "", None)
        try:
            yield
        except PipelineError as error:
            self.fail(error.what, error.next_step, error.exit_status)
            raise

    def fail(self, what: str, next_step: str, status: int) -> None:
        """Write why there are no results."""
        self._say(what, next_step, status)

    def write(self, result: Result) -> None:
        """Write the results."""
        self._write(result.to_json())

    def _say(self, what: str, next_step: str, status: int | None) -> None:
        error = {"message": what, "next_step": next_step, "exit_status": status}
        self._write({"ok": False, "error": error})

    def _write(self, fields: Mapping[str, Any]) -> None:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class FailureStore:
    """A folder with each check's failing rows, masked, in `<model>.<check>.parquet`."""

    folder: Path

    def begin(self) -> None:
        """Make the folder, and check that it can be written to.

        Raises:
            ResourceError: the disk is full.
            UsageError: the folder can't be written to.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass

    def path(self, found: CheckResult) -> Path:
        """Return the file of one check."""
        return self.folder / f"{found.model}.{found.name}.parquet"

    def clear(self, event: Event) -> None:
        """Remove an earlier run's failing rows of a check, once the check has run again."""
        if isinstance(event, CheckResult) and event.status in ("PASS", "WARN", "FAIL"):
            with writing(self.folder):
                self.path(event).unlink(missing_ok=True)

    def keep(self, found: CheckResult, rows: ir.Table, tables: Tables) -> None:
        """Write a check's failing rows; the engine writes the file."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            tables.export(rows, self.path(found))
