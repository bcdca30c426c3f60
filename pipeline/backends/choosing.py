"""Chooses the backend by name and options; its engine is loaded here and not before."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.backends.base import Backend
from pipeline.errors import UsageError, did_you_mean

Files = str | Path | Sequence[str | Path]
_NOT_COMMON = {"events", "users", "labels"}
"""The options that can't come from the environment."""
_WHOLE = {"threads", "max_bytes_billed"}


def choose(backend: str | None, **options: Any) -> Backend:
    """Return a backend; `pipeline.connect` documents the options.

    Missing options come from PIPELINE_BACKEND and PIPELINE_<OPTION> in the environment.

    Raises:
        UsageError: there is no such backend or option, or a number is not a whole number.
    """
    makers: dict[str, Callable[..., Backend]] = {"duckdb": _duckdb, "bigquery": _bigquery}
    backend = backend or os.environ.get("PIPELINE_BACKEND") or "duckdb"
    if backend not in makers:
        raise UsageError(f"There is no backend {backend!r}.", did_you_mean(backend, makers))
    known = inspect.signature(makers[backend]).parameters
    for name in options:
        if name not in known:
            raise UsageError(
                f"The {backend} backend has no option {name!r}.", did_you_mean(name, known)
            )
    return makers[backend](**_from_environment(known, options))


def _from_environment(known: Collection[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Add the common options that come from the environment."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in set(known) - set(given) - _NOT_COMMON:
        variable = f"PIPELINE_{name.upper()}"
        if value := os.environ.get(variable):
            given[name] = _whole(variable, value) if name in _WHOLE else value
    return given


def _whole(variable: str, value: str) -> int:
    if not value.strip().isdecimal():
        raise UsageError(f"{variable} is {value!r}.", "Set it to a whole number, or unset it.")
    return int(value)


def paths_of(events: Files, users: Files) -> dict[str, tuple[str, ...]]:
    """Return the given paths and globs, by source."""
    given = {"raw_sync_events": _as_paths(events), "raw_users": _as_paths(users)}
    return {name: paths for name, paths in given.items() if paths}


def _duckdb(
    database: str | Path = "build/pipeline.duckdb",
    threads: int | None = None,
    memory_limit: str | None = None,
    events: Files = (),
    users: Files = (),
) -> Backend:
    from pipeline.backends.duckdb.backend import DuckDB

    return DuckDB(Path(database), threads, memory_limit, paths_of(events, users))


def _bigquery(
    project: str | None = None,
    dataset: str | None = None,
    source_dataset: str | None = None,
    location: str | None = None,
    api_endpoint: str | None = None,
    max_bytes_billed: int | None = None,
    policy_tag: str | None = None,
    threads: int = 8,
    labels: Mapping[str, str] | None = None,
) -> Backend:
    if not project or not dataset:
        raise UsageError(
            "BigQuery needs to know the project and the dataset.",
            "Name them with --project and --dataset, or in PIPELINE_PROJECT and PIPELINE_DATASET.",
        )
    from pipeline.backends.bigquery.names import require_names

    require_names(project, dataset, source_dataset)
    from pipeline.backends.bigquery.backend import BigQuery

    return BigQuery(
        project,
        dataset,
        source_dataset or dataset,
        location,
        api_endpoint,
        max_bytes_billed,
        labels or {},
        policy_tag,
        threads,
    )


def _as_paths(paths: Files) -> tuple[str, ...]:
    return (str(paths),) if isinstance(paths, str | Path) else tuple(map(str, paths))
