"""How a reading is held against what a command asked for (contract, section 5)."""

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
"""Turns a side's word into the one that both sides share; NULL matches nothing."""


def as_it_is(word: ir.StringValue) -> ir.StringValue:
    """Return the word itself."""
    return word


class Comparison:
    """What a command's parameters let expect of a reading, and whether the reading shows it.

    `asked` are the columns that the command fills, in order. `pairs` are commands with readings,
    with the columns `expected_word` and `expected_number`.
    """

    def expected_word(self, *asked: ir.StringValue) -> ir.StringValue | None:
        """Return the word to expect; None where this compares no words."""
        return None

    def expected_number(self, *asked: ir.StringValue) -> ir.FloatingValue | None:
        """Return the number to expect; None where this compares no numbers."""
        return None

    def reading_word(self, word: ir.StringValue) -> ir.StringValue:
        """Return the word to hold against the expected one, from the reading's in lower case."""
        return word

    def is_match(self, pairs: ir.Table) -> ir.BooleanValue:
        """Whether the reading shows what was asked for; NULL counts as not."""
        return self.reading_word(pairs.state_value.lower()) == pairs.expected_word


@dataclass(frozen=True)
class SameWord(Comparison):
    """The reading says the asked word, in any case."""

    asked: Words = as_it_is
    read: Words = as_it_is

    def expected_word(self, *asked: ir.StringValue) -> ir.StringValue:  # noqa: D102
        return self.asked(asked[0])

    def reading_word(self, word: ir.StringValue) -> ir.StringValue:  # noqa: D102
        return self.read(word)


@dataclass(frozen=True)
class SameLevel(Comparison):
    """The reading says the last asked word and, going on, about the asked level."""

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
    """The reading is near the asked set point, as it is or converted to the other unit."""

    def expected_number(self, *asked: ir.StringValue) -> ir.FloatingValue:  # noqa: D102
        return number(asked[0])

    def is_match(self, pairs: ir.Table) -> ir.BooleanValue:  # noqa: D102
        read, converted = set_points(pairs)

        def near(value: ir.Value) -> ir.BooleanValue:
            return (pairs.expected_number - value).abs() <= SET_POINT_TOLERANCE

        return near(read) | near(converted)


def set_points(pairs: ir.Table) -> tuple[ir.FloatingValue, ir.FloatingValue]:
    """Return the set point that the reading says, as it is and converted to the other unit.

    The command's unit is not known, so either may be the one to hold against `expected_number`.
    """
    read = number(pairs.state_value)
    converted = pairs.state_unit.cases(
        ("F", (read - 32) * 5 / 9), ("C", read * 9 / 5 + 32), else_=read
    )
    return read, converted


def door_word(asked: ir.StringValue) -> ir.StringValue:
    """Return how a reading says the asked lock state."""
    return asked.cases(("locked", "true"), ("unlocked", "false"))


def mode_word(word: ir.StringValue) -> ir.StringValue:
    """Return what a thermostat mode counts as."""
    return word.cases(
        ("settocool", "cool"),
        ("settoheat", "heat"),
        ("operatingstate", ibis.null("string")),
        else_=word,
    )
