from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from conftest import NOON, raw_user, user_types


def versions(built, *users, **types):
    return built(users=users, users_as=user_types(**types))["stg_user_versions"]


@pytest.mark.parametrize(
    ("uid", "kind", "user_id"),
    [
        (7, pa.int64(), "7"),
        (-7, pa.int64(), "-7"),
        (7, pa.int8(), "7"),
        (2**63 - 1, pa.uint64(), "9223372036854775807"),
        (2**63, pa.uint64(), None),
        (7.0, pa.float64(), "7"),
        (7.5, pa.float64(), None),
        (1e300, pa.float64(), None),
        (float("nan"), pa.float64(), None),
        (Decimal("9007199254740993"), pa.decimal128(38, 0), "9007199254740993"),
        (Decimal("-7.00"), pa.decimal128(9, 2), "-7"),
        (Decimal("7.50"), pa.decimal128(9, 2), None),
        (Decimal(10**37), pa.decimal128(38, 0), None),
        ("007", pa.string(), "7"),
        ("9223372036854775808", pa.string(), None),
        ("seven", pa.string(), None),
        ("", pa.string(), None),
        (True, pa.bool_(), None),
        (None, pa.int64(), None),
    ],
    ids=repr,
)
def test_the_user_id_is_the_integers_decimal_text(built, uid, kind, user_id):
    (row,) = versions(built, raw_user(uid), uid=kind)

    assert row["user_id"] == user_id
    assert row["disposition"] == ("missing_user_id" if user_id is None else "staged")


@pytest.mark.parametrize(
    ("value", "kind", "time"),
    [
        (2**64 - 1, pa.uint64(), None),
        (1_641_038_400, pa.uint64(), NOON),
        (1_641_038_400, pa.int32(), NOON),
        (1_641_038_400_000, pa.int64(), NOON),
        (99_999_999_999.9, pa.float64(), dt.datetime(5138, 11, 16, 9, 46, 39, tzinfo=dt.UTC)),
        (1e11, pa.float64(), dt.datetime(1973, 3, 3, 9, 46, 40, tzinfo=dt.UTC)),
        (-(10**12), pa.int64(), dt.datetime(1938, 4, 24, 22, 13, 20, tzinfo=dt.UTC)),
        (-62_135_596_801, pa.int64(), None),
        (Decimal("1641038400.999"), pa.decimal128(20, 3), NOON),
        (253_402_300_800_000_000, pa.timestamp("us"), None),
        (True, pa.bool_(), None),
    ],
    ids=repr,
)
def test_a_time_is_a_time_or_an_epoch_number(built, value, kind, time):
    (row,) = versions(built, raw_user(dateRegistered=value, last_modified=value), time=kind)

    assert row["date_registered"] == row["last_modified"] == time
    assert row["disposition"] == ("staged" if time else "invalid_date_registered")


def test_forms_of_time_may_be_mixed_in_one_column_of_text(built):
    texts = (
        *("2022-01-01T12:00:00Z", "2022-01-01 12:00:00 UTC", "2022-01-01 13:00:00+01"),
        *("1641038400", "1641038400000", "1641038400.7"),
    )

    users = [raw_user(dateRegistered=text, last_modified=text) for text in texts]

    rows = versions(built, *users, time=pa.string())

    assert {(row["date_registered"], row["last_modified"]) for row in rows} == {(NOON, NOON)}


def test_a_bare_date_is_its_midnight(built):
    user = raw_user(dateRegistered="2022-01-01", last_modified="0")

    (row,) = versions(built, user, time=pa.string())

    assert row["date_registered"] == NOON.replace(hour=0)


def test_the_first_disposition_that_applies_is_the_one(built):
    """Each step mends the fault of the step before, and so finds the next one."""
    row = {"uid": None, "username": "", "dateRegistered": None, "last_modified": None}
    steps = {
        "missing_user_id": {},
        "missing_username": {"uid": 7},
        "invalid_date_registered": {"username": "ann"},
        "invalid_last_modified": {"dateRegistered": NOON},
        "staged": {"last_modified": NOON},
    }

    users = []
    for change in steps.values():
        row = row | change
        users.append(row)

    assert [found["disposition"] for found in versions(built, *users)] == list(steps)


@pytest.mark.parametrize(
    ("change", "disposition"),
    [
        ({"username": None}, "missing_username"),
        ({"username": ""}, "missing_username"),
        ({"username": " "}, "staged"),
        ({"dateRegistered": "soon"}, "invalid_date_registered"),
        ({"last_modified": "2022-02-30"}, "invalid_last_modified"),
        ({"last_modified": ""}, "invalid_last_modified"),
    ],
    ids=str,
)
def test_each_raw_user_has_a_disposition(built, change, disposition):
    user = raw_user(dateRegistered="0", last_modified="0") | change

    (row,) = versions(built, user, time=pa.string())

    assert row["disposition"] == disposition
