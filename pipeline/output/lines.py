"""The results of a build, run or test as lines for people, in the style of dbt.

Only `line` makes a result's line.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.output.fitting import Wrapped, as_it_is
from pipeline.results import CheckResult, Dropped, ModelResult, Note, Read, Result, Started

Told = Note | Read | ModelResult | CheckResult | Dropped
Event = Started | Told
STYLES = {"OK": "green", "PASS": "green", "WARN": "yellow", "SKIP": "dim"}
_MOST_INPUTS = 3
_LITERAL = re.compile(r"\[([*?[])\]")
NOT_PUBLISHED = "Nothing was published: the last build is unchanged."
_WORST_LAST = ("WARN", "FAIL", "ERROR")
"""The statuses that the end of a run repeats."""


def line(event: Told) -> Text:
    """Return the line of an event."""
    if isinstance(event, Note):
        return Text(event.text)
    if isinstance(event, Read):
        return Text(_read_line(event))
    if isinstance(event, Dropped):
        return Text(f"dropped {event.name}: no model makes it any more")
    told = _model_line(event) if isinstance(event, ModelResult) else _check_line(event)
    return Text(told, style=_style(event.status))


def short_line(made: ModelResult | None, checks: Sequence[CheckResult], width: int) -> Text:
    """Return one line with a model's result and the number of its checks.

    A test makes no model: then the line is about the checks only. A screen that is too narrow
    leaves out the time.
    """
    if made is None:
        return Text(f"PASS {checks[0].model} ({_passed(checks)})", style=STYLES["PASS"])
    told = _model_line(made, checks)
    if made.status == "OK" and len(told) > width:
        told = told.rpartition(" in ")[0]
    return Text(told, style=_style(made.status))


def recap(result: Result, rows_of: Callable[[CheckResult], str]) -> Iterator[RenderableType]:
    """Repeat, above the last line, the results that need a look; `rows_of` says how to see rows.

    Errors come last, next to the last line.
    """
    for status in _WORST_LAST:
        yield from (Wrapped(line(made)) for made in result.models if made.status == status)
        yield from (_again(found, rows_of) for found in result.checks if found.status == status)


def done(result: Result) -> str:
    """Return the last line of a build, run or test."""
    return "Done. " + " ".join(f"{name}={number}" for name, number in result.counts.items())


def number_of(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


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


def _again(found: CheckResult, rows_of: Callable[[CheckResult], str]) -> RenderableType:
    number = f" {found.failures:,}" if found.failures else ""
    why = found.message or found.description
    what = f"{found.status}{number} {found.model}.{found.name}: {why}"
    told = Wrapped(Text(what, style=_style(found.status)))
    return told if found.sample is None else Group(told, as_it_is(Text(f"  {rows_of(found)}")))


def _read_line(read: Read) -> str:
    if read.rows_before is not None:
        new = f"{number_of(read.files or 0, 'new file')}, {number_of(read.rows, 'row')}"
        if read.files is None:  # a warehouse's table
            new = number_of(read.rows, "new row")
        return f"read {read.source}: {new} ({read.rows_before:,} read before)"
    inputs = [_place(path) for path in read.inputs[:_MOST_INPUTS]]
    if len(read.inputs) > _MOST_INPUTS:
        inputs.append(f"and {len(read.inputs) - _MOST_INPUTS:,} more")
    place = ", ".join(inputs)
    if read.files is not None and (read.files != 1 or glob.has_magic(place)):
        place = f"{number_of(read.files, 'file')}, {place}"
    origin = {"given": "", "recorded": " (as the last build)", "sample": " (the sample)"}
    return f"read {read.source}: {number_of(read.rows, 'row')} of {place}{origin[read.origin]}"


def _place(path: str) -> str:
    """Return a path or glob for people, relative if it is below the current folder."""
    return _LITERAL.sub(r"\1", path).removeprefix(f"{Path.cwd()}{os.sep}")


def _model_line(made: ModelResult, checks: Sequence[CheckResult] = ()) -> str:
    if made.status == "SKIP":
        return f"SKIP {made.name}: {made.message}"
    if made.status == "ERROR":
        what = f"ERROR creating {made.materialized} {made.name}"
        return f"{what} in {made.seconds:.2f}s: {made.message}"
    if made.mode == "kept":
        also = f", {_passed(checks)}" if checks else ""
        return f"OK kept {made.materialized} {made.name} (unchanged{also})"
    details = [number_of(made.rows or 0, "row")]
    if made.rows_came is not None and made.rows_went is not None:
        details.insert(0, f"+{made.rows_came:,} -{made.rows_went:,}")
    if made.bytes_processed is not None:
        details.append(f"{size(made.bytes_processed)} scanned")
    if checks:
        details.append(_passed(checks))
    what = f"{made.materialized} {made.name} ({', '.join(details)})"
    why = f" ({made.reason})" if made.reason else ""
    return f"OK {made.mode} {what} in {made.seconds:.2f}s{why}"


def _passed(checks: Sequence[CheckResult]) -> str:
    passed = sum(found.status == "PASS" for found in checks)
    rows = max((found.changed_rows or 0 for found in checks), default=0)
    scope = f" of {number_of(rows, 'changed row')}" if rows else ""
    if passed < len(checks):
        return f"{passed} of {len(checks)} checks{scope}"
    return number_of(passed, "check") + scope


def _check_line(found: CheckResult) -> str:
    name = f"{found.model}.{found.name}"
    if found.status in ("SKIP", "ERROR"):
        return f"{found.status} {name}: {found.message}"
    number = f" {found.failures:,}" if found.failures else ""
    because = f": {found.message}" if found.message else ""
    scope = (
        "" if found.changed_rows is None else f" of {number_of(found.changed_rows, 'changed row')}"
    )
    return f"{found.status}{number} {name}{scope} in {found.seconds:.2f}s{because}"


def _style(status: str) -> str:
    return STYLES.get(status, "red")
