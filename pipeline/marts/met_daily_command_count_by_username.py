"""The number of commands of each resident on each day."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import TIMESTAMP, Column, TableCheck, model
from pipeline.dialect import day, days, utc_time
from pipeline.rules.columns import USERNAME
from pipeline.rules.reconciliation import counts

NO_USER = "(no user)"
UNKNOWN_USER = "(unknown user)"
MAX_DAYS = 3_660


def every_command_is_counted(
    fct_command_statuses: int, met_daily_command_count_by_username: ir.Table
) -> ir.Table:
    """The daily counts add up to the rows of fct_command_statuses."""
    total = met_daily_command_count_by_username.number_of_commands.sum().fill_null(0)
    counted = met_daily_command_count_by_username.aggregate(counted=total)
    both = counts(commands=fct_command_statuses).cross_join(counted)
    return both.filter(_.commands != _.counted)


def command_days_are_plausible(met_daily_command_count_by_username: ir.Table) -> ir.Table:
    """The command days span at most 3,660 days: one wrong clock would stretch the daily counts."""
    time = met_daily_command_count_by_username.timestamp_date
    span = met_daily_command_count_by_username.aggregate(first=time.min(), last=time.max())
    days = span.select(first_day=day(span["first"]), last_day=day(span["last"]))
    return days.filter(days.last_day.delta(days.first_day, unit="day") >= MAX_DAYS)


@model(
    key=["username", "timestamp_date"],
    tags=["part_two"],
    columns=[
        USERNAME,
        Column("timestamp_date", TIMESTAMP, "00:00 UTC of the day", nullable=False),
        Column("number_of_commands", "int64", "commands issued that day", nullable=False),
        Column(
            "number_of_successful_commands",
            "int64",
            "those that the hub answered with success",
            nullable=False,
        ),
    ],
    partition_by="timestamp_date",
    # one wrong clock from 1970 would make more days than an engine allows partitions
    partition_unit="month",
    cluster_by=["username"],
    checks=[
        TableCheck(every_command_is_counted),
        TableCheck(command_days_are_plausible, severity="warn"),
    ],
)
def met_daily_command_count_by_username(
    fct_command_statuses: ir.Table, dim_users: ir.Table
) -> ir.Table:
    """One row per day and username that ever issued a command, including days without commands.

    The days run from the first to the last command in all data. Commands without a user count under
    `(no user)`, those of a user id without a row in dim_users under `(unknown user)`. Contract:
    section 5, met_daily_command_count_by_username.
    """
    commands = _with_username(fct_command_statuses, dim_users)
    counts = commands.group_by("username", "command_date").agg(
        number_of_commands=_.count(),
        number_of_successful_commands=_.count(where=_.is_hub_success),
    )
    usernames = counts.select("username").distinct()
    spine = usernames.cross_join(_days(fct_command_statuses))
    joined = spine.left_join(
        counts, [spine.username == counts.username, spine.day == counts.command_date]
    )
    return joined.select(
        spine.username,
        timestamp_date=utc_time(spine.day),
        number_of_commands=counts.number_of_commands.fill_null(0),
        number_of_successful_commands=counts.number_of_successful_commands.fill_null(0),
    )


def _with_username(commands: ir.Table, users: ir.Table) -> ir.Table:
    named = commands.left_join(users.select("user_id", name="username"), "user_id")
    username = named.user_id.isnull().ifelse(NO_USER, named.name.fill_null(UNKNOWN_USER))
    return named.select("command_date", "is_hub_success", username=username)


def _days(commands: ir.Table) -> ir.Table:
    bounds = commands.aggregate(first=_.command_date.min(), last=_.command_date.max())
    return bounds.select(day=days(bounds["first"], bounds["last"])).unnest("day")
