"""The disposition of every raw row."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, TableCheck, model
from pipeline.dialect import total
from pipeline.rules.dispositions import (
    DUPLICATE,
    IN_SCOPE,
    QUARANTINED_EVENTS,
    QUARANTINED_USERS,
    STAGED,
)
from pipeline.rules.items import ACTIVE, COMMAND, READING, RESULT, kind_of
from pipeline.rules.reconciliation import differing_sums

_EVENTS = "raw_sync_events"
_USERS = "raw_users"
MOST_QUARANTINED_PERCENT = 10


def every_raw_row_is_accounted_for(
    audit_dispositions: ir.Table, raw_sync_events: int, raw_users: int
) -> ir.Table:
    """Per source, the dispositions add up to the raw rows that were read."""
    rows = {_EVENTS: raw_sync_events, _USERS: raw_users}
    return differing_sums(audit_dispositions, "source", rows)


def every_staged_row_is_in_its_model(
    audit_dispositions: ir.Table,
    stg_commands: int,
    stg_command_actives: int,
    stg_command_results: int,
    stg_readings: int,
    stg_users: int,
) -> ir.Table:
    """Per staging model, the staged rows are as many as the rows of the model."""
    models = {
        COMMAND.key: "stg_commands",
        ACTIVE.key: "stg_command_actives",
        RESULT.key: "stg_command_results",
        READING: "stg_readings",
    }
    staged = audit_dispositions.filter(_.disposition == STAGED)
    kind = kind_of(staged.item_key)
    # rows of a kind without a model count under their own item_key
    named = staged.mutate(
        model=(staged.source == _USERS).ifelse(
            "stg_users", kind.cases(*models.items(), else_=staged.item_key)
        )
    )
    rows = {
        "stg_commands": stg_commands,
        "stg_command_actives": stg_command_actives,
        "stg_command_results": stg_command_results,
        "stg_readings": stg_readings,
        "stg_users": stg_users,
    }
    return differing_sums(named, "model", rows)


def few_rows_are_quarantined(audit_dispositions: ir.Table) -> ir.Table:
    """Per source, at most 10 % of the rows in scope are quarantined."""
    quarantined = QUARANTINED_EVENTS + QUARANTINED_USERS
    in_scope = audit_dispositions.filter(_.disposition.isin(IN_SCOPE))
    sums = in_scope.group_by("source").agg(
        rows_in_scope=_.number_of_rows.sum(),
        quarantined_rows=_.number_of_rows.sum(where=_.disposition.isin(quarantined)).fill_null(0),
    )
    return sums.filter(_.quarantined_rows * 100 > _.rows_in_scope * MOST_QUARANTINED_PERCENT)


def every_source_has_a_staged_row(audit_dispositions: ir.Table) -> ir.Table:
    """A source that has rows has a staged one."""
    sums = audit_dispositions.group_by("source").agg(
        rows=_.number_of_rows.sum(),
        staged_rows=_.number_of_rows.sum(where=_.disposition == STAGED).fill_null(0),
    )
    return sums.filter(_.staged_rows == 0)


@model(
    key=["source", "item_key", "disposition"],
    tags=["part_three"],
    columns=[
        Column("source", "string", "raw source of the rows", nullable=False),
        Column("item_key", "string", "kind of telemetry, NULL for users"),
        Column("disposition", "string", "disposition of the rows", nullable=False),
        Column("number_of_rows", "int64", "raw rows, at least 1", nullable=False),
    ],
    checks=[
        TableCheck(every_raw_row_is_accounted_for),
        TableCheck(every_staged_row_is_in_its_model),
        TableCheck(few_rows_are_quarantined, severity="warn"),
        TableCheck(every_source_has_a_staged_row, severity="warn"),
    ],
)
def audit_dispositions(
    stg_sync_events: ir.Table, stg_repeated_events: ir.Table, stg_user_versions: ir.Table
) -> ir.Table:
    """One row per source, item key and disposition that raw rows have.

    If several copies could be staged, one is staged and the others are duplicates. Contract:
    section 3.
    """
    users = stg_user_versions.mutate(item_key=ibis.null("string"))
    versions = users.filter(_.disposition == STAGED).group_by("user_id", "item_key")
    counts = ibis.union(
        _before_dedup(stg_sync_events, _EVENTS),
        _later_copies(stg_repeated_events, _EVENTS),
        _before_dedup(users, _USERS),
        _later_copies(versions.agg(copies=_.count()), _USERS),
    )
    totals = counts.group_by("source", "item_key", "disposition").agg(
        number_of_rows=total(counts.number_of_rows)
    )
    return totals.filter(_.number_of_rows > 0)


def _before_dedup(rows: ir.Table, source: str) -> ir.Table:
    counts = rows.group_by("item_key", "disposition").agg(number_of_rows=_.count())
    return counts.select("item_key", "disposition", "number_of_rows", source=ibis.literal(source))


def _later_copies(repeated: ir.Table, source: str) -> ir.Table:
    """Move the later copies from the staged rows to the duplicates."""
    later = repeated.group_by("item_key").agg(number_of_rows=(_.copies - 1).sum())

    def moved(disposition: str, number: ir.Value) -> ir.Table:
        return later.select(
            "item_key",
            disposition=ibis.literal(disposition),
            number_of_rows=number,
            source=ibis.literal(source),
        )

    return moved(DUPLICATE, later.number_of_rows).union(moved(STAGED, -later.number_of_rows))
