from __future__ import annotations

import pytest

import pipeline
from pipeline.errors import UsageError, in_python


@pytest.mark.parametrize(
    ("typed", "python"),
    [
        ("Name them with --users PATH.", "Name them with connect(users=…)."),
        ("or another one with --database.", "or another one with connect(database=…)."),
        ("more with --memory-limit.", "more with connect(memory_limit=…)."),
        ("`python cli.py build`.", "`p.build()`."),
        ("`python cli.py build --select +dim_users`.", '`p.build(select="+dim_users")`.'),
        ("by older code: build --select a+", 'by older code: p.build(select="a+")'),
        ("python cli.py run --select a", 'p.build(select="a", checks=False)'),
        ("`python cli.py ls` lists", "`p.models` lists"),
        ("`python cli.py show stg_commands` lists", '`p.table("stg_commands")` lists'),
        ("Select it: --select +a.", 'Select it: select="+a".'),
        ("--select is empty.", "select is empty."),
        ("Add --reveal if", "Add reveal=True if"),
        ("is for --backend bigquery.", 'is for connect("bigquery").'),
        ("Add --on duckdb.", 'Add on="duckdb".'),
        ("digest --format json", "digest --format json"),
        ("no option, a dash -- or two", "no option, a dash -- or two"),
    ],
)
def test_a_message_names_calls_and_arguments_in_python(typed, python):
    error = UsageError("It failed.", typed)

    assert in_python(typed) == python
    assert str(error) == f"It failed.\n{python}"
    assert error.typed == f"It failed.\n{typed}"


def test_messages_in_python_name_no_option_and_no_command(tmp_path):
    project = pipeline.connect(database=tmp_path / "p.duckdb", users=tmp_path / "none.parquet")
    told = []
    for fail in (
        lambda: project.build("dim_users"),
        lambda: project.build("+dim_users"),
        lambda: project.build(""),
        project.test,
        lambda: project.dim_users,
        lambda: pipeline.connect("bigquery"),
        lambda: pipeline.connect("bigquery", project="project", dataset="a-b"),
    ):
        with pytest.raises(pipeline.PipelineError) as caught:
            fail()
        told.append(str(caught.value))

    assert not [text for text in told if "--" in text or "cli.py" in text]
