"""NDJSON files: a JSON object a line. Every column is text: the reader guesses no types."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.disk import writing
from pipeline.files.ndjson_survey import Survey, line_blocks, survey, without_lone_surrogates
from pipeline.files.nested import call, without_nan
from pipeline.files.parts import DOCUMENT, Part, grouped, scan, view
from pipeline.files.streams import Text, compression, next_name, readable
from pipeline.rules.source_values import as_text
from pipeline.sources import Source

_LONG_LINE = 8 * 2**20
_FRACTION = r"^-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)$"
_NO_JSON = "(?i)^-?(nan|inf|infinity)$"
_NESTED = r"^[{\[]"


@dataclass
class _Lines:
    """Files that DuckDB reads in one way, as a view."""

    con: Backend
    source: Source
    names: Sequence[str]
    paths: Mapping[Path, Survey]
    options: Mapping[str, Any]
    scratch: Path
    copies: dict[Path, Path] = field(default_factory=dict)
    name: str | None = None

    def part(self) -> Part:
        for path, found in self.paths.items():
            if found.is_odd:
                self.copies[path] = readable(path, self.scratch)
        rows = self._view()
        self.name = rows.get_name()
        counts = {path: found.rows for path, found in self.paths.items()}
        return Part(_texts(rows, self.names), counts, self.mend)

    def mend(self) -> bool:
        """Copy each file that has members with half a character, without those members.

        Raises:
            InputError: a file can't be read.
        """
        changed = False
        for path in self.paths:
            if not _has_half_a_character(path):
                continue
            target = next_name(path, self.scratch)
            with writing(target), target.open("wb") as file:
                file.writelines(map(without_lone_surrogates, line_blocks(Text(path))))
            self.copies[path] = target
            changed = True
        if changed:
            self._view()
        return changed

    def _view(self) -> ir.Table:
        # Whole lines first, then their members: DuckDB's own columns refuse a repeated key, and do
        # not tell the text "1e5" from the number 1e5.
        line = sge.column("json", quoted=True)
        wanted = sge.convert(json.dumps(dict.fromkeys(self.names, "VARCHAR")))
        members = call("json_transform", line, wanted)
        values = {"line": line, "members": members}
        if DOCUMENT in self.names:
            values[DOCUMENT] = _document(line, members)
        sound = [path for path in self.paths if path not in self.copies]
        unpacked = {**self.options, "compression": "uncompressed"}
        scans = [(sound, self.options), ([*self.copies.values()], unpacked)]
        lines = [scan("read_ndjson_objects", *each) for each in scans if each[0]]
        return view(self.con, self.source.name, [(values, each) for each in lines], self.name)


def _document(line: sge.Expression, members: sge.Expression) -> sge.Expression:
    """Return ItemData as text, with null for NaN and Infinity where it is nested."""
    text = call("struct_extract", members, DOCUMENT)
    may_have_one = sge.or_(call("contains", text, "NaN"), call("contains", text, "Infinity"))
    is_nested = call("json_type", line, f'$."{DOCUMENT}"').isin("OBJECT", "ARRAY")
    # a CASE in a CASE: DuckDB may evaluate the sides of an AND in any order, and the inner is slow
    cleaned = sge.Case().when(is_nested, without_nan(text)).else_(text)
    return sge.Case().when(may_have_one, cleaned).else_(text)


def parts(
    con: Backend, source: Source, paths: Sequence[Path], names: Sequence[str], scratch: Path
) -> list[Part]:
    """Return a part for each shape among the files; all columns are text.

    Raises:
        InputError: a file is not NDJSON, or no line of it has the source's keys.
    """
    surveys = {path: survey(path, source.known_by) for path in paths}
    shapes = grouped(paths, lambda path: _options(path, surveys[path]))
    return [
        _Lines(
            con, source, names, {path: surveys[path] for path in alike}, dict(options), scratch
        ).part()
        for options, alike in shapes.items()
    ]


def _options(path: Path, found: Survey) -> tuple[tuple[str, Any], ...]:
    packed = "uncompressed" if found.is_odd else compression(path)
    options = {"hive_partitioning": False, "compression": packed}
    if found.longest > _LONG_LINE:
        options["maximum_object_size"] = 2 * found.longest
    return tuple(options.items())


def _has_half_a_character(path: Path) -> bool:
    return any(without_lone_surrogates(block) != block for block in line_blocks(Text(path)))


def _texts(rows: ir.Table, names: Sequence[str]) -> ir.Table:
    fields = {name: rows[DOCUMENT] if name == DOCUMENT else rows.members[name] for name in names}
    texts = rows.select("line", **fields)
    return texts.select(**{name: _text(texts, name) for name in names})


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def json_type(document: str, path: str) -> str:
    """Name the type of a member of a JSON document."""
    raise NotImplementedError  # the engine's own function


def _text(texts: ir.Table, name: str) -> ir.StringColumn:
    """Write numbers in their shortest form, and keep nested values only in the document."""
    text = texts[name]
    # look up in the line only texts that look like such a value, and look whole only at those that
    # begin like one
    forms, letters = [_FRACTION, _NO_JSON], "nNiI"
    if name != DOCUMENT:
        forms, letters = [*forms, _NESTED], letters + "{["
    first = text.ascii_str()
    begins = ibis.or_(
        first.between(ord("-"), ord("9")), *(first == ord(letter) for letter in letters)
    )
    odd = begins.ifelse(text.re_search("|".join(forms)), False)
    kind = json_type(texts.line.cast("string"), f'$."{name}"')
    # DuckDB takes NaN and Infinity for numbers; JSON has no such numbers
    is_number = (kind == "DOUBLE") & ~text.re_search(_NO_JSON)
    written = ibis.cases(
        (is_number, _shortest(text)),
        (kind == "DOUBLE", ibis.null("string")),
        (kind.isin(["OBJECT", "ARRAY"]), ibis.null("string")),
        else_=text,
    )
    return odd.ifelse(written, text)


def _shortest(text: ir.StringColumn) -> ir.StringColumn:
    number = text.try_cast("float64")
    return number.isinf().fill_null(True).ifelse(text, as_text(number))
