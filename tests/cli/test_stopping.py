"""Ctrl-C and SIGTERM in the middle of a command, sent as by terminals and schedulers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import run_into

import pipeline

ROOT = Path(pipeline.__file__).parents[1]

# waits in the function that is named, far longer than the test, for a signal in the middle of it
SLOW = """
import importlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
module, name, sys.path[:0] = sys.argv[1], sys.argv[2], [sys.argv[3]]
def slow(*args, **options):
    print("ready", file=sys.stderr, flush=True)
    time.sleep(300)
setattr(importlib.import_module(module), name, slow)
from pipeline.cli import cli
sys.argv[1:] = sys.argv[4:]
cli()
"""


def stop(where, words, number, folder, echo=False):
    """Type a command, send it a signal in a slow function, and return its result."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *where.rsplit(".", 1), str(ROOT), *map(str, words)],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while (line := process.stderr.readline()) != "ready\n":
        assert line, process.stdout.read()
    process.send_signal(number)
    if echo:
        process.send_signal(number)
    out, told = process.communicate(timeout=60)
    return process.returncode, out, told


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return run_into(tmp_path_factory.mktemp("stopped") / "p.duckdb", "-s", "+dim_users")


CTRL_C, SIGTERM = (signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)


@pytest.mark.parametrize(
    ("where", "words", "stopped_by"),
    [
        ("pipeline.files.read", ["build", "-s", "+dim_users"], SIGTERM),
        ("pipeline.backends.duckdb.workspace.renew_identity", ["run", "-s", "dim_users"], CTRL_C),
        ("pipeline.checks.measure", ["test"], SIGTERM),
        ("pipeline.docs.render", ["docs", "--output", "site"], CTRL_C),
    ],
    ids=["build", "run", "test", "docs"],
)
def test_a_stopped_command_says_that_the_last_build_stands(
    database, tmp_path, where, words, stopped_by
):
    number, name, status = stopped_by
    before = database.read_bytes()

    returned, _, told = stop(where, [*words, "--database", database], number, tmp_path, echo=True)

    assert (returned, told) == (status, f"Error: {name} stopped this. The last build stands.\n")
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_generate_leaves_the_folder_as_it_was(tmp_path):
    number, name, status = SIGTERM
    (tmp_path / "raw_sync_events.csv").write_text("earlier")
    words = ["generate", "--output", tmp_path, "--commands", 10, "--format", "csv"]

    returned, _, told = stop("pipeline.generate.write_users", words, number, tmp_path)

    assert (returned, told) == (status, f"Error: {name} stopped this. The folder is as it was.\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


LONG_STATEMENT = """
import sys
from pathlib import Path
from pipeline import graph
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.stopping import stoppable
with stoppable(str), DuckDB(Path(sys.argv[1])).workspace(["dim_users"], keep=False) as workspace:
    rows = workspace.con.sql("SELECT sum(hash(range)) AS total FROM range(100000000000)")
    print("ready", file=sys.stderr, flush=True)
    workspace.fetch(rows)
"""


def test_sigterm_ends_a_long_query(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LONG_STATEMENT, str(tmp_path / "p.duckdb")],
        cwd=ROOT,
        text=True,
        stderr=subprocess.PIPE,
    )
    assert process.stderr.readline() == "ready\n"

    time.sleep(0.3)  # into the statement; too early is as good
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)

    assert "SIGTERM stopped this" in told
    assert list(tmp_path.iterdir()) == []
