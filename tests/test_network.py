"""Commands on DuckDB need no network, and do not try to use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parents[1]
COMMAND = "00627d57-4ec0-48af-a5e9-815fbf3b0943"

NO_NETWORK = """
import runpy, sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        print(event, arguments, file=sys.stderr)
        raise RuntimeError("a socket is used")

sys.addaudithook(forbid)
sys.argv = ["cli.py", *sys.argv[1:]]
runpy.run_path("cli.py", run_name="__main__")
"""


def without_network(*words):
    return subprocess.run(
        [sys.executable, "-c", NO_NETWORK, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "pipeline.duckdb"
    built = without_network("build", "--database", path)
    assert built.returncode == 0, built.stderr
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["test"],
        ["show", "dim_users"],
        ["digest"],
        ["explain", COMMAND],
    ],
    ids=lambda words: words[0],
)
def test_no_command_on_duckdb_uses_a_socket(database, words):
    ran = without_network(*words, "--database", database)

    assert ran.returncode == 0, ran.stderr


def test_docs_and_generate_use_no_socket(database, tmp_path):
    docs = without_network("docs", "--database", database, "--output", tmp_path / "docs")
    made = without_network("generate", "--output", tmp_path / "raw", "--commands", 10)

    assert (docs.returncode, made.returncode) == (0, 0), docs.stderr + made.stderr


def test_duckdb_looks_for_no_extension_elsewhere(database):
    project = pipeline.connect("duckdb", database=database)

    con = project.dim_users.get_backend()

    settings = "autoinstall_known_extensions", "autoload_known_extensions"
    asked = ", ".join(f"current_setting('{name}')" for name in settings)
    assert con.raw_sql(f"SELECT {asked}").fetchone() == (False, False)
    project.reconnect()
