"""Writes ItemData as clients and hubs do: Command, CommandActive, CommandResult and readings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.generate.devices import FIRST_USER, NO_USER
from pipeline.generate.texts import (
    SECOND,
    Bools,
    Ints,
    Rng,
    chosen,
    item_times,
    joined,
    mixed,
    rewritten,
    some_rows,
    uuids,
)

_CLIENTS = ("ios", "ios", "ios", "android", "android", "googlehome", "alexa", "web")
_ORIGINS = ("app", "app", "schedule", "voice", "staff")
_SUCCESSES = ("true", "true", "true", '"true"', '"True"', '"success"', '"SUCCESS"')
_FAILURES = ("false", "false", "false", '"false"', '"False"', '"unsuccessful"', "null")
_REASONS = (
    "device did not answer",
    "Z-Wave timeout",
    "node is dead",
    'node \\"front door\\" is jammed',
    "délai dépassé",
)


def command_items(rng: Rng, uuid: pa.Array, at: Ints, user: Ints, desired: pa.Array) -> pa.Array:
    """Return a client's items: who asks for which state, from where."""
    count = len(at)
    wanted = mixed(
        rng,
        joined(',"desired_state":', desired),
        (0.0004, ""),
        (0.0004, ',"desired_state":[]'),
        (0.0004, ',"desired_state":[null]'),
        (0.0004, ',"desired_state":{"LockedState":"locked"}'),
        (0.0004, ',"desired_state":["(all)"]'),
    )
    return joined(
        '{"client":"',
        chosen(rng, _CLIENTS, count),
        '"',
        _command_ids(rng, uuid),
        item_times(rng, _written_before(rng, at)),
        _user_members(rng, user),
        ',"origin":"',
        chosen(rng, _ORIGINS, count),
        '","origin_id":"',
        pc.utf8_slice_codeunits(uuids(rng, count), 0, 8),
        '"',
        wanted,
        "}",
    )


def active_items(rng: Rng, uuid: pa.Array, at: Ints, node: pa.Array) -> pa.Array:
    """Return a hub's items when it picks a command up."""
    times = item_times(rng, _written_before(rng, at))
    return joined('{"node_id":', _numbers(rng, node), _command_ids(rng, uuid), times, "}")


def result_items(rng: Rng, uuid: pa.Array, at: Ints, node: pa.Array, is_success: Bools) -> pa.Array:
    """Return a hub's items once it has dispatched a command."""
    count = len(at)
    succeeded = joined(',"result":', chosen(rng, _SUCCESSES, count))
    failed = joined(
        ',"result":',
        chosen(rng, _FAILURES, count),
        ',"failure_string":"',
        chosen(rng, _REASONS, count),
        '"',
    )
    return joined(
        '{"node_id":',
        _numbers(rng, node),
        _command_ids(rng, uuid),
        item_times(rng, _written_before(rng, at)),
        pc.if_else(is_success, mixed(rng, succeeded, _NO_REASON), failed),
        "}",
    )


_NO_REASON = (0.3, ',"result":true,"failure_string":null')


def reading_items(rng: Rng, state: pa.Array, at: Ints) -> pa.Array:
    """Return a hub's items about a device in this state."""
    states = mixed(
        rng,
        joined('"state":', state),
        (0.0003, '"state":null'),
        (0.0003, '"state":{}'),
        (0.0003, '"state":{"value":null}'),
        (0.0003, '"state":[]'),
        (0.0003, '"status":"ok"'),
    )
    ids = mixed(
        rng,
        joined(',"uuid":"', uuids(rng, len(at)), '"'),
        (0.004, ""),
        (0.003, ',"uuid":""'),
        (0.003, ',"uuid":null'),
    )
    return joined("{", states, ids, item_times(rng, _written_before(rng, at)), "}")


def spoiled(rng: Rng, items: pa.Array) -> pa.Array:
    """Add white space to some items, and break a few so they are no JSON object any more."""
    spaced = rewritten(items, some_rows(rng, len(items), 0.005), _with_space)
    return rewritten(spaced, some_rows(rng, len(items), 0.0015), _broken)


def _with_space(text: str | None, row: int) -> str | None:
    gap = "\n  " if row % 4 == 0 else " "
    return None if text is None else text.replace('":', '": ').replace(',"', f',{gap}"')


def _broken(text: str | None, row: int) -> str | None:
    whole = text or "{}"
    half = whole[: len(whole) // 2]
    return (half, None, "", f"{whole}}}", f"[{whole}]", '"offline"', "null")[row % 7]


def _command_ids(rng: Rng, uuid: pa.Array) -> pa.Array:
    # newer hubs write an id of the item and, beside it, the command's id
    return mixed(
        rng,
        joined(',"uuid":"', uuid, '"'),
        (0.03, joined(',"command_id":"', uuid, '","uuid":"', uuids(rng, len(uuid)), '"')),
        (0.02, joined(',"command_id":"', uuid, '"')),
        (0.01, joined(',"command_id":"","uuid":"', uuid, '"')),
        (0.0005, ""),
        (0.0005, ',"uuid":""'),
        (0.0005, ',"command_id":"","uuid":null'),
    )


def _user_members(rng: Rng, user: Ints) -> pa.Array:
    text = pa.array(user).cast(pa.string())
    unknown = FIRST_USER - 1 - rng.integers(9, size=len(user))
    members = mixed(
        rng,
        joined(',"user":"', text, '"'),
        (0.25, joined(',"user":', text)),
        (0.02, ""),
        (0.02, ',"user":""'),
        (0.01, ',"user":null'),
        (0.003, joined(',"user":"', pa.array(unknown).cast(pa.string()), '"')),
    )
    return pc.if_else(user == NO_USER, "", members)


def _numbers(rng: Rng, number: pa.Array) -> pa.Array:
    return mixed(rng, number, (0.3, joined('"', number, '"')))


def _written_before(rng: Rng, at: Ints) -> Ints:
    # the item's clock is a little ahead of Twilio's, and sometimes minutes off
    lead = (rng.exponential(0.15, len(at)) * SECOND).astype(np.int64)
    lead[some_rows(rng, len(at), 0.003)] -= 7 * 60 * SECOND
    return at - lead
