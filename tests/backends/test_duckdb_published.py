"""Other programs that write to the published file, before, during and after a build."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from conftest import arrow, raw_user, user_types
from programs import python, ready
from pyarrow import parquet

import pipeline
from pipeline.backends.duckdb import published
from pipeline.errors import UsageError

USERS = "+dim_users"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "db" / "pipeline.duckdb"


@pytest.fixture
def build(database, tmp_path):
    """Build the models of users, or a part of them, from so many users."""

    def build(number, select=USERS):
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(arrow([raw_user(uid) for uid in range(number)], user_types()), path)
        project = pipeline.connect("duckdb", database=database, users=path)
        return project.build(select, checks=False)

    return build


def users(database) -> int:
    with closing(duckdb.connect(str(database), read_only=True)) as con:
        return con.execute("SELECT count(*) FROM dim_users").fetchone()[0]


def beside(database) -> list[str]:
    return sorted(path.name for path in database.parent.iterdir())


# opens the database for writing, and runs each line of its input as a statement
WRITER = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    con.execute(line)
    print("ready", flush=True)
"""


@pytest.fixture
def writer(database):
    """Another program that has the database open for writing."""
    started = []

    def start():
        started.append(ready(python(WRITER, database)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def write(process, *statements):
    for statement in statements:
        process.stdin.write(statement + "\n")
        process.stdin.flush()
        ready(process)


@pytest.mark.parametrize("select", [USERS, "dim_users"])
@pytest.mark.parametrize("alive", [True, False], ids=["alive", "killed"])
def test_a_log_of_an_older_build_stops_no_build_and_is_cleared(
    build, database, writer, select, alive
):
    build(2)
    other = writer()
    build(3)
    write(other, "CREATE TABLE x AS SELECT 1 AS i")
    if not alive:
        other.kill()
        other.wait()
    assert beside(database) == ["pipeline.duckdb", "pipeline.duckdb.wal"]

    assert build(4, select).published

    assert beside(database) == ["pipeline.duckdb"]
    assert users(database) == {USERS: 4, "dim_users": 3}[select]


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a_log_of_an_older_build_is_named_by_the_commands_that_read(
    build, database, writer, tmp_path, link
):
    build(2)
    other = writer()
    build(3)
    write(other, "CREATE TABLE x AS SELECT 1 AS i")
    place = database
    if link:
        place = tmp_path / "link.duckdb"
        place.symlink_to(database)

    project = pipeline.connect("duckdb", database=place)
    for look in (project.test, project.last_run, lambda: project.dim_users):
        with pytest.raises(UsageError, match="Another program wrote to an older build") as caught:
            look()
        assert f"Close that program, then delete {database}.wal" in caught.value.next_step

    other.kill()
    other.wait()
    Path(f"{database}.wal").unlink()
    assert users(database) == 3


@pytest.mark.parametrize("checkpoints", range(4))
def test_a_log_of_the_file_that_a_partial_build_copied_is_never_replayed_on_the_copy(
    build, database, writer, checkpoints
):
    build(9)
    other = writer()
    build(9, "dim_users")
    write(other, *checkpoints * ["CREATE OR REPLACE TABLE x AS SELECT 1 AS i", "CHECKPOINT"])
    write(other, "DELETE FROM dim_users")

    with pytest.raises(duckdb.IOException, match="does not match"):
        users(database)
    build(9, "dim_users")

    assert users(database) == 9


@pytest.mark.parametrize("select", [USERS, "dim_users"])
@pytest.mark.parametrize("alive", [True, False], ids=["alive", "killed"])
def test_changes_in_the_log_of_the_published_file_are_carried_over(
    build, database, writer, select, alive
):
    build(2)
    other = writer()
    write(other, "CREATE TABLE notes AS SELECT 'mine' AS note")
    if not alive:
        other.kill()
        other.wait()

    build(3, select)

    with closing(duckdb.connect(str(database), read_only=True)) as con:
        assert con.execute("FROM notes").fetchall() == [("mine",)]
    assert beside(database) == ["pipeline.duckdb"]


@pytest.mark.parametrize(
    "statements", [["CREATE TABLE x (i INT)"], ["CREATE TABLE x (i INT)", "CHECKPOINT"]]
)
def test_what_another_program_writes_during_a_build_stops_the_publishing(
    build, database, writer, monkeypatch, statements
):
    build(2)
    other = writer()
    monkeypatch.setattr(
        "pipeline.backends.duckdb.workspace.DuckDBWorkspace.create",
        _after(lambda: write(other, *statements)),
    )
    with pytest.raises(UsageError, match=r"has written to .* since this build began"):
        build(3)

    other.stdin.close()
    other.wait()
    with closing(duckdb.connect(str(database), read_only=True)) as con:
        assert con.execute("SELECT count(*) FROM x").fetchone() == (0,)
    assert users(database) == 2


def _after(act):
    from pipeline.backends.duckdb.workspace import DuckDBWorkspace

    create, acted = DuckDBWorkspace.create, []

    def acting(self, model, expr):
        if not acted:
            acted.append(act())
        return create(self, model, expr)

    return acting


def test_a_program_that_writes_to_an_older_build_during_a_build_stops_nothing(
    build, database, writer, monkeypatch
):
    build(2)
    other = writer()
    build(3)
    monkeypatch.setattr(
        "pipeline.backends.duckdb.workspace.DuckDBWorkspace.create",
        _after(lambda: write(other, "CREATE TABLE x (i INT)")),
    )

    assert build(4).published

    assert users(database) == 4
    assert beside(database) == ["pipeline.duckdb"]


def test_a_log_that_cant_be_replayed_is_named_and_the_database_is_not_blamed(
    build, database, writer
):
    build(2)
    other = writer()
    write(other, "CREATE TABLE x AS FROM range(1000)", "CREATE TABLE y AS FROM range(1000)")
    other.kill()
    other.wait()
    log = Path(f"{database}.wal")
    broken = bytearray(log.read_bytes())
    broken[len(broken) // 4] ^= 255
    log.write_bytes(broken)

    with pytest.raises(UsageError) as caught:
        build(3)

    assert f"{log}" in str(caught.value)
    assert "move this one away" not in str(caught.value)
    log.unlink()
    assert users(database) == 2


def test_a_copy_has_an_identity_of_its_own_and_is_as_sound(build, database, tmp_path):
    build(2)
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(database, copy)

    published.renew_identity(copy)

    assert users(copy) == 2
    one, other = database.read_bytes()[124:140], copy.read_bytes()[124:140]
    assert one != other
    assert any(one)


def test_a_file_without_an_identity_stays_as_it_is(tmp_path):
    old = tmp_path / "old.duckdb"
    with closing(
        duckdb.connect(str(old), config={"storage_compatibility_version": "v1.0.0"})
    ) as con:
        con.execute("CREATE TABLE t AS SELECT 1 AS i")
    before = old.read_bytes()

    published.renew_identity(old)

    assert old.read_bytes() == before


def test_a_file_that_is_written_to_again_and_again_is_not_copied(
    build, database, tmp_path, monkeypatch
):
    build(2)
    copyfile = shutil.copyfile

    def written_meanwhile(source, target):
        copyfile(source, target)
        Path(source).touch()

    monkeypatch.setattr("shutil.copyfile", written_meanwhile)

    with pytest.raises(UsageError, match="is writing to"):
        build(3, "dim_users")

    assert beside(database) == ["pipeline.duckdb"]
