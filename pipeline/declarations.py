"""Checks a model's declaration before anything uses it: each fault is one message."""

from __future__ import annotations

import dataclasses
import linecache
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from pipeline.contract import Materialization, Model, RowCheck, TableCheck
from pipeline.errors import ContractError, nearest

ROOT = Path(__file__).parents[1]
_NO_COLUMN = re.compile(r"Column '(.*?)' is not found in table\. Existing columns: (.*)\.")
_LONGEST = 200


@dataclass(frozen=True)
class Fault:
    """A fault of a model: what is wrong, where in its file, and the remedy."""

    model: str
    place: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.model} ({self.place}): {self.what}"


def faults_of(model: Model) -> Iterator[Fault]:
    """Return the faults of a declaration by itself."""

    def fault(what: str, remedy: str = "", text: str = "") -> Fault:
        return Fault(model.name, place(model.function, text), what, remedy)

    names = [column.name for column in model.columns]
    if not model.description:
        yield fault("no docstring", 'Begin the function with """One row per …."""')
    if model.materialized not in get_args(Materialization):
        known = nearest(str(model.materialized), get_args(Materialization))
        yield fault(f'unknown materialization "{model.materialized}", {known}')
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield fault(f'column "{name}" is declared twice', "Leave one of them out.", name)
    for column in model.columns:
        try:
            dt.dtype(column.type)
        except Exception as error:  # Ibis passes on any error of its parser
            yield fault(
                f'column "{column.name}" has the unknown type "{column.type}", '
                f"{_known_type(column.type, error)}",
                text=str(column.type),
            )
        if column.sensitive and column.not_sensitive:
            yield fault(
                f'column "{column.name}" is sensitive, and says why it is not',
                "Leave sensitive=True or not_sensitive out.",
                column.name,
            )
    for role, named in _named(model):
        for name in named:
            if name not in names:
                yield fault(
                    f'the {role} is not a column: "{name}", {nearest(name, names)}', text=name
                )


def faults_of_checks(model: Model) -> Iterator[Fault]:
    """Return the faults of rules about rows, tried on the declared columns."""
    table = ibis.table(model.schema, name=model.name)
    names = [check.name for check in model.checks]
    for check in model.checks:
        where = place(model.function, check.name)
        what = f"check {check.name}"
        if names.count(check.name) > 1:
            yield Fault(model.name, where, f"two checks are called {check.name}", "Name one anew.")
        if isinstance(check, TableCheck) and not check.description:
            yield Fault(
                model.name,
                place(check.function),
                f"{what} has no docstring",
                'Begin the function with """…""" that says what holds.',
            )
        if isinstance(check, RowCheck):
            for name in check.columns:
                if name not in table.columns:
                    line = place(model.function, name)
                    known = nearest(name, table.columns)
                    yield Fault(model.name, line, f'{what}: no column "{name}", {known}')
            try:
                (breaks,) = table.bind(check.breaks)
            except Exception as error:  # the author's expression may raise anything
                yield Fault(model.name, where, f"{what}: {told(error)}")
                continue
            if not breaks.type().is_boolean():
                yield Fault(
                    model.name,
                    where,
                    f"{what} is {breaks.type()}, not true or false",
                    "Write a condition that holds for the rows that break the rule.",
                )


def raised(name: str, function: Callable[..., Any], error: Exception) -> ContractError:
    """Return one message on an exception of a model's or check's function.

    It names the line in the function's own file.
    """
    file = function.__code__.co_filename
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == file
    ]
    where = f"{shown(file)}:{lines[-1]}" if lines else place(function)
    return ContractError(f"{name} ({where}): {told(error)}")


def told(error: Exception) -> str:
    """Return the message of an exception of Ibis or Python, on one line."""
    if isinstance(error, AttributeError) and error.name:
        if isinstance(error.obj, ir.Table):
            return f'no column "{error.name}", {nearest(error.name, error.obj.columns)}'
        if isinstance(error.obj, ir.StructValue):
            return f'no field "{error.name}", {nearest(error.name, error.obj.names)}'
    if found := _NO_COLUMN.search(str(error)):
        columns = re.findall(r"'(.*?)'", found[2])
        return f'no column "{found[1]}", {nearest(found[1], columns)}'
    first = str(error).strip().split("\n")[0]
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def place(function: Callable[..., Any], text: str = "") -> str:
    """Return the file and line of a function, or of a text in quotes in its declaration."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    start = code.co_firstlineno
    for number in range(start, len(lines) + 1):
        line = lines[number - 1]
        if line.startswith("def "):
            break
        if text and f'"{text}"' in line:
            return f"{shown(code.co_filename)}:{number}"
    return f"{shown(code.co_filename)}:{start}"


def refuse(faults: Sequence[Fault]) -> None:
    """Raise all faults as one failure.

    Raises:
        ContractError: there is one.
    """
    if faults:
        models = " ".join(dict.fromkeys(fault.model for fault in faults))
        lines = [f"{fault}. {fault.remedy}".rstrip(". ") for fault in faults]
        raise ContractError("\n".join(lines), f"Mend it, or leave it out: --exclude {models}")


def _named(model: Model) -> Iterator[tuple[str, Iterable[str]]]:
    yield "key", model.key
    yield "partition", [model.partition_by] if model.partition_by else []
    yield "cluster column", model.cluster_by
    if model.arrivals:
        yield "column of arrivals", dataclasses.astuple(model.arrivals)


def _known_type(text: Any, error: Exception) -> str:
    kinds = ["string", "boolean", "int64", "float64", "date", "timestamp", "json", "binary"]
    if not isinstance(text, str):
        return f"write a text such as {kinds[0]!r}"
    return nearest(text, kinds)


def shown(file: str) -> str:
    """Return a file's path from the project's root, for messages."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else file
