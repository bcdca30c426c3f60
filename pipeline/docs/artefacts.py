"""The site's facts in dbt's published formats, for catalogues that read them: manifest.json (v12),
catalog.json (v1) and run_results.json (v6).

Each model and check is a node, each raw table a source. Sensitive columns have the tag `sensitive`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.contract import Column
from pipeline.docs.site import CheckLine, ModelPage, Page, Site
from pipeline.sql import type_name

PROJECT = "hub_events"
DBT_VERSION = "1.10.0"
"""The version of dbt that writes these formats; readers check it."""

_STATUSES = {
    "OK": "success",
    "PASS": "pass",
    "WARN": "warn",
    "FAIL": "fail",
    "ERROR": "error",
    "SKIP": "skipped",
}
_PACKAGE = "pipeline"
Json = dict[str, Any]


def artefacts(site: Site) -> dict[str, str]:
    """Return the text of each file by its name; the same site gives the same text."""
    made = {
        "manifest.json": _manifest(site),
        "catalog.json": _catalog(site),
        "run_results.json": _run_results(site),
    }
    return {name: json.dumps(content, indent=1) + "\n" for name, content in made.items()}


def _metadata(site: Site, schema: str) -> Json:
    started = site.run.started_at if site.run else datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{schema}.json",
        "dbt_version": DBT_VERSION,
        "generated_at": started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "invocation_id": None,
        "env": {},
    }


def _manifest(site: Site) -> Json:
    nodes = {_id(page): _model(site, page) for page in site.models}
    nodes |= {_check_id(page, check): _check(site, page, check) for page, check in _checks(site)}
    parents = {name: node["depends_on"]["nodes"] for name, node in nodes.items()}
    parents |= {_id(page): [] for page in site.sources}
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, above in parents.items():
        for parent in above:
            children[parent].append(name)
    return {
        "metadata": _metadata(site, "manifest/v12")
        | {"project_name": PROJECT, "adapter_type": site.engine},
        "nodes": nodes,
        "sources": {_id(page): _source(site, page) for page in site.sources},
        "parent_map": parents,
        "child_map": children,
        **{name: {} for name in ("macros", "docs", "exposures", "metrics", "groups", "selectors")},
        **{name: {} for name in ("disabled", "group_map", "saved_queries")},
        **{name: {} for name in ("semantic_models", "unit_tests")},
    }


def _model(site: Site, page: ModelPage) -> Json:
    model, sql = page.model, page.sql[site.engine]
    return {
        **_node(site, page, "model", page.name, sql),
        "config": {
            "enabled": True,
            "materialized": model.materialized,
            "tags": list(model.tags),
            "meta": {},
            "partition_by": model.partition_by,
            "cluster_by": list(model.cluster_by),
        },
        "tags": list(model.tags),
        "description": model.description,
        "columns": _columns(site, page),
        "meta": {},
        "relation_name": _relation(site, page),
        "raw_code": sql,
        "language": "sql",
        "refs": [
            {"name": name, "package": None, "version": None}
            for name in page.upstream
            if site.pages[name].layer != "source"
        ],
        "sources": [["raw", name] for name in page.upstream if site.pages[name].layer == "source"],
        "depends_on": {"macros": [], "nodes": [_id(site.pages[name]) for name in page.upstream]},
        "compiled": True,
        "compiled_code": sql,
        "primary_key": list(model.key),
    }


def _check(site: Site, page: ModelPage, check: CheckLine) -> Json:
    column = check.name.removeprefix("not_null_")
    name = "not_null" if column != check.name else check.name
    if check.name == "unique_key" and len(page.model.key) == 1:
        name, column = "unique", page.model.key[0]
    known = column if column in page.model.schema else None
    above = [_id(site.pages[read]) for read in check.reads if read in site.pages]
    return {
        **_node(site, page, "test", f"{page.name}_{check.name}", check.description),
        "config": {"enabled": True, "severity": check.severity.upper(), "tags": [], "meta": {}},
        "description": check.description,
        "depends_on": {"macros": [], "nodes": above},
        "column_name": known,
        "attached_node": _id(page),
        "test_metadata": {
            "name": name,
            "kwargs": {"column_name": known} if known else {},
            "namespace": None if name in ("unique", "not_null") else PROJECT,
        },
    }


def _source(site: Site, page: Page) -> Json:
    database, schema = site.places[1]
    return {
        "database": database,
        "schema": schema,
        "name": page.name,
        "resource_type": "source",
        "package_name": PROJECT,
        "path": f"{_PACKAGE}/sources.py",
        "original_file_path": f"{_PACKAGE}/sources.py",
        "unique_id": _id(page),
        "fqn": [PROJECT, "raw", page.name],
        "source_name": "raw",
        "source_description": "The raw rows that the hubs' webhooks delivered.",
        "loader": "",
        "identifier": page.name,
        "description": page.summary,
        "columns": _columns(site, page),
        "relation_name": _relation(site, page),
    }


def _node(site: Site, page: ModelPage, kind: str, name: str, content: str) -> Json:
    database, schema = site.places[0]
    path = f"{page.layer}/{page.name}.py"
    return {
        "database": database,
        "schema": schema,
        "name": name,
        "resource_type": kind,
        "package_name": PROJECT,
        "path": path,
        "original_file_path": f"{_PACKAGE}/{path}",
        "unique_id": f"{kind}.{PROJECT}.{name}",
        "fqn": [PROJECT, page.layer, name],
        "alias": name,
        "checksum": {"name": "sha256", "checksum": hashlib.sha256(content.encode()).hexdigest()},
    }


def _columns(site: Site, page: Page) -> Json:
    made_of: dict[str, list[str]] = {}
    for edge in site.edges:
        if edge.how == "value":
            made_of.setdefault(edge.column, []).append(edge.made_of)
    return {
        column.name: {
            "name": column.name,
            "description": column.description,
            "data_type": _type(site, column),
            "constraints": [] if column.nullable else [{"type": "not_null"}],
            "meta": {
                "sensitive": column.sensitive,
                "made_of": made_of.get(f"{page.name}.{column.name}", []),
            },
            "tags": ["sensitive"] if column.sensitive else [],
        }
        for column in page.columns
    }


def _catalog(site: Site) -> Json:
    built = {_id(page): _table(site, page) for page in site.models if page.built}
    return {
        "metadata": _metadata(site, "catalog/v1"),
        "nodes": built,
        "sources": {_id(page): _table(site, page) for page in site.sources if page.read},
        "errors": None,
    }


def _table(site: Site, page: Page) -> Json:
    is_model = isinstance(page, ModelPage)
    database, schema = site.places[0 if is_model else 1]
    is_view = isinstance(page, ModelPage) and page.model.materialized == "view"
    read = page.built if isinstance(page, ModelPage) else page.read
    rows = read.rows if read else None
    stats = {
        "has_stats": _stat("has_stats", "Has Stats?", rows is not None, include=False),
    }
    if rows is not None:
        stats["num_rows"] = _stat("num_rows", "# Rows", rows, include=True)
    return {
        "metadata": {
            "type": "VIEW" if is_view else "BASE TABLE",
            "schema": schema,
            "name": page.name,
            "database": database,
            "comment": page.summary,
            "owner": None,
        },
        "columns": {
            column.name: {
                "type": _type(site, column),
                "index": place,
                "name": column.name,
                "comment": column.description,
            }
            for place, column in enumerate(page.columns, 1)
        },
        "stats": stats,
        "unique_id": _id(page),
    }


def _stat(name: str, label: str, value: float | bool, *, include: bool) -> Json:
    return {"id": name, "label": label, "value": value, "include": include, "description": label}


def _run_results(site: Site) -> Json:
    results = [
        _result(
            site,
            _id(page),
            page.built.status,
            page.built.seconds,
            page.built.message,
            code=page.sql[site.engine],
            relation=_relation(site, page),
            response={"rows_affected": page.built.rows},
        )
        for page in site.models
        if page.built
    ]
    results += [
        _result(
            site,
            _check_id(page, check),
            check.status,
            check.seconds,
            check.message,
            failures=check.failures,
        )
        for page, check in _checks(site)
        if check.status in _STATUSES
    ]
    return {
        "metadata": _metadata(site, "run-results/v6"),
        "results": results,
        "elapsed_time": site.run.seconds if site.run else 0.0,
        "args": {},
    }


def _result(
    site: Site,
    unique_id: str,
    status: str,
    seconds: float,
    message: str,
    *,
    failures: int | None = None,
    code: str | None = None,
    relation: str | None = None,
    response: Json | None = None,
) -> Json:
    timing = []
    if site.run:
        ended = site.run.started_at + timedelta(seconds=site.run.seconds)
        times = (site.run.started_at.isoformat(), ended.isoformat())
        # a record has no times of single steps, so these are the whole build's
        timing = [{"name": "execute", "started_at": times[0], "completed_at": times[1]}]
    return {
        "status": _STATUSES[status],
        "timing": timing,
        "thread_id": "main",
        "execution_time": seconds,
        "adapter_response": response or {},
        "message": message or None,
        "failures": failures,
        "unique_id": unique_id,
        "compiled": code is not None,
        "compiled_code": code,
        "relation_name": relation,
    }


def _checks(site: Site) -> Iterator[tuple[ModelPage, CheckLine]]:
    for page in site.models:
        for check in sorted(page.checks, key=lambda check: check.name):
            yield page, check


def _id(page: Page) -> str:
    if page.layer == "source":
        return f"source.{PROJECT}.raw.{page.name}"
    return f"model.{PROJECT}.{page.name}"


def _check_id(page: ModelPage, check: CheckLine) -> str:
    return f"test.{PROJECT}.{page.name}_{check.name}"


def _relation(site: Site, page: Page) -> str:
    quote = "`" if site.engine == "bigquery" else '"'
    place = site.places[1 if page.layer == "source" else 0]
    return ".".join(f"{quote}{part}{quote}" for part in (*place, page.name))


def _type(site: Site, column: Column) -> str:
    return type_name(column.type, site.engine)
