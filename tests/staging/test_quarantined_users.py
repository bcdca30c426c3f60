from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from conftest import NOON, raw_user, user_types


def test_the_users_of_four_dispositions_are_here_and_no_others(built):
    rows = built(
        users=[
            raw_user(None),
            raw_user(username=""),
            raw_user(dateRegistered=None),
            raw_user(last_modified=None),
            raw_user(1),
            raw_user(1),
        ]
    )["quarantined_users"]

    assert sorted(row["disposition"] for row in rows) == [
        "invalid_date_registered",
        "invalid_last_modified",
        "missing_user_id",
        "missing_username",
    ]


def test_a_quarantined_user_is_shown_as_it_came(built):
    types = user_types(uid=pa.string(), time=pa.string())
    user = raw_user("seven", dateRegistered="soon", last_modified="1641038400.50")

    assert built(users=[user], users_as=types)["quarantined_users"] == [
        {
            "uid": "seven",
            "username": "ann",
            "date_registered": "soon",
            "last_modified": "1641038400.50",
            "disposition": "missing_user_id",
        }
    ]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (NOON, pa.timestamp("us", "UTC"), "2022-01-01 12:00:00.000000+00"),
        (dt.date(2022, 1, 1), pa.date32(), "2022-01-01 00:00:00.000000+00"),
        (1641038400, pa.int64(), "1641038400"),
        (1641038400.0, pa.float64(), "1641038400"),
        (7.5, pa.float64(), "7.5"),
        (float("nan"), pa.float64(), "nan"),
        (Decimal("7.50"), pa.decimal128(9, 2), "7.50"),
        (True, pa.bool_(), "true"),
        (None, pa.string(), None),
    ],
    ids=repr,
)
def test_a_time_of_any_type_is_written_as_text(built, value, kind, text):
    user = raw_user(None, dateRegistered=value, last_modified=value)

    (row,) = built(users=[user], users_as=user_types(time=kind))["quarantined_users"]

    assert (row["date_registered"], row["last_modified"]) == (text, text)


@pytest.mark.parametrize(
    ("uid", "kind", "text"),
    [(7.5, pa.float64(), "7.5"), (True, pa.bool_(), "true"), (2**63, pa.uint64(), str(2**63))],
    ids=repr,
)
def test_a_uid_of_any_type_is_written_as_text(built, uid, kind, text):
    (row,) = built(users=[raw_user(uid)], users_as=user_types(uid=kind))["quarantined_users"]

    assert row["uid"] == text
