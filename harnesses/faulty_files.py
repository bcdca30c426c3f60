"""Sound raw files of every kind, and the faults that such files come with."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pyarrow.parquet as pq

from harnesses import faulty_bytes, faulty_lines, faulty_schemas
from harnesses.faulty_bytes import Fault
from pipeline.generate import Format, generate
from pipeline.sources import SOURCES

_REWRITTEN: Mapping[str, Mapping[str, object]] = {
    "plain": {"compression": "none", "row_group_size": 64, "use_dictionary": False},
    "pages": {"compression": "snappy", "data_page_version": "2.0", "data_page_size": 2_000},
}
"""Parquet files of other writers: without compression, and of many small pages."""

_WRONG = {
    "parquet": (".csv", ".ndjson", ".csv.gz", ".jsonl.gz", ".parquet.gz", ".txt", ""),
    "ndjson": (".parquet", ".csv", ".ndjson.gz", ".txt"),
    "csv": (".parquet", ".ndjson", ".csv.gz", ".tsv"),
    "ndjson.gz": (".parquet", ".ndjson", ".csv.gz", ".gz", ".zip"),
    "csv.gz": (".parquet", ".csv", ".jsonl.gz", ".gz"),
}
"""The endings that a kind of file may have by mistake."""


@dataclass(frozen=True)
class Sound:
    """A sound file: its source, its content, and the ending of its name."""

    source: str
    stem: str
    ending: str
    content: bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.stem}.{self.ending}"


@dataclass(frozen=True)
class Case:
    """Files of one source by their names, the faulty one first, and the required result.

    `sound` is the file that the faulty one was made from.
    """

    sound: Sound
    fault: Fault
    files: Mapping[str, bytes]


def sound_files(folder: Path, commands: int, seed: int) -> list[Sound]:
    """Generate both sources in every kind."""
    found: list[Sound] = []
    kinds: tuple[Format, ...] = ("parquet", "ndjson", "csv")
    for kind in kinds:
        generate(folder, commands=commands, devices=9, days=4, seed=seed, format=kind)
        for source in SOURCES:
            content = (folder / f"{source}.{kind}").read_bytes()
            found.append(Sound(source, source, kind, content))
            if kind == "parquet":
                table = pq.read_table(io.BytesIO(content))
                for stem, options in _REWRITTEN.items():
                    rewritten = faulty_schemas.parquet(table, **options)
                    found.append(Sound(source, stem, kind, rewritten))
            else:
                found.append(Sound(source, source, f"{kind}.gz", gzip.compress(content, mtime=0)))
    return found


def cases(random: Random, sounds: list[Sound], each: int) -> Iterator[Case]:
    """Yield faulty files: so many of each kind of damage that the file can have."""
    for sound in sounds:
        for fault in _faults(random, sound, each):
            yield Case(sound, fault, {f"faulty.{sound.ending}": fault.content})
        for fault in _faults_beside(random, sound, sounds, each):
            files = {f"faulty.{sound.ending}": fault.content, sound.name: sound.content}
            yield Case(sound, fault, files)
        misnamed = Fault("a wrong name", "be refused", sound.content)
        for ending in _WRONG[sound.ending]:
            yield Case(sound, misnamed, {f"faulty{ending}": sound.content})


def _faults(random: Random, sound: Sound, each: int) -> Iterator[Fault]:
    """Yield the faults that are tried on the file alone."""
    yield Fault("none", "be read", sound.content)
    yield from faulty_bytes.cut(random, sound.ending, sound.content, each)
    yield from faulty_bytes.damaged(random, sound.ending, sound.content, 3 * each)
    if sound.ending.endswith(".gz"):
        yield from faulty_bytes.badly_compressed(random, sound.content)


def _faults_beside(random: Random, sound: Sound, sounds: list[Sound], each: int) -> Iterator[Fault]:
    """Yield the faults that are tried together with the sound file."""
    for other in sounds:
        if other.source != sound.source and other.ending == sound.ending:
            yield Fault("of the other source", "be refused", other.content)
    if sound.name == f"{sound.source}.parquet":
        shifts = list(faulty_schemas.shifted(sound.source, sound.content))
        yield from random.sample(shifts, min(len(shifts), 10 * each))
    kind, _, compressed = sound.ending.partition(".")
    if kind != "parquet":
        text = gzip.decompress(sound.content) if compressed else sound.content
        for fault in faulty_lines.faults(random, kind, text, max(1, each // 8)):
            whole = gzip.compress(fault.content, 1, mtime=0) if compressed else fault.content
            yield fault._replace(content=whole)
