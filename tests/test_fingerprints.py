"""Code that has changed is told by what it makes, and remade with all that depends on it."""

from __future__ import annotations

import shutil

import pytest

import pipeline
from pipeline import expressions, fingerprints
from pipeline.rules import window


@pytest.fixture
def forget():
    """Forget what was compiled and read of the code, now and after the test."""
    cached = (expressions.declared_expression, fingerprints._package_key, fingerprints._reading)

    def clear():
        for each in cached:
            each.cache_clear()

    yield clear
    clear()


def test_a_helper_of_a_rule_that_has_changed_remakes_what_uses_it_and_depends_on_it(
    tmp_path, monkeypatch, forget
):
    project = pipeline.connect("duckdb", database=tmp_path / "db.duckdb")
    project.build(checks=False)
    assert project.modified() == {}
    monkeypatch.setattr(window, "WINDOW", 5_000_000)
    monkeypatch.setattr(fingerprints, "_package_key", lambda: "other code")
    forget()

    assert project.modified() == {"fct_command_readings": "its code has changed"}
    made = project.build(select="state:modified+", checks=False).models
    assert {each.name for each in made} == {"fct_command_readings", "met_command_outcomes"}
    whole = pipeline.connect("duckdb", database=tmp_path / "whole.duckdb")
    whole.build(checks=False)
    assert project.digest() == whole.digest()
    assert project.modified() == {}


@pytest.mark.parametrize(
    ("place", "old", "new", "is_other"),
    [
        ("files/csv.py", "from __future__", "# a comment\nfrom __future__", False),
        ("rules/source_values.py", '"""', '"""In other words. ', False),
        ("files/csv.py", "from __future__", "import os\nfrom __future__", True),
        ("rules/numbers.py", "return", "return None or", True),
    ],
    ids=["a comment", "a docstring", "code that reads files", "code that reads raw values"],
)
def test_code_that_reads_files_counts_and_its_comments_do_not(
    tmp_path, monkeypatch, forget, place, old, new, is_other
):
    for folder in ("files", "rules"):
        shutil.copytree(fingerprints.PACKAGE / folder, tmp_path / folder)
    monkeypatch.setattr(fingerprints, "PACKAGE", tmp_path)
    forget()
    before = fingerprints._reading()
    path = tmp_path / place
    path.write_text(path.read_text().replace(old, new, 1))
    forget()

    assert (fingerprints._reading() != before) is is_other
