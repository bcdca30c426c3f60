"""Faults of files as bytes: cut, damaged, or badly compressed."""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Literal, NamedTuple, TypeAlias

import pyarrow.parquet as pq

Must: TypeAlias = Literal["be refused", "be read", "agree"]
"""The required result for a file: with `agree`, that of an independent reader."""


class Fault(NamedTuple):
    """A fault of a file: its name, the required result, the content, and the required message."""

    name: str
    must: Must
    content: bytes
    told: str = ""


def cut(random: Random, ending: str, content: bytes, times: int) -> Iterator[Fault]:
    """Cut a file at its own boundaries, beside them, and so many times anywhere."""
    # no part of a file with a checksum or a footer is a whole file
    must: Must = "agree" if ending in ("ndjson", "csv") else "be refused"
    edges = [place + step for place in _boundaries(ending, content) for step in (-1, 0, 1)]
    if len(edges) > 2 * times:
        edges = random.sample(edges, 2 * times)
    size = len(content)
    places = {0, 1, size - 1, *edges, *(random.randrange(size) for _ in range(times))}
    for place in sorted(place for place in places if 0 <= place < size):
        yield Fault("cut" if place else "0 bytes", must, content[:place])


def damaged(random: Random, ending: str, content: bytes, times: int) -> Iterator[Fault]:
    """Damage a file so many times; in a Parquet file, mostly in headers and footer."""
    everywhere = [(0, len(content))]
    described = _descriptions(content) if ending == "parquet" else everywhere
    for turn in range(times):
        at = random.randrange(*random.choice(described if turn % 3 else everywhere))
        fault, damage = random.choice(list(_DAMAGE.items()))
        changed = content[:at] + damage(random, content[at:])
        if changed != content:
            yield Fault(fault, "agree", changed)


_DAMAGE: Mapping[str, Callable[[Random, bytes], bytes]] = {
    "a bit flipped": lambda random, rest: bytes([rest[0] ^ 1 << random.randrange(8)]) + rest[1:],
    "a byte changed": lambda random, rest: random.randbytes(1) + rest[1:],
    "some bytes changed": lambda random, rest: random.randbytes(min(16, len(rest))) + rest[16:],
    "a hole of zeros": lambda random, rest: bytes(min(512, len(rest))) + rest[512:],
    "a byte lost": lambda random, rest: rest[1:],
    "a byte too many": lambda random, rest: random.randbytes(1) + rest,
}
"""Damage at the beginning of the rest of a file."""


def _boundaries(ending: str, content: bytes) -> list[int]:
    size = len(content)
    if ending == "parquet":
        return [4, _footer(content), size - 8, size - 4, *_chunks(content)]
    if ending.endswith(".gz"):
        return [2, 4, 10, size - 8, size - 4]
    return [place for place, byte in enumerate(content) if byte == 0x0A]


def _footer(content: bytes) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def _chunks(content: bytes) -> list[int]:
    """Return the positions where the columns of each row group begin and end."""
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    places = set()
    for group, column in itertools.product(
        range(metadata.num_row_groups), range(metadata.num_columns)
    ):
        chunk = metadata.row_group(group).column(column)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        places |= {start, chunk.data_page_offset, start + chunk.total_compressed_size}
    return sorted(places)


def _descriptions(content: bytes) -> list[tuple[int, int]]:
    """Return the positions of the pages' headers, and as many times that of the footer."""
    heads = [(place, place + 40) for place in _chunks(content)[:-1]]
    footer = _footer(content)
    # only one library reads the bytes after the mark
    return [*heads, *[(footer, content.index(b"ARROW:schema", footer))] * len(heads)]


def badly_compressed(random: Random, content: bytes) -> Iterator[Fault]:
    """Yield a .gz of several members, cut between them, or with more after its end."""
    text = gzip.decompress(content)
    half, line = len(text) // 2, text.index(b"\n") + 1
    for place in (half, line, len(text)):
        parts = [gzip.compress(part, mtime=0) for part in (text[:place], text[place:])]
        yield Fault("two members", "be read", b"".join(parts))
        yield Fault("the first of two members", "agree", parts[0])
        yield Fault("a cut second member", "be refused", b"".join(parts)[:-1])
    yield Fault("compressed twice", "be refused", gzip.compress(content))
    for garbage in (b"\n", b"x", b"\x1f", b"\x1f\x8b", text[:line], random.randbytes(999)):
        yield Fault("bytes after the end", "be refused", content + garbage)
    yield Fault("zeros after the end", "be read", content + bytes(512))
    head, body = content[:10], content[10:]
    for name, flag, more in (
        ("a comment in the header", 0x10, b"from the gateway\0"),
        ("more in the header", 0x04, b"\x02\x00ab"),
        ("a mark of text in the header", 0x01, b""),
    ):
        yield Fault(name, "be read", head[:3] + bytes([flag]) + head[4:] + more + body)
    for place in range(len(content) - 8, len(content)):
        wrong = bytes([content[place] ^ 0x10])
        checked = content[:place] + wrong + content[place + 1 :]
        yield Fault("a wrong checksum or length", "be refused", checked)
