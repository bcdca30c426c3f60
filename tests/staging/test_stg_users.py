from __future__ import annotations

import pytest
from conftest import NOON, after, raw_user


def staged(built, *users):
    return built(users=users)["stg_users"]


def test_a_user_is_id_name_and_two_times(built):
    assert staged(built, raw_user(7, last_modified=after(1))) == [
        {"user_id": "7", "username": "ann", "date_registered": NOON, "last_modified": after(1)}
    ]


@pytest.mark.parametrize(
    ("latest", "other"),
    [
        pytest.param({"last_modified": after(1)}, {"last_modified": after(0)}, id="last_modified"),
        pytest.param(
            {"last_modified": after(1), "dateRegistered": after(0), "username": "zoe"},
            {"last_modified": after(0), "dateRegistered": after(9), "username": "ann"},
            id="last_modified before all else",
        ),
        pytest.param(
            {"dateRegistered": after(1)}, {"dateRegistered": after(0)}, id="then later registered"
        ),
        pytest.param(
            {"dateRegistered": after(1), "username": "zoe"},
            {"dateRegistered": after(0), "username": "ann"},
            id="registered before name",
        ),
        pytest.param({"username": "ann"}, {"username": "bob"}, id="then lower username"),
        pytest.param({"username": "Zoe"}, {"username": "ann"}, id="username by code point"),
    ],
)
def test_of_a_users_rows_one_is_the_users(built, latest, other):
    (row,) = staged(built, raw_user(**other), raw_user(**latest))

    expected = raw_user(**latest)
    assert row["username"] == expected["username"]
    assert row["date_registered"] == expected["dateRegistered"]
    assert row["last_modified"] == expected["last_modified"]


def test_equal_rows_of_a_user_are_one(built):
    assert len(staged(built, raw_user(), raw_user(), raw_user(8))) == 2


def test_a_faulty_latest_row_does_not_count(built):
    (row,) = staged(built, raw_user(), raw_user(username="", last_modified=after(1)))

    assert row["username"] == "ann"
