"""The types of an explanation's rows, and of the function that fetches them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis.expr.types as ir

Rows = Callable[[ir.Table], list[dict[str, Any]]]
"""Evaluates an expression; masks sensitive values unless the user asked for them."""
