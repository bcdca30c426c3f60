"""Residents, to join commands with."""

from __future__ import annotations

import ibis.expr.types as ir

from pipeline.contract import model
from pipeline.rules.columns import USER


@model(key=["user_id"], tags=["part_two"], columns=USER)
def dim_users(stg_users: ir.Table) -> ir.Table:
    """One row per user.

    Contract: section 5, dim_users.
    """
    return stg_users
