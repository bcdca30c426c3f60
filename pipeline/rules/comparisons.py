"""Compares a reading with a command's parameters (contract, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from pipeline.rules.numbers import number

SET_POINT_TOLERANCE = 0.5
LEVEL_TOLERANCE = 1
"""Z-Wave reports 99 for 100."""

Words = Callable[[ir.StringValue], ir.StringValue]
"""Turns one side's word into the word that both sides share; NULL matches nothing."""


def as_it_is(word: ir.StringValue) -> ir.StringValue:
    """Return the word itself."""
    return word


class Comparison:
    """Computes the expected values of a reading, and whether a reading has them.

    `asked` are the columns of the command's parameters, in order. `pairs` are commands with
    readings, with the columns `expected_word` and `expected_number`.
    """

    def expected_word(self, *asked: ir.StringValue) -> ir.StringValue | None:
        """Return the expected word; None if this compares no words."""
        return None

    def expected_number(self, *asked: ir.StringValue) -> ir.FloatingValue | None:
        """Return the expected number; None if this compares no numbers."""
        return None

    def reading_word(self, word: ir.StringValue) -> ir.StringValue:
        """Return the word to compare with the expected one, from the reading's in lower case."""
        return word

    def is_match(self, pairs: ir.Table) -> ir.BooleanValue:
        """Tell whether the reading shows the command's effect; NULL counts as no."""
        return self.reading_word(pairs.state_value.lower()) == pairs.expected_word


@dataclass(frozen=True)
class SameWord(Comparison):
    """The reading has the asked word, in any case."""

    asked: Words = as_it_is
    read: Words = as_it_is

    def expected_word(self, *asked: ir.StringValue) -> ir.StringValue:  # noqa: D102
        return self.asked(asked[0])

    def reading_word(self, word: ir.StringValue) -> ir.StringValue:  # noqa: D102
        return self.read(word)


@dataclass(frozen=True)
class SameLevel(Comparison):
    """The reading has the last asked word and, if that is on, about the asked level."""

    def expected_word(self, *asked: ir.StringValue) -> ir.StringValue:  # noqa: D102
        words = asked[0].split(" ")
        return words[words.length() - 1].lower()

    def expected_number(self, *asked: ir.StringValue) -> ir.FloatingValue:  # noqa: D102
        is_on = self.expected_word(*asked) == "on"
        return is_on.ifelse(number(asked[1]), ibis.null("float64"))

    def is_match(self, pairs: ir.Table) -> ir.BooleanValue:  # noqa: D102
        distance = (pairs.expected_number - pairs.state_percent).abs()
        return super().is_match(pairs) & ~(distance > LEVEL_TOLERANCE).fill_null(False)


@dataclass(frozen=True)
class NearSetPoint(Comparison):
    """The reading is near the asked set point, unchanged or converted to the other unit."""

    def expected_number(self, *asked: ir.StringValue) -> ir.FloatingValue:  # noqa: D102
        return number(asked[0])

    def is_match(self, pairs: ir.Table) -> ir.BooleanValue:  # noqa: D102
        read, converted = set_points(pairs)

        def near(value: ir.Value) -> ir.BooleanValue:
            return (pairs.expected_number - value).abs() <= SET_POINT_TOLERANCE

        return near(read) | near(converted)


def set_points(pairs: ir.Table) -> tuple[ir.FloatingValue, ir.FloatingValue]:
    """Return the reading's set point, unchanged and converted to the other unit.

    The command's unit is unknown, so either may be the one to compare with `expected_number`.
    """
    read = number(pairs.state_value)
    converted = pairs.state_unit.cases(
        ("F", (read - 32) * 5 / 9), ("C", read * 9 / 5 + 32), else_=read
    )
    return read, converted


def door_word(asked: ir.StringValue) -> ir.StringValue:
    """Return a reading's word for the asked lock state."""
    return asked.cases(("locked", "true"), ("unlocked", "false"))


def mode_word(word: ir.StringValue) -> ir.StringValue:
    """Return the word that a thermostat mode counts as."""
    return word.cases(
        ("settocool", "cool"),
        ("settoheat", "heat"),
        ("operatingstate", ibis.null("string")),
        else_=word,
    )
