"""The requests to BigQuery, and our messages about its refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import answers
import ibis
import pytest
from click.testing import CliRunner
from crowd import Crowd

from pipeline.backends.bigquery.backend import BigQuery
from pipeline.backends.bigquery.jobs import Jobs, label
from pipeline.cli import cli
from pipeline.errors import EngineError, InputError, UsageError
from pipeline.schedule import all_at_once


@pytest.fixture
def server() -> Iterator[answers.Server]:
    with answers.serving() as running:
        yield running


def backend(server: answers.Server, **options) -> BigQuery:
    return BigQuery("project", "models", "raw", api_endpoint=server.url, **options)


def run(server: answers.Server, command: str, *options: str):
    where = ["--backend", "bigquery", "--project", "project", "--dataset", "models"]
    return CliRunner().invoke(cli, [command, *where, "--api-endpoint", server.url, *options])


@pytest.mark.parametrize(
    ("status", "reason", "remedy"),
    [
        (403, "accessDenied", "BigQuery Job User"),
        (404, "notFound", "--location"),
        (400, "bytesBilledLimitExceeded", "--max-bytes-billed"),
        (403, "quotaExceeded", "quota"),
        (403, "billingNotEnabled", "billing"),
        (403, "accessNotConfigured", "Enable the BigQuery API"),
    ],
)
def test_what_the_user_can_mend_is_told_with_reason_and_remedy(server, status, reason, remedy):
    server.answer("POST", "/jobs", answers.refusal(status, reason, "BigQuery's own words"))

    with pytest.raises(UsageError) as told:
        backend(server).jobs.query("SELECT 1")

    assert told.value.what == "BigQuery: BigQuery's own words"
    assert remedy in told.value.next_step


def test_a_statement_that_fails_is_the_models_error(server):
    server.answer("POST", "/jobs", answers.refusal(400, "invalidQuery", "Division by zero"))

    with pytest.raises(EngineError, match="BigQuery: Division by zero"):
        backend(server).jobs.query("SELECT 1")


@pytest.mark.parametrize("reason", ["rateLimitExceeded", "backendError"])
def test_what_passes_is_tried_again(server, reason):
    server.answer("POST", "/jobs", answers.refusal(503, reason), answers.job())
    server.answer("GET", "/queries/job", answers.job())

    backend(server).jobs.query("SELECT 1")

    assert len(server.bodies("POST", "/jobs")) == 2


def test_no_more_jobs_run_at_a_time_than_may():
    crowd = Crowd(2)

    class Job:
        total_bytes_billed = 0

        def result(self, **settings):
            crowd.work()

    jobs = Jobs(SimpleNamespace(query=lambda *_, **__: Job()), None, None, at_once=2)
    all_at_once([partial(jobs.query, "SELECT 1")] * 6, 6)

    assert crowd.most == 2


def test_the_answer_that_a_query_is_done_has_its_rows(server):
    field = {"name": "n", "type": "INTEGER", "mode": "NULLABLE"}
    status, found = answers.job()
    rows = {"totalRows": "1", "rows": [{"f": [{"v": "7"}]}], "schema": {"fields": [field]}}
    server.answer("POST", "/jobs", answers.job())
    server.answer("GET", "/queries/job", (status, found | rows))

    assert backend(server).jobs.rows("SELECT 7 AS n").to_pylist() == [{"n": 7}]
    assert [method for method, _, _ in server.asked] == ["POST", "GET"]


def test_jobs_carry_labels_and_the_limit_of_bytes(server):
    server.answer("POST", "/jobs", answers.job())
    server.answer("GET", "/queries/job", answers.job())

    limited = backend(server, max_bytes_billed=1_000, labels={"command": "build"})
    limited.jobs.query("SELECT 1", model="dim_users")

    (asked,) = server.bodies("POST", "/jobs")
    labels = asked["configuration"]["labels"]
    assert re.fullmatch(r"\d{8}t\d{6}_[0-9a-f]{8}", labels.pop("run"))
    assert labels == {"pipeline": "hub-events", "command": "build", "model": "dim_users"}
    assert asked["configuration"]["query"]["maximumBytesBilled"] == "1000"


@pytest.mark.parametrize(("replace", "disposition"), [(True, "TRUNCATE"), (False, "EMPTY")])
def test_a_table_is_put_in_place_by_one_copy_job(server, replace, disposition):
    server.answer("POST", "/jobs", answers.job(kind="copy"))

    backend(server).jobs.copy("project.models.new", "project.models.old", replace=replace)

    (asked,) = server.bodies("POST", "/jobs")
    copy = asked["configuration"]["copy"]
    assert copy["writeDisposition"] == f"WRITE_{disposition}"
    assert copy["destinationTable"]["tableId"] == "old"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("dim_users", "dim_users"), ("A b/É", "a_b__"), ("x" * 70, "x" * 63)],
)
def test_a_label_keeps_to_the_rules_for_labels(text, expected):
    assert label(text) == expected


def test_a_dry_run_asks_for_bytes_and_creates_nothing(server):
    server.answer("GET", "/datasets/models", answers.dataset())
    server.answer("GET", "/datasets/models/tables", (200, {"tables": []}))
    columns = [
        {"name": name, "type": "STRING"}
        for name in ("uid", "username", "dateRegistered", "last_modified")
    ]
    table = {"projectId": "project", "datasetId": "raw", "tableId": "raw_users"}
    server.answer(
        "GET",
        "/tables/raw_users",
        (200, {"tableReference": table, "schema": {"fields": columns}, "type": "TABLE"}),
    )
    server.answer("POST", "/jobs", answers.job(totalBytesProcessed=str(2**40)))

    found = run(server, "build", "--dry-run", "--select", "+dim_users", "--price-per-tib", "5")

    assert found.exit_code == 0, found.output
    assert found.output.splitlines() == [
        "stg_user_versions: 1.0 TiB",
        "stg_users: unknown until stg_user_versions is built",
        "dim_users: unknown until stg_users is built",
        "Sum: at least 1.0 TiB, at least 5.00 USD at 5.00 USD per TiB. Nothing was built.",
    ]
    assert [body["configuration"]["dryRun"] for body in server.bodies("POST", "/jobs")] == [True]
    assert {method for method, _, _ in server.asked} == {"GET", "POST"}


def test_nobody_at_the_endpoint_is_told_at_once():
    with answers.serving() as gone:
        pass

    found = run(gone, "build")

    assert found.exit_code == 2
    assert "BigQuery can't be reached" in found.output
    assert "--api-endpoint" in found.output


def test_no_credentials_is_told_with_what_gives_some(monkeypatch, tmp_path):
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))

    found = CliRunner().invoke(
        cli, ["build", "--backend", "bigquery", "--project", "project", "--dataset", "d"]
    )

    assert found.exit_code == 2
    assert "no Google credentials" in found.output
    assert "gcloud auth application-default login" in found.output


def test_without_a_dataset_there_is_nothing_to_read(server):
    found = run(server, "test")

    assert found.exit_code == 2
    assert "Not found" in found.output


def test_rows_that_bigquery_does_not_list_are_queried(server):
    table = {"projectId": "project", "datasetId": "models", "tableId": "dim_users"}
    found = {"tableReference": table, "type": "TABLE", "schema": {"fields": []}}
    server.answer("GET", "/datasets/models", answers.dataset())
    server.answer("GET", "/tables/dim_users", (200, found))
    server.answer("GET", "/dim_users/data", answers.refusal(403, "accessDenied", "row policies"))

    with backend(server).reader() as tables:
        assert tables.listed("dim_users", ["user_id"], 10) is None

    assert [path for _, path, _ in server.asked][-1].endswith("/dim_users/data")


def test_a_missing_raw_table_is_named(server):
    server.answer("GET", "/datasets/models", answers.dataset())
    lock = {"projectId": "project", "datasetId": "models", "tableId": "lock"}
    made = {"tableReference": lock, "creationTime": "1795627983712"}
    server.answer("POST", "/datasets/models/tables", (200, made))
    server.answer("GET", "/datasets/models/tables", (200, {"tables": []}))

    found = run(server, "build", "--source-dataset", "raw", "--select", "stg_user_versions")

    assert found.exit_code == 2
    assert "There is no table project.raw.raw_users." in found.output


def test_a_raw_table_without_a_column_in_use_is_named_with_it(server):
    table = {"projectId": "project", "datasetId": "raw", "tableId": "raw_users"}
    fields = [{"name": "uid", "type": "INTEGER"}]
    server.answer(
        "GET", "/raw_users", (200, {"tableReference": table, "schema": {"fields": fields}})
    )

    with (
        pytest.raises(InputError, match="raw_users has no column username"),
        backend(server).sources({"raw_users": ["uid", "username"]}),
    ):
        pass


def test_raw_columns_that_nothing_uses_and_nested_values_are_not_read(server):
    table = {"projectId": "project", "datasetId": "raw", "tableId": "raw_sync_events"}
    fields = [
        {"name": "itemdata", "type": "RECORD", "fields": [{"name": "a", "type": "STRING"}]},
        {"name": "ItemKey", "type": "STRING", "mode": "REPEATED"},
        {"name": "DateCreated", "type": "DATETIME"},
        {"name": "more", "type": "STRING"},
    ]
    server.answer(
        "GET", "/raw_sync_events", (200, {"tableReference": table, "schema": {"fields": fields}})
    )

    used = {"raw_sync_events": ["ItemData", "ItemKey", "DateCreated", "EventId"]}
    with backend(server).sources(used) as raw:
        found = raw["raw_sync_events"]

    sql = " ".join(ibis.to_sql(found.unbind(), dialect="bigquery").split())
    assert "TO_JSON_STRING(`ItemData`) AS `ItemData`" in sql
    assert "CAST(NULL AS STRING) AS `ItemKey`" in sql
    assert "CAST(NULL AS INT64) AS `EventId`" in sql
    assert "more" not in sql
    assert found.DateCreated.type() == ibis.dtype("timestamp(6)")


@pytest.mark.parametrize("options", [["--events", "x.csv"], ["--memory-limit", "1GB"]])
def test_an_option_of_the_other_engine_is_refused(server, options):
    found = run(server, "build", *options)

    assert found.exit_code == 2
    assert f"{options[0]} is not for bigquery" in found.output


def test_an_environment_for_the_other_engine_is_ignored(server, monkeypatch):
    monkeypatch.setenv("PIPELINE_MEMORY_LIMIT", "1GB")

    assert "is not for bigquery" not in run(server, "test").output


def test_a_dry_run_is_refused_where_nothing_is_charged_for():
    found = CliRunner().invoke(cli, ["build", "--dry-run"])

    assert found.exit_code == 2
    assert "--backend bigquery" in found.output


def test_a_load_into_the_source_dataset_alone_asks_for_files(server):
    options = ["--project", "project", "--source-dataset", "raw", "--api-endpoint", server.url]

    found = CliRunner().invoke(cli, ["load", *options])

    assert found.exit_code == 2
    assert "--events or --users" in found.output
