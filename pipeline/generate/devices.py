"""Invented apartments: devices of four kinds, their hubs, and the residents they belong to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.generate.texts import Ints, Rng, joined, random_hex

KINDS = ("lock", "switch", "dimmer", "thermostat")
FIRST_USER = 1001
NO_USER = 0
_SHARED = 25  # one in so many devices stands in a hallway and is nobody's
_STARTS = ("al", "be", "co", "da", "el", "fi", "gro", "ha", "ir", "jo", "ka", "lu", "mi", "no")
_MIDDLES = ("bar", "dor", "fen", "gal", "lin", "mar", "nev", "ros", "sim", "tol", "vek", "zan")
_ENDS = ("a", "bert", "da", "en", "gar", "ia", "mund", "na", "or", "rik", "sa", "ton", "vin")
_HOUSES = ("brook", "field", "ford", "hill", "mere", "moor", "stead", "thorpe", "wick", "wood")
_SYLLABLES = (_STARTS, _MIDDLES, _ENDS, _MIDDLES, _HOUSES)
_NAMES = math.prod(map(len, _SYLLABLES))
_STEP = 100_003  # a prime, so neighbours get different names and no name comes twice


@dataclass(frozen=True)
class Devices:
    """All devices, one position each; `revisions` grow as their maps change."""

    ids: pa.Array
    kinds: Ints
    map_sids: pa.Array
    hubs: pa.Array
    nodes: pa.Array
    users: Ints
    revisions: Ints


def make_devices(count: int, rng: Rng) -> Devices:
    """Return devices of all kinds in turn, four to a hub, two to a resident."""
    numbers = np.arange(count, dtype=np.int64)
    users = FIRST_USER + rng.integers(resident_count(count), size=count)
    users[_SHARED - 1 :: _SHARED] = NO_USER
    return Devices(
        ids=pa.array([f"device-{number:06d}" for number in range(count)]),
        kinds=numbers % len(KINDS),
        map_sids=joined("MP", random_hex(rng, count, 32)),
        hubs=pa.array([f"hub-{number // len(KINDS):05d}" for number in range(count)]),
        nodes=pa.array(numbers % 200 + 2).cast(pa.string()),
        users=users,
        revisions=rng.integers(300, size=count),
    )


def resident_count(devices: int) -> int:
    """Return how many residents live with so many devices."""
    return max(2, devices // 2)


def username(user: int) -> str:
    """Return the invented name of a resident; no two have the same."""
    again, number = divmod(user - FIRST_USER, _NAMES)
    number = number * _STEP % _NAMES
    parts = []
    for syllables in _SYLLABLES:
        number, which = divmod(number, len(syllables))
        parts.append(syllables[which])
    first, last = "".join(parts[:3]), "".join(parts[3:])
    return f"{first}.{last}{again}" if again else f"{first}.{last}"
