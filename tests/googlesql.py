"""BigQuery's SQL evaluated here: Google's own GoogleSQL analyzer and reference evaluator.

The `zetasql` package has them as WebAssembly. BigQuery refuses every statement that the analyzer
refuses. The evaluator has no planner and is slow, so tests keep their tables small.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import functools
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import wasmtime
from google.protobuf.empty_pb2 import Empty
from tzdata import __file__ as tzdata_file
from zetasql.core.wasm_client import WasmClient
from zetasql.wasi import get_wasm_path
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2 as service
from zetasql.wasi._pb2.zetasql.proto import options_pb2
from zetasql.wasi._pb2.zetasql.public import options_pb2 as language
from zetasql.wasi._pb2.zetasql.public import type_pb2, value_pb2

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
DIGITS_38 = Context(prec=38)

# GoogleSQL has more features than BigQuery: with these on, it would accept too much
NOT_IN_BIGQUERY = (
    *(
        "AGGREGATE_FILTERING",
        "ARRAY_AGGREGATION_FUNCTIONS",
        "ARRAY_EQUALITY",
        "ARRAY_FIND_FUNCTIONS",
    ),
    *("ARRAY_GREATEST_LEAST", "ARRAY_ORDERING", "ARRAY_ZIP", "CAST_DIFFERENT_ARRAY_TYPES"),
    *("CHAINED_FUNCTION_CALLS", "INLINE_LAMBDA_ARGUMENT", "JSON_TYPE_COMPARISON", "LATERAL_JOIN"),
    *("LIMIT_OFFSET_EXPRESSIONS", "LITERAL_CONCATENATION", "MULTILEVEL_AGGREGATION"),
    *("MULTIWAY_UNNEST", "NULLIFZERO_ZEROIFNULL", "PI_FUNCTIONS", "SINGLE_TABLE_NAME_ARRAY_PATH"),
    *("PARSE_TIMESTAMP_WITH_PRECISION_AND_TIMEZONE", "STRUCT_POSITIONAL_ACCESSOR"),
    *("TIMESTAMP_NANOS", "TIMESTAMP_PICOS", "TIMESTAMP_PRECISION", "UNNEST_AND_FLATTEN_ARRAYS"),
    "UUID_TYPE",
)

SCALARS = {
    type_pb2.TYPE_STRING: ("string_value", pa.string()),
    type_pb2.TYPE_INT64: ("int64_value", pa.int64()),
    type_pb2.TYPE_DOUBLE: ("double_value", pa.float64()),
    type_pb2.TYPE_NUMERIC: ("numeric_value", pa.decimal128(38, 9)),
    type_pb2.TYPE_BOOL: ("bool_value", pa.bool_()),
    type_pb2.TYPE_DATE: ("date_value", pa.date32()),
    type_pb2.TYPE_TIMESTAMP: ("timestamp_value", pa.timestamp("us", "UTC")),
}
"""The field of a value and pyarrow's type, by GoogleSQL type. DATETIME is missing on purpose: no
model may have a timestamp without a zone."""


class Evaluator(WasmClient):
    """The package's client with a cached compilation and fast copies of memory."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        config.cache = True  # compiling takes 20 s, so each machine does it once
        config.shared_memory = True
        self.store = wasmtime.Store(wasmtime.Engine(config))
        wasi = wasmtime.WasiConfig()
        wasi.preopen_dir(tzdata_file.replace("__init__.py", "zoneinfo"), "/usr/share/zoneinfo")
        self.store.set_wasi(wasi)
        linker = wasmtime.Linker(self.store.engine)
        linker.define_wasi()
        self.module = wasmtime.Module.from_file(self.store.engine, get_wasm_path())
        self.instance = linker.instantiate(self.store, self.module)
        self.exports = self.instance.exports(self.store)
        self.exports["_initialize"](self.store)
        self.memory = self.exports["memory"]

    def write_bytes(self, ptr: int, data: bytes) -> None:
        ctypes.memmove(self._address(ptr), data, len(data))

    def read_bytes(self, ptr: int, size: int) -> bytes:
        return ctypes.string_at(self._address(ptr), size)

    def _address(self, ptr: int) -> int:
        return ctypes.addressof(self.memory.data_ptr().contents) + ptr

    def call(self, function: str, request: Any, response: type) -> Any:
        return self.call_grpc_func(f"ZetaSqlLocalService_{function}", request, response)


@functools.cache
def evaluator() -> tuple[Evaluator, Any]:
    """The evaluator, loaded once a run, and the options that make its language BigQuery's."""
    client = Evaluator()
    options = client.call(
        "GetLanguageOptions",
        service.LanguageOptionsRequest(maximum_features=True),
        options_pb2.LanguageOptionsProto,
    )
    off = {language.LanguageFeature.Value(f"FEATURE_{name}") for name in NOT_IN_BIGQUERY}
    options.enabled_language_features[:] = [
        feature for feature in options.enabled_language_features if feature not in off
    ]
    options.product_mode = language.PRODUCT_EXTERNAL
    return client, options_pb2.AnalyzerOptionsProto(
        # a project's default may be any zone, so no statement may depend on it
        language_options=options,
        default_timezone="America/New_York",
        error_message_mode=1,
    )


def query(sql: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Analyze and evaluate one SELECT of tables named `project.dataset.table`."""
    client, options = evaluator()
    request = service.PrepareQueryRequest(sql=_flat_names(sql, tables), options=options)
    request.simple_catalog.name = "catalog"
    request.simple_catalog.builtin_function_options.language_options.CopyFrom(
        options.language_options
    )
    for name, table in tables.items():
        if name in request.sql:
            _add_table(request, name, table)
    prepared = client.call("PrepareQuery", request, service.PrepareQueryResponse).prepared
    evaluate = service.EvaluateQueryRequest(prepared_query_id=prepared.prepared_query_id)
    found = client.call("EvaluateQuery", evaluate, service.EvaluateQueryResponse)
    client.call(
        "UnprepareQuery",
        service.UnprepareQueryRequest(prepared_query_id=prepared.prepared_query_id),
        Empty,
    )
    schema = pa.schema([(column.name, _arrow_type(column.type)) for column in prepared.columns])
    rows = [
        {
            column.name: _python_value(value, column.type)
            for column, value in zip(prepared.columns, row.cell, strict=True)
        }
        for row in found.content.table_data.row
    ]
    return pa.Table.from_pylist(rows, schema)


def _flat_names(sql: str, tables: Mapping[str, pa.Table]) -> str:
    # only a table at the catalog's top level can have rows, so a.b.c becomes one name, `a.b.c`
    for name in tables:
        quoted = r"`\s*\.\s*`".join(map(re.escape, name.split(".")))
        sql = re.sub(f"`{quoted}`", f"`{name}`", sql)
    return sql


def _add_table(request: Any, name: str, table: pa.Table) -> None:
    declared = request.simple_catalog.table.add(name=name)
    columns = [
        declared.column.add(name=field.name, type=_google_type(field.type))
        for field in table.schema
    ]
    rows = request.table_content[name].table_data
    rows.SetInParent()
    for row in table.to_pylist():
        values = [_google_value(row[column.name], column.type) for column in columns]
        rows.row.add(cell=values)


def _google_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        array = type_pb2.ArrayTypeProto(element_type=_google_type(kind.value_type))
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_ARRAY, array_type=array)
    if pa.types.is_struct(kind):
        fields = [
            type_pb2.StructFieldProto(field_name=field.name, field_type=_google_type(field.type))
            for field in kind
        ]
        struct = type_pb2.StructTypeProto(field=fields)
        return type_pb2.TypeProto(type_kind=type_pb2.TYPE_STRUCT, struct_type=struct)
    for number, (_, arrow) in SCALARS.items():
        if arrow == kind:
            return type_pb2.TypeProto(type_kind=number)
    raise TypeError(f"BigQuery has no type for {kind}")


def _arrow_type(kind: Any) -> pa.DataType:
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        return pa.list_(_arrow_type(kind.array_type.element_type))
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        return pa.struct(
            [(f.field_name, _arrow_type(f.field_type)) for f in kind.struct_type.field]
        )
    return SCALARS[kind.type_kind][1]


def _google_value(value: Any, kind: Any) -> Any:
    if value is None:
        return value_pb2.ValueProto()
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        elements = [_google_value(element, kind.array_type.element_type) for element in value]
        return value_pb2.ValueProto(array_value=value_pb2.ValueProto.Array(element=elements))
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        fields = [_google_value(value[f.field_name], f.field_type) for f in kind.struct_type.field]
        return value_pb2.ValueProto(struct_value=value_pb2.ValueProto.Struct(field=fields))
    if kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        seconds, micros = divmod((value - EPOCH) // MICROSECOND, 1_000_000)
        value = {"seconds": seconds, "nanos": micros * 1_000}
    elif kind.type_kind == type_pb2.TYPE_DATE:
        value = (value - EPOCH.date()).days
    elif kind.type_kind == type_pb2.TYPE_NUMERIC:
        # two's complement of the billionths, the lowest byte first
        value = int(value.scaleb(9, DIGITS_38)).to_bytes(16, "little", signed=True)
    return value_pb2.ValueProto(**{SCALARS[kind.type_kind][0]: value})


def _python_value(value: Any, kind: Any) -> Any:
    if kind.type_kind == type_pb2.TYPE_ARRAY:
        # like BigQuery: it stores a NULL array as an empty one, and refuses a NULL element
        elements = [
            _python_value(element, kind.array_type.element_type)
            for element in value.array_value.element
        ]
        assert None not in elements, "BigQuery refuses to store an array with a NULL element"
        return elements
    if value.WhichOneof("value") is None:
        return None
    if kind.type_kind == type_pb2.TYPE_STRUCT:
        pairs = zip(kind.struct_type.field, value.struct_value.field, strict=True)
        return {f.field_name: _python_value(v, f.field_type) for f, v in pairs}
    found = getattr(value, SCALARS[kind.type_kind][0])
    if kind.type_kind == type_pb2.TYPE_TIMESTAMP:
        micros = found.seconds * 1_000_000 + found.nanos // 1_000
        return EPOCH + dt.timedelta(microseconds=micros)
    if kind.type_kind == type_pb2.TYPE_DATE:
        return EPOCH.date() + dt.timedelta(days=found)
    if kind.type_kind == type_pb2.TYPE_NUMERIC:
        return Decimal(int.from_bytes(found, "little", signed=True)).scaleb(-9, DIGITS_38)
    return found
