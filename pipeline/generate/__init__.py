"""Generates realistic, messy raw data of any size, of invented apartments."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pipeline.disk import writing
from pipeline.errors import UsageError
from pipeline.generate.delivery import raw_events
from pipeline.generate.event_files import Format, write_events
from pipeline.generate.user_file import write_users
from pipeline.generate.users import raw_users

_EVENTS = re.compile(r"raw_sync_events(-\d{5,})?\.\w+")
_MOST_DAYS = 1_000_000  # more would pass the year 9999


@dataclass(frozen=True)
class Generated:
    """The written rows, the commands among them, and the files."""

    events: int
    users: int
    commands: int
    event_files: tuple[Path, ...]
    users_file: Path


def generate(
    output: Path,
    *,
    commands: int,
    devices: int,
    days: int,
    seed: int,
    format: Format,
    messy_values: bool = False,
    readings: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Generated:
    """Write a history of so many commands, about ten events each, to a folder.

    The same arguments give the same bytes. The files appear in the folder once all are written, and
    replace those of an earlier call in this format. Memory does not grow with the number of
    commands. With at least four devices, all kinds of commands occur. Devices send so many
    `readings` more in the 15 seconds after each command. `progress` gets the number of events
    written so far.

    Raises:
        UsageError: a number is out of range, or `output` is not a writable folder.
        ResourceError: the disk is full.
    """
    _require("--commands", commands, 0)
    _require("--devices", devices, 1)
    _require("--days", days, 1, _MOST_DAYS)
    _require("--seed", seed, 0)
    _require("--readings", readings, 0)
    if format not in get_args(Format):
        raise UsageError(f"No format {format}.", f"Take one of {', '.join(get_args(Format))}.")
    with writing(output), _unfinished(output) as folder:
        events = raw_events(
            commands=commands,
            devices=devices,
            days=days,
            seed=seed,
            messy_values=messy_values,
            readings=readings,
        )
        written, event_rows = write_events(events, folder, format, progress or _ignore)
        users = folder / f"raw_users.{format}"
        user_rows = write_users(raw_users(devices=devices, seed=seed), users, format)
        for earlier in output.iterdir():
            if _EVENTS.fullmatch(earlier.name) and earlier.suffix == f".{format}":
                earlier.unlink()
        event_files = tuple(path.replace(output / path.name) for path in written)
        users_file = users.replace(output / users.name)
    return Generated(event_rows, user_rows, commands, event_files, users_file)


def _ignore(events: int) -> None:
    pass


def _require(option: str, number: int, least: int, most: int | None = None) -> None:
    if number < least:
        raise UsageError(f"{option} {number} makes no history.", f"Take {least} or more.")
    if most is not None and number > most:
        raise UsageError(f"{option} {number} makes no history.", f"Take {most} or less.")


@contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    """Make a folder for unfinished files; remove it at the end."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".generating-", dir=output) as folder:
        yield Path(folder)
