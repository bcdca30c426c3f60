"""Delivers events to the warehouse: with revisions, lost fields, late and repeated deliveries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.generate.devices import Devices, make_devices
from pipeline.generate.history import happenings, windows
from pipeline.generate.items import spoiled
from pipeline.generate.texts import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Ints,
    Rng,
    clock,
    joined,
    mixed,
    some_rows,
    times,
)
from pipeline.sources import SOURCES

EVENT_SCHEMA = SOURCES["raw_sync_events"].schema.to_pyarrow()
_BATCH = 15 * MINUTE  # the time between two loads into the warehouse
_LATEST = 2 * HOUR
_END = 10_000 * 366 * DAY


def raw_events(
    *, commands: int, devices: int, days: int, seed: int, messy_values: bool, readings: int = 0
) -> Iterator[pa.Table]:
    """Yield the rows of raw_sync_events as they were loaded, a bounded number at a time.

    Memory holds a window of time, and its events that arrive later.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    homes = make_devices(devices, rng)
    happened = (
        (window.end, happenings(rng, homes, window, messy_values=messy_values, readings=readings))
        for window in windows(commands, days)
    )
    pushed = ((end, delivered(rng, homes, table)) for end, table in in_order("at", happened))
    for _, table in in_order("loaded", pushed):
        if len(table):
            yield _rows(homes, table)


def in_order(column: str, tables: Iterator[tuple[int, pa.Table]]) -> Iterator[tuple[int, pa.Table]]:
    """Sort rows by a column, across tables.

    Each table comes with a time, and no later table has rows before it. Rows after that time wait
    for the next table.
    """
    waiting: pa.Table | None = None
    for end, table in tables:
        together = table if waiting is None else pa.concat_tables([waiting, table])
        order = np.argsort(together[column].to_numpy(), kind="stable")
        together = together.combine_chunks().take(order)
        ready = int(np.searchsorted(together[column].to_numpy(), end))
        yield end, together.slice(0, ready)
        waiting = together.slice(ready)
    if waiting is not None:
        yield _END, waiting


def delivered(rng: Rng, devices: Devices, happened: pa.Table) -> pa.Table:
    """Number the events by time, and add the times of loading; some events are loaded twice."""
    count = len(happened)
    at, device = happened["at"].to_numpy(), happened["device"].to_numpy()
    lateness = rng.integers(2 * SECOND, MINUTE, size=count)
    late = some_rows(rng, count, 0.01)
    lateness[late] = rng.integers(MINUTE, _LATEST, size=len(late))
    ids = mixed(rng, devices.ids.take(device), (0.0003, None), (0.0003, ""))
    events = (
        happened.set_column(0, "at", pa.array(at, mask=rng.random(count) < 0.0006))
        .set_column(4, "item", spoiled(rng, happened["item"].combine_chunks()))
        .append_column("revision", pa.array(_next_revisions(devices, device)))
        .append_column("device_id", ids)
        .append_column("loaded", pa.array(at + lateness))
    )
    return _with_copies(rng, events)


def _next_revisions(devices: Devices, device: Ints) -> Ints:
    """Return each row's next revision of its device, in the order of the rows."""
    order = np.argsort(device, kind="stable")
    changed, first, counts = np.unique(device[order], return_index=True, return_counts=True)
    before = devices.revisions[changed]
    revision = np.empty(len(device), np.int64)
    revision[order] = np.arange(1, len(device) + 1) + np.repeat(before - first, counts)
    devices.revisions[changed] += counts
    return revision


def _with_copies(rng: Rng, events: pa.Table) -> pa.Table:
    """Add the rows that were stored twice: the same row, or again in a later object."""
    twice = events.take(some_rows(rng, len(events), 0.003))
    again = events.take(some_rows(rng, len(events), 0.007))
    later = again["loaded"].to_numpy() + rng.integers(MINUTE, _LATEST, size=len(again))
    position = again.schema.get_field_index("loaded")
    again = again.set_column(position, "loaded", pa.array(later))
    return pa.concat_tables([events, twice, again]).combine_chunks()


def _rows(devices: Devices, events: pa.Table) -> pa.Table:
    count = len(events)
    device = events["device"].combine_chunks()
    revision, loaded = events["revision"].to_numpy(), events["loaded"].to_numpy()
    hub = devices.hubs.take(device)
    columns = {
        "MapSid": devices.map_sids.take(device),
        "AccountSid": pa.repeat(f"AC{1:032x}", count),
        "ServiceSid": pa.repeat(f"IS{1:032x}", count),
        "ListSid": pa.nulls(count, pa.string()),
        "ListUniqueName": pa.nulls(count, pa.string()),
        "EndpointId": joined("endpoint-", hub),
        "Identity": hub,
        "ProtocolVersion": pa.repeat("4", count),
        "IsIdentityOnline": pa.array(revision % 50 != 0),
        "EventId": pa.array(revision),
        "EventType": events["event_type"],
        "DateCreated": times(events["at"].combine_chunks()),
        "MapRevision": _hex(revision),
        "ItemRevision": _hex(revision // 3),
        "ItemKey": events["item_key"],
        "ItemData": events["item"],
        "MapUniqueName": events["device_id"],
        "_source_file": _source_files(loaded),
        "_scheduled_timestamp": times((loaded // _BATCH + 1) * _BATCH),
    }
    return pa.table([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def _hex(numbers: Ints) -> pa.Array:
    return pa.array([f"{number:x}" for number in numbers.tolist()])


def _source_files(loaded: Ints) -> pa.Array:
    minute = clock(loaded)  # 2022-01-31 23:59:59.000000
    day = pc.replace_substring(pc.utf8_slice_codeunits(minute, 0, 10), "-", "/")
    hour, name = (pc.utf8_slice_codeunits(minute, at, at + 2) for at in (11, 14))
    return joined("hub-events/sync/", day, "/", hour, "/", name, ".json")
