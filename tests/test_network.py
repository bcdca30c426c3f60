"""Commands on DuckDB need no network, and do not try to use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pipeline

ROOT = Path(__file__).parents[1]
COMMAND = "00627d57-4ec0-48af-a5e9-815fbf3b0943"

NO_NETWORK = """
import json, runpy, sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        print(event, arguments, file=sys.stderr)
        raise RuntimeError("a socket is used")

sys.addaudithook(forbid)
for words in json.loads(sys.argv[1]):
    sys.argv = ["cli.py", *words]
    try:
        runpy.run_path("cli.py", run_name="__main__")
    except SystemExit as end:
        assert not end.code, words
"""


def test_no_command_on_duckdb_uses_a_socket(tmp_path):
    built = ["--database", str(tmp_path / "pipeline.duckdb")]
    commands = [
        ["build", *built],
        ["test", *built],
        ["show", "dim_users", *built],
        ["digest", *built],
        ["explain", COMMAND, *built],
        ["docs", *built, "--output", str(tmp_path / "docs")],
        ["generate", "--output", str(tmp_path / "raw"), "--commands", "10"],
    ]

    # one process types them all: to start it takes longer than most of them
    ran = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, json.dumps(commands)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stderr


def test_duckdb_looks_for_no_extension_elsewhere(sample):
    project = pipeline.connect("duckdb", database=sample)

    con = project.dim_users.get_backend()

    settings = "autoinstall_known_extensions", "autoload_known_extensions"
    asked = ", ".join(f"current_setting('{name}')" for name in settings)
    assert con.raw_sql(f"SELECT {asked}").fetchone() == (False, False)
    project.reconnect()
