from __future__ import annotations

import pytest

from pipeline.catalog import load
from pipeline.contract import TIMESTAMP
from pipeline.expressions import columns_read
from pipeline.sources import SOURCES

EVENTS, USERS = SOURCES["raw_sync_events"], SOURCES["raw_users"]


def test_the_sources_are_known_by_their_names():
    assert {name: source.name for name, source in SOURCES.items()} == {
        "raw_sync_events": "raw_sync_events",
        "raw_users": "raw_users",
    }


def test_events_have_the_types_of_the_contract():
    others = {
        "IsIdentityOnline": "boolean",
        "EventId": "int64",
        "DateCreated": TIMESTAMP,
        "_scheduled_timestamp": TIMESTAMP,
    }

    assert {name: str(kind) for name, kind in EVENTS.schema.items()} == {
        column.name: others.get(column.name, "string") for column in EVENTS.columns
    }
    assert len(EVENTS.columns) == 19


def test_users_are_declared_as_text():
    assert {name: str(kind) for name, kind in USERS.schema.items()} == {
        "uid": "string",
        "username": "string",
        "dateRegistered": "string",
        "last_modified": "string",
    }


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_a_file_may_lack_what_no_model_reads(source):
    graph = load()

    required = {column.name for column in source.columns if not column.optional}

    assert required <= columns_read(graph, graph.models)[source.name]


def test_item_data_alone_is_sensitive():
    columns = [column for source in SOURCES.values() for column in source.columns]

    assert [column.name for column in columns if column.sensitive] == ["ItemData"]


@pytest.mark.parametrize("source", SOURCES.values(), ids=lambda source: source.name)
def test_everything_is_described(source):
    assert source.description
    assert all(column.description for column in source.columns)
