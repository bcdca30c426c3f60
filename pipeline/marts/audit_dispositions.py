"""What became of every raw row."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, TableCheck, model
from pipeline.dialect import total
from pipeline.rules.items import ACTIVE_ITEM, COMMAND_ITEM, RESULT_ITEM, STAGED

_EVENTS = "raw_sync_events"
_USERS = "raw_users"
_DUPLICATE = "duplicate"


def every_raw_row_is_accounted_for(
    audit_dispositions: ir.Table, raw_row_counts: ir.Table
) -> ir.Table:
    """Per source, the dispositions add up to the raw rows that were read."""
    found = audit_dispositions.group_by("source").agg(found=_.number_of_rows.sum())
    both = raw_row_counts.left_join(found, "source").select(
        "source", "number_of_rows", found=_.found.fill_null(0)
    )
    return both.filter(_.number_of_rows != _.found)


@model(
    key=["source", "item_key", "disposition"],
    tags=["part_three"],
    columns=[
        Column("source", "string", "raw source of the rows", nullable=False),
        Column("item_key", "string", "kind of telemetry, NULL for users"),
        Column("disposition", "string", "what became of the rows", nullable=False),
        Column("number_of_rows", "int64", "raw rows, at least 1", nullable=False),
    ],
    checks=[TableCheck(every_raw_row_is_accounted_for)],
)
def audit_dispositions(
    stg_sync_events: ir.Table,
    stg_commands: ir.Table,
    stg_command_actives: ir.Table,
    stg_command_results: ir.Table,
    stg_readings: ir.Table,
    stg_user_versions: ir.Table,
    stg_users: ir.Table,
) -> ir.Table:
    """One row per source, item key and disposition that raw rows have.

    What could be staged but is no row of a staging model is a duplicate. Contract: section 3.
    """
    events = ibis.union(
        _read(stg_sync_events, _EVENTS, item_key=_.item_key),
        _kept(stg_commands, _EVENTS, item_key=ibis.literal(COMMAND_ITEM)),
        _kept(stg_command_actives, _EVENTS, item_key=ibis.literal(ACTIVE_ITEM)),
        _kept(stg_command_results, _EVENTS, item_key=ibis.literal(RESULT_ITEM)),
        _kept(stg_readings, _EVENTS, item_key=_.reading_type),
    )
    users = ibis.union(
        _read(stg_user_versions, _USERS, item_key=ibis.null("string")),
        _kept(stg_users, _USERS, item_key=ibis.null("string")),
    )
    counts = events.union(users)
    totals = counts.group_by("source", "item_key", "disposition").agg(
        number_of_rows=total(counts.number_of_rows)
    )
    return totals.filter(_.number_of_rows > 0)


def _counted(rows: ir.Table, source: str, item_key: ir.Value, disposition: ir.Value) -> ir.Table:
    named = rows.select(item_key=item_key, disposition=disposition)
    counts = named.group_by("item_key", "disposition").agg(number_of_rows=_.count())
    return counts.select("item_key", "disposition", "number_of_rows", source=ibis.literal(source))


def _read(rows: ir.Table, source: str, item_key: ir.Value) -> ir.Table:
    # what could be staged counts as a duplicate until a staging model is seen to have it
    disposition = (_.disposition == STAGED).ifelse(_DUPLICATE, _.disposition)
    return _counted(rows, source, item_key, disposition)


def _kept(rows: ir.Table, source: str, item_key: ir.Value) -> ir.Table:
    staged = _counted(rows, source, item_key, ibis.literal(STAGED))
    off_duplicates = staged.mutate(
        disposition=ibis.literal(_DUPLICATE), number_of_rows=-_.number_of_rows
    )
    return staged.union(off_duplicates)
