"""What a rule of the portability check says, and what it finds."""

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
    """Something a model must not hold: why, what to write instead, and where that is documented.

    `error` is what an engine refuses or what has other rows on another engine; `cost` is what
    scans or compares needlessly. `find` takes what the rule is about and gives a short text for
    each place that breaks it.
    """

    name: str
    level: Level
    reason: str
    remedy: str
    link: str
    find: Callable[[Any], Iterable[str]]


def broken(rules: Iterable[Rule], model: str, subject: Any) -> list[Finding]:
    """Hold a subject against rules: a finding for each place that breaks one."""
    return [
        Finding(model, rule.name, rule.level, where, rule.reason, rule.remedy, rule.link)
        for rule in rules
        for where in dict.fromkeys(rule.find(subject))
    ]
