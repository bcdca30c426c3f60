"""Pairs commands with the readings of the 15 seconds after them."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.rules.revision import revision_order

WINDOW_SECONDS = 15
WINDOW = WINDOW_SECONDS * 1_000_000
"""The window in microseconds, the unit of every time here."""


def device_order(commands: ir.Table) -> list[ir.Value]:
    """Return the total order of a device's commands.

    By time, then map revision in hex order, NULL lowest, then uuid (contract, section 5).
    `at` is in microseconds.
    """
    return [
        commands["at"],
        *revision_order(commands.command_map_revision, nulls="lowest"),
        commands.command_uuid,
    ]


def within_window(commands: ir.Table, readings: ir.Table) -> ir.Table:
    """Pair each command with the readings of its device from its time to 15 s later.

    Both have `device_id`; the time is `at` in commands and `read_at` in readings, in microseconds.
    The pairs have the columns of both. Each time falls into a bucket as long as the window, so a
    window touches two buckets. The join then has an equality key that includes time and stays
    linear, even if one device has most of the rows.
    """
    first = commands["at"] // WINDOW
    asked = commands.mutate(bucket=ibis.array([first, first + 1])).unnest("bucket")
    reported = readings.mutate(read_bucket=readings.read_at // WINDOW).rename(
        read_device_id="device_id"
    )
    return reported.join(
        asked,
        [
            asked.device_id == reported.read_device_id,
            asked.bucket == reported.read_bucket,
            reported.read_at >= asked["at"],
            reported.read_at <= asked["at"] + WINDOW,
        ],
    ).drop("bucket", "read_bucket", "read_device_id")


def seconds(microseconds: ir.Value) -> ir.Value:
    """Return microseconds as FLOAT64 seconds."""
    return microseconds / 1e6


def is_near(gap: ir.Value) -> ir.Value:
    """Tell whether a gap in microseconds is not NULL and not longer than the window."""
    return (gap <= WINDOW).fill_null(False)
