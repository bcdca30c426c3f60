"""The residents' rows: repeated when they change, now and then unusable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from pipeline.generate.devices import FIRST_USER, resident_count, username
from pipeline.generate.history import DAY


@dataclass(frozen=True, slots=True)
class RawUser:
    """One row of raw_users; times are microseconds after the start of the history."""

    uid: int | None
    username: str | None
    date_registered: int | None
    last_modified: int | None


def users(*, devices: int, seed: int) -> Iterator[RawUser]:
    """Yield one to three rows for each resident, and a few that can't be used."""
    rng = Random(seed + 1)
    for number in range(resident_count(devices)):
        uid = FIRST_USER + number
        registered = -rng.randrange(DAY, 800 * DAY) // 1_000_000 * 1_000_000
        modified = registered
        for version in range(rng.choice([1, 1, 1, 2, 3])):
            name = username(uid) if version else username(uid).capitalize()
            yield RawUser(uid, name, registered, modified)
            modified += rng.randrange(DAY, 100 * DAY) // 1_000_000 * 1_000_000
    yield RawUser(None, "nobody", 0, 0)
    yield RawUser(FIRST_USER, "", 0, 0)
    yield RawUser(FIRST_USER + 1, None, 0, 0)
    yield RawUser(FIRST_USER + 1, username(FIRST_USER + 1), None, 0)
    yield RawUser(FIRST_USER, username(FIRST_USER), 0, None)
