"""The story of a command among a few raw rows, for the tests of explain."""

from __future__ import annotations

from typing import Any

import ibis
from conftest import Built

import pipeline.output.notebook  # noqa: F401 - draws a story
from pipeline import catalog
from pipeline.explain import Explanation, explain
from pipeline.masking import Masking


def story(built: Built, uuid: str, *, reveal: bool = False, **asked: bool) -> Explanation:
    """The explanation of an id."""

    def fetch(expr: ibis.Table) -> Any:
        return expr.get_backend().to_pyarrow(expr)

    masking = Masking(catalog.load(), reveal)
    return explain(uuid, built.table, lambda expr: fetch(masking.rows(expr)), **asked)
