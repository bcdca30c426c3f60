"""The outcomes of commands (contract, section 5)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One outcome: the hub's answer, whether an attributed reading matches, and its wording.

    `hub_success` is None if the hub never answered. `told` begins a sentence that goes on with the
    device's reaction.
    """

    name: str
    hub_success: bool | None
    has_match: bool
    told: str


CONFIRMED = Outcome("confirmed", True, True, "The hub answered with success, and")
OUTCOMES = (
    CONFIRMED,
    Outcome("unconfirmed", True, False, "The hub answered with success, but"),
    Outcome("failed", False, False, "The hub answered with failure, and"),
    Outcome("contradicted", False, True, "The hub answered with failure, and yet"),
    Outcome("observed", None, True, "The hub never answered, and yet"),
    Outcome("no_response", None, False, "The hub never answered, and"),
)
"""Every command has exactly one of these."""
