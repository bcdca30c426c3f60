"""How an explanation gets its rows: the types of functions that fetch them and run others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import ibis.expr.types as ir

Rows = Callable[[ir.Table], list[dict[str, Any]]]
"""Evaluates an expression; masks sensitive values unless the user asked for them."""

Together = Callable[[Collection[Callable[[], Any]]], list[Any]]
"""Returns the results of functions, which may run at the same time."""
