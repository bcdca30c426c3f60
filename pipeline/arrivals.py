"""Measures how fresh and whole a source is: its devices, its newest rows, its number of rows."""

from __future__ import annotations

from datetime import datetime

import ibis.expr.types as ir

from pipeline.contract import Arrivals
from pipeline.errors import InputError
from pipeline.results import SourceRead

SHARE = 0.5
"""A source with less than this share of its former rows or devices counts as damaged."""


def arrived(arrivals: Arrivals, built: ir.Table, now: datetime) -> dict[str, ir.Value]:
    """Return the devices of a staged table, and its newest event and load until now.

    The names are the fields of a `SourceRead`.
    """
    event, load = built[arrivals.event], built[arrivals.load]
    return {
        "devices": built[arrivals.device].nunique(),
        "newest_event": event.max(where=event <= now),
        "newest_load": load.max(where=load <= now),
    }


def require_whole(source: str, before: SourceRead | None, now: SourceRead) -> None:
    """Check that a source has at least half of the rows and devices that the last build read.

    It checks only the same inputs as the recorded ones. The sample's are never recorded.

    Raises:
        InputError: it has fewer.
    """
    if before is None or not before.inputs or not {*before.inputs} <= {*now.inputs}:
        return
    counts = {"row": (before.rows, now.rows), "device": (before.devices, now.devices)}
    for what, (had, has) in counts.items():
        if had is not None and has is not None and has < SHARE * had:
            raise InputError(
                f"{source} has {has:,} {what}{'s' * (has != 1)}, fewer than half of the {had:,} "
                "that the last build of the same inputs read.",
                "Look for the others, or build with --allow-fewer-rows. "
                "The last build is unchanged.",
            )
