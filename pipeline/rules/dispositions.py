"""The dispositions of raw rows (contract, section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from pipeline.contract import Column

STAGED = "staged"
DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Disposition:
    """Why a raw row is no row of a staging model; the reason completes a sentence about the row.

    A row that is not quarantined lies outside the scope of the models.
    """

    name: str
    reason: str
    is_quarantined: bool = True


EVENT_DISPOSITIONS = (
    Disposition("removed", "it tells that the map item was removed", is_quarantined=False),
    Disposition(
        "out_of_scope", "its ItemKey is none that the pipeline reads", is_quarantined=False
    ),
    Disposition("malformed_json", "its ItemData is not a JSON object"),
    Disposition("missing_device_id", "it names no device (MapUniqueName)"),
    Disposition("missing_update_timestamp", "its DateCreated is missing or no time"),
    Disposition("missing_command_uuid", "it carries no command id"),
    Disposition("missing_desired_state", "its desired_state names no command"),
    Disposition("missing_state", "it reports no state"),
)
"""The dispositions of an event, in order: the first that applies counts."""

USER_DISPOSITIONS = (
    Disposition("missing_user_id", "its uid is missing or no integer"),
    Disposition("missing_username", "its username is missing or empty"),
    Disposition("invalid_date_registered", "its dateRegistered is missing or no time"),
    Disposition("invalid_last_modified", "its last_modified is missing or no time"),
)
"""The dispositions of a user's row, in order."""


def _quarantined(dispositions: Sequence[Disposition]) -> tuple[str, ...]:
    return tuple(each.name for each in dispositions if each.is_quarantined)


QUARANTINED_EVENTS = _quarantined(EVENT_DISPOSITIONS)
QUARANTINED_USERS = _quarantined(USER_DISPOSITIONS)
OUT_OF_SCOPE = tuple(each.name for each in EVENT_DISPOSITIONS if not each.is_quarantined)
"""The dispositions of the events that the models do not need."""

IN_SCOPE = (STAGED, DUPLICATE, *QUARANTINED_EVENTS, *QUARANTINED_USERS)
"""The dispositions of the rows that the models should be able to read."""

DISPOSITION = Column(
    "disposition",
    "string",
    f"{STAGED}, or the first reason why the raw row is not",
    nullable=False,
)


def first_that_applies(
    dispositions: Sequence[Disposition], conditions: Mapping[str, ir.BooleanValue]
) -> ir.StringValue:
    """Return each row's disposition before dedup: the first whose condition holds, else staged.

    `conditions` has one for each disposition, by its name.
    """
    cases = [(conditions[each.name], each.name) for each in dispositions]
    return ibis.cases(*cases, else_=STAGED)
