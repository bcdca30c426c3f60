"""The residents' rows: repeated when they change, sometimes unusable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from pipeline.generate.devices import FIRST_USER, resident_count, username
from pipeline.generate.texts import DAY, SECOND


@dataclass(frozen=True, slots=True)
class RawUser:
    """One row of raw_users; times are microseconds after the start of the history."""

    uid: int | None
    username: str | None
    date_registered: int | None
    last_modified: int | None


def raw_users(*, devices: int, seed: int) -> Iterator[RawUser]:
    """Yield one to three rows for each resident, and a few that can't be used."""
    rng = Random(seed)
    for number in range(resident_count(devices)):
        versions = list(_versions(FIRST_USER + number, rng))
        yield from versions
        if number < 4 or rng.random() < 0.01:
            yield _unusable(versions[-1], number)


def _versions(uid: int, rng: Random) -> Iterator[RawUser]:
    name = username(uid)
    registered = -rng.randrange(800) * DAY + rng.randrange(86_400) * SECOND
    count = rng.choice((1, 1, 1, 2, 3))
    for version in range(count):
        modified = registered + version * 40 * DAY + rng.randrange(30 * 86_400) * SECOND
        is_latest = version == count - 1
        yield RawUser(uid, name if is_latest else name.partition(".")[0], registered, modified)
    if rng.random() < 0.1:  # the export had the row twice
        yield RawUser(uid, name, registered, modified)


def _unusable(user: RawUser, number: int) -> RawUser:
    return (
        replace(user, uid=None),
        replace(user, username=(None, "")[number // 4 % 2]),
        replace(user, date_registered=None),
        replace(user, last_modified=None),
    )[number % 4]
