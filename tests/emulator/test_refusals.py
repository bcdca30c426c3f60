"""Builds and loads at each point where the service is stricter than the emulator.

Few models and few rows: the emulator takes a second for a long statement, however few rows it has.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import ibis.expr.types as ir
import pytest
from google.cloud import bigquery

from emulator.conftest import Warehouse
from emulator.server import PROJECT
from pipeline import build as builds
from pipeline.backends.bigquery import lock
from pipeline.backends.bigquery.backend import BigQuery
from pipeline.backends.bigquery.workspace import PREFIX
from pipeline.contract import Column, model
from pipeline.graph import Graph
from pipeline.options import RunOptions
from pipeline.results import ModelResult

MODELS = ["+dim_users", "quarantined_users"]
LOCK = f"{lock.PREFIX}build"
TABLES = ["stg_user_versions", "stg_users", "dim_users"]
USER = {
    "uid": "1",
    "username": "ann",
    "dateRegistered": "2022-01-01",
    "last_modified": "2022-01-02",
}


class Place:
    """A dataset with raw users, and commands run on it in this process."""

    def __init__(self, warehouse: Warehouse, name: str) -> None:
        self.warehouse, self.service, self.name = warehouse, warehouse.service, name
        self.client = warehouse.client

    def run(self, command: str, *options: str, status: int = 0) -> str:
        return self.warehouse.run(command, *options, dataset=self.name, status=status)

    def build(self, *options: str, status: int = 0) -> str:
        return self.run("build", "--select", *MODELS, *options, status=status)

    def full(self, table: str) -> str:
        return f"{PROJECT}.{self.name}.{table}"

    def table(self, name: str) -> bigquery.Table:
        return self.client.get_table(self.full(name))

    def sql(self, text: str) -> list[dict]:
        return self.warehouse.rows(text.replace("HERE", f"`{PROJECT}`.{self.name}"))

    def count(self, table: str) -> int:
        return self.sql(f"SELECT COUNT(*) AS n FROM HERE.{table}")[0]["n"]

    def users(self, rows: list[dict], **settings) -> None:
        """Make raw_users through the API, like a foreign loader."""
        kinds = settings.pop("types", {})
        fields = [bigquery.SchemaField(name, kinds.get(name, "STRING")) for name in USER]
        table = bigquery.Table(self.full("raw_users"), [*fields, *settings.pop("fields", [])])
        for name, value in settings.items():
            setattr(table, name, value)
        self.client.create_table(table)
        if rows:
            self.add(rows)

    def add(self, rows: list[dict]) -> None:
        names = ", ".join(rows[0])
        values = ", ".join(
            "(" + ", ".join(v if v.startswith("DATE ") else f"'{v}'" for v in row.values()) + ")"
            for row in rows
        )
        self.sql(f"INSERT INTO HERE.raw_users ({names}) VALUES {values}")


@pytest.fixture
def place(warehouse: Warehouse, request: pytest.FixtureRequest) -> Iterator[Place]:
    name = f"refusals_{abs(hash(request.node.name)) % 10**9}"
    warehouse.client.create_dataset(name)
    warehouse.service.asked.clear()
    yield Place(warehouse, name)
    warehouse.service.faults.clear()
    warehouse.service.stuck = None


@pytest.fixture
def built(place: Place) -> Place:
    """A dataset with a build of three users."""
    place.users([{**USER, "uid": str(n), "username": f"user {n}"} for n in range(3)])
    place.build()
    place.service.asked.clear()
    return place


def writes(place: Place) -> list[str]:
    """The statements that change published tables, in order."""
    return [
        sql
        for sql in place.service.statements()
        if not sql.startswith("SELECT") and any(f"`{name}`" in sql for name in TABLES)
    ]


def test_a_build_reads_one_moment_while_rows_arrive(place):
    place.users([USER])
    over = threading.Event()

    def loader() -> None:
        while not over.wait(0.3):
            place.add([USER])

    loading = threading.Thread(target=loader)
    loading.start()
    try:
        place.build()
    finally:
        over.set()
        loading.join()

    read = [sql for sql in place.service.statements() if "`raw_users`" in sql]
    moments = {sql.partition("FOR SYSTEM_TIME AS OF ")[2][:43] for sql in read}
    assert len(read) == 2  # one statement counts it, and one model reads it
    assert len(moments) == 1
    (recorded,) = place.sql("SELECT sources FROM HERE._pipeline_runs")
    rows = json.loads(recorded["sources"])["raw_users"]["rows"]
    assert rows == place.count("stg_user_versions") < place.count("raw_users")


def test_a_raw_view_is_read_once_and_counted_by_that(place):
    place.users([USER, USER])
    place.sql("ALTER TABLE HERE.raw_users RENAME TO users")
    place.sql("CREATE VIEW HERE.raw_users AS SELECT * FROM HERE.users")

    said = place.build()

    assert f"{place.full('raw_users')} is a view, which BigQuery can't hold still" in said
    assert len([sql for sql in place.service.statements() if "`raw_users`" in sql]) == 1
    (recorded,) = place.sql("SELECT sources FROM HERE._pipeline_runs")
    assert json.loads(recorded["sources"])["raw_users"]["rows"] == 2


def test_all_tables_and_the_record_are_published_by_one_statement(built):
    built.add([{**USER, "uid": "9", "username": "new"}])

    said = built.build()

    assert "Published in one moment. Billed: 0.00 GB in all, checks included" in said
    assert built.count("dim_users") == 4
    published = [sql for sql in writes(built) if PREFIX not in sql.partition("(")[0]]
    assert len(published) == 1
    script = published[0].split(";\n")
    assert script[0] == "BEGIN TRANSACTION"
    # a partial build keeps the other models' part of the last record
    assert "Another build was published" in script[1]
    assert [line.split()[0] for line in script[2:-3]] == ["TRUNCATE", "INSERT"] * 3
    assert script[-3].startswith("INSERT INTO")
    assert "`_pipeline_runs`" in script[-3]
    assert script[-2] == "COMMIT TRANSACTION"
    assert "published_at" in script[-1]
    # the view stays, because its text is the same
    assert not any("VIEW" in sql and PREFIX not in sql for sql in built.service.statements())
    assert not any("copy" in job["configuration"] for job in built.service.jobs())
    moments = built.sql("SELECT published_at, started_at FROM HERE._pipeline_runs")
    assert all(each["published_at"] > each["started_at"] for each in moments)


def test_the_readme_reads_the_tables_of_one_build(built):
    (first,) = built.sql("SELECT published_at FROM HERE._pipeline_runs")
    built.add([{**USER, "uid": "9", "username": "new"}])
    built.build()

    at = f"FOR SYSTEM_TIME AS OF TIMESTAMP '{first['published_at'].isoformat()}'"

    for name, now in (("stg_users", 4), ("dim_users", 4)):
        assert built.count(name) == now
        assert built.count(f"{name} {at}") == 3


def test_policies_and_options_set_by_hand_survive(built):
    built.sql(
        "CREATE ROW ACCESS POLICY mine ON HERE.dim_users GRANT TO ('user:a@b.c')"
        " FILTER USING (TRUE)"
    )
    table = built.table("dim_users")
    table.labels, table.description = {"team": "doors"}, "by hand"
    fields = [field.to_api_repr() for field in table.schema]
    fields[1]["policyTags"] = {"names": ["projects/p/locations/eu/taxonomies/1/policyTags/2"]}
    table.schema = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    built.client.update_table(table, ["labels", "description", "schema"])

    built.build()

    after = built.table("dim_users")
    assert built.service.policies(PROJECT, (built.name, "dim_users")) == ["mine"]
    assert (after.labels, after.description) == ({"team": "doors"}, "by hand")
    assert after.schema[1].policy_tags.names == table.schema[1].policy_tags.names
    made = [
        asked.body["schema"]["fields"][1]
        for asked in built.service.asked
        if asked.method == "POST"
        and asked.body.get("tableReference", {}).get("tableId", "").endswith("_dim_users")
    ]
    # the table that a build makes for itself has the same rows and the same protection
    assert [field["policyTags"] for field in made] == [fields[1]["policyTags"]]


def old_layout(place: Place, *, partitioned: bool) -> None:
    """Make dim_users as an older version did: a column less, and by month if `partitioned`."""
    found = place.table("dim_users")
    place.client.delete_table(found)
    table = bigquery.Table(found.reference, found.schema[:3])
    if partitioned:
        table.time_partitioning = bigquery.TimePartitioning("MONTH", "date_registered")
    place.client.create_table(table)
    place.sql("INSERT INTO HERE.dim_users (user_id) VALUES ('old')")


@pytest.mark.parametrize("partitioned", [True, False], ids=["partitions", "columns"])
def test_a_table_of_another_layout_is_there_until_the_new_one_is(built, partitioned):
    old_layout(built, partitioned=partitioned)
    built.service.asked.clear()

    built.build()

    assert built.count("dim_users") == 3
    assert built.table("dim_users").time_partitioning is None
    assert len(built.table("dim_users").schema) == 4
    gone = [
        asked.path
        for asked in built.service.asked
        if asked.method == "DELETE" and asked.path.partition("?")[0].endswith("/dim_users")
    ]
    assert not gone
    assert not any("DROP" in sql and "`dim_users`" in sql for sql in built.service.statements())
    assert built.warehouse.names(built.name) == {
        *TABLES,
        "quarantined_users",
        "raw_users",
        "_pipeline_runs",
    }


def test_a_table_of_another_layout_with_a_policy_is_refused_by_name(built):
    old_layout(built, partitioned=True)
    built.sql(
        "CREATE ROW ACCESS POLICY mine ON HERE.dim_users GRANT TO ('user:a@b.c')"
        " FILTER USING (user_id > '')"
    )

    said = built.build(status=2)

    assert f"{built.full('dim_users')} can't be replaced" in said
    assert "the row access policy mine" in said
    assert built.service.policies(PROJECT, (built.name, "dim_users")) == ["mine"]


def test_defaults_of_the_place_do_not_apply(place):
    old = {**USER, "day": "DATE '1999-01-01'"}
    place.users(
        [old, {**old, "uid": "2"}],
        fields=[bigquery.SchemaField("day", "DATE")],
        time_partitioning=bigquery.TimePartitioning(field="day"),
        require_partition_filter=True,
    )
    dataset = place.client.get_dataset(place.name)
    dataset.default_partition_expiration_ms = 60 * 86_400_000
    place.client.update_dataset(dataset, ["default_partition_expiration_ms"])

    place.build()

    assert place.count("dim_users") == 2
    asked = place.service.jobs()
    # the test's own jobs have no labels
    ours = [job["configuration"] for job in asked if job["configuration"].get("labels")]
    queries = [configuration["query"] for configuration in ours if "query" in configuration]
    assert {json.dumps(query["connectionProperties"]) for query in queries} == {
        '[{"key": "time_zone", "value": "UTC"}]'
    }
    made = [
        each.body
        for each in place.service.asked
        if each.method == "POST" and each.path.partition("?")[0].endswith("/tables")
    ]
    names = {body["tableReference"]["tableId"]: body for body in made if "view" not in body}
    kept = [body for name, body in names.items() if name not in ("raw_users", LOCK)]
    assert len(kept) == 4
    assert {body["defaultCollation"] for body in kept} == {""}


def test_a_second_build_ends_at_once_with_the_name_of_the_first(built):
    with lock.locked(built.client, f"{PROJECT}.{built.name}", "build", "the_first"):
        clock = time.monotonic()
        said = built.build(status=2)

    assert "is running: the_first, process" in said
    assert time.monotonic() - clock < 5
    built.build()


@pytest.mark.parametrize("left", ["expired", "killed"])
def test_a_lock_whose_holder_is_gone_is_taken_over(built, left):
    process, expires = (os.getpid(), -1) if left == "expired" else (2**22 + 1, 60)
    table = bigquery.Table(built.full(LOCK))
    table.description = f"gone {socket.gethostname()} {process}"
    table.expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=expires)
    built.client.create_table(table)

    built.build()

    assert LOCK not in built.warehouse.names(built.name)


def test_a_build_that_fails_to_publish_changes_nothing_and_the_next_one_does(built):
    built.add([{**USER, "uid": "9", "username": "new"}])
    built.service.faults.append(("BEGIN TRANSACTION", "quotaExceeded"))

    said = built.build(status=2)

    assert "quota" in said
    assert built.count("dim_users") == 3
    built.build()
    assert built.count("dim_users") == 4


def test_a_build_of_less_than_half_of_the_rows_changes_nothing_unless_asked(built):
    built.client.delete_table(built.full("raw_users"))
    built.users([USER])

    said = built.build(status=2)

    assert "raw_users has 1 row, fewer than half of the 3" in said
    assert built.count("dim_users") == 3
    built.build("--allow-fewer-rows")
    assert built.count("dim_users") == 1


@model(key=[], tags=[], columns=[Column("uid", "string", "the user's id")])
def people(raw_users: ir.Table) -> ir.Table:
    """One row per raw user."""
    return raw_users.select("uid")


@model(key=[], tags=[], columns=[Column("uid", "string", "the user's id")])
def renamed(raw_users: ir.Table) -> ir.Table:
    """One row per raw user, in a model that goes."""
    return raw_users.select("uid")


def test_a_full_build_tells_of_tables_and_builds_that_are_not_its_own_and_leaves_them(place):
    place.users([USER])
    backend = BigQuery(PROJECT, place.name, place.name, api_endpoint=place.service.url)
    both, one = Graph([people.model, renamed.model]), Graph([people.model])
    builds.build(both, backend, ["people", "renamed"], RunOptions(checks=False))
    place.sql("CREATE TABLE HERE.theirs AS SELECT 1 AS n")

    def another_is_published(event: object) -> None:
        if isinstance(event, ModelResult):
            place.sql(
                "INSERT INTO HERE._pipeline_runs SELECT * REPLACE ('the_other' AS run,"
                " CURRENT_TIMESTAMP() AS published_at) FROM HERE._pipeline_runs"
            )

    options = RunOptions(checks=False, report=another_is_published)
    result = builds.build(one, backend, ["people"], options)

    told = [note.text for note in result.notes]
    assert told[:2] == [
        "The build the_other was published since this one began: this one replaces its tables of"
        " these models.",
        "No model makes renamed any more, an earlier build did: drop by hand.",
    ]
    assert (place.count("renamed"), place.count("theirs"), place.count("people")) == (1, 1, 1)


def test_jobs_that_fail_by_passing_trouble_are_sent_again(built, monkeypatch):
    monkeypatch.setattr("pipeline.backends.bigquery.jobs.PAUSES", (0.0, 0.0))
    for text in ("BEGIN TRANSACTION", "INSERT INTO"):
        built.service.faults.append((text, "jobRateLimitExceeded"))

    built.build()

    assert built.service.faults == []


def test_more_days_than_a_job_may_write_go_in_by_parts(place, tmp_path):
    events = tmp_path / "events.ndjson"
    first = dt.date(2000, 1, 1)
    days = [first + dt.timedelta(days=n) for n in range(4_001)]
    events.write_text(
        "".join(
            json.dumps(
                {"ItemKey": "x", "ItemData": "{}", "_scheduled_timestamp": f"{day}T00:00:00Z"}
            )
            + "\n"
            for day in days
        )
    )

    place.run("load", "--events", str(events))

    assert place.count("raw_sync_events") == 4_001
    table = place.table("raw_sync_events")
    assert table.time_partitioning.field == "_scheduled_timestamp"
    scripts = [sql for sql in place.service.statements() if sql.startswith("BEGIN")]
    assert [script.count("INSERT INTO") for script in scripts] == [1, 2]
    place.run("load", "--events", str(events))
    assert place.count("raw_sync_events") == 4_001


def users_file(tmp_path, *rows: str) -> str:
    path = tmp_path / "users.csv"
    path.write_text("uid,username,dateRegistered,last_modified\n" + "".join(f"{r}\n" for r in rows))
    return str(path)


def test_a_load_keeps_the_layout_and_policies_of_a_raw_table(place, tmp_path):
    place.users([USER], clustering_fields=["username"], labels={"team": "doors"})
    place.sql(
        "CREATE ROW ACCESS POLICY mine ON HERE.raw_users GRANT TO ('user:a@b.c')"
        " FILTER USING (TRUE)"
    )
    file = users_file(tmp_path, "7,bob,2022-01-01,2022-01-01", "8,cid,2022-01-01,2022-01-01")

    place.run("load", "--users", file)
    place.run("load", "--users", file, "--append")

    table = place.table("raw_users")
    assert (table.clustering_fields, table.labels) == (["username"], {"team": "doors"})
    assert place.service.policies(PROJECT, (place.name, "raw_users")) == ["mine"]
    # the emulator's own caller is in no policy
    place.sql("DROP ROW ACCESS POLICY mine ON HERE.raw_users")
    assert place.count("raw_users") == 4


def test_a_load_that_fails_leaves_neither_table(place, tmp_path, files):
    file = users_file(tmp_path, "7,bob,2022-01-01,2022-01-01")
    place.service.faults.append(("BEGIN TRANSACTION", "quotaExceeded"))

    place.run("load", "--events", files[0], "--users", file, status=2)

    assert place.warehouse.names(place.name) == set()


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_program_that_is_told_to_end_cancels_its_jobs(built, sent, status):
    built.service.stuck = "_stg_user_versions` (`uid`"

    process = built.warehouse.start("build", "--select", *MODELS, dataset=built.name)
    until(lambda: any(built.service.stuck in sql for sql in built.service.statements()))
    process.send_signal(sent)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == status, output
    assert "the last build" in output.lower()
    running = next(
        job["jobReference"]["jobId"]
        for job in built.service.jobs()
        if built.service.stuck in job["configuration"].get("query", {}).get("query", "")
    )
    assert running in built.service.cancelled
    built.service.stuck = None
    assert built.count("dim_users") == 3
    built.build()


def test_a_dry_run_asks_for_all_that_a_build_reads(built):
    said = built.build("--dry-run")
    asked = [job for job in built.service.jobs() if job["configuration"].get("dryRun")]
    built.service.asked.clear()
    built.build()

    sent = built.service.statements()
    made = [sql for sql in sent if sql.startswith("INSERT INTO")]
    checked = [sql for sql in sent if sql.startswith("SELECT") and PREFIX in sql]
    (script,) = [sql for sql in sent if sql.startswith("BEGIN TRANSACTION")]
    assert len(made) == script.count("SELECT * FROM") == len(TABLES)
    assert len(asked) == len(made) + len(checked) + len(TABLES)
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "stg_user_versions",
        "quarantined_users",
        "stg_users",
        "dim_users",
        "Sum",
    ]


def test_jobs_run_beside_one_another_and_lines_stay_in_order(place, monkeypatch):
    place.users([{**USER, "uid": str(n), "username": f"user {n}"} for n in range(3)])
    plain, lock = place.service.answer, threading.Lock()
    under_way, most, said = 0, {}, {}

    def answer(method, target, body, headers):
        nonlocal under_way
        if b'"configuration"' not in body:
            return plain(method, target, body, headers)
        with lock:
            under_way += 1
            most[threads] = max(most.get(threads, 0), under_way)
        try:
            return plain(method, target, body, headers)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(place.service, "answer", answer)
    for threads in ("1", "8"):
        said[threads] = re.sub(r"[\d.]+s\b", "", place.build("--threads", threads))

    assert most["1"] == 1 < most["8"] <= 8
    assert said["1"] == said["8"]


def test_fail_fast_cancels_the_jobs_under_way(place, monkeypatch):
    place.users([USER])
    place.service.stuck = "_dim_users` (`user_id`"
    plain = place.service.answer

    def answer(method, target, body, headers):
        if b"key_hashes" in body:  # the checks of stg_users, while dim_users is under way
            until(lambda: any(place.service.stuck in sql for sql in place.service.statements()))
            place.service.faults.append(("key_hashes", "resourcesExceeded"))
        return plain(method, target, body, headers)

    monkeypatch.setattr(place.service, "answer", answer)

    lines = place.build("--fail-fast", status=1).splitlines()

    assert any(line.startswith("ERROR stg_users.unique_key") for line in lines)
    assert "SKIP dim_users: the build failed fast" in lines
    assert len({each.path for each in place.service.asked if "/cancel" in each.path}) == 1
    assert place.warehouse.names(place.name) == {"raw_users"}


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, a minute at most."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_preflight_tries_every_statement_and_leaves_nothing(place, monkeypatch):
    dataset = place.client.get_dataset(place.name)
    dataset.default_partition_expiration_ms = 60 * 86_400_000
    place.client.update_dataset(dataset, ["default_partition_expiration_ms"])
    place.service.asked.clear()

    said = place.build("--preflight")

    assert f"Dataset {PROJECT}.{place.name}: there, in US." in said
    assert "partitions expire after 60 days by default" in said
    assert "raw_users: not there yet" in said
    for name in (*TABLES, "quarantined_users"):
        assert f"\n{name}: 0 B" in said
    queries = [job["configuration"] for job in place.service.jobs()]
    ran = [job["query"]["query"] for job in queries if not job.get("dryRun")]
    assert all("VIEW" in sql for sql in ran)
    tried = [job["query"]["query"] for job in queries if job.get("dryRun")]
    assert len([sql for sql in tried if sql.startswith("INSERT INTO")]) == len(TABLES)
    # by construction no row of stg_user_versions breaks a rule, so nothing counts them
    assert len([sql for sql in tried if sql.startswith("SELECT")]) == 4
    assert place.warehouse.names(place.name) == set()


def test_a_preflight_tells_which_model_bigquery_cannot_run(place):
    place.service.faults.append(("_stg_users` (`user_id`", "resourcesExceeded"))

    said = place.build("--preflight", status=1)

    assert "\nstg_users: ERROR BigQuery: Trouble: resourcesExceeded" in said
    assert "\ndim_users: 0 B" in said
