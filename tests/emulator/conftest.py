"""An emulator for all tests here, and the command line pointed to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends.programs import HEED_CTRL_C
from click.testing import CliRunner
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from emulator.server import PROJECT, emulator
from emulator.service import Service, refusing
from pipeline.cli import cli
from pipeline.generate import generate

ROOT = Path(__file__).parents[2]


class Warehouse:
    """A project at the emulator: commands run on it, and its tables looked at."""

    def __init__(self, service: Service) -> None:
        self.service, self.url = service, service.url
        self.client = bigquery.Client(
            PROJECT,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=service.url),
        )

    def words(self, command: str, *options: str, dataset: str) -> list[str]:
        """A command, as typed."""
        backend = [] if command == "load" else ["--backend", "bigquery"]
        where = ["--project", PROJECT, "--dataset", dataset, "--api-endpoint", self.url]
        return [command, *backend, *where, *options]

    def start(self, command: str, *options: str, dataset: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        code = HEED_CTRL_C + "from pipeline.cli import cli; cli()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *self.words(command, *options, dataset=dataset)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str, *options: str, dataset: str, status: int = 0) -> str:
        """Run a command to its end and return what it printed."""
        found = CliRunner().invoke(cli, self.words(command, *options, dataset=dataset))
        assert found.exit_code == status, (found.output, found.exception)
        return found.output

    def names(self, dataset: str) -> set[str]:
        """The names of all tables and views of a dataset."""
        return {table.table_id for table in self.client.list_tables(f"{PROJECT}.{dataset}")}

    def rows(self, sql: str) -> list[dict]:
        """The rows of a query."""
        return self.client.query(sql).to_arrow(create_bqstorage_client=False).to_pylist()


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Warehouse]:
    """An empty project."""
    with emulator() as url, refusing(url) as service:
        yield Warehouse(service)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of both sources: a few devices' days, with all that is messy about them."""
    folder = tmp_path_factory.mktemp("raw")
    generate(folder, commands=40, devices=4, days=4, seed=3, format="parquet")
    return str(folder / "raw_sync_events*.parquet"), str(folder / "raw_users.parquet")


@pytest.fixture(scope="session")
def built(warehouse: Warehouse, files: tuple[str, str]) -> str:
    """A dataset with both sources loaded and all models built; tests leave its models alone."""
    events, users = files
    warehouse.run("load", "--events", events, "--users", users, dataset="telemetry")
    warehouse.run("build", dataset="telemetry")
    return "telemetry"
