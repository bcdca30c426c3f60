"""Realistic, messy raw data of any size: apartments that never were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.generate.history import events
from pipeline.generate.users import users
from pipeline.generate.write import Format, write_events, write_users


@dataclass(frozen=True)
class Generated:
    """What was written: files, and rows in them."""

    event_files: tuple[Path, ...]
    users_file: Path
    events: int
    users: int
    commands: int


def generate(
    output: Path,
    *,
    commands: int,
    devices: int,
    days: int,
    seed: int,
    format: Format,
    messy_values: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Generated:
    """Write a history of so many commands, about ten events each, to a folder.

    The same arguments give the same bytes. Earlier events of the same format in the folder are
    replaced; what is held in memory does not grow with the number of commands. `progress` is told
    the events written so far.

    Raises:
        UsageError: a number that makes no history, or an output that is no folder.
    """
    _require("--commands", commands, at_least=0)
    _require("--devices", devices, at_least=1)
    _require("--days", days, at_least=1)
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output} is a file.", "Name a folder to write to.")
    output.mkdir(parents=True, exist_ok=True)
    for earlier in output.glob(f"raw_sync_events*.{format}"):
        earlier.unlink()
    history = events(
        commands=commands, devices=devices, days=days, seed=seed, messy_values=messy_values
    )
    event_files, event_rows = write_events(history, output, format, progress or (lambda rows: None))
    users_file = output / f"raw_users.{format}"
    user_rows = write_users(users(devices=devices, seed=seed), users_file, format)
    return Generated(event_files, users_file, event_rows, user_rows, commands)


def _require(option: str, number: int, at_least: int) -> None:
    if number < at_least:
        raise UsageError(f"{option} {number} makes no history.", f"Take {at_least} or more.")
