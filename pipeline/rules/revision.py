"""Map revisions: growing integers in hex, so `9` comes before `a` and `a` before `10`."""

from __future__ import annotations

import ibis.expr.types as ir


def revision_order(revision: ir.StringColumn, *, nulls: str) -> list[ir.Value]:
    """Return the sort keys of a hex revision, ascending: shorter first, then the lower text.

    `nulls` is `last` or `lowest`. The keys themselves are never NULL, so every engine sorts them
    alike (contract, sections 2 and 4).
    """
    null_rank = revision.isnull() if nulls == "last" else revision.notnull()
    return [null_rank, revision.length().fill_null(0), revision.fill_null("")]
