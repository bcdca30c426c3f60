"""Compares two sets of digests; needs no engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import InputError
from pipeline.results import Difference, Digest

_MAGIC, _MAGIC_AT = b"DUCK", 8
"""The bytes of a DuckDB database after its checksum."""


def differences(left: Mapping[str, Digest], right: Mapping[str, Digest]) -> list[Difference]:
    """Return the models whose rows or digests differ, in the order they come."""
    return [
        Difference(name, left.get(name), right.get(name))
        for name in {**left, **right}
        if left.get(name) != right.get(name)
    ]


def are_digests(place: str) -> bool:
    """Tell whether a path is a file of digests rather than a database.

    Raises:
        InputError: there is no such file.
    """
    if place.startswith("bigquery:"):
        return False
    try:
        with Path(place).open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "does not exist" if missing else f"can't be read: {error.strerror}"
        raise InputError(
            f"{place} {why}.",
            "Name a DuckDB database, a file of digests, or bigquery:PROJECT.DATASET.",
        ) from error


def read_digests(path: Path) -> dict[str, Digest]:
    """Read the digests that `digest --format json` wrote.

    Raises:
        InputError: the file holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: Digest.from_json(each) for name, each in found.items()}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no digests.",
            "Write them with `python cli.py digest --format json > FILE`.",
        ) from error
