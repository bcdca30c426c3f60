"""Which kind a map item is of."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.rules.item_kind import READING, kind_of


@pytest.mark.parametrize(
    ("item_key", "kind"),
    [
        ("Command", "Command"),
        ("CommandActive", "CommandActive"),
        ("CommandResult", "CommandResult"),
        ("DoorLocked", READING),
        ("BatteryLevel", READING),
        ("command", None),
        ("Reading", None),
        ("", None),
        (None, None),
    ],
)
def test_the_kind_of_an_item_is_told_by_its_exact_key(evaluate, item_key, kind):
    rows = pa.table({"item_key": pa.array([item_key], pa.string())})

    found = evaluate(lambda t: t.select(kind=kind_of(t.item_key)), rows)

    assert found == [{"kind": kind}]
