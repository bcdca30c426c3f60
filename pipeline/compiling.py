"""Each model's SQL for an engine, without any connection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import graph
from pipeline.errors import UsageError
from pipeline.expressions import Engine, Names, model_sql

_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")


@dataclass(frozen=True)
class Namespace:
    """Where models and sources are in the warehouse: catalog and database of each."""

    models: Names = (None, None)
    sources: Names = (None, None)


def namespace(engine: str, project: str, dataset: str, source_dataset: str | None) -> Namespace:
    """Return how tables are named: `project.dataset.model` on BigQuery, the bare name on DuckDB.

    Raises:
        UsageError: a name is none that BigQuery has.
    """
    if engine == "duckdb":
        return Namespace()
    require_names(project, dataset, source_dataset)
    return Namespace((project, dataset), (project, source_dataset or dataset))


def require_names(project: str, dataset: str, source_dataset: str | None) -> None:
    """Check names of a warehouse before they come near a statement.

    Raises:
        UsageError: a name is none that BigQuery has.
    """
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"{project!r} is no id of a BigQuery project.",
            "It has 6 to 30 lower-case letters, digits or hyphens, and begins with a letter.",
        )
    for name in (dataset, source_dataset):
        if name is not None and not _DATASET.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a BigQuery dataset.",
                "It has letters, digits or underscores, at most 1,024; the project is named apart.",
            )


def compile_models(
    engine: Engine, where: Namespace, select: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, str]:
    """Return the SELECT of each selected model, in dependency order."""
    loaded = graph.load()
    names = loaded.select(select, exclude)
    loaded.require(names)
    return {name: model_sql(loaded, name, engine, where.models, where.sources) for name in names}
