"""The changes of one model in an incremental build, and the units that they touch."""

from __future__ import annotations

from dataclasses import dataclass

import ibis.expr.types as ir

from pipeline.results import ModelMode


@dataclass(frozen=True)
class Units:
    """The touched values of a unit's column, each once, in the column `unit`."""

    table: ir.Table
    count: int
    hash: int
    """A hash of all units."""


@dataclass(frozen=True)
class Step:
    """The result for a model: how it was made, and its rows that went and came.

    `went` and `came` are None if no rows went or came, or if no reader needs them. `fresh` are all
    rows of the remade units.
    """

    mode: ModelMode
    reason: str = ""
    rows: int | None = None
    went: ir.Table | None = None
    came: ir.Table | None = None
    rows_went: int | None = None
    rows_came: int | None = None
    fresh: ir.Table | None = None

    @property
    def changed(self) -> tuple[ir.Table, ...]:
        """The tables of the rows that went or came."""
        return tuple(rows for rows in (self.went, self.came) if rows is not None)


KEPT = Step("kept")
