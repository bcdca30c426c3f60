from __future__ import annotations

import datetime as dt
import functools
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import googlesql
import ibis
import ibis.expr.types as ir
import messy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from conftest import arrow, command, event_types, raw_user, reading, result, user_types
from engines import KINDS, OnDuckDB
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend as IbisDuckDB

import pipeline
from pipeline import catalog
from pipeline.cli import cli
from pipeline.contract import Column, model
from pipeline.digest import content, digest
from pipeline.errors import UsageError
from pipeline.expressions import declared_table
from pipeline.graph import Graph
from pipeline.project import Project
from pipeline.results import Digest
from pipeline.sql import Engine, to_sql

Row = dict[str, Any]
DigestOf = Callable[..., Row]

# texts that a careless encoding could confuse with another value, or with two
TEXTS = st.sampled_from(["", "a", "NULL", ";", "-", ":", "1:a", "0:", "é", "😀", "a;", "nan"])
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.3, 0.1 + 0.2, 7.0, 1e22, 5e-324, math.inf, -math.inf, math.nan]),
    st.floats(),
)
TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), timezones=st.just(dt.UTC))
STRUCTS = st.lists(
    st.fixed_dictionaries({"text": st.none() | TEXTS, "number": st.none() | FLOATS}), max_size=3
)
TYPES = {
    "text": (pa.string(), TEXTS),
    "other": (pa.string(), TEXTS),
    "number": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "fraction": (pa.float64(), FLOATS),
    "flag": (pa.bool_(), st.booleans()),
    "time": (pa.timestamp("us", "UTC"), TIMES),
    "day": (pa.date32(), st.dates()),
    "structs": (pa.list_(pa.struct([("text", pa.string()), ("number", pa.float64())])), STRUCTS),
}
SCHEMA = {name: kind for name, (kind, _) in TYPES.items()}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            name: values if name == "structs" else st.none() | values
            for name, (_, values) in TYPES.items()
        }
    ),
    max_size=4,
)


def examples(number: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,
        ],
    )


def multiset(rows: list[Row]) -> Counter[str]:
    """Rows without their order; a float by its value, so -0.0 is 0.0."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(element) for element in value]
        if isinstance(value, dict):
            return {name: plain(field) for name, field in value.items()}
        return 0.0 if value == 0.0 and isinstance(value, float) else value

    return Counter(repr(plain(row)) for row in rows)


@functools.cache
def statement(engine: Engine) -> str:
    """The SQL that digests a table of all types."""
    con = ibis.duckdb.connect()
    schema = con.create_table("rows", arrow([], SCHEMA)).schema()
    con.disconnect()
    return to_sql(content(ibis.table(schema, name="rows")), engine)


@pytest.fixture
def digest_of(duckdb) -> DigestOf:
    """A function from rows to the digest of their table."""

    def digest(*rows: Row) -> Row:
        duckdb.con.register("rows", arrow(rows, SCHEMA))
        (found,) = duckdb.con.execute(statement("duckdb")).to_arrow_table().to_pylist()
        return found

    return digest


@examples(40)
@given(ROWS)
def test_content_has_the_same_digest_on_both_engines(digest_of, rows):
    found = googlesql.query(statement("bigquery"), {"rows": arrow(rows, SCHEMA)}).to_pylist()

    assert found == [digest_of(*rows)]


@examples(100)
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_digests_are_equal_where_content_is_and_nowhere_else(digest_of, rows, others, random):
    shuffled = [*rows, *others]
    random.shuffle(shuffled)

    assert digest_of(*shuffled) == digest_of(*rows, *others)
    assert (digest_of(*rows) == digest_of(*others)) == (multiset(rows) == multiset(others))


@examples(100)
@given(ROWS.filter(bool), st.data())
def test_a_changed_value_changes_the_digest(digest_of, rows, data):
    name = data.draw(st.sampled_from(sorted(TYPES)))
    changed = [{**rows[0], name: data.draw(TYPES[name][1])}, *rows[1:]]

    same = multiset(rows) == multiset(changed)
    assert (digest_of(*rows) == digest_of(*changed)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"text": None}, {"text": ""}),
        ({"text": None}, {"text": "NULL"}),
        ({"text": "a", "other": "b"}, {"text": "ab", "other": ""}),
        ({"text": "1", "other": None}, {"text": None, "other": "1"}),
        ({"number": 1}, {"number": None}),
        ({"fraction": 0.3}, {"fraction": 0.1 + 0.2}),
        ({"flag": False}, {"flag": None}),
        ({"structs": [{"text": "a"}, {"text": "b"}]}, {"structs": [{"text": "b"}, {"text": "a"}]}),
        ({"structs": [{"text": "a"}]}, {"structs": [{"text": "a"}, {}]}),
    ],
    ids=str,
)
def test_values_that_look_alike_differ(digest_of, one, other):
    assert digest_of(one) != digest_of(other)


def test_equal_rows_do_not_cancel_out(digest_of):
    row = {"text": "a"}

    digests = [digest_of(*[row] * copies) for copies in range(4)]

    parts = [tuple(value for name, value in each.items() if name != "rows") for each in digests]
    assert len(set(parts)) == 4
    assert [each["rows"] for each in digests] == [0, 1, 2, 3]


def test_every_column_of_every_model_can_be_digested():
    loaded = catalog.load()

    for name in loaded.models:
        assert "MD5" in to_sql(content(declared_table(loaded, name)), "bigquery")


def test_every_model_has_the_same_digest_on_both_engines(duckdb):
    built = OnDuckDB(KINDS["typed"]).build(messy.many_events(8, 8), [raw_user(), raw_user(uid=8)])

    for name, declared in catalog.load().models.items():
        rows = pa.Table.from_pylist(built[name], declared.schema.to_pyarrow())
        table = ibis.table(declared.schema, name="rows")
        on_googlesql = googlesql.query(to_sql(content(table), "bigquery"), {"rows": rows})
        duckdb.con.register("rows", rows)
        on_duckdb = duckdb.con.execute(to_sql(content(table), "duckdb")).to_arrow_table()
        assert on_googlesql.to_pylist() == on_duckdb.to_pylist(), name
        assert on_duckdb["rows"].to_pylist() == [len(built[name])]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with a few raw rows and a database built on them."""
    folder = tmp_path_factory.mktemp("built")
    events = [command("a"), result("a"), reading("r"), reading("s", at=3)]
    files = {"events": folder / "events.parquet", "users": folder / "users.parquet"}
    pq.write_table(arrow(events, event_types()), files["events"])
    pq.write_table(arrow([raw_user()], user_types()), files["users"])
    connected(folder / "test.duckdb", **files).build()
    return folder


@pytest.fixture
def database(built, tmp_path) -> Path:
    """A database built on a few raw rows, for one test alone, with the files beside it."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path / "test.duckdb"


def connected(database: Path, **options: Any) -> Project:
    return pipeline.connect("duckdb", database=database, **options)


def test_digests_tell_of_the_selected_models_and_nothing_else(database):
    project = connected(database)

    found = project.digest("stg_readings dim_users")

    assert list(found) == ["stg_readings", "dim_users"]
    assert [each.rows for each in found.values()] == [2, 1]
    assert found == {name: project.digest(name)[name] for name in found}


def test_another_file_with_the_same_rows_in_another_order_has_the_same_digests(database, tmp_path):
    before = connected(database).digest()
    rows = pq.read_table(tmp_path / "events.parquet")
    pq.write_table(rows.take([3, 2, 1, 0]), tmp_path / "turned.parquet")
    other = connected(
        tmp_path / "other.duckdb",
        events=tmp_path / "turned.parquet",
        users=tmp_path / "users.parquet",
    )
    other.build()

    assert other.digest() == before


def digest_of_letters(duckdb: IbisDuckDB, column: str) -> Digest:
    """The digest of a model with one column of that name."""

    @model(key=[], tags=[], columns=[Column(column, "string", "a letter")])
    def letters(raw_users: ir.Table) -> ir.Table:
        """One row per letter."""
        return raw_users

    duckdb.create_table("letters", pa.table({column: ["a", "b"]}), overwrite=True)
    tables: Any = SimpleNamespace(
        names=duckdb.list_tables,
        table=duckdb.table,
        is_view=lambda name: False,
        at_once=1,
        fetch=duckdb.to_pyarrow,
    )
    return digest(Graph([letters.model]), tables, ["letters"])["letters"]


def test_a_renamed_column_is_another_content(duckdb):
    assert digest_of_letters(duckdb, "one") == digest_of_letters(duckdb, "one")
    assert digest_of_letters(duckdb, "one") != digest_of_letters(duckdb, "other")


def test_a_model_that_is_not_built_is_an_error_that_says_what_to_build(tmp_path, database):
    ibis.duckdb.connect(tmp_path / "empty.duckdb").disconnect()

    with pytest.raises(UsageError, match=r'dim_users .* not built.*\n.*select="\+dim_users"'):
        connected(tmp_path / "empty.duckdb").digest("dim_users")


@pytest.mark.parametrize("ask", [lambda p: p.digest("dim_users"), lambda p: p.explain("a")])
def test_a_build_from_before_a_column_was_declared_is_an_error_that_names_it(database, ask):
    con = ibis.duckdb.connect(database)
    con.raw_sql("ALTER TABLE dim_users DROP COLUMN username")
    con.disconnect()

    with pytest.raises(
        UsageError, match=r"dim_users was built by older code \(it has no column use"
    ):
        ask(connected(database))


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_the_command_writes_rows_and_digest_by_model_and_nothing_of_the_run(database):
    found = run("digest", "--database", database, "-s", "dim_users", "--format", "json")

    expected = connected(database).digest("dim_users")["dim_users"]
    assert json.loads(found.output) == {"dim_users": {"rows": 1, "digest": expected.digest}}


def test_the_command_shows_people_a_table(database):
    found = run("digest", "--database", database, "-s", "stg_readings")

    digest = connected(database).digest("stg_readings")["stg_readings"].digest
    assert [line.split() for line in found.output.splitlines() if "stg" in line] == [
        ["stg_readings", "2", digest]
    ]


def write(path: Path, **digests: tuple[int, str]) -> Path:
    rows = {name: {"rows": rows, "digest": text} for name, (rows, text) in digests.items()}
    path.write_text(json.dumps(rows))
    return path


def test_equal_digests_are_no_difference(tmp_path):
    one = write(tmp_path / "a.json", dim_users=(1, "x"))

    found = run("diff", one, one)

    assert (found.exit_code, found.output) == (0, "0 of 1 models differ.\n")


def test_a_difference_is_told_by_model_and_is_status_1(tmp_path):
    one = write(tmp_path / "a", same=(1, "x"), more=(1, "x"), other=(2, "x"), gone=(3, "x"))
    two = write(tmp_path / "b", same=(1, "x"), more=(1234, "y"), other=(2, "y"), new=(3, "x"))

    found = run("diff", one, two)

    assert found.exit_code == 1
    assert found.output.splitlines() == [
        f"more: 1 rows in {one}, 1,234 in {two}",
        "other: 2 rows in both, but other content",
        f"gone: only in {one}",
        f"new: only in {two}",
        "4 of 5 models differ.",
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"rows": 1}}', "\xff"])
def test_a_file_without_digests_is_an_error_that_names_it(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_bytes(text.encode("latin-1"))

    found = run("diff", path, path)

    assert found.exit_code == 2
    assert f"{path} holds no digests" in found.output
