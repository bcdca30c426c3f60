"""Writes times (UTC) for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time


def moments(times: Sequence[datetime | None], missing: str = "NULL") -> list[str]:
    """Return the times of one column, all with the same digits.

    If all are midnight, they are days; otherwise they lack the last digits that are 0 in all.
    """
    utc = [each.astimezone(UTC) if each and each.tzinfo else each for each in times]
    known = [each for each in utc if each]
    if all(each.time() == time() for each in known):
        return [each.date().isoformat() if each else missing for each in utc]
    digits = max(len(f"{each.microsecond:06}".rstrip("0")) for each in known)
    return [_moment(each, digits) if each else missing for each in utc]


def _moment(each: datetime, digits: int) -> str:
    whole = each.replace(microsecond=0, tzinfo=None).isoformat(" ")
    return f"{whole}.{each.microsecond:06}"[: len(whole) + 1 + digits] if digits else whole
