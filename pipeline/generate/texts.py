"""Makes columns of text from pieces: ids, times, and rare spellings in a share of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

START = datetime(2022, 1, 1, tzinfo=UTC)
"""The start of all histories; every time in this room is in microseconds after it."""
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_START = int(START.timestamp()) * SECOND
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_ZONES = [timezone(timedelta(minutes=minutes)) for minutes in (-480, -210, 60, 330, 840)]


def joined(*pieces: pa.Array | str) -> pa.Array:
    """Join columns and constants row by row; a row with a NULL piece is NULL."""
    return pc.binary_join_element_wise(*pieces, "")


def chosen(rng: Rng, texts: Sequence[str | None], count: int) -> pa.Array:
    """Return `count` random texts, each of the texts equally likely."""
    return pa.array(texts, pa.string()).take(rng.integers(len(texts), size=count))


def mixed(rng: Rng, usual: pa.Array, *rare: tuple[float, pa.Array | str | None]) -> pa.Array:
    """Return the usual texts, with rare ones in their given shares of rows."""
    limits = np.cumsum([share for share, _ in rare])
    which = np.searchsorted(limits, rng.random(len(usual)), side="right")
    others = [pa.scalar(text, pa.string()) if _is_one(text) else text for _, text in rare]
    return pc.choose(pa.array(which), *others, usual)


def _is_one(text: pa.Array | str | None) -> bool:
    return text is None or isinstance(text, str)


def some_rows(rng: Rng, count: int, share: float) -> Ints:
    """Return the positions of a random share of rows, in order."""
    return np.flatnonzero(rng.random(count) < share).astype(np.int64)


def rewritten(
    texts: pa.Array, rows: Ints, write: Callable[[str | None, int], str | None]
) -> pa.Array:
    """Rewrite some rows one by one: `write` gets a row's text and position."""
    if not len(rows):
        return texts
    old = texts.take(rows).to_pylist()
    new = [write(text, row) for text, row in zip(old, rows.tolist(), strict=True)]
    mask = np.zeros(len(texts), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(texts, mask, pa.array(new, pa.string()))


def random_hex(rng: Rng, count: int, width: int) -> pa.Array:
    """Return random texts of `width` hex digits."""
    return _texts_of(_HEX[rng.integers(16, size=(count, width), dtype=np.uint8)])


def uuids(rng: Rng, count: int) -> pa.Array:
    """Return random ids in the form of UUIDs, version 4."""
    digits = rng.integers(16, size=(count, 36), dtype=np.uint8)
    letters = _HEX[digits]
    letters[:, [8, 13, 18, 23]] = ord("-")
    letters[:, 14] = ord("4")
    letters[:, 19] = _HEX[8 + digits[:, 19] % 4]
    return _texts_of(letters)


def _texts_of(letters: npt.NDArray[np.uint8]) -> pa.Array:
    count, width = letters.shape
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(letters.tobytes()))


def times(at: Ints | pa.Array) -> pa.Array:
    """Return times in the warehouse's type, NULL where `at` is."""
    return pc.add(pa.array(at), _START).cast(pa.timestamp("us", "UTC"))


def clock(at: Ints | pa.Array) -> pa.Array:
    """Return times as `2022-01-31 23:59:59.000000`, NULL where `at` is."""
    return pc.add(pa.array(at), _START).cast(pa.timestamp("us")).cast(pa.string())


def time_at(at: int) -> datetime:
    """Return one time, in UTC."""
    return START + timedelta(microseconds=at)


def item_times(rng: Rng, at: Ints) -> pa.Array:
    """Return the `timestamp` members of items; some have another format, are invalid or missing."""
    usual = joined(',"timestamp":"', pc.binary_replace_slice(clock(at), 10, 11, "T"), 'Z"')
    rows = some_rows(rng, len(at), 0.06)
    forms = iter(rng.integers(len(_OTHER_TIMES), size=len(rows)).tolist())
    return rewritten(
        usual, rows, lambda _, row: _OTHER_TIMES[next(forms)](time_at(int(at[row])), row)
    )


def _written(form: str) -> Callable[[datetime, int], str]:
    return lambda time, row: f',"timestamp":"{time.strftime(form)}"'


def _digits(time: datetime, row: int) -> str:
    nanos = f"{time.microsecond:06d}{row % 1000:03d}"
    return f',"timestamp":"{time:%Y-%m-%dT%H:%M:%S}.{nanos[: 1 + row % 9]}Z"'


def _offset(time: datetime, row: int) -> str:
    local = time.astimezone(_ZONES[row % len(_ZONES)])
    return f',"timestamp":"{local.isoformat(" T"[row % 2], "milliseconds")}"'


def _no_time(time: datetime, row: int) -> str:
    texts = (f'"{time:%d/%m/%Y %H:%M}"', '"just now"', '"2022-02-30T10:00:00Z"', '""', "null")
    return f',"timestamp":{texts[row % len(texts)]}'


_OTHER_TIMES = (
    *(_digits,) * 6,
    *(_offset,) * 6,
    _written("%Y-%m-%dT%H:%M:%SZ"),
    _written("%Y-%m-%d %H:%M:%S"),
    _written("%Y-%m-%d %H:%M:%S.%fZ"),
    _written("%Y-%m-%dT%H:%M:%S.%f"),
    _no_time,
    lambda time, row: "",
)
