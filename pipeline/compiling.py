"""Each model's SQL for an engine, without any connection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline import graph
from pipeline.expressions import Engine, Names, model_sql


@dataclass(frozen=True)
class Namespace:
    """Where models and sources are in the warehouse: catalog and database of each."""

    models: Names = (None, None)
    sources: Names = (None, None)


def namespace(engine: str, project: str, dataset: str, source_dataset: str | None) -> Namespace:
    """Return how tables are named: `project.dataset.model` on BigQuery, the bare name on DuckDB."""
    if engine == "duckdb":
        return Namespace()
    return Namespace((project, dataset), (project, source_dataset or dataset))


def compile_models(
    engine: Engine, where: Namespace, select: Sequence[str] = (), exclude: Sequence[str] = ()
) -> dict[str, str]:
    """Return the SELECT of each selected model, in dependency order."""
    loaded = graph.load()
    return {
        name: model_sql(loaded, name, engine, where.models, where.sources)
        for name in loaded.select(select, exclude)
    }
