"""The user rows that could not be staged, and why."""

from __future__ import annotations

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, model
from pipeline.rules.dispositions import DISPOSITION, QUARANTINED_USERS


@model(
    key=[],
    tags=["part_three"],
    materialized="view",
    columns=[
        Column("uid", "string", "uid as it came"),
        Column("username", "string", "the user's name"),
        Column("date_registered", "string", "dateRegistered as it came"),
        Column("last_modified", "string", "last_modified as it came"),
        DISPOSITION,
    ],
)
def quarantined_users(stg_user_versions: ir.Table) -> ir.Table:
    """One row per raw user row that can't be used as it is.

    Contract: section 3, quarantined_users.
    """
    return stg_user_versions.filter(_.disposition.isin(QUARANTINED_USERS)).select(
        "uid",
        "username",
        "disposition",
        date_registered=_.raw_date_registered,
        last_modified=_.raw_last_modified,
    )
