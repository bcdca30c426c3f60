"""An expression's rows as DuckDB answers them, and texts as its SQL writes them.

Neither loads pandas, which takes as long as a small build: Ibis's `to_pyarrow` does, and so does
DuckDB with the first parameter of a statement. No rows load no compute functions of PyArrow.
"""

from __future__ import annotations

from pathlib import Path

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend as IbisDuckDB
from ibis.formats.pyarrow import PyArrowData, PyArrowType

from pipeline.sql import to_sql


class _Converter(PyArrowData):
    """Arrow columns with the types of an expression."""

    @classmethod
    def convert_column(cls, column: pa.Array, dtype: dt.DataType) -> pa.Array:
        # DuckDB has no type of NULL alone, and to cast no rows would load all compute functions
        if dtype.is_null() or not len(column):
            return pa.nulls(len(column), PyArrowType.from_ibis(dtype))
        return super().convert_column(column, dtype)


def fetched(con: IbisDuckDB, expr: ir.Table) -> pa.Table:
    """Evaluate an expression on a connection; it reads no table of Python's memory."""
    found = con.con.execute(to_sql(expr, "duckdb")).to_arrow_table()
    return _Converter.convert_table(found, expr.schema())


def text(value: str | Path) -> str:
    """Write a text as a literal."""
    return sge.convert(str(value)).sql("duckdb")


def identifier(name: str) -> str:
    """Write the name of a table or column."""
    return sge.to_identifier(name, quoted=True).sql("duckdb")
