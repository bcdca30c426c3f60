"""Reads raw files a second time, with other libraries and rules of its own.

It accepts the files that the pipeline promises to accept. It says so if the engine decides how to
write a value.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

csv.field_size_limit(2**30)
DOCUMENT = "ItemData"
_LONGEST = 15
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_BOM = b"\xef\xbb\xbf"


class UnreadableError(Exception):
    """The file is not of its name's kind, or not a whole one."""


@dataclass(frozen=True)
class Content:
    """The rows of files, a text or None for each column, and whether the values are certain."""

    rows: list[tuple[str | None, ...]]
    exact: bool


def read(paths: Iterable[Path], columns: Sequence[str]) -> Content:
    """Read these columns of files of any kind.

    Raises:
        UnreadableError: one of them can't be read.
    """
    rows = [row for path in paths for row in _reader(path)(path, columns)]
    return content_of(rows, columns)


def content_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Content:
    """Write all values in one form."""
    written: list[tuple[str | None, ...]] = []
    exact = True
    for row in rows:
        try:
            written.append(texts_of(row, columns))
        except InexactError:
            written.append(())
            exact = False
    return Content(written, exact)


class InexactError(Exception):
    """The engine decides how to write a value."""


def texts_of(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[str | None, ...]:
    """Return a row's values as text; a nested one is None, unless it is in a document.

    Raises:
        InexactError: one of them can be written in several ways.
    """
    values = {name: row.get(name) for name in columns}
    for name, value in values.items():
        if isinstance(value, dict | list):
            values[name] = _nested(value) if name == DOCUMENT else None
    return tuple(text_of(value) for value in values.values())


def _nested(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError as error:
        raise InexactError from error


def text_of(value: Any) -> str | None:
    """Return a value as text, JSON without white space.

    Raises:
        InexactError: it can be written in several ways.
    """
    match value:
        case None:
            return None
        case bytes():
            return text_of(_decoded(value))
        case bool():
            return str(value).lower()
        case str() if value.startswith("{"):
            return _document(value)
        case str():
            return _time(value)
        case int() if abs(value) < 10**_LONGEST:
            return str(value)
        case float() if math.isfinite(value) and 1e-4 < abs(value) < 10**_LONGEST:
            return repr(value)
        case _ if hasattr(value, "isoformat"):
            return _time(value.isoformat())
    raise InexactError


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _time(text: str) -> str:
    """Write a time in one form, whatever its type was; leave other texts unchanged."""
    try:
        time = dt.datetime.fromisoformat(text) if _DATE.match(text) else None
        return time.replace(tzinfo=time.tzinfo or dt.UTC).isoformat() if time else text
    except ValueError:
        return text


def _document(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


Rows = Iterator[dict[str, Any]]


def _reader(path: Path) -> Callable[[Path, Sequence[str]], Rows]:
    kinds = {".parquet": _parquet, ".ndjson": _ndjson, ".jsonl": _ndjson, ".csv": _csv}
    name = path.name.removesuffix(".gz")
    return kinds[name[name.rindex(".") :]]


def _parquet(path: Path, columns: Sequence[str]) -> Rows:
    try:
        with pq.ParquetFile(path) as file:
            _require(columns, file.schema_arrow.names)
            rows = file.read(columns=list(columns))
            rows = rows.cast(pa.schema([_as_bytes(field) for field in rows.schema]))
            rows.validate(full=True)
    except (pa.ArrowException, OSError, MemoryError, ValueError) as error:
        raise UnreadableError(str(error)) from error
    yield from dicts(rows)


def _as_bytes(field: pa.Field) -> pa.Field:
    # bytes that are not UTF-8 are no text, and no fault
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return field.with_type(pa.large_binary() if is_text else kind)


def dicts(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows; a value that Python can't hold has no certain text."""
    try:
        rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError):
        return [dict.fromkeys(table.column_names, ...)] * len(table)
    return rows


def _csv(path: Path, columns: Sequence[str]) -> Rows:
    text = _text(path).removeprefix(_BOM.decode())
    records = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(records, [])
        _require(columns, header)
        for record in records:
            if len(record) != len(header) and record:
                raise UnreadableError(f"{len(record)} fields in line {records.line_num}")
            if record:
                row = dict(zip(reversed(header), reversed(record), strict=True))
                yield {name: value or None for name, value in row.items()}
    except csv.Error as error:
        raise UnreadableError(str(error)) from error


def _ndjson(path: Path, columns: Sequence[str]) -> Rows:
    text = _text(path)
    keys = {"ItemKey", "ItemData"} if DOCUMENT in columns else {"uid"}
    known = not text.strip(" \t\r\n")
    for line in text.split("\n"):
        line = line.strip(" \t\r\n")
        if not line:
            continue
        if not (line.startswith("{") and line.endswith("}")):
            raise UnreadableError("a line is not an object")
        try:
            row = json.loads(line, object_pairs_hook=_once, parse_constant=lambda _: None)
        except ValueError as error:
            raise UnreadableError(str(error)) from error
        except RecursionError:
            row = dict.fromkeys(columns, ...)
        known = known or keys <= set(row)
        yield {key: None if _is_no_text(value) else value for key, value in row.items()}
    if not known:
        raise UnreadableError("no line has the keys")


def _is_no_text(value: Any) -> bool:
    """Tell whether half a character is in a value."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict; the engine decides about a key that comes twice."""
    keys = [key for key, _ in pairs]
    return {key: ... if keys.count(key) > 1 else value for key, value in pairs}


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            if not content:
                raise EOFError("no bytes at all")
            content = gzip.decompress(content)
        return content.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UnreadableError(str(error)) from error


def _require(columns: Iterable[str], header: Collection[str]) -> None:
    lacking = set(columns) - set(header)
    if lacking:
        raise UnreadableError(f"no column {min(lacking)}")
