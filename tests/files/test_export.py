"""Files exported with the columns and types of a warehouse's raw table."""

from __future__ import annotations

import datetime as dt
import decimal

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import catalog
from pipeline.backends.bigquery.load import AS_THEY_COME
from pipeline.errors import InputError
from pipeline.expressions import columns_read
from pipeline.files import export
from pipeline.sources import SOURCES

USED = columns_read(catalog.load(), catalog.load().models)
NEEDED = sorted(
    column.name
    for column in SOURCES["raw_sync_events"].columns
    if column.name in USED["raw_sync_events"] and not column.optional
)
NOON = dt.datetime(2022, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def exported(tmp_path):
    """A function from a file of a source to the exported rows and their schema."""

    def run(name, path, there=None):
        folder = tmp_path / "out"
        folder.mkdir()
        made = export(SOURCES[name], [str(path)], AS_THEY_COME[name], folder, there or {})
        tables = [pq.read_table(part) for part in made.parts]
        return made, pa.concat_tables(tables).to_pylist()

    return run


def users(path, uid):
    rows = {"username": ["ann"], "dateRegistered": [NOON], "last_modified": [NOON]}
    pq.write_table(pa.table({"uid": pa.array([uid.as_py()], uid.type)} | rows), path)
    return path


def test_a_column_that_no_model_needs_may_be_lacking_and_is_null(exported, tmp_path):
    header = NEEDED
    (tmp_path / "events.csv").write_text(",".join(header) + "\n" + ",".join(header) + "\n")

    made, rows = exported("raw_sync_events", tmp_path / "events.csv")

    assert list(made.schema) == [column.name for column in SOURCES["raw_sync_events"].columns]
    assert made.rows == 1
    assert rows == [dict.fromkeys(made.schema) | {name: name for name in header}]


def test_a_column_in_use_must_be_there(exported, tmp_path):
    (tmp_path / "users.csv").write_text("uid\n7\n")

    with pytest.raises(InputError, match="has no column username"):
        exported("raw_users", tmp_path / "users.csv")


def test_what_no_model_needs_is_of_its_declared_type_null_where_it_does_not_fit(exported, tmp_path):
    more = ["EventId", "IsIdentityOnline", "_scheduled_timestamp"]
    header = [*NEEDED, *more]
    nothing = "," * len(NEEDED)
    (tmp_path / "events.csv").write_text(
        ",".join(header) + f"\n{nothing}12,true,2022-01-01T12:00:00Z\n{nothing}x,maybe,soon\n"
    )

    _, rows = exported("raw_sync_events", tmp_path / "events.csv")

    found = {tuple(row[name] for name in more) for row in rows}
    assert found == {(12, True, NOON), (None, None, None)}


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        (pa.scalar(7, pa.int32()), "int64"),
        (pa.scalar("007"), "string"),
        (pa.scalar(7.5), "float64"),
        (pa.scalar(decimal.Decimal("7")), "string"),
        (pa.scalar(2**63, pa.uint64()), "string"),
    ],
    ids=["int32", "text", "float", "decimal", "uint64"],
)
def test_a_users_columns_keep_their_type_or_become_text(exported, tmp_path, uid, kind):
    made, rows = exported("raw_users", users(tmp_path / "users.parquet", uid))

    assert made.schema["uid"] == ibis.dtype(kind)
    assert str(rows[0]["uid"]) == str(uid.as_py())
    assert made.schema["last_modified"] == ibis.dtype("timestamp('UTC', 6)")


def test_what_is_added_to_a_table_of_text_is_text(exported, tmp_path):
    there = ibis.schema(dict.fromkeys(AS_THEY_COME["raw_users"], "string"))

    made, rows = exported("raw_users", users(tmp_path / "users.parquet", pa.scalar(7)), there)

    assert made.schema == there
    assert rows[0]["uid"] == "7"
    assert rows[0]["last_modified"] == "2022-01-01 12:00:00.000000+00"
