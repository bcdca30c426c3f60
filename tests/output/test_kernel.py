"""The outputs of a notebook's cells, in a kernel of its own."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import arrow, command, event_types, raw_user, reading, result, user_types

CELLS = {
    "connect": (
        'import pipeline\np = pipeline.connect("duckdb", events="e.parquet", users="u.parquet")'
    ),
    "build": "p.build()",
    "built again and kept": 'print("first")\nmade = p.build("dim_users")\nprint(made.ok)',
    "kept": "made",
    "failed": 'failed = p.build(warn_error=True, select="stg_commands+")',
    "models": "p.models",
    "model": 'p.models["dim_users"]',
    "test": 'p.test("stg_commands")',
    "check": 'next(each for each in failed.checks if each.status == "FAIL")',
    "digest": "p.digest()",
    "run": "p.last_run()",
    "project": "p",
    "explain": 'p.explain("c1")',
    "text": "print(p.models)",
    "one connection": (
        'p.expr("fct_command_readings").anti_join(p.fct_command_readings, "command_uuid")'
        ".count().to_pyarrow().as_py()"
    ),
}
SHOWN = {
    "build": (r"OK created table dim_users \(1 row\)", r"\nDone\. PASS=\d+ WARN=1 FAIL=0"),
    "kept": (r"OK created table dim_users", r"\nDone\."),
    "failed": (r"FAIL 1 stg_commands\.accepted_values_lock_state", "Nothing was published"),
    "models": (r"(?m)^dim_users +marts +user_id +One row per user\.",),
    "model": (r"(?m)^user_id +string, never NULL",),
    "test": (r"WARN 1 stg_commands\.accepted_values_lock_state", r"\nDone\."),
    "check": (r"(?m)^c2 +ajar",),
    "digest": (r"(?m)^dim_users +1 +[0-9a-f]{32}$",),
    "run": (r"Last build \d{4}", r"raw_users: 1 rows"),
    "explain": ("Command c1: confirmed", r"(?m)^2022-01-01 12:00:02 +\+2\.000  DoorLocked$"),
    "project": (r"Last build \d{4}",),
}

SHORT = ("project", "model", "check")
"""The objects whose plain text is a short name."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """The outputs of each cell, and every display message."""
    import nbformat
    from nbclient import NotebookClient

    sent: list[str] = []

    class Client(NotebookClient):
        def process_message(self, message, cell, index):
            if "display" in message["msg_type"]:
                sent.append(message["content"]["data"]["text/plain"])
            return super().process_message(message, cell, index)

    folder = tmp_path_factory.mktemp("kernel")
    events = [
        command("c1"),
        result("c1"),
        reading("r1"),
        command("c2", "LockedState", "ajar", at=60),
    ]
    pq.write_table(arrow(events, event_types()), folder / "e.parquet")
    pq.write_table(arrow([raw_user()], user_types()), folder / "u.parquet")
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        where = {"metadata": {"path": str(folder)}}
        Client(notebook, timeout=300, resources=where).execute()
    outputs = {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}
    return outputs, sent


def letters(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


@pytest.mark.parametrize("name", SHOWN)
def test_a_cell_has_one_output_as_text_and_as_html(kernel, name):
    outputs, _ = kernel

    [output] = outputs[name]
    plain, marked = output["data"]["text/plain"], letters(output["data"]["text/html"])
    for pattern in SHOWN[name]:
        assert re.search(pattern, marked), marked
        assert name in SHORT or re.search(pattern, plain), plain
    assert plain


def test_printing_prints_once(kernel):
    outputs, _ = kernel

    [output] = outputs["text"]
    assert output["text"].count("met_command_outcomes") == 1


def test_a_build_that_is_kept_loses_nothing_that_the_cell_prints(kernel):
    outputs, _ = kernel

    first, made, last = outputs["built again and kept"]
    assert (first["text"], last["text"]) == ("first\n", "True\n")
    assert "Done. PASS=" in made["data"]["text/plain"]


def test_the_progress_of_a_build_is_shown_while_it_goes_on(kernel):
    _, sent = kernel

    assert sent[0] == "reading the sources"
    assert re.search(r"OK created .+\n\d+ of \d+: checking ", sent[8])


def test_expressions_and_built_tables_are_joined_on_one_connection(kernel):
    outputs, _ = kernel

    [output] = outputs["one connection"]
    assert output["data"]["text/plain"] == "0"
