"""Comparisons between tables that checks are made of: each returns the rows that differ."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _


def differing_counts(expected: ir.Table, found: ir.Table) -> ir.Table:
    """Compare two tables' numbers of rows: one row with both where they differ, else none."""
    both = expected.aggregate(expected_rows=_.count()).cross_join(
        found.aggregate(found_rows=_.count())
    )
    return both.filter(_.expected_rows != _.found_rows)


def without_partner(rows: ir.Table, partners: ir.Table, key: str) -> ir.Table:
    """Return the rows whose key is not NULL and not among the partners'."""
    return rows.filter(rows[key].notnull()).anti_join(partners.select(key), key)
