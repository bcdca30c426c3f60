from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.rules.dispositions import (
    EVENT_DISPOSITIONS,
    QUARANTINED_EVENTS,
    QUARANTINED_USERS,
    USER_DISPOSITIONS,
    Disposition,
    first_that_applies,
)

TRIED = [Disposition("first", "it is first"), Disposition("second", "it is second")]


@pytest.mark.parametrize(
    ("first", "second", "disposition"),
    [
        (True, True, "first"),
        (False, True, "second"),
        (None, True, "second"),
        (False, None, "staged"),
        (False, False, "staged"),
    ],
)
def test_the_first_disposition_that_applies_counts(evaluate, first, second, disposition):
    rows = pa.table({"a": pa.array([first], pa.bool_()), "b": pa.array([second], pa.bool_())})

    found = evaluate(
        lambda t: t.select(is_=first_that_applies(TRIED, {"second": t.b, "first": t.a})), rows
    )

    assert found == [{"is_": disposition}]


def test_the_dispositions_are_those_of_the_contract_in_its_order():
    assert [each.name for each in EVENT_DISPOSITIONS] == [
        *("removed", "out_of_scope", "malformed_json", "missing_device_id"),
        *("missing_update_timestamp", "missing_command_uuid", "missing_desired_state"),
        "missing_state",
    ]
    assert tuple(each.name for each in EVENT_DISPOSITIONS[2:]) == QUARANTINED_EVENTS
    assert tuple(each.name for each in USER_DISPOSITIONS) == QUARANTINED_USERS
    assert (
        *("missing_user_id", "missing_username", "invalid_date_registered"),
        "invalid_last_modified",
    ) == QUARANTINED_USERS
