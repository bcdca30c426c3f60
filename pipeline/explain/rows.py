"""How the parts of a story get their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ibis.expr.types as ir

Rows = Callable[[ir.Table], list[dict[str, Any]]]
"""Evaluates an expression; sensitive values come masked unless they were asked for."""
