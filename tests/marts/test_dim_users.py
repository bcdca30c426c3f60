from __future__ import annotations

from conftest import NOON, after, raw_user


def test_a_user_is_as_last_staged(built):
    models = built(users=[raw_user(), raw_user(username="bea", last_modified=after(1))])

    assert models["dim_users"] == [
        {"user_id": "7", "username": "bea", "date_registered": NOON, "last_modified": after(1)}
    ]
