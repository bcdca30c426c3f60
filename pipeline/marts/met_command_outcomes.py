"""The outcomes of commands, by kind of command."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _
from ibis.expr.types.groupby import GroupedTable

from pipeline.contract import Column, TableCheck, model, names_of
from pipeline.rules.commands import ALL_COMMANDS
from pipeline.rules.outcomes import CONFIRMED

_COUNTS = (
    Column("number_of_commands", "int64", "commands", nullable=False),
    Column("number_with_hub_response", "int64", "those that the hub answered", nullable=False),
    Column("number_hub_success", "int64", "those it answered with success", nullable=False),
    Column(
        "number_hub_success_with_expected_reading",
        "int64",
        "hub successes with a reading of the expected type in the window",
        nullable=False,
    ),
    Column(
        "number_hub_success_with_matching_reading",
        "int64",
        "hub successes with a matching reading in the window",
        nullable=False,
    ),
    Column(
        "number_hub_success_confirmed",
        "int64",
        "hub successes with an attributed matching reading",
        nullable=False,
    ),
    Column(
        "number_window_shared",
        "int64",
        "commands with another command of the device at most 15 s away",
        nullable=False,
    ),
)
_PERCENTS = {"p50_seconds_to_confirmation": 50, "p95_seconds_to_confirmation": 95}


def all_commands_are_the_sum(met_command_outcomes: ir.Table) -> ir.Table:
    """One row is for all commands: it is the sum of the others, column by column."""
    is_all = _.command == ALL_COMMANDS
    counts = [column.name for column in _COUNTS]
    sums = met_command_outcomes.aggregate(
        rows_of_all=_.count(where=is_all),
        **{name: _[name].sum(where=is_all).fill_null(0) for name in counts},
        **{f"sum_of_{name}": _[name].sum(where=~is_all).fill_null(0) for name in counts},
    )
    differs = ibis.or_(*(_[name] != _[f"sum_of_{name}"] for name in counts))
    return sums.filter((_.rows_of_all != 1) | differs)


@model(
    key=["command"],
    tags=["part_three"],
    columns=[
        Column("command", "string", f"kind of command, or {ALL_COMMANDS}", nullable=False),
        *_COUNTS,
        Column("confirmation_rate", "float64", "confirmed / hub successes, NULL for none"),
        *(
            Column(name, "float64", f"{percent} % of the confirmations took at most so long")
            for name, percent in _PERCENTS.items()
        ),
    ],
    checks=[TableCheck(all_commands_are_the_sum)],
)
def met_command_outcomes(fct_command_readings: ir.Table) -> ir.Table:
    """One row per kind of command, and one for all of them, even if there are no commands.

    Contract: section 5, met_command_outcomes.
    """
    commands = fct_command_readings.select(
        "command",
        "has_hub_response",
        "is_hub_success",
        "expected_reading_count",
        "matching_reading_count",
        "outcome",
        "is_window_shared",
        seconds=_.seconds_to_first_matching_reading,
    )
    # without a GROUP BY, so this row exists even if there are no commands
    everything = commands.mutate(command=ibis.literal(ALL_COMMANDS))
    total = _counted(commands).mutate(command=ibis.literal(ALL_COMMANDS))
    each = _counted(commands.group_by("command"))
    return _with_percentiles(each, commands).union(_with_percentiles(total, everything))


def _counted(commands: ir.Table | GroupedTable) -> ir.Table:
    success = _.is_hub_success
    counts = commands.aggregate(
        number_of_commands=_.count(),
        number_with_hub_response=_.count(where=_.has_hub_response),
        number_hub_success=_.count(where=success),
        number_hub_success_with_expected_reading=_.count(
            where=success & (_.expected_reading_count > 0)
        ),
        number_hub_success_with_matching_reading=_.count(
            where=success & (_.matching_reading_count > 0)
        ),
        number_hub_success_confirmed=_.count(where=_.outcome == CONFIRMED.name),
        number_window_shared=_.count(where=_.is_window_shared),
    )
    successes = _.number_hub_success.nullif(0)
    return counts.mutate(confirmation_rate=_.number_hub_success_confirmed / successes)


def _with_percentiles(counts: ir.Table, commands: ir.Table) -> ir.Table:
    # nearest rank: the lowest value that at least so many percent of the values do not exceed
    confirmed = commands.filter(_.outcome == CONFIRMED.name, _.seconds.notnull())
    values = confirmed.group_by("command", "seconds").agg(number=_.count())
    ranked = values.mutate(
        rank=values.number.cumsum(group_by="command", order_by="seconds"),
        total=values.number.sum().over(group_by="command"),
    )
    percentiles = ranked.group_by("command").agg(
        **{
            name: _.seconds.min(where=_.rank * 100 >= _.total * percent)
            for name, percent in _PERCENTS.items()
        }
    )
    names = ["command", *names_of(_COUNTS), "confirmation_rate", *_PERCENTS]
    return counts.left_join(percentiles, "command").select(*names)
