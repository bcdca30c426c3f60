"""The kinds of commands: the parameters of each, their columns, and the reading that shows it.

A new kind is one more entry in KINDS. The models' columns, the checks of clients' values, the
matching of readings, `explain` and the docs all come from this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract import Column
from pipeline.rules.comparisons import (
    Comparison,
    NearSetPoint,
    SameLevel,
    SameWord,
    door_word,
    mode_word,
)

ALL_COMMANDS = "(all)"
"""The reserved word that stands for all commands in met_command_outcomes."""


@dataclass(frozen=True)
class Parameter:
    """An element of `desired_state` after the first one, and the column that it fills.

    `type` is its type in JSON. A build warns of a value that is not in `accepted`, or does not
    match `pattern`, and of NULL unless it `may_be_null`. With `is_labelled`, a command in words has
    the parameter's name before its value.
    """

    name: str
    type: str
    description: str
    accepted: tuple[str, ...] = ()
    pattern: str = ""
    may_be_null: bool = False
    is_lower_case: bool = False
    is_labelled: bool = False
    sensitive: bool = False


@dataclass(frozen=True)
class CommandKind:
    """A kind of command: its name is the first element of `desired_state`.

    `expected_reading` is the ItemKey of the readings that show its effect, and `compared` says how;
    None if no reading shows it (contract, section 5).
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    expected_reading: str | None = None
    compared: Comparison | None = None


_SET_POINT = r"^([0-9]{1,3}\.?[0-9]{1,3})$"

KINDS = (
    CommandKind(
        "ThermostatHeatSetPoint",
        "heat up to a temperature",
        (
            Parameter(
                "thermostat_heat_set_point",
                "number or string",
                "asked heat set point, unit not given",
                pattern=_SET_POINT,
            ),
        ),
        "ThermostatHeatSetpoint",
        NearSetPoint(),
    ),
    CommandKind(
        "ThermostatCoolSetPoint",
        "cool down to a temperature",
        (
            Parameter(
                "thermostat_cool_set_point",
                "number or string",
                "asked cool set point, unit not given",
                pattern=_SET_POINT,
            ),
        ),
        "ThermostatCoolSetpoint",
        NearSetPoint(),
    ),
    CommandKind(
        "ThermostatMode",
        "set a thermostat's mode",
        (
            Parameter(
                "thermostat_mode",
                "string",
                "asked thermostat mode",
                accepted=(
                    *("off", "cool", "heat", "auto", "settocool", "settoheat"),
                    "operatingstate",
                ),
                is_lower_case=True,
            ),
        ),
        "ThermostatMode",
        SameWord(asked=mode_word, read=mode_word),
    ),
    CommandKind(
        "PinAssignment",
        "set or clear a door code",
        (
            Parameter(
                "slot",
                "number or string",
                "slot of the lock that a pin is assigned to",
                pattern="^([0-9]{1,3}|None)$",
                is_labelled=True,
            ),
            Parameter(
                "pin",
                "string, number or null",
                "the assigned pin; None or null clears it",
                pattern="^([0-9]{3,6}|None)$",
                may_be_null=True,
                is_labelled=True,
                sensitive=True,
            ),
        ),
    ),
    CommandKind(
        "SwitchState",
        "switch something on or off",
        (
            Parameter(
                "switch_state",
                "string",
                "asked switch state",
                accepted=("on", "off"),
                is_lower_case=True,
            ),
        ),
        "Switch",
        SameWord(),
    ),
    CommandKind(
        "LockedState",
        "lock or unlock a door",
        (
            Parameter(
                "lock_state",
                "string",
                "asked lock state",
                accepted=("locked", "unlocked"),
                is_lower_case=True,
            ),
        ),
        "DoorLocked",
        SameWord(asked=door_word),
    ),
    CommandKind(
        "DimmerState",
        "dim a light",
        (
            Parameter("dimmer_state", "string", "asked dimmer state: Multilevel On or Off"),
            Parameter(
                "dimmer_level", "number or string", "asked dimmer level, 0 to 100, may be absent"
            ),
        ),
        "Dimmer",
        SameLevel(),
    ),
)
"""All kinds whose parameters the models read; they read none of another kind."""

BY_NAME = {kind.name: kind for kind in KINDS}
PARAMETERS = tuple(parameter for kind in KINDS for parameter in kind.parameters)
ELEMENTS = tuple(
    f"desired_state_{position}"
    for position in range(1, 1 + max(len(kind.parameters) for kind in KINDS))
)
"""The names of the parsed elements of `desired_state` after the first one; one a parameter."""


def is_sensitive_at(position: int) -> bool:
    """Tell whether the element of `desired_state` at this position opens doors in some kind.

    The first element names the kind. No kind reads the elements after the last parameter, so they
    may hold anything.
    """
    if position > len(ELEMENTS):
        return True
    return any(
        kind.parameters[position - 1].sensitive
        for kind in KINDS
        if 1 <= position <= len(kind.parameters)
    )


def _column(kind: CommandKind, position: int, parameter: Parameter) -> Column:
    of_another_kind = is_sensitive_at(position) and not parameter.sensitive
    return Column(
        parameter.name,
        "string",
        _described(parameter),
        sensitive=parameter.sensitive,
        not_sensitive=(
            f"desired_state[{position}] holds no PIN where the command is {kind.name}"
            if of_another_kind
            else ""
        ),
    )


def _described(parameter: Parameter) -> str:
    values = f": {', '.join(parameter.accepted)}" if parameter.accepted else ""
    return f"{parameter.description}{', lower case' * parameter.is_lower_case}{values}"


ASKED = tuple(
    _column(kind, position, parameter)
    for kind in KINDS
    for position, parameter in enumerate(kind.parameters, 1)
)
"""The columns of a command's parameters; NULL if the command is of another kind."""
