"""docs/contract.md exists, and every reference to one of its sections leads there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline import catalog
from pipeline.sources import SOURCES

ROOT = Path(__file__).parents[1]
CONTRACT = (ROOT / "docs" / "contract.md").read_text("utf-8")
SECTIONS = {
    int(part.split(".")[0]): part for part in re.split(r"^## ", CONTRACT, flags=re.MULTILINE)[1:]
}
_REFERENCE = re.compile(
    r"[Cc]ontract[:,]\s+sections?\s+(\d+)(?:(?:,|\s+and)\s+(\d+))?(?:,\s+(\w+))?"
)


def references(path: Path) -> list[tuple[str, str | None, str | None]]:
    """The sections that a file's prose refers to, and the model named with one."""
    prose = re.sub(r"\s*\n\s*#?\s*", " ", path.read_text("utf-8"))
    return _REFERENCE.findall(prose)


FILES = sorted(path for path in (ROOT / "pipeline").rglob("*.py") if references(path))


def test_the_pipeline_says_where_its_rules_come_from():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_reference_to_the_contract_finds_its_section(path):
    for first, second, name in references(path):
        for number in filter(None, (first, second)):
            assert int(number) in SECTIONS, f"the contract has no section {number}"
        if name in catalog.load().models or name in SOURCES:
            assert name in SECTIONS[int(second or first)]


@pytest.mark.parametrize("name", re.findall(r"^### (\w+_\w+)", CONTRACT, re.MULTILINE))
def test_what_the_contract_describes_is_there(name):
    assert name in catalog.load().models or name in SOURCES
