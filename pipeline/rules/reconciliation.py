"""Compares tables for checks: each function returns the rows that differ."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
from ibis import _


def counts(**numbers: int) -> ir.Table:
    """Return numbers as one row, a column each."""
    return (
        ibis.literal(0, "int8")
        .as_table()
        .select(**{name: ibis.literal(number, "int64") for name, number in numbers.items()})
    )


def differing_counts(expected: int, found: int) -> ir.Table:
    """Compare two tables' numbers of rows: return one row with both if they differ, else none."""
    # the numbers are known here, so no engine need compare them
    return counts(expected_rows=expected, found_rows=found).limit(int(expected != found))


def differing_sums(rows: ir.Table, by: str, expected: Mapping[str, int]) -> ir.Table:
    """Compare sums of `number_of_rows` with the expected ones: return a row for each difference.

    The column `by` names the sum that a row belongs to; a sum without rows is 0. A sum that
    `expected` lacks differs too, under its own name.
    """
    sums = rows.group_by(by).agg(found=_.number_of_rows.sum())
    wanted = [
        counts(number_of_rows=number).mutate(**{by: ibis.literal(each)})
        for each, number in expected.items()
    ]
    both = ibis.union(*wanted).left_join(sums, by)
    compared = both.select(by, "number_of_rows", found=_.found.fill_null(0))
    unexpected = sums.filter(~sums[by].isin(list(expected))).select(
        by, "found", number_of_rows=ibis.literal(0, "int64")
    )
    return compared.union(unexpected.select(*compared.columns)).filter(_.number_of_rows != _.found)


def without_partner(rows: ir.Table, partners: ir.Table, key: str) -> ir.Table:
    """Return the rows whose key is not NULL and not among the partners'."""
    return rows.filter(rows[key].notnull()).anti_join(partners.select(key), key)
