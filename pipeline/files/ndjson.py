"""NDJSON files: a JSON object a line, all of it read as text; no type is guessed from values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend

from pipeline.contract import names_of
from pipeline.files.ndjson_survey import survey
from pipeline.files.parts import DOCUMENT, Part, grouped, scan, view
from pipeline.files.streams import compression
from pipeline.rules.source_values import as_text
from pipeline.sources import Source

_LONG_LINE = 8 * 2**20
_FRACTION = r"^-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)$"
_NESTED = r"^[{\[]"


def parts(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    names: Sequence[str],
    scratch: Path,
) -> list[Part]:
    """Return a part for each shape among the files: all columns are text.

    Raises:
        InputError: a file is no NDJSON, or has none of the source's keys.
    """
    surveys = {path: survey(path, names_of(source.columns)) for path in paths}
    shapes = grouped(paths, lambda path: _options(path, surveys[path].longest))
    return [
        Part(
            _texts(con, source, alike, dict(options), names),
            {path: surveys[path].rows for path in alike},
        )
        for options, alike in shapes.items()
    ]


def _options(path: Path, longest: int) -> tuple[tuple[str, Any], ...]:
    options = {"hive_partitioning": False, "compression": compression(path)}
    if longest > _LONG_LINE:
        options["maximum_object_size"] = 2 * longest
    return tuple(options.items())


def _texts(
    con: Backend,
    source: Source,
    paths: Sequence[Path],
    options: Mapping[str, Any],
    names: Sequence[str],
) -> ir.Table:
    # Whole lines and then their members: the reader's own columns refuse a repeated key, and no
    # longer tell the text "1e5" from the number 1e5.
    lines = scan("read_ndjson_objects", paths, options)
    line = sge.column("json", quoted=True)
    wanted = sge.convert(json.dumps(dict.fromkeys(names, "VARCHAR")))
    members = sge.Anonymous(this="json_transform", expressions=[line, wanted])
    rows = view(con, source.name, [({"line": line, "members": members}, lines)])
    fields = {name: rows.members[name] for name in names}
    texts = rows.select("line", **fields)
    return texts.select(**{name: _text(texts, name) for name in names})


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def json_type(document: str, path: str) -> str:
    """Name the type of a member of a JSON document."""
    raise NotImplementedError  # the engine's own function


def _text(texts: ir.Table, name: str) -> ir.StringColumn:
    """Write numbers in their shortest form, and keep nested values of the document alone."""
    text = texts[name]
    # only what looks like it is looked up in the line again
    odd = text.re_search(_FRACTION if name == DOCUMENT else f"{_FRACTION}|{_NESTED}")
    kind = json_type(texts.line.cast("string"), f'$."{name}"')
    written = ibis.cases(
        (kind == "DOUBLE", _shortest(text)),
        (kind.isin(["OBJECT", "ARRAY"]), ibis.null("string")),
        else_=text,
    )
    return odd.ifelse(written, text)


def _shortest(text: ir.StringColumn) -> ir.StringColumn:
    number = text.try_cast("float64")
    return number.isinf().fill_null(True).ifelse(text, as_text(number))
