from __future__ import annotations

import pyarrow as pa
import pytest
from conftest import after, arrow

from pipeline.contract import TIMESTAMP
from pipeline.rules.dedup import earliest, keep_first

TEXTS = ("key", "map_revision", "_source_file", "item_data", "device_id", "name")
TYPES = {**dict.fromkeys(TEXTS, pa.string()), "update_timestamp": pa.timestamp("us", "UTC")}
SAME = {
    "key": "k",
    "update_timestamp": after(0),
    "map_revision": "a",
    "_source_file": "file",
    "item_data": "{}",
    "device_id": "device",
}


def kept(evaluate, *copies):
    """The names of the copies that are kept."""

    def first(table):
        table = table.mutate(update_timestamp=table.update_timestamp.cast(TIMESTAMP))
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
        pytest.param({"item_data": '{"a":1}'}, {"item_data": "{}"}, id="text"),
        pytest.param({"item_data": "{}"}, {"item_data": None}, id="text, null last"),
        pytest.param({"device_id": ""}, {"device_id": "a"}, id="device"),
        pytest.param({"device_id": "z"}, {"device_id": None}, id="device, null last"),
    ],
)
def test_of_two_copies_the_lower_is_kept(evaluate, lower, higher):
    copies = [SAME | higher | {"name": "later"}, SAME | lower | {"name": "kept"}]

    assert kept(evaluate, *copies) == ["kept"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"update_timestamp": after(1)}, {"map_revision": "b"}),
        ({"map_revision": "b"}, {"_source_file": "g"}),
        ({"_source_file": "g"}, {"item_data": "~"}),
        ({"item_data": "~"}, {"device_id": "x"}),
    ],
    ids=["time before revision", "revision before file", "file before text", "text before device"],
)
def test_the_second_criterion_only_breaks_ties_of_the_first(evaluate, first, then):
    copies = [SAME | first | {"name": "later"}, SAME | then | {"name": "kept"}]

    assert kept(evaluate, *copies) == ["kept"]


def test_each_key_keeps_a_row_of_its_own(evaluate):
    copies = [SAME | {"key": key, "name": key} for key in ("k", "K", "")]

    assert kept(evaluate, *copies) == ["", "K", "k"]
