from __future__ import annotations

import errno
import fcntl
import signal
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import arrow, event_types, raw_user, user_types
from programs import ROOT, python, ready
from pyarrow import parquet

import pipeline
from pipeline import catalog
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.backends.duckdb.folder import building_folder
from pipeline.backends.duckdb.memory import limit_of
from pipeline.errors import ResourceError, UsageError

SAMPLE = ROOT / "data"
USERS = "+dim_users +quarantined_users"


@pytest.fixture
def database(tmp_path):
    return tmp_path / "db" / "pipeline.duckdb"


@pytest.fixture
def write_users(tmp_path):
    """A function that writes so many raw users and returns the option that reads them."""

    def write(number):
        path = tmp_path / f"{number}.parquet"
        parquet.write_table(arrow([raw_user(uid) for uid in range(number)], user_types()), path)
        return {"users": path}

    return write


@pytest.fixture
def project(database, write_users):
    """Two users, built."""
    made = pipeline.connect("duckdb", database=database, **write_users(2))
    made.build(USERS, checks=False)
    return made


def build(database, **options):
    made = pipeline.connect("duckdb", database=database, **options)
    return made.build(USERS, checks=False)


def users(place) -> int:
    return place.dim_users.count().to_pyarrow().as_py()


def beside(database) -> list[str]:
    return sorted(path.name for path in database.parent.iterdir())


HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("ready", flush=True)
sys.stdin.readline()
print(con.execute("SELECT count(*) FROM dim_users").fetchone()[0])
"""


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_another_program_with_the_file_open_blocks_no_build_and_keeps_the_old_one(
    project, database, write_users, how
):
    other = ready(python(HOLD, database, how))

    build(database, **write_users(3))

    told, _ = other.communicate("\n")
    assert told == "2\n"
    project.reconnect()
    assert users(project) == 3
    assert beside(database) == ["pipeline.duckdb"]


def test_a_file_open_for_writing_elsewhere_is_an_error_that_names_the_program(project, database):
    other = ready(python(HOLD, database, "writing"))
    project.reconnect()

    with pytest.raises(UsageError, match=rf"open for writing elsewhere.*{other.pid}"):
        project.table("dim_users")

    other.communicate("\n")


def test_a_reader_of_this_process_keeps_the_old_build_until_it_reconnects(
    project, database, write_users
):
    held = project.dim_users
    with closing(duckdb.connect(str(database), read_only=True)) as plain:
        build(database, **write_users(3))

        assert held.count().to_pyarrow().as_py() == 2
        assert plain.execute("SELECT count(*) FROM dim_users").fetchone() == (2,)
        project.reconnect()
        assert users(project) == 3


def test_the_same_object_reads_the_new_build_though_others_hold_the_old(database, write_users):
    other = pipeline.connect("duckdb", database=database, **write_users(3))
    project = pipeline.connect("duckdb", database=database, **write_users(2))
    project.build(USERS, checks=False)
    assert users(other) == 2

    other.build(USERS, checks=False)

    assert users(other) == 3
    assert users(project) == 3


def test_a_build_reads_on_what_the_last_build_read_though_the_old_one_is_held(
    project, database, write_users
):
    with closing(duckdb.connect(str(database), read_only=True)):
        build(database, **write_users(3))
        build(database)

    assert users(pipeline.connect("duckdb", database=database)) == 3


def test_a_connection_of_this_process_that_writes_stops_readers_but_no_build(
    project, database, write_users
):
    project.reconnect()
    with closing(duckdb.connect(str(database))):
        with pytest.raises(UsageError, match="open for writing"):
            project.table("dim_users")

        build(database, **write_users(3))

    assert users(project) == 3


BUILD = """
import sys
from pathlib import Path
import pipeline
from pipeline.backends.duckdb.workspace import DuckDBWorkspace

def stop(self, record):
    print("ready", flush=True)
    sys.stdin.readline()
    return publish(self, record)

publish, DuckDBWorkspace.publish = DuckDBWorkspace.publish, stop
try:
    p = pipeline.connect("duckdb", database=sys.argv[1], users=sys.argv[2])
    p.build("+dim_users", checks=False)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_lock_that_an_error_interrupts_is_released(tmp_path, monkeypatch):
    plain = fcntl.flock

    def lost(*args):
        plain(*args)
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", lost)
        with (
            pytest.raises(UsageError, match="Input/output error"),
            building_folder(tmp_path / "d.duckdb"),
        ):
            pass

    with building_folder(tmp_path / "d.duckdb") as folder:
        assert folder.exists()


def test_a_second_build_is_refused_at_once_with_the_first_ones_process(
    project, database, write_users
):
    first = ready(python(BUILD, database, write_users(3)["users"]))

    with pytest.raises(UsageError, match=rf"Another build .* is running \(process {first.pid}\)"):
        build(database)

    assert users(project) == 2
    assert first.communicate("\n")[1] == ""
    project.reconnect()
    assert users(project) == 3


def test_a_link_and_the_file_share_one_lock(project, database, write_users, tmp_path):
    link = tmp_path / "link.duckdb"
    link.symlink_to(database)
    first = ready(python(BUILD, database, write_users(3)["users"]))

    with pytest.raises(UsageError, match="Another build"):
        build(link)

    first.communicate("\n")


def test_after_a_kill_the_old_build_is_whole_and_the_next_one_works(project, database, write_users):
    killed = ready(python(BUILD, database, write_users(3)["users"]))

    killed.kill()
    killed.communicate()

    project.reconnect()
    assert users(project) == 2
    build(database, **write_users(4))
    project.reconnect()
    assert users(project) == 4
    assert beside(database) == ["pipeline.duckdb"]


def test_an_interrupted_build_leaves_the_old_one_and_nothing_beside_it(
    project, database, write_users
):
    interrupted = ready(python(BUILD, database, write_users(3)["users"]))

    interrupted.send_signal(signal.SIGINT)
    interrupted.communicate()

    assert interrupted.returncode == 130
    project.reconnect()
    assert users(project) == 2
    assert beside(database) == ["pipeline.duckdb"]


LONG_STATEMENT = """
import sys
from pathlib import Path
from pipeline import catalog
from pipeline.backends.duckdb.backend import DuckDB
with DuckDB(Path(sys.argv[1])).workspace(["dim_users"], keep=False) as workspace:
    rows = workspace.con.sql("SELECT sum(hash(range)) AS total FROM range(100000000000)")
    print("ready", flush=True)
    workspace.create(catalog.load().models["dim_users"], rows)
"""


def test_ctrl_c_in_the_middle_of_a_long_statement_ends_it(database):
    database.parent.mkdir()
    interrupted = ready(python(LONG_STATEMENT, database))

    time.sleep(0.3)  # into the statement; too early is as good
    interrupted.send_signal(signal.SIGINT)
    _, told = interrupted.communicate(timeout=60)

    assert told.splitlines()[-1] == "KeyboardInterrupt"
    assert beside(database) == []


BUILD_AND_SHOW = """
import sys
from click.testing import CliRunner
from pipeline.cli import cli
run = lambda *words: print(CliRunner().invoke(cli, [*words, "--database", sys.argv[1]]).output)
run("build")
run("show", "dim_users", "--limit", "1")
run("show", "dim_users", "--limit", "1", "--format", "json")
print([name for name in ("pandas", "pyarrow.compute", "google.cloud") if name in sys.modules])
"""


def test_a_build_and_a_look_at_its_tables_load_no_more_than_they_need(database):
    # DuckDB would load pandas in the middle of a statement, and lose a Ctrl-C meanwhile
    told, _ = python(BUILD_AND_SHOW, database).communicate(timeout=60)

    assert told.splitlines()[-1] == "[]"
    assert '"date_registered": "20' in told


def test_a_failed_build_leaves_nothing_beside_the_database(project, database, tmp_path):
    before = database.read_bytes()

    with pytest.raises(pipeline.InputError):
        build(database, users=tmp_path / "none.parquet")

    assert database.read_bytes() == before
    assert beside(database) == ["pipeline.duckdb"]


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(project, database, write_users):
    link = database.parent / "link.duckdb"
    link.symlink_to(database.name)

    build(link, **write_users(3))

    assert link.is_symlink()
    project.reconnect()
    assert users(project) == 3
    assert beside(database) == ["link.duckdb", "pipeline.duckdb"]


def test_a_link_to_a_file_that_is_not_there_yet_is_followed(database, write_users):
    database.parent.mkdir()
    link = database.parent / "link.duckdb"
    link.symlink_to(database.name)

    build(link, **write_users(2))

    assert beside(database) == ["link.duckdb", "pipeline.duckdb"]
    assert not database.is_symlink()


@pytest.mark.parametrize("content", [b"", b"no database", b"\x00" * 20_000], ids=len)
def test_a_file_that_is_no_database_is_refused_and_stays(database, write_users, content):
    database.parent.mkdir()
    database.write_bytes(content)
    project = pipeline.connect("duckdb", database=database, **write_users(2))

    with pytest.raises(UsageError, match="can't be opened as a DuckDB database"):
        project.build(USERS)
    with pytest.raises(UsageError, match="can't be opened as a DuckDB database"):
        project.table("dim_users")

    assert database.read_bytes() == content
    assert beside(database) == ["pipeline.duckdb"]


def test_a_folder_is_no_database(database, write_users):
    database.mkdir(parents=True)

    with pytest.raises(UsageError, match="can't be opened as a DuckDB database"):
        build(database, **write_users(2))

    assert beside(database) == ["pipeline.duckdb"]


@pytest.mark.parametrize("place", ["/sys/pipeline.duckdb", "/proc/pipeline.duckdb"])
def test_a_folder_that_cant_be_written_is_an_error_that_names_the_file(write_users, place):
    with pytest.raises(UsageError, match=f"{place} can't be written: "):
        build(Path(place), **write_users(2))


SMALL_DISK = """
import resource, sys, pipeline
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
p = pipeline.connect("duckdb", database=sys.argv[1], events=sys.argv[2])
try:
    p.build(sys.argv[4], checks=False)
except pipeline.ResourceError as error:
    print(error.exit_status, error)
"""


@pytest.mark.parametrize(
    ("limit", "select"),
    [(100_000, "stg_user_versions"), (3_000_000, "+fct_command_statuses")],
    ids=["while the old build is copied", "while a model is written"],
)
def test_a_full_disk_is_an_error_and_the_old_build_stays(project, database, limit, select):
    before = database.read_bytes()
    full = python(SMALL_DISK, database, SAMPLE / "raw_sync_events.parquet", limit, select)

    told, _ = full.communicate()

    assert told.startswith("1 The disk"), told
    assert "full" in told
    assert database.read_bytes() == before
    assert beside(database) == ["pipeline.duckdb"]


def test_too_little_memory_is_an_error_and_the_old_build_stays(project, database, write_users):
    before = database.read_bytes()

    with pytest.raises(ResourceError, match="ran out of memory") as caught:
        build(database, memory_limit="1MB", **write_users(2))

    assert caught.value.exit_status == 1
    assert "--memory-limit" in caught.value.next_step
    assert database.read_bytes() == before
    assert beside(database) == ["pipeline.duckdb"]


def test_too_little_disk_for_what_memory_does_not_hold_is_told_as_that(database):
    database.parent.mkdir()
    with DuckDB(database, memory_limit="40MB").workspace(["dim_users"], keep=False) as workspace:
        workspace.con.raw_sql("SET max_temp_directory_size = '1MB'")
        rows = workspace.con.sql("SELECT hash(range) AS b FROM range(9000000) ORDER BY b")
        with pytest.raises(ResourceError, match="disk is too full") as caught:
            workspace.create(catalog.load().models["dim_users"], rows)

    assert "Free space" in caught.value.next_step


@pytest.mark.parametrize("limit", ["much", "-1GB", " -4GB", "4 apples", ""])
def test_a_memory_limit_that_is_none_is_wrong_usage(database, write_users, limit):
    with pytest.raises(UsageError, match=r"limit"):
        build(database, memory_limit=limit, **write_users(2))


def test_the_limits_reach_the_engine_for_readers_too(project, database):
    limited = pipeline.connect("duckdb", database=database, threads=1, memory_limit="200MB")

    con = limited.dim_users.get_backend()

    settings = con.raw_sql("SELECT current_setting('threads'), current_setting('memory_limit')")
    assert settings.fetchone() == (1, "190.7 MiB")


@pytest.mark.parametrize(("given", "engine"), [("1020MB", 770_000_000), ("40MB", 30_000_000)])
def test_a_build_leaves_a_part_of_its_limit_to_the_rest_of_the_process(database, given, engine):
    database.parent.mkdir()

    with DuckDB(database, memory_limit=given).workspace(["dim_users"], keep=False) as workspace:
        limit = limit_of(workspace.con)

    # DuckDB tells its limit in tenths of a MiB
    assert limit == pytest.approx(engine, abs=2**20)


def test_readers_leave_nothing_beside_the_database(project, database):
    project.test(USERS)
    project.preview("dim_users").count().to_pyarrow()
    project.expr("dim_users").count().to_pyarrow()

    # the results of the test, for the docs, until the next build
    assert beside(database) == ["pipeline.duckdb", "pipeline.duckdb.tested.json"]


def test_every_model_is_queried_by_name_in_the_file_alone(tmp_path, write_users):
    database = tmp_path / "build" / "pipeline.duckdb"
    events = tmp_path / "events.parquet"
    parquet.write_table(arrow([], event_types()), events)
    options = {"events": events, **write_users(2)}
    project = pipeline.connect("duckdb", database=database, **options)
    project.build(checks=False)
    elsewhere = tmp_path / "elsewhere.duckdb"
    database.rename(elsewhere)
    for path in (events, options["users"]):
        path.unlink()

    with closing(duckdb.connect(str(elsewhere), read_only=True)) as con:
        for name in project.models:
            con.execute(f"SELECT count(*) FROM {name}").fetchone()
        assert con.execute("SELECT count(*) FROM quarantined_users").fetchone() == (0,)
        assert con.execute("SELECT count(*) FROM _pipeline.runs").fetchone() == (1,)


def test_tables_views_and_columns_carry_what_the_models_declare(project, database):
    project.build("quarantined_users", checks=False)

    with duckdb.connect(str(database), read_only=True) as con:
        tables = dict(con.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        views = dict(con.execute("SELECT view_name, comment FROM duckdb_views()").fetchall())
        columns = con.execute("SELECT table_name, column_name, comment FROM duckdb_columns()")
        told = {(table, column): comment for table, column, comment in columns.fetchall()}
    users, quarantined = (project.models[name] for name in ("dim_users", "quarantined_users"))
    assert tables["dim_users"] == users.grain == "One row per user."
    assert views["quarantined_users"] == quarantined.grain
    for model in (users, quarantined):
        for column in model.columns:
            assert told[model.name, column.name] == column.description


def test_a_partial_build_replaces_a_table_by_a_view_of_the_same_name(project, database):
    project.build("quarantined_users", checks=False)
    with closing(duckdb.connect(str(database))) as con:
        con.execute("DROP VIEW quarantined_users")
        con.execute("CREATE TABLE quarantined_users (old INTEGER)")

    project.build("quarantined_users", checks=False)

    assert "disposition" in project.quarantined_users.columns


def test_the_rows_of_a_day_lie_together_in_a_table_that_has_a_date(database):
    made = pipeline.connect("duckdb", database=database)

    def days(name):
        return made.table(name).command_date.to_pyarrow().to_pylist()

    made.build("+fct_command_readings", checks=False)
    statuses, readings = days("fct_command_statuses"), days("fct_command_readings")
    # sorted by itself, because the statuses are of another build
    made.build("fct_command_readings", checks=False)

    assert len(set(statuses)) > 1
    assert statuses == sorted(statuses)
    assert days("fct_command_readings") == statuses
    # a join returns the matching rows of a block first, then the others
    steps_back = sum(day > following for day, following in pairwise(readings))
    assert steps_back <= len(readings) / 2048 + 1
    assert sorted(readings) == statuses


def test_a_build_writes_no_log_and_appended_rows_only_at_its_end(database):
    # each checkpoint would write the last block of a table anew
    texts = "md5(number::VARCHAR) AS one, md5(one) AS other"
    with DuckDB(database).workspace(["dim_users"], keep=False) as workspace:
        workspace.con.raw_sql(
            f"CREATE TABLE texts AS SELECT number, {texts} FROM range(0) t(number)"
        )
        for _ in range(20):
            workspace.con.raw_sql(
                f"INSERT INTO texts SELECT number, {texts} FROM range(30_000) t(number)"
            )

        assert not Path(f"{workspace.path}.wal").exists()
        assert workspace.path.stat().st_size < 2**20


@pytest.mark.parametrize("name", ["memory.duckdb", "Memory.v2.duckdb", "temp.duckdb", 'a "b.db'])
def test_a_file_may_have_the_name_of_a_database_that_duckdb_has_already(tmp_path, name):
    built = pipeline.connect("duckdb", database=tmp_path / name)
    built.build("+dim_users")
    built.build("dim_users")

    with duckdb.connect(tmp_path / name, read_only=True) as con:
        assert con.sql("SELECT count(*) > 0 FROM dim_users").fetchone() == (True,)


def test_a_build_goes_on_where_the_engine_stops_at_a_value(project, database, tmp_path):
    users_of = arrow([raw_user(7), raw_user(8, username="x")], user_types())
    names = pa.array([b"ann", b"\xff"]).view(pa.string())
    place = users_of.schema.get_field_index("username")
    path = tmp_path / "no_utf8.parquet"
    parquet.write_table(users_of.set_column(place, "username", names), path)

    build(database, users=path)

    project.reconnect()
    assert project.dim_users.username.to_pyarrow().to_pylist() == ["ann"]
    quarantined = project.quarantined_users.to_pyarrow().to_pylist()
    assert [(row["uid"], row["disposition"]) for row in quarantined] == [("8", "missing_username")]
    assert beside(database) == ["pipeline.duckdb"]
