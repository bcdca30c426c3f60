"""The declaration of a model or source: columns, key, checks, storage.

The schema check before a build, the data checks after it, the table's options and the documentation
all come from this one declaration.
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
    """One documented column: its name, Ibis type, meaning, and allowed values.

    `sensitive` values open doors (interface, section 3), so every command masks them. It also masks
    a column whose values come from a sensitive one, unless `not_sensitive` says why they reveal
    nothing. A raw file or table may lack a source's `optional` column: it is NULL there.
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
        """Return the rows that break the rule, with all columns of the model."""
        return table.filter(self.breaks)


@dataclass(frozen=True)
class TableCheck:
    """A rule about whole tables: a function of models that returns the rows that break it.

    The parameters name the models. A parameter gets the model's table; one annotated `int` gets the
    number of rows of the model or source, which a build knows without another scan. The last of
    those models in dependency order declares the rule.

    With `within`, a row that breaks the rule depends only on rows with the same value of that
    column, in each table that has it. With `near_day` too, it depends only on those of them whose
    date in that column is the same or the day before or after.
    """

    function: TableFunction
    severity: Severity = "error"
    within: str | None = None
    near_day: str | None = None

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
        """The names of the models and sources that the rule reads."""
        return tuple(inspect.signature(self.function).parameters)

    @cached_property
    def counted(self) -> frozenset[str]:
        """The models and sources of which the rule reads only the number of rows."""
        parameters = inspect.signature(self.function).parameters.values()
        return frozenset(each.name for each in parameters if each.annotation in (int, "int"))


Check = RowCheck | TableCheck


@dataclass(frozen=True)
class Arrivals:
    """The columns of a staging model that show how fresh and whole its source is.

    `device` names the sender of a row, `event` is the time of the event, `load` that of the batch
    that brought the row.
    """

    device: str
    event: str
    load: str


@dataclass(frozen=True, repr=False)
class Model(Displayed):
    """A model: the function that makes its rows, and the promises about them."""

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
    arrivals: Arrivals | None = None
    parsed_apart: bool = False

    def __repr__(self) -> str:
        return f"<model {self.name}: {self.grain}>"

    @property
    def name(self) -> str:
        """The name of the model and of its table."""
        return self.function.__name__

    @property
    def layer(self) -> str:
        """The model's folder: `staging` or `marts`."""
        return self.function.__module__.split(".")[-2]

    @property
    def grain(self) -> str:
        """The meaning of a row: the first paragraph of the docstring, on one line."""
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
        """The columns whose values every command masks."""
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
    arrivals: Arrivals | None = None,
    parsed_apart: bool = False,
) -> Callable[[TableFunction], TableFunction]:
    """Declare a function of tables as a model; it stays a plain function.

    `key` columns are unique together; each is never NULL unless its column says otherwise.
    `locality` says which upstream rows a row depends on, so an incremental build remakes few rows.
    Without it, every build makes the model in full, which is always right. `carries` names upstream
    models whose columns come before this model's own `columns`: the graph adds their declarations,
    including which are sensitive. `arrivals` is for the one model that reads a source whose age and
    devices matter. `parsed_apart` is for a statement that a warehouse calls too complex: it then
    parses the JSON by one statement, into a column of structs, and makes the model by a second one.

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
            arrivals,
            parsed_apart,
        )
        return function

    return declare


def _names(names: Sequence[str]) -> tuple[str, ...]:
    # a single text is a sequence too, of its letters
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
    """Where `where` holds, the whole text of the column matches; NULL fails by default."""
    good = ibis._[column].re_search(pattern).fill_null(null_passes)
    return RowCheck(
        name or f"matches_{column}",
        where & ~good,
        f"{column} matches {pattern}" + (" or is NULL" if null_passes else ""),
        severity,
        (column,),
    )
