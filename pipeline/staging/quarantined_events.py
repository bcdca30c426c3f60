"""The events that could not be staged, and why."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Grows, model, names_of
from pipeline.rules.columns import EVENT, RAW_DATE_CREATED
from pipeline.rules.dispositions import DISPOSITION, QUARANTINED_EVENTS
from pipeline.rules.items import UNSTAGED

COLUMNS = (*EVENT, RAW_DATE_CREATED, DISPOSITION)


@model(key=[], tags=["part_three"], materialized="view", columns=COLUMNS, locality=Grows())
def quarantined_events(stg_sync_events: ir.Table) -> ir.Table:
    """One row per raw event of a kind in scope that can't be used as it is.

    Contract: section 3, quarantined_events.
    """
    # the kind, because an engine skips blocks of other kinds
    unstaged = stg_sync_events.filter(_.staged_kind == UNSTAGED)
    faulty = unstaged.filter(_.disposition.isin(QUARANTINED_EVENTS))
    return faulty.select(*names_of(COLUMNS))
