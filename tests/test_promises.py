"""docs/PROMISES.md names existing tests and harnesses, and the figures of their last runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "harnesses" / "results"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "PROMISES.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
][1:]


def numbers(value: Any) -> Iterator[int]:
    """The integers of a harness' result."""
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, int):
        yield value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_promise_names_tests_and_harnesses_that_are_there(row):
    _, shown_by, _ = row
    named = re.findall(r"`(tests/[\w/.]+?\.py)(?:::(\w+))?`", shown_by)
    harnesses = re.findall(r"`python -m harnesses\.(\w+)", shown_by)

    assert named or harnesses
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text("utf-8"), f"{file}::{test}"
    for harness in harnesses:
        assert (ROOT / "harnesses" / f"{harness}.py").exists()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_its_figures_are_those_of_the_last_runs(row):
    _, shown_by, figures = row
    harnesses = re.findall(r"`python -m harnesses\.(\w+)", shown_by)
    results = {name: json.loads((RESULTS / f"{name}.json").read_text()) for name in harnesses}
    quoted = {int(text.replace(",", "")) for text in re.findall(r"\d[\d,]*", figures)}

    assert bool(quoted) == bool(harnesses)
    assert quoted <= set(numbers(results))


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_the_last_run_of_a_harness_broke_nothing(path):
    result = json.loads(path.read_text())

    assert not result.get("broken")
    assert not result.get("survivors")
