"""Results as lines, tables and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipeline.contract import Model
from pipeline.errors import PipelineError
from pipeline.results import (
    CheckResult,
    Difference,
    Digest,
    Dropped,
    Estimate,
    Finding,
    Loaded,
    ModelResult,
    Price,
    Result,
    Started,
)

STYLES = {"OK": "green", "PASS": "green", "WARN": "yellow", "SKIP": "dim"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
Told = ModelResult | CheckResult | Dropped
Event = Started | Told


def line(event: Told) -> str:
    """Return the one line that tells a model's or a check's result, or what was dropped."""
    if isinstance(event, Dropped):
        return f"dropped {event.name}: no model makes it any more"
    return _model_line(event) if isinstance(event, ModelResult) else _check_line(event)


def style(event: Told) -> str:
    """Return the colour of the event's line."""
    return "" if isinstance(event, Dropped) else STYLES.get(event.status, "red")


def done(result: Result) -> str:
    """Return the last line of a build, run or test."""
    return "Done. " + " ".join(f"{name}={number}" for name, number in result.counts.items())


def loaded_line(made: Loaded) -> str:
    """Return the line that tells what was loaded."""
    what = f"{made.source} ({made.rows:,} rows, {size(made.bytes)})"
    return f"OK loaded {what} in {made.seconds:.2f}s"


def estimate_line(found: Estimate) -> str:
    """Return the line that tells what building a model would scan."""
    if found.bytes is None:
        return f"{found.name}: {found.unknown}"
    return f"{found.name}: {size(found.bytes)}"


def price_line(found: Price, price_per_tib: float) -> str:
    """Return the last line of a dry run."""
    scope = "" if found.complete else "at least "
    price = f"{scope}{found.price:,.2f} USD at {price_per_tib:,.2f} USD per TiB"
    return f"Sum: {scope}{size(found.bytes)}, {price}. Nothing was built."


def size(number_of_bytes: int) -> str:
    """Return a number of bytes for people, in binary units."""
    if number_of_bytes < 1024:
        return f"{number_of_bytes} B"
    number = float(number_of_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024:
            return f"{number:,.1f} {unit}"
    return f"{number / 1024:,.1f} TiB"


def event_json(event: Told) -> dict[str, Any]:
    """Return an event as a JSON object of one log line; failing rows are left out."""
    kinds = {ModelResult: "model", CheckResult: "check", Dropped: "dropped"}
    return {"event": kinds[type(event)], **event.to_json()}


def error_json(error: PipelineError) -> dict[str, Any]:
    """Return an expected failure as a JSON object of one log line."""
    return {
        "event": "error",
        "message": error.what,
        "next_step": error.next_step,
        "exit_status": error.exit_status,
    }


def done_json(result: Result) -> dict[str, Any]:
    """Return the end of a build, run or test as a JSON object of one log line."""
    return {
        "event": "done",
        "ok": result.ok,
        "published": result.published,
        "seconds": result.seconds,
        **result.counts,
    }


def models_json(models: Sequence[Model]) -> list[dict[str, Any]]:
    """Return models as JSON objects, one each."""
    return [
        {
            "name": model.name,
            "layer": model.layer,
            "tags": list(model.tags),
            "key": list(model.key),
            "materialized": model.materialized,
            "grain": model.grain,
            "reads": list(model.upstream),
        }
        for model in models
    ]


def models_table(models: Sequence[Model]) -> Table:
    """Return models as a table for people, one row each."""
    table = Table("model", "layer", "tags", "key", "stored as", box=box.SIMPLE_HEAD)
    for model in models:
        table.add_row(
            model.name,
            model.layer,
            ", ".join(model.tags),
            ", ".join(model.key) or "-",
            model.materialized,
        )
    return table


def digests_table(digests: Mapping[str, Digest]) -> Table:
    """Return digests as a table for people, one row each."""
    table = Table("model", box=box.SIMPLE_HEAD)
    table.add_column("rows", justify="right")
    table.add_column("digest")
    for name, found in digests.items():
        table.add_row(name, f"{found.rows:,}", found.digest)
    return table


def difference_line(found: Difference, left: str, right: str) -> str:
    """Return the line that says how the files `left` and `right` differ in a model."""
    if found.left is None:
        return f"{found.model}: only in {right}"
    if found.right is None:
        return f"{found.model}: only in {left}"
    if found.left.rows != found.right.rows:
        return f"{found.model}: {found.left.rows:,} rows in {left}, {found.right.rows:,} in {right}"
    return f"{found.model}: {found.left.rows:,} rows in both, but other content"


def finding_text(finding: Finding) -> str:
    """Return what a rule found, for people: what and where, why, and what to write instead."""
    return (
        f"{finding.level.upper()} {finding.model}: {finding.rule}: {finding.where}\n"
        f"  {finding.reason}\n  {finding.remedy}\n  {finding.link}"
    )


def rows_table(rows: pa.Table) -> Table:
    """Return rows as a table for people."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in rows.column_names:
        numeric = pa.types.is_integer(rows.schema.field(name).type)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows.to_pylist():
        table.add_row(*(Text(_on_screen(value)) for value in row.values()))
    return table


def rows_records(rows: pa.Table) -> str:
    """Return rows one below the other, a line for each column: for tables too wide to read."""
    width = max(map(len, rows.column_names))
    records = [
        "\n".join(f"{name:<{width}}  {_on_screen(value)}" for name, value in row.items())
        for row in rows.to_pylist()
    ]
    return "\n\n".join(records)


def rows_json(rows: pa.Table) -> str:
    """Return rows as a JSON list of objects; times are ISO-8601."""
    return json.dumps(_plain(rows.to_pylist()), ensure_ascii=False, indent=2)


def object_json(value: Mapping[str, Any]) -> str:
    """Return an object of plain values and times as JSON; times are ISO-8601."""
    return json.dumps(_plain(value), ensure_ascii=False, indent=2)


def rows_csv(rows: pa.Table) -> str:
    """Return rows as CSV with a header; arrays and structs are JSON, NULL is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in rows.to_pylist():
        writer.writerow("" if value is None else _cell(value) for value in row.values())
    return text.getvalue()


@dataclass(frozen=True)
class Rows:
    """Rows that rich can print: as a table, or as records where the table would not fit."""

    rows: pa.Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose what fits."""
        table, width = rows_table(self.rows), options.max_width
        fits = Measurement.get(console, options, table).minimum <= width
        if fits and len(self.rows.column_names) <= _most_columns(width):
            yield table
        else:
            yield Text(rows_records(self.rows))


def _most_columns(width: int) -> int:
    return max(3, width // 18)


def _model_line(made: ModelResult) -> str:
    if made.status == "SKIP":
        return f"SKIP {made.name}: {made.message}"
    if made.status == "ERROR":
        what = f"ERROR creating {made.materialized} {made.name}"
        return f"{what} in {made.seconds:.2f}s: {made.message}"
    rows = f"{made.rows:,} row" + ("" if made.rows == 1 else "s")
    scanned = "" if made.bytes_processed is None else f", {size(made.bytes_processed)} scanned"
    what = f"{made.materialized} {made.name} ({rows}{scanned})"
    return f"OK created {what} in {made.seconds:.2f}s"


def _check_line(found: CheckResult) -> str:
    name = f"{found.model}.{found.name}"
    if found.status in ("SKIP", "ERROR"):
        return f"{found.status} {name}: {found.message}"
    number = f" {found.failures:,}" if found.failures else ""
    because = f": {found.message}" if found.message else ""
    return f"{found.status}{number} {name} in {found.seconds:.2f}s{because}"


def _on_screen(value: Any) -> str:
    # what the data holds must not move the cursor, nor break the line
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), _cell(value))


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | dict):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return str(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(field) for name, field in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
