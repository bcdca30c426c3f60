"""Declares which few upstream rows a model's rows depend on, so a build remakes few rows.

A build makes a model without such a declaration in full, which is always right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import ContractError


@dataclass(frozen=True)
class Grows:
    """Each row comes from one row of the only upstream: new rows there are new rows here."""


@dataclass(frozen=True)
class Near:
    """A unit also reads an upstream's rows with the same `on`, from its start to `window` later.

    `of` is the upstream model that has a row for each unit, with the columns `on` and `start`.
    `at` is the time of the rows to read. The window is in microseconds and includes both ends.
    """

    of: str
    on: str
    start: str
    at: str
    window: int


class Within:
    """Rows with one value of the column `unit` depend only on a few rows of each upstream.

    These are the upstream's rows with the same value in the column of the same name. A keyword
    argument, named after the upstream, gives the column's other name there, or a Near.
    """

    def __init__(self, unit: str, **links: str | Near) -> None:
        self.unit = unit
        self.links: Mapping[str, str | Near] = links

    def __repr__(self) -> str:
        links = "".join(f", {upstream}={link!r}" for upstream, link in self.links.items())
        return f"Within({self.unit!r}{links})"

    def link(self, upstream: str) -> str | Near:
        """Return the upstream's column that holds the unit, or a Near."""
        return self.links.get(upstream, self.unit)


Locality = Grows | Within | None


def require_locality(
    name: str, locality: Locality, columns: Mapping[str, Mapping[str, bool]]
) -> None:
    """Check a model's declaration against its columns and those of its upstreams.

    `columns` has the columns of the model and of each upstream, by table name, and whether each may
    be NULL.

    Raises:
        ContractError: the declaration names a column or upstream that does not exist, or a unit
            that may be NULL: rows with NULL belong to no unit, so no build would remake them.
    """
    if isinstance(locality, Grows) and len(columns) != 2:
        raise ContractError(
            f"{name} is declared to grow with one upstream, but reads {len(columns) - 1}.",
            "Declare Within, or leave the declaration out.",
        )
    if isinstance(locality, Within):
        for wrong in _wrong_names(name, locality, columns):
            raise ContractError(
                f"{name} is declared {locality}, but {wrong}.",
                "Change the declaration or leave it out: the model is made in full then.",
            )


def _wrong_names(name: str, within: Within, columns: Mapping[str, Mapping[str, bool]]) -> list[str]:
    wrong = [f"it does not read {other}" for other in within.links if other not in columns]
    if columns[name].get(within.unit, True):
        wrong.append(f"it has no column {within.unit} that is never NULL")
    for upstream in columns.keys() - {name}:
        link = within.link(upstream)
        if isinstance(link, Near):
            wrong += [
                f"{table} has no column {column}"
                for table, column in (
                    *((link.of, each) for each in (link.on, link.start)),
                    *((upstream, each) for each in (link.on, link.at)),
                )
                if column not in columns.get(table, {})
            ]
            if not isinstance(within.link(link.of), str):
                wrong.append(f"{link.of} is not linked by a column")
        elif link not in columns[upstream]:
            wrong.append(f"{upstream} has no column {link}")
    return wrong
