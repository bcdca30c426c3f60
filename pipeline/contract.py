"""What a model or source declares about itself: columns, key, checks, storage.

From this one declaration come the schema check before a build, the data checks after it, the
table's options and the documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from pipeline.display import Displayed
from pipeline.locality import Grows as Grows
from pipeline.locality import Locality
from pipeline.locality import Near as Near
from pipeline.locality import Within as Within
from pipeline.results import Severity

TIMESTAMP = "timestamp('UTC', 6)"
"""The type of every time: UTC with microseconds (contract, introduction)."""

Materialization = Literal["table", "view"]
PartitionUnit = Literal["day", "month"]
TableFunction = Callable[..., ir.Table]


@dataclass(frozen=True)
class Column:
    """One documented column: its name, Ibis type, meaning, and what may be in it.

    `sensitive` values open doors (interface, section 3): they are masked wherever they are shown.
    So is a column that is made of a sensitive one by value, unless `not_sensitive` gives the reason
    why its values tell nothing of it. A raw file or table may lack a source's `optional` column: it
    is NULL there.
    """

    name: str
    type: str
    description: str
    nullable: bool = True
    sensitive: bool = False
    not_sensitive: str = ""
    optional: bool = False


@dataclass(frozen=True)
class RowCheck:
    """A rule for each row of one model: `breaks` is true for a row that breaks it."""

    name: str
    breaks: Any
    description: str
    severity: Severity = "error"
    columns: tuple[str, ...] = ()

    def failing_rows(self, table: ir.Table) -> ir.Table:
        """Return the rows that break the rule, all columns of the model."""
        return table.filter(self.breaks)


@dataclass(frozen=True)
class TableCheck:
    """A rule about whole tables: a function of models (its parameters) to the rows that break it.

    A parameter is given the model's table; one that is annotated `int` the number of rows of the
    model or source, which a build knows without another scan. The rule belongs to the last of
    those models in dependency order and is declared there. With `within`, rows that break the rule
    depend on the rows with the same value of that column alone, in each table.
    """

    function: TableFunction
    severity: Severity = "error"
    within: str | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The names of the models and sources that the rule looks at."""
        return tuple(inspect.signature(self.function).parameters)

    @cached_property
    def counted(self) -> frozenset[str]:
        """Those of them of which it looks at the number of rows alone."""
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(each.name for each in parameters if each.annotation in (int, "int"))


Check = RowCheck | TableCheck


@dataclass(frozen=True, repr=False)
class Model(Displayed):
    """A model: the function that makes its rows, and what is promised about them."""

    function: TableFunction
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    checks: tuple[Check, ...]
    tags: tuple[str, ...]
    materialized: Materialization
    partition_by: str | None
    cluster_by: tuple[str, ...]
    locality: Locality = None
    partition_unit: PartitionUnit = "day"
    carries: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<model {self.name}: {self.grain}>"

    @property
    def name(self) -> str:
        """The name of the model and of its table."""
        return self.function.__name__

    @property
    def layer(self) -> str:
        """The folder that the model lives in: `staging` or `marts`."""
        return self.function.__module__.split(".")[-2]

    @property
    def grain(self) -> str:
        """What one row is: the first paragraph of the docstring, on one line."""
        return " ".join(self.description.split("\n\n")[0].split())

    @property
    def description(self) -> str:
        """The whole docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """The models and sources that the function reads: its parameters."""
        return tuple(inspect.signature(self.function).parameters)

    @cached_property
    def schema(self) -> ibis.Schema:
        """The declared names and types, in order."""
        return schema_of(self.columns)

    @property
    def sensitive(self) -> frozenset[str]:
        """The columns whose values are masked wherever they are shown."""
        return frozenset(column.name for column in self.columns if column.sensitive)


def schema_of(columns: Sequence[Column]) -> ibis.Schema:
    """Return the Ibis schema of declared columns."""
    return ibis.schema({column.name: column.type for column in columns})


def model(
    *,
    key: Sequence[str],
    columns: Sequence[Column],
    tags: Sequence[str],
    checks: Sequence[Check] = (),
    materialized: Materialization = "table",
    partition_by: str | None = None,
    cluster_by: Sequence[str] = (),
    locality: Locality = None,
    partition_unit: PartitionUnit = "day",
    carries: Sequence[str] = (),
) -> Callable[[TableFunction], TableFunction]:
    """Declare a function of tables as a model; it stays the plain function it was.

    `key` columns are unique together; each is never NULL unless its column says otherwise.
    `locality` says which upstream rows a row depends on, so that an incremental build makes few
    rows anew; without it, the model is made in full, which is always right. `carries` names
    upstream models whose columns this one has too, before its own `columns`: the graph adds their
    declarations, what is sensitive in them included.

    In a join, put the smaller table on the right: an engine builds its hash table from the right
    side and streams the left one past it. The pipeline turns off DuckDB's own guess of the sides.
    """

    def declare(function: TableFunction) -> TableFunction:
        function.model = Model(  # type: ignore[attr-defined]
            function,
            _names(key),
            tuple(columns),
            tuple(checks),
            _names(tags),
            materialized,
            partition_by,
            _names(cluster_by),
            locality,
            partition_unit,
            tuple(carries),
        )
        return function

    return declare


def _names(names: Sequence[str]) -> tuple[str, ...]:
    # a single name is a sequence too, of its letters
    return (names,) if isinstance(names, str) else tuple(names)


def names_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of declared columns, in order."""
    return tuple(column.name for column in columns)


def accepted_values(
    column: str,
    values: Sequence[str],
    *,
    where: Any,
    severity: Severity = "error",
    name: str | None = None,
) -> RowCheck:
    """Where `where` holds, the column is one of the values; NULL is none of them."""
    good = ibis._[column].isin(list(values)).fill_null(False)
    return RowCheck(
        name or f"accepted_values_{column}",
        where & ~good,
        f"{column} is one of {', '.join(values)}",
        severity,
        (column,),
    )


def matches(
    column: str,
    pattern: str,
    *,
    where: Any,
    severity: Severity = "error",
    null_passes: bool = False,
    name: str | None = None,
) -> RowCheck:
    """Where `where` holds, the whole text of the column matches; NULL passes if it is said to."""
    good = ibis._[column].re_search(pattern).fill_null(null_passes)
    return RowCheck(
        name or f"matches_{column}",
        where & ~good,
        f"{column} matches {pattern}" + (" or is NULL" if null_passes else ""),
        severity,
        (column,),
    )
