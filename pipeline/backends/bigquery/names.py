"""Checks names of projects and datasets before a statement has them."""

from __future__ import annotations

import re

from pipeline.errors import UsageError
from pipeline.sql import Names

_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")


def namespaces(project: str, dataset: str, source_dataset: str | None) -> tuple[Names, Names]:
    """Return the places of models and sources, by default the same dataset.

    Raises:
        UsageError: BigQuery does not allow a name.
    """
    require_names(project, dataset, source_dataset)
    return (project, dataset), (project, source_dataset or dataset)


def require_names(project: str, dataset: str, source_dataset: str | None) -> None:
    """Check names by BigQuery's rules.

    Raises:
        UsageError: BigQuery does not allow a name.
    """
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"{project!r} is not an id of a BigQuery project.",
            "It has 6 to 30 lower-case letters, digits or hyphens, and begins with a letter.",
        )
    for name in (dataset, source_dataset):
        if name is not None and not _DATASET.fullmatch(name):
            raise UsageError(
                f"{name!r} is not a name of a BigQuery dataset.",
                "It has letters, digits or underscores, at most 1,024; the project is named apart.",
            )
