"""A rule of the portability check, and its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.results import Finding, Level

GOOGLE = "https://cloud.google.com/bigquery/docs"
SQL = f"{GOOGLE}/reference/standard-sql"
DUCKDB = "https://duckdb.org/docs/stable/sql"
IBIS = "https://github.com/ibis-project/ibis/issues"
OPERATIONS = "https://ibis-project.org/reference"


@dataclass(frozen=True)
class Rule:
    """Something that a model must not hold: why, what to write instead, and the documentation.

    An `error` is refused by an engine, or gives other rows on another engine; a `cost` scans or
    compares needlessly. `find` takes the rule's subject and returns a short text for each place
    that breaks the rule.
    """

    name: str
    level: Level
    reason: str
    remedy: str
    link: str
    find: Callable[[Any], Iterable[str]]


def broken(rules: Iterable[Rule], model: str, subject: Any) -> list[Finding]:
    """Return a finding for each place of a subject that breaks one of the rules."""
    return [
        Finding(model, rule.name, rule.level, where, rule.reason, rule.remedy, rule.link)
        for rule in rules
        for where in dict.fromkeys(rule.find(subject))
    ]
