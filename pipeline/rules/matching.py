"""Whether a reading shows what a command asked for (contract, section 5, the table of matches)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.rules.items import EXPECTED_READING
from pipeline.rules.numbers import number

SET_POINTS = ("ThermostatHeatSetPoint", "ThermostatCoolSetPoint")
SET_POINT_TOLERANCE = 0.5
LEVEL_TOLERANCE = 1  # Z-Wave reports 99 for 100


def with_expectation(commands: ir.Table) -> ir.Table:
    """Add what a matching reading would say: its type, its word in lower case, its number.

    `expected_type` is NULL for a command that no reading shows; `expected_number` is the asked set
    point, or the asked level of a dimmer that goes on.
    """
    dimmer_word = _last_word(commands.dimmer_state).lower()
    level = (dimmer_word == "on").ifelse(number(commands.dimmer_level), ibis.null("float64"))
    expected_type = _.command.cases(*EXPECTED_READING.items(), else_=ibis.null("string"))
    return commands.mutate(
        expected_type=expected_type,
        expected_word=_.command.cases(
            ("LockedState", _.lock_state.cases(("locked", "true"), ("unlocked", "false"))),
            ("SwitchState", _.switch_state),
            ("DimmerState", dimmer_word),
            ("ThermostatMode", _mode(commands.thermostat_mode)),
        ),
        expected_number=_.command.cases(
            ("ThermostatHeatSetPoint", number(commands.thermostat_heat_set_point)),
            ("ThermostatCoolSetPoint", number(commands.thermostat_cool_set_point)),
            ("DimmerState", level),
        ),
    )


def is_expected(pairs: ir.Table) -> ir.BooleanColumn:
    """Whether the reading's type is the one that the command should cause."""
    return (pairs.reading_type == pairs.expected_type).fill_null(False)


def reading_word(pairs: ir.Table) -> ir.StringValue:
    """Return what the reading says as a word to hold against `expected_word`: in lower case."""
    word = pairs.state_value.lower()
    return pairs.command.cases(("ThermostatMode", _mode(word)), else_=word)


def set_points(pairs: ir.Table) -> tuple[ir.FloatingValue, ir.FloatingValue]:
    """Return the set point that the reading says, as it is and converted to the other unit.

    The command's unit is not known, so that either may be the one to hold against
    `expected_number`.
    """
    read = number(pairs.state_value)
    converted = pairs.state_unit.cases(
        ("F", (read - 32) * 5 / 9), ("C", read * 9 / 5 + 32), else_=read
    )
    return read, converted


def is_match(pairs: ir.Table) -> ir.BooleanColumn:
    """Whether a reading of the expected type says what was asked for; never NULL."""
    same_word = reading_word(pairs) == pairs.expected_word
    off_level = (pairs.expected_number - pairs.state_percent).abs() > LEVEL_TOLERANCE
    return pairs.command.cases(
        *((set_point, _is_near_set_point(pairs)) for set_point in SET_POINTS),
        ("DimmerState", same_word & ~off_level.fill_null(False)),
        else_=same_word,
    ).fill_null(False)


def _is_near_set_point(pairs: ir.Table) -> ir.BooleanValue:
    read, converted = set_points(pairs)

    def near(value: ir.Value) -> ir.BooleanValue:
        return (pairs.expected_number - value).abs() <= SET_POINT_TOLERANCE

    return near(read) | near(converted)


def _mode(word: ir.StringValue) -> ir.StringValue:
    return word.cases(
        ("settocool", "cool"),
        ("settoheat", "heat"),
        ("operatingstate", ibis.null("string")),
        else_=word,
    )


def _last_word(text: ir.StringColumn) -> ir.StringValue:
    words = text.split(" ")
    return words[words.length() - 1]
