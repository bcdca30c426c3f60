from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
from conftest import after, arrow

from pipeline.contract import TIMESTAMP
from pipeline.rules.dedup import CONTENT, earliest, keep_first

TIMES = ("update_timestamp", "event_timestamp")
TYPES = {
    **dict.fromkeys(("key", "map_revision", "_source_file", "name", *CONTENT), pa.string()),
    **dict.fromkeys(TIMES, pa.timestamp("us", "UTC")),
    "state_percent": pa.float64(),
}
SAME = {
    "key": "k",
    "update_timestamp": after(0),
    "map_revision": "a",
    "_source_file": "file",
    **dict.fromkeys(CONTENT, "m"),
    "event_timestamp": after(0),
    "state_percent": 9.0,
}
LOWER = {
    "update_timestamp": after(-1e-6),
    "map_revision": "9",
    "_source_file": "FILE",
    **dict.fromkeys(CONTENT, "M"),
    "event_timestamp": after(-1e-6),
    "state_percent": 8.5,
}
"""A value lower than that in SAME, by criterion, in the contract's order."""


def kept(evaluate, *copies):
    """The names of the copies that are kept."""

    def first(table):
        table = table.mutate(**{name: table[name].cast(TIMESTAMP) for name in TIMES})
        return keep_first(table, ["key"], earliest(table)).select("name")

    return sorted(row["name"] for row in evaluate(first, arrow(copies, TYPES)))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        pytest.param({"update_timestamp": after(0)}, {"update_timestamp": after(1e-6)}, id="time"),
        pytest.param({"map_revision": "9"}, {"map_revision": "a"}, id="revision as text"),
        pytest.param({"map_revision": "a"}, {"map_revision": "10"}, id="revision by length"),
        pytest.param({"map_revision": ""}, {"map_revision": "0"}, id="revision, empty lowest"),
        pytest.param({"map_revision": "ff"}, {"map_revision": None}, id="revision, null last"),
        pytest.param({"_source_file": "a10"}, {"_source_file": "a9"}, id="file"),
        pytest.param({"_source_file": "B"}, {"_source_file": "a"}, id="file by code point"),
        pytest.param({"_source_file": "z"}, {"_source_file": None}, id="file, null last"),
        pytest.param({"event_timestamp": after(9)}, {"event_timestamp": None}, id="no item time"),
        pytest.param({"client": ""}, {"client": " "}, id="empty client is a value"),
        pytest.param({"result": "\uffee"}, {"result": "\U0001f600"}, id="result by code point"),
        pytest.param({"state_percent": 9.0}, {"state_percent": 10.0}, id="percent as a number"),
        pytest.param({"state_percent": 9.0}, {"state_percent": None}, id="percent, null last"),
        pytest.param({"device_id": "z"}, {"device_id": None}, id="device, null last"),
    ],
)
def test_of_two_copies_the_lower_is_kept(evaluate, lower, higher):
    copies = [SAME | higher | {"name": "later"}, SAME | lower | {"name": "kept"}]

    assert kept(evaluate, *copies) == ["kept"]


def test_a_criterion_breaks_ties_of_those_before_it_alone(evaluate):
    # of each pair of neighbours, the one with the lower value in the first criterion is kept
    pairs = list(pairwise(LOWER))
    copies = [
        SAME | {name: LOWER[name], "key": first, "name": f"{first} {kept}"}
        for first, then in pairs
        for name, kept in ((then, "no"), (first, "yes"))
    ]

    assert kept(evaluate, *copies) == sorted(f"{first} yes" for first, _ in pairs)


def test_each_key_keeps_a_row_of_its_own(evaluate):
    copies = [SAME | {"key": key, "name": key} for key in ("k", "K", "")]

    assert kept(evaluate, *copies) == ["", "K", "k"]


def test_the_contract_lists_what_decides_between_copies():
    assert list(LOWER) == [
        *("update_timestamp", "map_revision", "_source_file", "event_timestamp", "desired_state"),
        *("client", "user_id", "origin", "origin_id", "node_id", "result", "failure_string"),
        *("state_value", "state_unit", "state_percent", "device_id"),
    ]
