"""Commands with the readings that followed them: did the command come true?"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import (
    TIMESTAMP,
    Column,
    Near,
    RowCheck,
    TableCheck,
    Within,
    model,
    names_of,
)
from pipeline.dialect import microseconds, sorted_structs
from pipeline.rules.matching import is_expected, is_match, with_expectation
from pipeline.rules.outcomes import OUTCOMES
from pipeline.rules.reconciliation import differing_counts
from pipeline.rules.window import WINDOW, is_near, seconds, within_window

READING_FIELDS = {
    "reading_uuid": "string",
    "reading_type": "string",
    "state_value": "string",
    "state_unit": "string",
    "state_percent": "float64",
    "update_timestamp": TIMESTAMP,
    "event_timestamp": TIMESTAMP,
    "seconds_after_command": "float64",
    "is_expected_type": "boolean",
    "matches_desired_state": "boolean",
    "is_attributed": "boolean",
}
"""The fields of a reading in the array `readings`, in order."""

_SORT = ("update_timestamp", "reading_type", "reading_uuid")
_READINGS = f"array<struct<{', '.join(f'{k}: {v}' for k, v in READING_FIELDS.items())}>>"
_COUNTS = (
    Column("reading_count", "int64", "readings in the window", nullable=False),
    Column("expected_reading_count", "int64", "those of the expected type", nullable=False),
    Column("matching_reading_count", "int64", "those that match the command", nullable=False),
    Column("attributed_reading_count", "int64", "those attributed to the command", nullable=False),
)
_VERDICTS = ("is_expected_type", "matches_desired_state", "is_attributed")
_SECONDS_TO_MATCH = Column(
    "seconds_to_first_matching_reading",
    "float64",
    "seconds from the command to its first attributed matching reading",
)


def every_status_has_its_readings(fct_command_statuses: int, fct_command_readings: int) -> ir.Table:
    """fct_command_readings has as many rows as fct_command_statuses."""
    return differing_counts(fct_command_statuses, fct_command_readings)


def each_reading_is_attributed_at_most_once(fct_command_readings: ir.Table) -> ir.Table:
    """No reading is attributed to two commands."""
    some = fct_command_readings.filter(_.attributed_reading_count > 0)
    each = some.select("device_id", reading=some.readings).unnest("reading")
    key = each.select(
        "device_id",
        reading_type=_.reading.reading_type,
        reading_uuid=_.reading.reading_uuid,
        is_attributed=_.reading.is_attributed,
    )
    # a conditional count, not a filter first: an engine may turn an unnest below a filter into a
    # join of every array with its row
    counts = key.group_by("device_id", "reading_type", "reading_uuid").agg(
        commands=_.count(where=_.is_attributed)
    )
    return counts.filter(_.commands > 1)


def _lacks_a_verdict(reading: ir.StructValue) -> ir.BooleanValue:
    return ibis.or_(*(reading[name].isnull() for name in _VERDICTS))


@model(
    key=["command_uuid"],
    tags=["part_three"],
    carries=["fct_command_statuses"],
    columns=[
        Column(
            "readings",
            _READINGS,
            "the device's readings from the command's time to 15 s later, by time, type, uuid",
            nullable=False,
        ),
        *_COUNTS,
        Column("has_matching_reading", "boolean", "one in the window matches", nullable=False),
        Column(
            "has_attributed_matching_reading",
            "boolean",
            "one attributed to the command matches",
            nullable=False,
        ),
        _SECONDS_TO_MATCH,
        Column(
            "seconds_since_previous_command", "float64", "seconds from the device's last command"
        ),
        Column("seconds_to_next_command", "float64", "seconds to the device's next command"),
        Column(
            "is_window_shared",
            "boolean",
            "another command of the device is at most 15 s away",
            nullable=False,
        ),
        Column(
            "is_superseded",
            "boolean",
            "the same command follows on the device within 15 s",
            nullable=False,
        ),
        Column(
            "outcome",
            "string",
            f"what happened: {', '.join(outcome.name for outcome in OUTCOMES)}",
            nullable=False,
        ),
    ],
    partition_by="command_date",
    cluster_by=["device_id", "command_uuid"],
    locality=Within(
        "command_uuid",
        stg_readings=Near(
            of="fct_command_statuses",
            on="device_id",
            start="command_update_timestamp",
            at="update_timestamp",
            window=WINDOW,
        ),
    ),
    checks=[
        RowCheck(
            "not_null_in_readings",
            _.readings.filter(_lacks_a_verdict).length() > 0,
            f"{', '.join(_VERDICTS)} of a reading are never NULL",
            columns=("readings",),
        ),
        TableCheck(every_status_has_its_readings),
        # a reading is in the window of commands at most 15 s apart
        TableCheck(
            each_reading_is_attributed_at_most_once, within="device_id", near_day="command_date"
        ),
    ],
)
def fct_command_readings(
    fct_command_statuses: ir.Table, fct_command_neighbours: ir.Table, stg_readings: ir.Table
) -> ir.Table:
    """One row per command, with every reading of its device in the 15 s after it.

    A reading may be in several commands' arrays; it is attributed to one at most. Contract:
    section 5, fct_command_readings.
    """
    neighbours = fct_command_neighbours.select(
        "command_uuid", "previous_at", "next_at", "next_same_at"
    )
    commands = _asked(fct_command_statuses, neighbours)
    followed = _collected(_judged(within_window(commands, _reported(stg_readings))))
    joined = fct_command_statuses.join(neighbours, "command_uuid").left_join(
        followed, "command_uuid"
    )
    return _with_outcome(_with_distances(_without_nulls(joined)))


def _asked(statuses: ir.Table, neighbours: ir.Table) -> ir.Table:
    # only the columns that the joins need: they move every column they get
    commands = with_expectation(statuses)
    return commands.select(
        "command_uuid",
        "device_id",
        "command",
        "expected_type",
        "expected_word",
        "expected_number",
        at=microseconds(commands.command_update_timestamp),
    ).join(neighbours.select("command_uuid", "next_same_at"), "command_uuid")


def _reported(readings: ir.Table) -> ir.Table:
    return readings.select(
        "device_id",
        "reading_uuid",
        "reading_type",
        "state_value",
        "state_unit",
        "state_percent",
        "update_timestamp",
        "event_timestamp",
        read_at=microseconds(readings.update_timestamp),
    )


def _judged(pairs: ir.Table) -> ir.Table:
    expected = pairs.mutate(
        seconds_after_command=seconds(_.read_at - _["at"]), is_expected_type=is_expected(pairs)
    )
    # The latest command that expects the type has no later such command up to the reading.
    # Commands that expect the same type have the same name.
    is_latest = (_.next_same_at > _.read_at).fill_null(True)
    return expected.mutate(
        matches_desired_state=_.is_expected_type & is_match(expected),
        is_attributed=_.is_expected_type & is_latest,
    )


def _collected(pairs: ir.Table) -> ir.Table:
    in_order = [*_SORT, *(name for name in READING_FIELDS if name not in _SORT)]
    reading = ibis.struct({name: pairs[name] for name in in_order})
    confirms = pairs.is_attributed & pairs.matches_desired_state
    followed = pairs.group_by("command_uuid").agg(
        readings=reading.collect(),
        reading_count=_.count(),
        expected_reading_count=_.count(where=_.is_expected_type),
        matching_reading_count=_.count(where=_.matches_desired_state),
        attributed_reading_count=_.count(where=_.is_attributed),
        seconds_to_first_matching_reading=_.seconds_after_command.min(where=confirms),
    )
    readings = sorted_structs(followed.readings, by=_SORT, fields=tuple(READING_FIELDS))
    return followed.mutate(readings=readings)


def _without_nulls(commands: ir.Table) -> ir.Table:
    none = ibis.literal([], type=_READINGS)
    return commands.mutate(
        readings=ibis.coalesce(commands.readings, none),
        **{name: commands[name].fill_null(0) for name in names_of(_COUNTS)},
    )


def _with_distances(commands: ir.Table) -> ir.Table:
    at = microseconds(commands.command_update_timestamp)
    since, until = at - commands.previous_at, commands.next_at - at
    return commands.mutate(
        seconds_since_previous_command=seconds(since),
        seconds_to_next_command=seconds(until),
        is_window_shared=is_near(since) | is_near(until),
        is_superseded=is_near(commands.next_same_at - at),
    ).drop("previous_at", "next_at", "next_same_at")


def _with_outcome(commands: ir.Table) -> ir.Table:
    judged = commands.mutate(
        has_matching_reading=_.matching_reading_count > 0,
        has_attributed_matching_reading=_.seconds_to_first_matching_reading.notnull(),
    )
    hub_success = judged.has_hub_response.ifelse(judged.is_hub_success, ibis.null("boolean"))
    has_match = judged.has_attributed_matching_reading
    cases = [
        (
            (hub_success.isnull() if each.hub_success is None else hub_success == each.hub_success)
            & (has_match == each.has_match),
            each.name,
        )
        for each in OUTCOMES
    ]
    return judged.mutate(outcome=ibis.cases(*cases)).drop("command_uuid_right")
