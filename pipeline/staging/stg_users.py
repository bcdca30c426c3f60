"""The residents, by the latest version of their rows."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.contract import TableCheck, model, names_of
from pipeline.rules.columns import USER
from pipeline.rules.dedup import keep_first
from pipeline.rules.dispositions import STAGED


def username_is_unique(stg_users: ir.Table) -> ir.Table:
    """No two users share a name: if they do, daily counts add up both."""
    counts = stg_users.group_by("username").agg(number_of_users=_.count())
    return counts.filter(_.number_of_users > 1)


@model(
    key=["user_id"],
    tags=["part_two"],
    columns=USER,
    checks=[TableCheck(username_is_unique, severity="warn")],
)
def stg_users(stg_user_versions: ir.Table) -> ir.Table:
    """One row per user, the latest version of the user's row.

    Contract: section 2, raw_users (which version), and section 4, stg_users.
    """
    versions = stg_user_versions.filter(_.disposition == STAGED).select(*names_of(USER))
    latest = [ibis.desc("last_modified"), ibis.desc("date_registered")]
    by_name = [versions.username.isnull(), versions.username]
    return keep_first(versions, ["user_id"], [*latest, *by_name])
