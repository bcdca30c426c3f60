"""The only model that reads the raw users: it parses them and gives a disposition."""

from __future__ import annotations

import ibis.expr.types as ir

from pipeline.contract import TIMESTAMP, Column, model
from pipeline.rules.dispositions import DISPOSITION, USER_DISPOSITIONS, first_that_applies
from pipeline.rules.numbers import whole_number
from pipeline.rules.source_values import as_text
from pipeline.rules.time import user_time


@model(
    key=[],
    tags=["part_three"],
    columns=[
        Column("uid", "string", "uid as it came"),
        Column("username", "string", "the user's name"),
        Column("raw_date_registered", "string", "dateRegistered as it came"),
        Column("raw_last_modified", "string", "last_modified as it came"),
        Column("user_id", "string", "uid as an integer's decimal text"),
        Column("date_registered", TIMESTAMP, "when the user registered (UTC)"),
        Column("last_modified", TIMESTAMP, "when the row last changed (UTC)"),
        DISPOSITION,
    ],
)
def stg_user_versions(raw_users: ir.Table) -> ir.Table:
    """One row per raw user row, parsed, with its disposition before dedup.

    Contract: sections 2 and 3.
    """
    users = raw_users.select(
        uid=as_text(raw_users.uid),
        username=as_text(raw_users.username),
        raw_date_registered=as_text(raw_users.dateRegistered),
        raw_last_modified=as_text(raw_users.last_modified),
        user_id=whole_number(raw_users.uid).cast("string"),
        date_registered=user_time(raw_users.dateRegistered),
        last_modified=user_time(raw_users.last_modified),
    )
    return users.mutate(
        disposition=first_that_applies(
            USER_DISPOSITIONS,
            {
                "missing_user_id": users.user_id.isnull(),
                "missing_username": users.username.fill_null("") == "",
                "invalid_date_registered": users.date_registered.isnull(),
                "invalid_last_modified": users.last_modified.isnull(),
            },
        )
    )
