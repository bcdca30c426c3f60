from __future__ import annotations

import json

from command_line import type_, write_raw
from conftest import command, raw_user

__all__ = ["type_"]


def test_runs_lists_the_builds_with_what_each_of_them_did(type_):
    raw = write_raw([command("c1", "LockedState", "ajar")], [raw_user(1), raw_user(2)])
    type_("build", *raw, "-s", "+stg_commands")
    type_("run", *raw, "-s", "stg_user_versions")

    typed = type_("runs", "--format", "json")
    last = type_("runs", "--format", "json", "--limit", "1")
    shown = type_("runs")

    users, commands = json.loads(typed.stdout)
    assert json.loads(last.stdout) == [users]
    assert users["started_at"] > commands["started_at"]
    assert (users["models"], users["checks"]) == ({"stg_user_versions": 2}, {})
    assert users["sources"]["raw_users"]["rows"] == 2
    assert commands["models"] == {
        "stg_sync_events": 1,
        "stg_repeated_events": 0,
        "stg_commands": 1,
    }
    assert commands["checks"]["WARN"] == 1
    assert set(commands["sources"]) == {"raw_sync_events"}
    assert (users["mode"], commands["mode"]) == ("partial", "partial")
    lines = shown.stdout.splitlines()
    cells = [cell.strip() for cell in lines[-1].split("  ") if cell.strip()]
    assert (cells[1], *cells[3:7]) == ("partial", "1", "-", "3", "2")
    assert str(raw[1]) in cells[-1]
    assert lines[0].split("  ")[0] == "started (UTC)"
    assert "1 WARN" in lines[-1]


def test_runs_of_nothing_says_what_to_build(type_):
    typed = type_("runs")

    assert typed.exit_code == 2
    assert "There is no database build/pipeline.duckdb yet." in typed.stderr
