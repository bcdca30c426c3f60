"""The options of a build or test, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis.expr.types as ir

from pipeline.backends.base import Gone, Tables
from pipeline.results import CheckResult, Dropped, ModelResult, Note, Read, Started

Report = Callable[[Started | Note | Read | ModelResult | CheckResult | Dropped], None]
"""Gets each event and result as it comes."""

OnFailure = Callable[[CheckResult, ir.Table, Tables], None]
"""Gets a failed check, and its failing rows as an expression of the tables."""


def keep_none(result: CheckResult, rows: ir.Table, tables: Tables) -> None:
    """Keep no failing rows."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of a build or test.

    With `fail_fast` it stops at the first failure; with `warn_error` a warning is a failure.
    `if_gone` is the fate of staged rows whose files are gone; "lose" also lets a source have less
    than half of its former rows or devices. It masks sensitive values in rows and messages,
    unless `reveal`. It calls `on_failure` for each check with failing rows, while the tables can
    still be read.
    """

    checks: bool = True
    fail_fast: bool = False
    warn_error: bool = False
    if_gone: Gone = "refuse"
    reveal: bool = False
    report: Report = lambda event: None
    on_failure: OnFailure = keep_none
