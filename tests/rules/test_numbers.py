from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from pipeline.rules.numbers import number, whole_number


def read(evaluate, rule, value, kind):
    rows = pa.table({"value": pa.array([value], kind)})
    (row,) = evaluate(lambda table: table.select(number=rule(table.value)), rows)
    return row["number"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("68", 68.0),
        ("-7.25", -7.25),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("007", 7.0),
        ("1e999", None),
        ("-1e999", None),
        ("7.", None),
        (".5", None),
        ("+7", None),
        ("1_000", None),
        ("0x1F", None),
        ("nan", None),
        ("Infinity", None),
        (" 7", None),
        ("7\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_text_is_a_number_only_in_jsons_syntax(evaluate, text, value):
    assert read(evaluate, number, text, pa.string()) == value


@pytest.mark.parametrize(
    ("value", "kind", "whole"),
    [
        (7, pa.int64(), 7),
        (-7, pa.int64(), -7),
        (7.0, pa.float64(), 7),
        (-0.0, pa.float64(), 0),
        (7.5, pa.float64(), None),
        (2.0**63, pa.float64(), None),
        (-(2.0**63), pa.float64(), -(2**63)),
        (float("nan"), pa.float64(), None),
        (float("inf"), pa.float64(), None),
        ("007", pa.string(), 7),
        ("9223372036854775807", pa.string(), 2**63 - 1),
        ("9223372036854775808", pa.string(), None),
        ("-7", pa.string(), -7),
        ("7.0", pa.string(), 7),
        ("-1001.00", pa.string(), -1001),
        ("-9223372036854775808.0", pa.string(), -(2**63)),
        ("-9223372036854775809", pa.string(), None),
        ("7.5", pa.string(), None),
        ("7.", pa.string(), None),
        (".0", pa.string(), None),
        ("7.0 ", pa.string(), None),
        (" 7", pa.string(), None),
        (Decimal("-9999.99"), pa.decimal128(38, 9), None),
        (Decimal("-9999.00"), pa.decimal128(38, 9), -9999),
        (Decimal("0.50"), pa.decimal128(38, 9), None),
        (Decimal(2**63), pa.decimal128(38, 9), None),
        (Decimal(-(2**63)), pa.decimal128(38, 9), -(2**63)),
        ("", pa.string(), None),
        ("٧", pa.string(), None),
        (True, pa.bool_(), None),
    ],
    ids=repr,
)
def test_an_id_is_a_whole_number_of_any_type_or_the_text_of_one(evaluate, value, kind, whole):
    assert read(evaluate, whole_number, value, kind) == whole
