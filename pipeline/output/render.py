"""Results as lines, tables and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.output.fitting import Sheet
from pipeline.output.lines import Told, size
from pipeline.output.moments import moments
from pipeline.output.rows import rows_table
from pipeline.results import (
    CheckResult,
    Diff,
    Difference,
    Digest,
    Dropped,
    Estimate,
    Finding,
    Freshness,
    Loaded,
    ModelDiff,
    ModelResult,
    Note,
    Price,
    Read,
    Result,
    RunRecord,
    Verification,
)

if TYPE_CHECKING:
    from pipeline.contract import Model


_KINDS = {"only_in_a": "only in A", "only_in_b": "only in B", "changed": "changed"}


def loaded_line(made: Loaded) -> str:
    """Return the line of a loaded table."""
    what = f"{made.source} ({made.rows:,} rows, {size(made.bytes)})"
    return f"OK loaded {what} in {made.seconds:.2f}s"


def estimate_line(found: Estimate) -> str:
    """Return the line of the bytes that building a model would scan."""
    if found.bytes is None:
        return f"{found.name}: {found.unknown}"
    return f"{found.name}: {size(found.bytes)}"


def price_line(found: Price, price_per_tib: float) -> str:
    """Return the last line of a dry run."""
    scope = "" if found.complete else "at least "
    price = f"{scope}{found.price:,.2f} USD at {price_per_tib:,.2f} USD per TiB"
    return f"Sum: {scope}{size(found.bytes)}, {price}. Nothing was built."


def event_json(event: Told) -> dict[str, Any]:
    """Return an event as a JSON object of one log line; failing rows are left out."""
    kinds = {
        Read: "read",
        Note: "note",
        ModelResult: "model",
        CheckResult: "check",
        Dropped: "dropped",
    }
    return {"event": kinds[type(event)], **event.to_json()}


def done_json(result: Result) -> dict[str, Any]:
    """Return the end of a build, run or test as a JSON object of one log line."""
    return {
        "event": "done",
        "ok": result.ok,
        "published": result.published,
        "seconds": result.seconds,
        **result.counts,
    }


def models_json(
    models: Sequence[Model], why: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return models as JSON objects, one each; with `why`, the reason that each is modified."""
    return [
        {
            "name": model.name,
            "layer": model.layer,
            "tags": list(model.tags),
            "key": list(model.key),
            "materialized": model.materialized,
            "grain": model.grain,
            "reads": list(model.upstream),
            **({} if why is None else {"modified": why.get(model.name)}),
        }
        for model in models
    ]


def models_table(models: Sequence[Model], why: Mapping[str, str] | None = None) -> Sheet:
    """Return models as a table for people, one row each; with `why`, the reason for each."""
    if why is not None:
        reasons = [(m.name, m.layer, why.get(m.name, "-")) for m in models]
        return Sheet(("model", "layer", "modified"), _texts(reasons), words=("modified",))
    headings = ("model", "layer", "tags", "key", "stored as")
    rows = [
        (m.name, m.layer, ", ".join(m.tags), ", ".join(m.key) or "-", m.materialized)
        for m in models
    ]
    return Sheet(headings, _texts(rows), words=("tags", "key"), spare=("stored as",))


def runs_json(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return builds as JSON objects, one each."""
    return [run.to_json() for run in runs]


def runs_table(runs: Sequence[RunRecord]) -> Sheet:
    """Return builds as a table for people, one row each."""
    numbers = ("seconds", "raw events", "raw users", "models", "rows")
    headings = ("started (UTC)", "mode", *numbers, "scanned", "checks", "inputs")
    started = moments([run.started_at.replace(microsecond=0) for run in runs])
    rows = [
        (
            moment,
            run.mode,
            f"{run.seconds:,.1f}",
            *(_rows_read(run, source) for source in ("raw_sync_events", "raw_users")),
            f"{len(run.made):,}",
            f"{run.rows:,}",
            "-" if run.bytes_processed is None else size(run.bytes_processed),
            ", ".join(f"{number:,} {status}" for status, number in run.statuses.items()) or "-",
            " ".join(path for read in run.sources.values() for path in read.inputs) or "the sample",
        )
        for moment, run in zip(started, runs, strict=True)
    ]
    spare = ("raw users", "models", "scanned", "inputs")
    return Sheet(headings, _texts(rows), right=numbers, words=("checks",), spare=spare)


def _rows_read(run: RunRecord, source: str) -> str:
    return f"{run.sources[source].rows:,}" if source in run.sources else "-"


def freshness_json(found: Sequence[Freshness]) -> list[dict[str, Any]]:
    """Return the sources' freshness as JSON objects, one each."""
    return [each.to_json() for each in found]


def freshness_table(found: Sequence[Freshness]) -> Sheet:
    """Return the sources' freshness as a table for people, one row each."""
    headings = ("source", "status", "newest event (UTC)", "age", "newest load (UTC)", "rows read")
    events = moments([_to_second(each.newest_event) for each in found], "-")
    loads = moments([_to_second(each.newest_load) for each in found], "-")
    rows = [
        (
            each.source,
            each.status,
            event,
            "-" if each.age is None else _age(each.age),
            load,
            " ← ".join(f"{number:,}" for number in each.rows),
        )
        for each, event, load in zip(found, events, loads, strict=True)
    ]
    return Sheet(headings, _texts(rows), right=("age",), words=("rows read",))


def _to_second(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(microsecond=0)


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days:,} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def digests_json(digests: Mapping[str, Digest]) -> dict[str, Any]:
    """Return digests as a JSON object, a member for each model, without time or place."""
    return {name: found.to_json() for name, found in digests.items()}


def digests_table(digests: Mapping[str, Digest]) -> Sheet:
    """Return digests as a table for people, one row each."""
    rows = [(name, f"{found.rows:,}", found.digest) for name, found in digests.items()]
    return Sheet(("model", "rows", "digest"), _texts(rows), right=("rows",))


def difference_line(found: Difference, left: str, right: str) -> str:
    """Return the line that says how the files `left` and `right` differ in a model."""
    if found.left is None:
        return f"{found.model}: only in {right}"
    if found.right is None:
        return f"{found.model}: only in {left}"
    if found.left.rows != found.right.rows:
        return f"{found.model}: {found.left.rows:,} rows in {left}, {found.right.rows:,} in {right}"
    return f"{found.model}: {found.left.rows:,} rows in both, but other content"


def diff_view(found: Diff) -> RenderableType:
    """Return how two databases differ: the models, their columns, and some rows side by side."""
    parts: list[RenderableType] = [Text(f"A is {found.a}"), Text(f"B is {found.b}")]
    for model in found.differing:
        parts += [Text(), Text(_diff_line(model), style="bold")]
        parts += [Text(f"  {note}") for note in model.notes]
        counts = [(name, f"{number:,}") for name, number in model.columns.items()]
        if counts:
            parts.append(Sheet(("changed column", "rows"), _texts(counts), right=("rows",)))
        for kind, rows in model.samples.items():
            parts.append(Text(f"{_KINDS[kind]}:"))
            parts.append(_changes(rows) if kind == "changed" else rows_table(rows))
    end = f"{len(found.differing)} of {len(found.models)} models differ."
    return Group(*parts, Text(), Text(end, style="bold"))


def _diff_line(model: ModelDiff) -> str:
    if None in model.rows:
        return model.model
    a, b = model.rows
    return f"{model.model}: {_counted(model) or 'same rows'} ({a:,} rows in A, {b:,} in B)"


def _counted(model: ModelDiff) -> str:
    counts = {
        "only in A": model.only_in_a,
        "only in B": model.only_in_b,
        "changed": model.changed,
    }
    return ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)


def verification_view(found: Verification) -> RenderableType:
    """Return how each model was verified, and the rows that differ from those made anew."""
    chosen = f"{found.devices:,} of {found.all_devices or found.devices:,} devices"
    events = f"{found.events:,} of {found.all_events:,} raw events"
    how = (
        f"{found.percent:g} %"
        if found.percent == 100
        else f"{found.percent:g} %, seed {found.seed}"
    )
    rows = [
        (
            each.model,
            "-" if each.rows[1] is None else f"{each.rows[1]:,}",
            found.made_from[each.model],
            (_counted(each) or "; ".join(each.notes)) if each.differs else "equal",
        )
        for each in found.diff.models
    ]
    headings = ("model", "rows", "made anew from", "published rows")
    sheet = Sheet(headings, _texts(rows), right=("rows",), words=("made anew from",))
    differs = (
        [diff_view(found.diff)] if found.diff.differing else [Text("No model differs.", "bold")]
    )
    return Group(Text(f"{chosen}, with {events} ({how})"), Text(), sheet, Text(), *differs)


def verification_json(found: Verification) -> dict[str, Any]:
    """Return a verification as a JSON object, with a member for each model; no values of rows."""
    return {
        "percent": found.percent,
        "seed": found.seed,
        "devices": found.devices,
        "events": found.events,
        "ok": found.ok,
        "models": {
            each.model: {
                "made_from": found.made_from[each.model],
                "published_rows": each.rows[0],
                "rows_made_anew": each.rows[1],
                "only_published": each.only_in_a,
                "only_made_anew": each.only_in_b,
                "changed": each.changed,
                "columns": dict(each.columns),
                "notes": list(each.notes),
            }
            for each in found.diff.models
        },
    }


def _changes(rows: pa.Table) -> Sheet:
    """Return changed rows side by side: a line for each value that differs."""
    sheet = rows_table(rows)
    places = {name: at for at, name in enumerate(rows.column_names)}
    values = [name.removesuffix(" in A") for name in places if name.endswith(" in A")]
    key = [name for name in places if not name.endswith((" in A", " in B"))]
    told = []
    for row in sheet.rows:
        for name in values:
            one, other = row[places[f"{name} in A"]], row[places[f"{name} in B"]]
            if one.plain != other.plain:
                told.append([*(row[places[each]] for each in key), Text(name), one, other])
    return Sheet((*key, "column", "in A", "in B"), told)


def finding_text(finding: Finding) -> str:
    """Return a finding for people: rule and place, the reason, and what to write instead."""
    return (
        f"{finding.level.upper()} {finding.model}: {finding.rule}: {finding.where}\n"
        f"  {finding.reason}\n  {finding.remedy}\n  {finding.link}"
    )


def _texts(rows: Iterable[Iterable[str]]) -> list[list[Text]]:
    return [[Text(cell) for cell in row] for row in rows]
