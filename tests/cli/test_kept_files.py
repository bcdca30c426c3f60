"""The files of --results and --store-failures: a build tries them first, and keeps no old ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import type_, write_raw
from conftest import command

__all__ = ["type_"]

AJAR = command("c1", "LockedState", "ajar")
COMMANDS = ["-s", "+stg_commands"]
FILE = "failures/stg_commands.accepted_values_lock_state.parquet"


def results() -> dict:
    return json.loads(Path("r.json").read_text())


@pytest.mark.parametrize(
    ("option", "value"), [("--results", "/sys/r.json"), ("--store-failures", "/sys/failures")]
)
@pytest.mark.parametrize("name", ["build", "test"])
def test_a_place_that_cant_be_written_is_an_error_before_anything_is_done(
    type_, name, option, value
):
    typed = type_(name, *(write_raw([AJAR]) if name == "build" else []), option, value)

    assert typed.exit_code == 2
    assert typed.stdout == ""
    assert f"{value} can't be written: " in typed.stderr
    assert not Path("build").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--events", "none.parquet"], "none.parquet does not exist."),
        (["--select", "stg_comands"], "No model is called 'stg_comands'."),
        (["--project", "p"], "--project is not for duckdb."),
        (["--threads", "0"], "Invalid value for '--threads': 0 is not in the range 1<=x<=1024."),
        (["--threads=4", "--bogus"], "No such option"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_results_of_an_earlier_run_are_replaced_by_what_went_wrong(type_, words, told):
    Path("r.json").write_text('{"ok": true}')

    assert type_("build", "--results", "r.json", *words).exit_code == 2

    assert results()["ok"] is False
    assert results()["error"]["exit_status"] == 2
    assert results()["error"]["message"].startswith(told)


def test_results_of_a_run_that_is_under_way_or_was_killed_say_so(type_, monkeypatch):
    Path("r.json").write_text('{"ok": true}')
    seen = []
    monkeypatch.setattr("pipeline.build.columns_read", lambda *_: seen.append(results()))

    with pytest.raises(TypeError):
        type_("run", "--results", "r.json")

    assert seen[0]["ok"] is False
    assert "has not ended" in seen[0]["error"]["message"]
    assert seen[0]["error"]["exit_status"] is None


def test_rows_of_a_check_that_passes_now_are_removed_and_nothing_else(type_):
    Path("failures").mkdir()
    Path("failures/mine.parquet").write_text("mine")
    words = [*COMMANDS, "--store-failures", "failures"]

    failed = type_("build", *write_raw([AJAR]), *words)
    kept = Path(FILE).exists()
    type_("run", *write_raw([command("c1")]), *COMMANDS)
    passed = type_("test", "-s", "stg_commands", "--store-failures", "failures")

    assert (failed.exit_code, passed.exit_code, kept) == (0, 0, True)
    assert FILE in failed.stdout
    assert [path.name for path in Path("failures").iterdir()] == ["mine.parquet"]


def test_a_model_after_the_one_that_failed_is_skipped(type_):
    type_("run", *write_raw([AJAR]), "-s", "+fct_command_statuses")

    typed = type_("test", "--warn-error", "--fail-fast", "-s", "stg_commands fct_command_statuses")

    assert typed.exit_code == 1
    assert "SKIP fct_command_statuses.unique_key: the test failed fast" in typed.stdout
    assert "SKIP=0" not in typed.stdout.splitlines()[-1]
