"""The upstream or downstream columns of one column, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.contract import Model
from pipeline.display import Displayed
from pipeline.errors import UsageError, did_you_mean
from pipeline.graph import Graph
from pipeline.lineage import Lineage, Origin
from pipeline.sources import SOURCES, Source

How = Literal["value", "decides"]


@dataclass(frozen=True)
class Edge:
    """A step from one column to another: its values go in, or it only decides."""

    made_of: str
    column: str
    how: How


@dataclass(frozen=True)
class TableColumns:
    """The columns of one table on the way: by value, and those that only decide or are decided.

    A source's column comes with the member of its JSON.
    """

    table: str
    value: tuple[str, ...]
    decides: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class ColumnLineage(Displayed):
    """A column's way up to the sources, or with `down` to all columns made from it.

    `tables` go from near to far; `edges` are the single steps between all columns on the way.
    """

    column: str
    down: bool
    sensitive: bool
    tables: tuple[TableColumns, ...]
    edges: tuple[Edge, ...]

    def __repr__(self) -> str:
        return str(self)

    def to_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {
            "column": self.column,
            "down": self.down,
            "sensitive": self.sensitive,
            "tables": [
                {"table": each.table, "value": [*each.value], "decides": [*each.decides]}
                for each in self.tables
            ],
            "edges": [
                {"made_of": edge.made_of, "column": edge.column, "how": edge.how}
                for edge in self.edges
            ],
        }


def column_lineage(graph: Graph, lineage: Lineage, name: str, *, down: bool) -> ColumnLineage:
    """Return the lineage of `MODEL.COLUMN`, or with `down` also of a source's column.

    Raises:
        UsageError: there is no such model or column.
        ContractError: a model on the way is faulty.
    """
    table, column = _named(graph, name)
    if down:
        names = [each for each in graph.models if each in _readers(graph, table)]
        graph.require(names)
        edges = list(edges_of(lineage, names))
        value, decides = _reached(name, ((e.made_of, e.column, e.how) for e in edges))
    else:
        names = [] if table in SOURCES else [*graph.needs(table), table]
        graph.require(names)
        edges = list(edges_of(lineage, names))
        value, decides = _reached(name, ((e.column, e.made_of, e.how) for e in edges))
    found = {*value, *decides}

    def is_on_way(near: str, far: str) -> bool:
        return far in found and (near in found or _is_part(near, name) or _is_part(name, near))

    on_way = [
        edge
        for edge in edges
        if is_on_way(*((edge.made_of, edge.column) if down else (edge.column, edge.made_of)))
    ]
    order = [*SOURCES, *graph.models]
    return ColumnLineage(
        name,
        down,
        _is_sensitive(lineage, table, column),
        tuple(_by_table(order if down else order[::-1], value, decides)),
        tuple(on_way),
    )


def _named(graph: Graph, name: str) -> tuple[str, str]:
    table, _, column = name.partition(".")
    known: dict[str, Source | Model] = {**SOURCES, **graph.models}
    if table not in known:
        raise UsageError(f"There is no model {table!r}.", did_you_mean(table, known))
    columns = [each.name for each in known[table].columns]
    if not column and columns:
        raise UsageError(
            f"{name} is a table.", f"Name a column of it, such as {table}.{columns[0]}."
        )
    if column.split(".")[0] not in columns or ("." in column and table not in SOURCES):
        raise UsageError(f"{table} has no column {column!r}.", did_you_mean(column, columns))
    return table, column


def _is_sensitive(lineage: Lineage, table: str, column: str) -> bool:
    if table in SOURCES:
        name, *path = column.replace("[", ".[").split(".")
        return SOURCES[table].is_sensitive(name, path)
    return column in lineage.sensitive(table)


def _readers(graph: Graph, table: str) -> set[str]:
    if table not in SOURCES:
        return graph.needed_by(table)
    direct = [name for name, model in graph.models.items() if table in model.upstream]
    return {*direct}.union(*map(graph.needed_by, direct))


def edges_of(lineage: Lineage, names: Iterable[str]) -> Iterator[Edge]:
    """Return the single steps from the columns that these models read to their own."""
    for name in names:
        for column, made in lineage.direct(name).items():
            for how, origins in (("value", made.value), ("decides", made.only_decides)):
                for origin in dict.fromkeys(map(_column_of, sorted(origins))):
                    yield Edge(origin, f"{name}.{column}", how)  # type: ignore[arg-type]


def _column_of(origin: Origin) -> str:
    # a model's column is one column, however many of its parts are read
    return str(origin) if origin.table in SOURCES else f"{origin.table}.{origin.column}"


def _reached(
    start: str, steps: Iterable[tuple[str, str, How]]
) -> tuple[dict[str, None], dict[str, None]]:
    """Return the columns reached by value all the way, and the others."""
    of: dict[str, list[tuple[str, How]]] = {}
    for here, there, how in steps:
        of.setdefault(here, []).append((there, how))
    # a document holds its members, and changes with each
    starts = [name for name in of if _is_part(name, start) or _is_part(start, name)]
    value = _closure(starts, of, {"value"})
    everything = _closure(starts, of, {"value", "decides"})
    return value, {name: None for name in everything if name not in value}


def _closure(
    starts: Iterable[str], of: Mapping[str, list[tuple[str, How]]], hows: set[str]
) -> dict[str, None]:
    found: dict[str, None] = {}
    queue = [*starts]
    for name in queue:
        for there, how in of.get(name, ()):
            if how in hows and there not in found:
                found[there] = None
                queue.append(there)
    return found


def _by_table(
    order: Iterable[str], value: Iterable[str], decides: Iterable[str]
) -> Iterator[TableColumns]:
    for table in order:
        parts = [
            tuple(sorted(name.removeprefix(f"{table}.") for name in names if _is_of(name, table)))
            for names in (value, decides)
        ]
        if any(parts):
            yield TableColumns(table, *parts)


def _is_part(name: str, whole: str) -> bool:
    return name == whole or name.startswith((f"{whole}.", f"{whole}["))


def _is_of(name: str, table: str) -> bool:
    return name.startswith(f"{table}.")
