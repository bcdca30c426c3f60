"""Matches readings with commands (contract, section 5, the table of matches)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
from ibis import _

from pipeline.rules.commands import KINDS, CommandKind

_COMPARED = tuple((kind, kind.compared) for kind in KINDS if kind.compared)


def with_expectation(commands: ir.Table) -> ir.Table:
    """Add the values of a matching reading: its type, its word in lower case, its number.

    `expected_type` is NULL for a command that no reading shows; `expected_number` is the asked set
    point, or the asked level of a dimmer that goes on.
    """

    def asked(kind: CommandKind) -> list[ir.StringColumn]:
        return [commands[parameter.name] for parameter in kind.parameters]

    words = ((kind.name, how.expected_word(*asked(kind))) for kind, how in _COMPARED)
    numbers = ((kind.name, how.expected_number(*asked(kind))) for kind, how in _COMPARED)
    return commands.mutate(
        expected_type=_.command.cases(
            *((kind.name, kind.expected_reading) for kind, _how in _COMPARED),
            else_=ibis.null("string"),
        ),
        expected_word=_.command.cases(*((name, word) for name, word in words if word is not None)),
        expected_number=_.command.cases(
            *((name, number) for name, number in numbers if number is not None)
        ),
    )


def is_expected(pairs: ir.Table) -> ir.BooleanColumn:
    """Tell whether the reading's type is the one that the command should cause."""
    return (pairs.reading_type == pairs.expected_type).fill_null(False)


def reading_word(pairs: ir.Table) -> ir.StringValue:
    """Return the reading's word in lower case, to compare with `expected_word`."""
    word = pairs.state_value.lower()
    words = ((kind.name, how.reading_word(word)) for kind, how in _COMPARED)
    changed = [(name, changed) for name, changed in words if changed is not word]
    return pairs.command.cases(*changed, else_=word)


def is_match(pairs: ir.Table) -> ir.BooleanColumn:
    """Tell whether a reading of the expected type shows the command's effect; never NULL."""
    return pairs.command.cases(
        *((kind.name, how.is_match(pairs)) for kind, how in _COMPARED), else_=False
    ).fill_null(False)
