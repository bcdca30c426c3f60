from __future__ import annotations

import datetime as dt
import random

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import NOON

from pipeline.backends.duckdb.scratch import scratch
from pipeline.backends.duckdb.tables import DuckDBTables
from pipeline.comparison import Comparison
from pipeline.contract import Column, model
from pipeline.errors import UsageError
from pipeline.results import ModelDiff

READING = pa.struct([("uuid", pa.string()), ("at", pa.timestamp("us", "UTC"))])
TYPES = {
    "id": pa.string(),
    "kind": pa.string(),
    "number": pa.int64(),
    "share": pa.float64(),
    "at": pa.timestamp("us", "UTC"),
    "secret": pa.string(),
    "readings": pa.list_(READING),
}


@model(key=["id", "kind"], tags=[], columns=[Column("id", "string", "its id")])
def thing(dim_users):
    """One row per thing."""


@model(key=[], tags=[], columns=[Column("id", "string", "its id")])
def pile(dim_users):
    """One row per anything."""


def row(number: int) -> dict:
    return {
        "id": f"id-{number:03}",
        "kind": None if number % 7 == 0 else "k",
        "number": number,
        "share": number / 3,
        "at": NOON + dt.timedelta(microseconds=number),
        "secret": f"98{number:04}",
        "readings": [{"uuid": str(number), "at": NOON}] * (number % 3),
    }


ROWS = [row(number) for number in range(200)]


def table(rows, **types) -> pa.Table:
    return pa.Table.from_pylist(rows, pa.schema({**TYPES, **types}))


@pytest.fixture
def compare(tmp_path):
    """Compare a table with another one in two databases."""

    def compare(a, b, of=thing, **options) -> ModelDiff:
        sides = []
        for each in (a, b):
            con = ibis.duckdb.connect()
            if each is not None:
                con.create_table(of.model.name, each if isinstance(each, pa.Table) else table(each))
            sides.append(DuckDBTables(con))
        with scratch() as (local, folder):
            chosen = Comparison(
                tuple(sides), local, folder, lambda name: {"secret"}, store=tmp_path, **options
            )
            found = chosen.compare(of.model)
        for side in sides:
            side.con.disconnect()
        return found

    return compare


def stored(folder, name, *columns) -> list:
    path = folder / f"{name}.parquet"
    rows = pq.read_table(path).to_pylist() if path.exists() else []
    return sorted(tuple(row[column] for column in columns or ("id",)) for row in rows)


def altered(rows, seed):
    """Rows altered at random, and the changes."""
    draw = random.Random(seed)
    picked = draw.sample(range(len(rows)), 9)
    dropped, added, changed = picked[:2], picked[2:4], picked[4:]
    made = [dict(each) for number, each in enumerate(rows) if number not in dropped]
    done: dict[str, str] = {}
    for number, name in zip(changed, ["number", "share", "at", "secret", "readings"], strict=True):
        other = row(number + 1_000)[name] if name != "readings" else [{"uuid": None, "at": NOON}]
        value = draw.choice([None, other])
        if value == rows[number][name] or (name == "readings" and not rows[number][name]):
            value = other
        next(each for each in made if each["id"] == rows[number]["id"])[name] = value
        done[rows[number]["id"]] = name
    made += [row(number + 500) for number in added]
    draw.shuffle(made)
    return (
        made,
        [rows[number]["id"] for number in dropped],
        [row(n + 500)["id"] for n in added],
        done,
    )


@pytest.mark.parametrize("seed", range(4))
def test_exactly_the_altered_rows_are_named(compare, tmp_path, seed):
    made, dropped, added, changed = altered(ROWS, seed)

    found = compare(ROWS, made)

    assert found.rows == (200, 200)
    assert (found.only_in_a, found.only_in_b, found.changed) == (2, 2, 5)
    assert found.columns == dict.fromkeys(changed.values(), 1)
    assert [name for (name,) in stored(tmp_path, "thing.only_in_a")] == sorted(dropped)
    assert [name for (name,) in stored(tmp_path, "thing.only_in_b")] == sorted(added)
    assert [name for (name,) in stored(tmp_path, "thing.changed")] == sorted(changed)


def test_equal_content_in_any_order_is_the_same(compare):
    found = compare(ROWS, ROWS[::-1])

    assert not found.differs
    assert found.rows == (200, 200)


def test_rows_without_a_key_are_counted_as_copies(compare, tmp_path):
    found = compare([*ROWS, ROWS[3]], [*ROWS[:-1], ROWS[5], ROWS[5]], of=pile)

    assert (found.only_in_a, found.only_in_b, found.changed) == (2, 2, 0)
    assert stored(tmp_path, "pile.only_in_a", "id", "copies") == [("id-003", 1), ("id-199", 1)]
    assert stored(tmp_path, "pile.only_in_b", "id", "copies") == [("id-005", 2)]


def test_a_key_that_repeats_is_no_key(compare):
    found = compare(ROWS, [*ROWS, {**ROWS[8], "number": -1}])

    assert (found.only_in_a, found.only_in_b, found.changed) == (0, 1, 0)


def test_samples_stand_side_by_side_with_sensitive_values_masked(compare, tmp_path):
    made = [dict(each) for each in ROWS]
    made[8] |= {"secret": "985555", "number": 9}
    made[9] |= {"secret": None}
    made[10] |= {"number": 11}

    found = compare(ROWS, made, limit=2)

    assert found.samples["changed"].num_rows == 2
    assert found.columns == {"secret": 2, "number": 2}
    first, second = found.samples["changed"].to_pylist()
    assert (first["secret in A"], first["secret in B"]) == ("***", "*** (another)")
    assert (first["number in A"], first["number in B"]) == (8, 9)
    assert (second["secret in A"], second["secret in B"]) == ("***", None)
    changed = pq.read_table(tmp_path / "thing.changed.parquet").to_pylist()
    assert changed[-1]["secret in B"] == "***"
    assert not any("98" in str(each.get("secret in A")) for each in changed)


def test_only_the_columns_that_are_asked_for_are_compared(compare):
    made = [{**each, "number": 0, "share": 0.5} for each in ROWS]

    found = compare(ROWS, made, columns=["share"])

    assert found.columns == {"share": 200}
    assert set(found.samples["changed"].column_names) == {"id", "kind", "share in A", "share in B"}
    with pytest.raises(UsageError, match="Did you mean share"):
        compare(ROWS, made, columns=["shar"])


def test_a_column_that_is_added_or_of_another_type_is_told(compare):
    other = table(ROWS, number=pa.float64()).append_column("more", pa.array(range(200)))

    found = compare(ROWS, other)

    assert found.notes == (
        "column number is int64 in A, float64 in B",
        "column more is only in B",
    )
    assert (found.only_in_a, found.only_in_b, found.changed) == (0, 0, 0)
    assert found.differs


@pytest.mark.parametrize(("there", "note"), [("A", "only in A"), ("B", "only in B")])
def test_a_model_that_one_side_lacks_is_told(compare, there, note):
    sides = (ROWS, None) if there == "A" else (None, ROWS)

    assert compare(*sides).notes == (note,)
    assert compare(None, None) is None


def test_rows_of_equal_buckets_stay_where_they_are(compare, monkeypatch):
    read = []
    export = DuckDBTables.export

    def note(tables, expr, file):
        export(tables, expr, file)
        read.append(pq.read_metadata(file).num_rows)

    monkeypatch.setattr(DuckDBTables, "export", note)
    many = [row(number) for number in range(5_000)]
    made = [dict(each) for each in many]
    made[77]["number"] = -1

    found = compare(many, made)

    assert found.changed == 1
    assert max(read) <= len(many) // 100
