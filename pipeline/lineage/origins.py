"""The origins of a value: the upstream columns that go into it and those that only decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import ibis.expr.datatypes as dt


@dataclass(frozen=True, order=True)
class Origin:
    """An upstream column, or a part of it: `path` leads to a member of its JSON or a field."""

    table: str
    column: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.table}.{self.part}"

    @property
    def part(self) -> str:
        """The column, and where in it: `ItemData.desired_state[2]`."""
        return self.column + "".join(
            step if step.startswith("[") else f".{step}" for step in self.path
        )

    def at(self, step: str) -> Origin:
        """Return a part of this one."""
        return replace(self, path=(*self.path, step))


NOTHING: frozenset[Origin] = frozenset()


@dataclass(frozen=True)
class Made:
    """The origins of one value: those that go into it, and those that only decide about it.

    `fields` holds the same for each field of a struct, or of the structs in an array. `is_whole`
    means that the value is its origin's, unchanged: a part of it is a part of its origin.
    """

    value: frozenset[Origin] = NOTHING
    decides: frozenset[Origin] = NOTHING
    fields: Mapping[str, Made] = field(default_factory=dict)
    is_whole: bool = False

    @property
    def all(self) -> frozenset[Origin]:
        """All origins."""
        return self.value | self.decides

    @property
    def only_decides(self) -> frozenset[Origin]:
        """The origins whose values do not go in."""
        return self.decides - self.value

    def decided_by(self, origins: frozenset[Origin]) -> Made:
        """Return this with more deciding origins, for each field too."""
        if not origins:
            return self
        fields = {name: made.decided_by(origins) for name, made in self.fields.items()}
        return replace(self, decides=self.decides | origins, fields=fields)

    def or_(self, other: Made) -> Made:
        """Return the origins of a value that is this one or the other."""
        fields = {
            name: self.fields.get(name, Made()).or_(other.fields.get(name, Made()))
            for name in {**self.fields, **other.fields}
        }
        # a value without origins, such as NULL, leaves the other one whole
        is_whole = all(made.is_whole for made in (self, other) if made.value)
        return Made(self.value | other.value, self.decides | other.decides, fields, is_whole)

    def computed(self) -> Made:
        """Return the origins of a value that is computed from this one."""
        return Made(self.value, self.decides)

    def counted(self) -> Made:
        """Return the origins of a count of this value."""
        return Made(NOTHING, self.all)

    def part(self, step: str) -> Made:
        """Return the origins of a field, or of a member of a JSON document."""
        if step in self.fields:
            return self.fields[step]
        if not self.is_whole:
            return self.computed()
        return replace(self, value=frozenset(origin.at(step) for origin in self.value), fields={})


def either(made: Iterable[Made]) -> Made:
    """Return the origins of a value that is one of several, or combines them."""
    return reduce(Made.or_, made, Made())


@dataclass(frozen=True)
class Rows:
    """The origins of a table: those of each column, and those that decide which rows it has."""

    columns: Mapping[str, Made]
    decides: frozenset[Origin] = NOTHING
    keys: frozenset[frozenset[str]] = frozenset()
    """Sets of columns that are unique together: a join to them finds one row at most."""

    @property
    def lineage(self) -> dict[str, Made]:
        """Return the origins of each column, including those that decide about the rows."""
        return {name: made.decided_by(self.decides) for name, made in self.columns.items()}

    def is_unique(self, columns: Iterable[str]) -> bool:
        """Tell whether no two rows agree in these columns."""
        return any(key <= set(columns) for key in self.keys)

    def decided_by(self, origins: frozenset[Origin]) -> Rows:
        """Return these rows with more origins that decide which rows there are."""
        return replace(self, decides=self.decides | origins)

    def named(self, columns: Mapping[str, Made], names: Mapping[str, str]) -> Rows:
        """Return the same rows with other columns; `names` maps new names to old ones."""
        new = {old: new for new, old in names.items()}
        kept = {frozenset(new[name] for name in key) for key in self.keys if key <= set(new)}
        return Rows(columns, self.decides, frozenset(kept))


def table_rows(name: str, schema: Mapping[str, dt.DataType], key: Iterable[str] = ()) -> Rows:
    """Return a table's columns as origins of their own."""
    columns = {column: _leaf(Origin(name, column), dtype) for column, dtype in schema.items()}
    return Rows(columns, keys=unique(key))


def unique(key: Iterable[str]) -> frozenset[frozenset[str]]:
    """Return a key as the set of a table's keys; an empty key is none."""
    return frozenset({frozenset(key)} - {frozenset()})


def _leaf(origin: Origin, dtype: dt.DataType) -> Made:
    while dtype.is_array():
        dtype = dtype.value_type
    parts = dtype.items() if dtype.is_struct() else ()
    fields = {name: _leaf(origin.at(name), part) for name, part in parts}
    return Made(frozenset({origin}), fields=fields, is_whole=True)


def everything(made: Iterable[Made]) -> frozenset[Origin]:
    """Return all origins of several values."""
    return NOTHING.union(*(each.all for each in made))
