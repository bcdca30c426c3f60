"""Reads raw columns whose values came in several types."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import ibis
import ibis.expr.types as ir

Rule = Callable[[ir.Column], Any]


def of_each_type(rule: Rule) -> Rule:
    """Let a rule read a column that came in several types, each value by its own type.

    Files of one source may differ in a column's type. Such a column is a struct with a field for
    each type; in each row at most one field is not NULL. So a value means the same as in a column
    of only its type. The rule must return NULL for NULL.
    """

    @wraps(rule)
    def read(column: ir.Column) -> Any:
        if isinstance(column, ir.StructColumn):
            return ibis.coalesce(*(rule(column[name]) for name in column.names))
        return rule(column)

    return read
