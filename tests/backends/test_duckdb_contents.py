"""A build carries over objects in the database file that are not ours, or refuses the file."""

from __future__ import annotations

import functools
from contextlib import closing

import duckdb
import pytest
from conftest import arrow, raw_user, user_types
from pyarrow import parquet

import pipeline
from pipeline.backends.base import RunRecord
from pipeline.catalog import load
from pipeline.errors import UsageError
from pipeline.graph import Graph
from pipeline.output import lines, render

USERS = "+dim_users"

FOREIGN = """
CREATE SCHEMA crm;
CREATE TYPE crm.tier AS ENUM ('gold', 'tin');
CREATE SEQUENCE crm.numbers START 5;
CREATE TABLE crm.customers (
    number INTEGER PRIMARY KEY DEFAULT nextval('crm.numbers'), tier crm.tier, note VARCHAR
);
INSERT INTO crm.customers (tier, note) VALUES ('gold', 'a'), ('tin', NULL);
COMMENT ON TABLE crm.customers IS 'whom we know';
CREATE INDEX by_note ON crm.customers (note);
CREATE TABLE notes AS SELECT 'mine' AS note;
CREATE VIEW known AS SELECT username FROM dim_users;
CREATE MACRO twice(x) AS 2 * x;
CREATE INDEX by_name ON dim_users (username);
"""


@pytest.fixture
def database(tmp_path):
    return tmp_path / "pipeline.duckdb"


def write_users(tmp_path, number):
    path = tmp_path / f"{number}.parquet"
    rows = [raw_user(uid, username=f"user {uid}") for uid in range(number)]
    parquet.write_table(arrow(rows, user_types()), path)
    return path


@pytest.fixture
def build(tmp_path, database, monkeypatch):
    """Build the models of users, as if there were no others, from so many users."""
    users_alone = Graph(
        model for name, model in load().models.items() if name in load().select([USERS])
    )
    monkeypatch.setattr("pipeline.lookup.load", lambda: users_alone)

    def build(number, *select, **options):
        project = pipeline.connect("duckdb", database=database, users=write_users(tmp_path, number))
        return project.build(select, checks=False, **options)

    return build


def ask(database, *questions, read_only=True):
    with closing(duckdb.connect(str(database), read_only=read_only)) as con:
        return [con.execute(question).fetchall() for question in questions]


def execute(database, statements):
    with closing(duckdb.connect(str(database))) as con:
        con.execute(statements)


@pytest.mark.parametrize("select", [(), ("dim_users",)], ids=["full", "partial"])
def test_what_others_made_in_the_file_is_carried_over_by_every_build(build, database, select):
    build(2)
    execute(database, FOREIGN)
    build(3)

    build(4, *select)

    assert ask(
        database,
        "FROM crm.customers ORDER BY number",
        "SELECT comment FROM duckdb_tables() WHERE table_name = 'customers'",
        "SELECT index_name FROM duckdb_indexes() ORDER BY 1",
        "FROM notes",
        "SELECT twice(21)",
    ) == [
        [(5, "gold", "a"), (6, "tin", None)],
        [("whom we know",)],
        [("by_name",), ("by_note",)],
        [("mine",)],
        [(42,)],
    ]
    # a view reads the new rows, and the sequence goes on
    number_of_users = 4 if not select else 3
    assert ask(database, "SELECT count(*) FROM known") == [[(number_of_users,)]]
    execute(database, "INSERT INTO crm.customers (note) VALUES ('b')")
    assert ask(database, "SELECT max(number) FROM crm.customers") == [[(7,)]]


def test_a_full_build_of_a_file_with_foreign_tables_does_not_grow_it(build, database):
    build(2)
    execute(database, "CREATE TABLE notes AS SELECT 1 AS note")
    build(50_000)
    size = database.stat().st_size
    for _ in range(3):
        build(50_000)

    assert database.stat().st_size < 1.5 * size


@pytest.mark.parametrize("select", [(), ("+dim_users",)], ids=["full", "partial"])
@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ("CREATE TABLE customers (i INT)", "holds customers, and"),
        ("CREATE TABLE dim_users (i INT)", "holds dim_users, and"),
        ("CREATE VIEW v AS SELECT 1; CREATE SCHEMA s; CREATE TABLE s.t (i INT)", "holds v and s.t"),
        (
            "CREATE TABLE a (i INT); CREATE TABLE b (i INT); CREATE TABLE c (i INT)",
            "holds a, b and 1 more",
        ),
        ("CREATE SCHEMA _pipeline; CREATE TABLE t (i INT)", "holds t, and"),
    ],
)
def test_a_file_that_no_build_of_ours_made_is_refused(build, database, statements, named, select):
    execute(database, statements)
    before = database.read_bytes()

    with pytest.raises(UsageError, match=named) as caught:
        build(2, *select)

    assert "--database" in caught.value.next_step
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.glob("*.duckdb*")] == [database.name]


def test_a_file_with_schemas_and_macros_alone_is_built_into_and_they_stay(build, database):
    execute(database, "CREATE SCHEMA crm; CREATE MACRO twice(x) AS 2 * x")

    build(2)

    assert ask(database, "SELECT twice(count(*)) FROM dim_users") == [[(4,)]]
    execute(database, "CREATE TABLE crm.t (i INT)")


@pytest.mark.parametrize("select", [(), ("dim_users",)], ids=["full", "partial"])
def test_a_foreign_table_with_a_models_name_is_never_replaced(build, database, select):
    build(2, "stg_user_versions stg_users")
    execute(database, "CREATE TABLE dim_users AS SELECT 'precious' AS mine")

    with pytest.raises(UsageError, match="a table dim_users that no build made"):
        build(3, *select)

    assert ask(database, "FROM dim_users") == [[("precious",)]]


def test_a_full_build_drops_what_no_model_makes_any_more_and_names_it(build, database, monkeypatch):
    build(2)
    monkeypatch.setattr(
        "pipeline.lookup.load",
        functools.partial(
            Graph,
            [
                model
                for name, model in load().models.items()
                if name in ("stg_user_versions", "stg_users")
            ],
        ),
    )
    told = []

    partial = build(3, "stg_users")
    kept = ask(database, "SELECT count(*) FROM dim_users")
    full = build(3, report=told.append)

    assert (partial.dropped, kept) == ([], [[(2,)]])
    assert full.dropped == ["dim_users"]
    assert lines.line(told[-1]).plain == "dropped dim_users: no model makes it any more"
    assert render.event_json(told[-1]) == {"event": "dropped", "name": "dim_users"}
    assert full.to_json()["dropped"] == ["dim_users"]
    with pytest.raises(duckdb.CatalogException):
        ask(database, "FROM dim_users")
    # the name is free now, so a foreign table may have it
    execute(database, "CREATE TABLE dim_users AS SELECT 'mine' AS note")
    assert build(2).dropped == []
    assert ask(database, "FROM dim_users") == [[("mine",)]]


def test_a_build_that_publishes_nothing_drops_nothing(build, database, monkeypatch):
    build(2)
    execute(database, "CREATE TABLE notes AS SELECT 1 AS note")
    before = database.read_bytes()
    monkeypatch.setattr(
        "pipeline.backends.duckdb.workspace.DuckDBWorkspace.create", _raise_engine_error
    )

    result = build(3)

    assert not result.published
    assert result.dropped == []
    assert database.read_bytes() == before


def _raise_engine_error(self, model, expr):
    raise pipeline.EngineError("no")


@pytest.mark.parametrize("foreign", ["", "CREATE TABLE notes AS SELECT 1 AS note"])
def test_every_build_adds_to_the_history(build, database, foreign):
    build(2)
    execute(database, foreign or "SELECT 1")
    build(3)
    build(4, "dim_users")
    build(5)

    [runs] = ask(database, "SELECT count(DISTINCT started_at) FROM _pipeline.runs")

    assert runs == [(4,)]


def test_an_index_that_does_not_fit_the_new_rows_stops_the_build_with_a_word(build, database):
    build(2)
    execute(database, "CREATE UNIQUE INDEX one ON dim_users (username)")
    parquet.write_table(
        arrow([raw_user(1), raw_user(2)], user_types()), database.parent / "same.parquet"
    )
    project = pipeline.connect("duckdb", database=database, users=database.parent / "same.parquet")

    with pytest.raises(UsageError, match="index that somebody made on dim_users") as caught:
        project.build(checks=False)

    assert "CREATE UNIQUE INDEX one" in caught.value.next_step
    assert ask(database, "SELECT count(*) FROM dim_users") == [[(2,)]]


def test_a_file_of_the_first_version_counts_as_ours(build, database):
    execute(
        database,
        """
        CREATE TABLE dim_users AS SELECT 1 AS old; CREATE TABLE stg_users AS SELECT 1 AS old;
        CREATE SCHEMA _pipeline;
        CREATE TABLE _pipeline.runs (started_at TIMESTAMPTZ, seconds DOUBLE, sources VARCHAR,
            models VARCHAR, checks VARCHAR);
        INSERT INTO _pipeline.runs VALUES
            (now() - INTERVAL 1 DAY, 1, '{}', '[{"name": "dim_users"}]', '[]'),
            (now(), 1, '{}', '[{"name": "stg_users"}]', '[]')
        """,
    )

    assert build(2).published
    assert ask(
        database, "SELECT count(*) FROM dim_users", "FROM _pipeline.runs SELECT count(*)"
    ) == [
        [(2,)],
        [(3,)],
    ]


def test_the_record_of_a_partial_build_keeps_models_that_are_no_more(build, database, monkeypatch):
    build(2)
    monkeypatch.setattr(
        "pipeline.lookup.load",
        functools.partial(Graph, [load().models["stg_user_versions"], load().models["stg_users"]]),
    )
    build(2, "stg_users")

    record = pipeline.connect("duckdb", database=database).last_run()

    assert isinstance(record, RunRecord)
    assert {made.name for made in record.models} >= {"dim_users", "stg_users"}
