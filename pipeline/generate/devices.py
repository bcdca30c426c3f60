"""Invented apartments: devices of four kinds, and the residents they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

KINDS = ("lock", "switch", "dimmer", "thermostat")
FIRST_USER = 1001
_STARTS = ("al", "be", "co", "da", "el", "fi", "gro", "ha", "ir", "jo", "ka", "lu", "mi", "no")
_ENDS = ("bert", "da", "fred", "gar", "la", "mund", "na", "nor", "ra", "rik", "sa", "ton", "vin")


@dataclass
class Device:
    """One device as its hub knows it; counters grow with its history."""

    id: str
    kind: str
    map_sid: str
    endpoint: str
    user: int
    node: str
    revision: int = field(default=0)
    temperature: float = field(default=70.0)
    battery: int = field(default=100)


def make_devices(count: int, rng: Random) -> list[Device]:
    """Return devices of all kinds, each of one of about half as many residents."""
    residents = resident_count(count)
    return [
        Device(
            id=f"device-{number:06d}",
            kind=KINDS[number % len(KINDS)],
            map_sid=f"MP{rng.getrandbits(128):032x}",
            endpoint=f"hub-{number // len(KINDS):05d}",
            user=FIRST_USER + rng.randrange(residents),
            node=str(2 + number % 200),
            revision=rng.randrange(1, 300),
        )
        for number in range(count)
    ]


def resident_count(devices: int) -> int:
    """Return how many residents live with so many devices."""
    return max(2, devices // 2)


def username(user: int) -> str:
    """Return the invented name of a resident; no two have the same."""
    start, end = user % len(_STARTS), user // len(_STARTS) % len(_ENDS)
    return f"{_STARTS[start]}{_ENDS[end]}.{user}"
