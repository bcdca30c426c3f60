from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from conftest import arrow, raw_user, user_types
from pyarrow import parquet

import pipeline
from pipeline import contract
from pipeline.backends.duckdb import inputs
from pipeline.marts import fct_command_statuses

ROOT = Path(pipeline.__file__).parents[1]
SAMPLE = ROOT / "data"


@pytest.fixture
def project(tmp_path):
    users = tmp_path / "users.parquet"
    parquet.write_table(arrow([raw_user(7), raw_user(8)], user_types()), users)
    return pipeline.connect("duckdb", database=tmp_path / "p.duckdb", users=[users])


def content(table: pa.Table) -> Counter[str]:
    return Counter(map(repr, table.to_pylist()))


def test_common_options_come_from_the_environment_too(monkeypatch, tmp_path):
    for name, value in {
        "BACKEND": "bigquery",
        "PROJECT": "project",
        "DATASET": "d",
        "LOCATION": "EU",
        "MAX_BYTES_BILLED": "7",
        "DATABASE": str(tmp_path / "p.duckdb"),
        "THREADS": "3",
        "MEMORY_LIMIT": "1GB",
        "EVENTS": "never.parquet",
        "API_ENDPOINT": "",
    }.items():
        monkeypatch.setenv(f"PIPELINE_{name}", value)

    bigquery = pipeline.connect(dataset="given").backend
    duckdb = pipeline.connect("duckdb", threads=2).backend

    assert (bigquery.project, bigquery.dataset, bigquery.source_dataset) == (
        "project",
        "given",
        "given",
    )
    assert (bigquery.location, bigquery.max_bytes_billed) == ("EU", 7)
    assert bigquery.api_endpoint is None
    assert (duckdb.database, duckdb.threads) == (tmp_path / "p.duckdb", 2)
    assert (duckdb.memory_limit, duckdb.inputs) == ("1GB", {})
    monkeypatch.setenv("PIPELINE_THREADS", "many")
    with pytest.raises(pipeline.UsageError, match="PIPELINE_THREADS is 'many'"):
        pipeline.connect("duckdb")


def test_models_are_a_mapping_of_names_to_what_they_declare(project):
    users = project.models["dim_users"]

    assert next(iter(project.models)) == "stg_sync_events"
    assert users.grain.startswith("One row per user")
    assert (users.key, users.tags) == (("user_id",), ("part_two",))
    assert [column.name for column in users.columns][:2] == ["user_id", "username"]


def test_a_built_model_is_a_table_an_attribute_and_offered_by_completion(project):
    result = project.build(select="+dim_users")

    assert result.ok
    assert project.table("dim_users").equals(project.dim_users)
    assert project.dim_users.count().to_pyarrow().as_py() == 2
    assert "dim_users" in dir(project)


def test_the_unbuilt_expression_has_the_same_rows_and_can_be_changed(project):
    project.build(select="+dim_users")

    unbuilt = project.expr("dim_users")

    assert content(unbuilt.to_pyarrow()) == content(project.dim_users.to_pyarrow())
    changed = unbuilt.filter(unbuilt.user_id == "7").select("user_id")
    assert changed.to_pyarrow().to_pylist() == [{"user_id": "7"}]


def test_an_expression_and_a_built_table_are_on_one_connection(project):
    project.build(select="+dim_users")
    unbuilt, built = project.expr("dim_users"), project.dim_users

    assert unbuilt.anti_join(built, "user_id").count().to_pyarrow().as_py() == 0
    assert unbuilt.join(built, "user_id").count().to_pyarrow().as_py() == 2
    assert unbuilt.union(project.expr("stg_users")).count().to_pyarrow().as_py() == 4


def test_what_was_asked_for_before_a_build_reads_the_new_one(project, tmp_path):
    project.build(select="+dim_users")
    users, unbuilt = project.dim_users, project.expr("dim_users")
    more = arrow([raw_user(7), raw_user(8), raw_user(9)], user_types())
    parquet.write_table(more, tmp_path / "users.parquet")

    project.build(select="+dim_users")

    assert [table.count().to_pyarrow().as_py() for table in (users, unbuilt)] == [3, 3]
    assert unbuilt.anti_join(project.dim_users, "user_id").count().to_pyarrow().as_py() == 0


def test_another_processs_build_is_read_after_reconnecting(project, tmp_path):
    project.build(select="+dim_users")
    users = project.dim_users
    other = [raw_user(7)]
    parquet.write_table(arrow(other, user_types()), tmp_path / "other.parquet")
    database = project.backend.place
    pipeline.connect("duckdb", database=database, users=tmp_path / "other.parquet").build(
        "+dim_users"
    )

    before = users.count().to_pyarrow().as_py()
    project.reconnect()

    assert (before, users.count().to_pyarrow().as_py()) == (2, 1)


def test_raw_files_are_looked_through_once(project, monkeypatch):
    read = []
    look = inputs.find
    monkeypatch.setattr(inputs, "find", lambda given: read.append(given) or look(given))

    project.expr("dim_users")
    project.expr("stg_users")
    project.preview("stg_user_versions")
    once = len(read)
    project.reconnect()
    project.expr("dim_users")

    assert (once, len(read)) == (1, 2)


def test_an_expression_needs_no_build(project):
    assert project.expr("dim_users").count().to_pyarrow().as_py() == 2


def test_the_expression_of_a_source_without_files_is_an_error(project):
    with pytest.raises(pipeline.UsageError, match="No files of raw_sync_events"):
        project.expr("fct_command_statuses")


def test_the_sql_is_one_select_of_the_upstream_tables(project):
    sql = project.sql("dim_users")

    assert sql.startswith("SELECT")
    assert '"stg_users"' in sql


@pytest.mark.parametrize(
    "ask",
    [
        lambda project: project.table("dim_user"),
        lambda project: project.expr("dim_user"),
        lambda project: project.sql("dim_user"),
        lambda project: project.build(select="dim_user"),
        lambda project: project.rows("dim_user", limit=1),
    ],
)
def test_an_unknown_model_is_an_error_that_suggests_near_ones(project, ask):
    with pytest.raises(pipeline.UsageError, match="dim_users"):
        ask(project)


def test_an_unknown_attribute_is_an_attribute_error_that_suggests_near_ones(project):
    with pytest.raises(AttributeError, match="Did you mean dim_users"):
        _ = project.dim_user
    assert not hasattr(project, "_ipython_display_")


@pytest.mark.parametrize(
    ("words", "options", "suggestion"),
    [(["duckbd"], {}, "duckdb"), ([], {"databse": "x"}, "database")],
)
def test_an_unknown_backend_or_option_suggests_near_ones(words, options, suggestion):
    with pytest.raises(pipeline.UsageError, match=f"Did you mean {suggestion}"):
        pipeline.connect(*words, **options)


def test_a_model_is_a_plain_function_on_any_tables():
    def empty(name):
        schema = contract.schema_of(pipeline.connect("duckdb").models[name].columns).to_pyarrow()
        return ibis.memtable(schema.empty_table())

    made = fct_command_statuses(
        empty("stg_commands"), empty("stg_command_actives"), empty("stg_command_results")
    )

    assert made.to_pyarrow().num_rows == 0
    assert made.columns[0] == "command_uuid"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import pipeline", ["ibis", "duckdb", "pyarrow", "google.cloud.bigquery"]),
        ("import pipeline; pipeline.connect", ["ibis", "duckdb"]),
        ("import pipeline.cli", ["ibis", "duckdb", "pyarrow", "rich"]),
        (
            "from click.testing import CliRunner; from pipeline.cli import cli;"
            " assert 'Commands' in CliRunner().invoke(cli, ['--help']).output",
            ["ibis", "duckdb", "pyarrow"],
        ),
        (
            "from click.testing import CliRunner; from pipeline.cli import cli;"
            " assert '--events' in CliRunner().invoke(cli, ['build', '--help']).output",
            ["ibis", "duckdb", "pyarrow"],
        ),
    ],
)
def test_importing_and_help_load_no_engine(code, absent):
    check = f"import sys; {code}; print([name for name in {absent} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


class Variant:
    """The first events of the sample, in some files of some order and kind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = parquet.read_table(SAMPLE / "raw_sync_events.parquet").slice(0, 900)
        folder.mkdir()

    def shuffled(self) -> list[Path]:
        order = list(range(self.events.num_rows))
        random.Random(1).shuffle(order)
        return [self._parquet(self.events.take(order), "shuffled.parquet")]

    def split(self) -> list[Path]:
        return [self._parquet(self.events.slice(at, 300), f"{at}.parquet") for at in (600, 0, 300)]

    def as_ndjson(self) -> list[Path]:
        path = self.folder / "events.ndjson"
        lines = [json.dumps(row, default=dt.datetime.isoformat) for row in self.events.to_pylist()]
        path.write_text("\n".join(lines))
        return [path]

    def whole(self) -> list[Path]:
        return [self._parquet(self.events, "whole.parquet")]

    def _parquet(self, table: pa.Table, name: str) -> Path:
        parquet.write_table(table, self.folder / name)
        return self.folder / name


def built(tmp_path, name, threads=2):
    events = getattr(Variant(tmp_path / f"{name}-{threads}"), name)()
    project = pipeline.connect(
        "duckdb",
        database=tmp_path / f"{name}-{threads}.duckdb",
        threads=threads,
        events=events,
        users=SAMPLE / "raw_users.parquet",
    )
    assert project.build(checks=False).ok
    return {name: content(project.table(name).to_pyarrow()) for name in project.models}


def test_order_files_kinds_and_threads_of_the_same_input_give_the_same_rows(tmp_path):
    whole = built(tmp_path, "whole")

    assert whole["fct_command_readings"].total() > 20
    for name, threads in (("shuffled", 8), ("split", 1), ("as_ndjson", 2)):
        assert built(tmp_path, name, threads) == whole, name
