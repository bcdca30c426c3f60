"""The only model that reads the raw events: it renames, parses once, and gives a disposition."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import TIMESTAMP, Arrivals, Column, Grows, model, names_of
from pipeline.dialect import json_elements, json_members, json_scalar
from pipeline.rules.columns import EVENT, PARSED, RAW_DATE_CREATED, UID
from pipeline.rules.commands import ALL_COMMANDS, ELEMENTS
from pipeline.rules.dispositions import (
    DISPOSITION,
    EVENT_DISPOSITIONS,
    OUT_OF_SCOPE,
    STAGED,
    first_that_applies,
)
from pipeline.rules.items import COMMAND, READING, STAGED_KIND, UNSTAGED, kind_of
from pipeline.rules.numbers import number
from pipeline.rules.source_values import as_text, uid_of
from pipeline.rules.time import item_time, source_time

COLUMNS = (
    *EVENT,
    UID,
    Column("event_timestamp", TIMESTAMP, "time that the item itself states (UTC)"),
    DISPOSITION,
    RAW_DATE_CREATED,
    STAGED_KIND,
    *PARSED,
    Column("_scheduled_timestamp", TIMESTAMP, "when the batch of the raw event was loaded (UTC)"),
)


@model(
    key=[],
    tags=["part_three"],
    columns=COLUMNS,
    partition_by="update_timestamp",
    # each staging model reads one kind, `explain` one device's rows of it
    cluster_by=["staged_kind", "device_id", "item_uuid"],
    locality=Grows(),
    arrivals=Arrivals("device_id", "update_timestamp", "_scheduled_timestamp"),
)
def stg_sync_events(raw_sync_events: ir.Table) -> ir.Table:
    """One row per raw event, parsed once; the other event models read only this.

    The raw text of an event stays in the source; only quarantined rows keep it here. Contract:
    section 4, stg_sync_events, and section 3, dispositions.
    """
    events = _with_disposition(_parsed(_renamed(raw_sync_events)))
    return _without_spare_texts(events).select(*names_of(COLUMNS))


# Each step below is a SELECT of its own, because the parse between two steps is. So a column is
# computed once, however often later steps read it.


def _renamed(raw: ir.Table) -> ir.Table:
    item_key = as_text(raw.ItemKey)
    return raw.select(
        event_type=as_text(raw.EventType),
        update_timestamp=source_time(raw.DateCreated),
        map_revision=as_text(raw.MapRevision),
        item_key=item_key,
        item_revision=as_text(raw.ItemRevision),
        twilio_sync_endpoint_id=as_text(raw.EndpointId),
        item_data=as_text(raw.ItemData),
        device_id=as_text(raw.MapUniqueName),
        _source_file=as_text(raw._source_file),
        _date_created=raw.DateCreated,
        _scheduled_timestamp=_load_time(raw),
        item_kind=kind_of(item_key),
    )


def _load_time(raw: ir.Table) -> ir.TimestampValue:
    if "_scheduled_timestamp" in raw.columns:
        return source_time(raw._scheduled_timestamp)
    return ibis.null(TIMESTAMP)  # a table in memory may lack what no other model reads


def _parsed(events: ir.Table) -> ir.Table:
    items = json_members(
        events,
        "item_data",
        scalars=(
            *("command_id", "uuid", "timestamp", "client", "user", "origin", "origin_id"),
            *("node_id", "result", "failure_string"),
        ),
        nested=("desired_state", "state"),
        found="is_object",
    )
    identified = items.mutate(
        _uid=uid_of(items),
        uuid=_.uuid.nullif(""),
        command_id=_.command_id.nullif(""),
    )
    states = json_members(
        identified,
        "state",
        scalars=("value", "unit", "percent"),
        prefix="state_",
        found="has_members",
        of_member=True,
    )
    valued = states.mutate(
        item_uuid=(_.item_kind == READING).ifelse(
            ibis.coalesce(_.uuid, _._uid), ibis.coalesce(_.command_id, _.uuid)
        ),
        state_value=_.has_members.ifelse(_.state_value, json_scalar(states.state)),
    )
    desired = json_elements(valued, "desired_state", "command", *ELEMENTS)
    return desired.mutate(
        event_timestamp=item_time(desired.timestamp),
        user_id=_.user.nullif(""),
        state_percent=number(desired.state_percent),
        _raw_date_created=_.update_timestamp.isnull().ifelse(
            as_text(desired._date_created), ibis.null("string")
        ),
    )


def _with_disposition(events: ir.Table) -> ir.Table:
    is_reading = events.item_kind == READING
    is_command = events.item_kind == COMMAND.key
    has_no_command = events.command.fill_null(ALL_COMMANDS) == ALL_COMMANDS
    disposition = first_that_applies(
        EVENT_DISPOSITIONS,
        {
            "removed": events.event_type == "map_item_removed",
            "out_of_scope": events.item_kind.isnull(),
            "malformed_json": ~events.is_object,
            "missing_device_id": events.device_id.fill_null("") == "",
            "missing_update_timestamp": events.update_timestamp.isnull(),
            "missing_command_uuid": ~is_reading & events.item_uuid.isnull(),
            "missing_desired_state": is_command & has_no_command,
            "missing_state": is_reading & events.state_value.isnull(),
        },
    )
    return events.mutate(disposition=disposition).mutate(
        staged_kind=(_.disposition == STAGED).ifelse(_.item_kind, UNSTAGED)
    )


def _without_spare_texts(events: ir.Table) -> ir.Table:
    # these texts may hold a PIN, so only the rows that need them keep them
    is_quarantined = ~_.disposition.isin((STAGED, *OUT_OF_SCOPE))
    desired = ("desired_state", *ELEMENTS)
    return events.mutate(
        item_data=is_quarantined.ifelse(_.item_data, ibis.null("string")),
        **{
            name: (_.disposition == STAGED).ifelse(_[name], ibis.null("string")) for name in desired
        },
    )
