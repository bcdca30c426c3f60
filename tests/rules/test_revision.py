from __future__ import annotations

import ibis
import pyarrow as pa
import pytest

from pipeline.rules.revision import revision_order

ORDERED = ["", "9", "a", "f", "10", "1f", "20", "ff", "100"]


@pytest.mark.parametrize("nulls", ["last", "lowest"])
def test_revisions_are_ordered_as_hex_numbers_and_null_is_last_or_lowest(evaluate, nulls):
    rows = pa.table({"revision": pa.array([None, *reversed(ORDERED)], pa.string())})

    def ranked(table):
        order = revision_order(table.revision, nulls=nulls)
        return table.mutate(i=ibis.row_number().over(order_by=order)).order_by("i")

    found = [row["revision"] for row in evaluate(ranked, rows)]

    assert found == ([*ORDERED, None] if nulls == "last" else [None, *ORDERED])
