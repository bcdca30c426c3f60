"""A BigQuery of our own: the API on free ports of this machine, its SQL translated for DuckDB.

It shows that requests, jobs, uploads, schemas and names are right. `googlesql` shows that the SQL
is BigQuery's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import duckdb_extensions
import sqlglot
import sqlglot.expressions as sge
import structlog
from sqlglot.parser import Parser

# it logs while it is imported
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

from bqemulator.config import PersistenceMode, Settings  # noqa: E402
from bqemulator.server import EmulatorServer  # noqa: E402

PROJECT = "test-project"

_implicit_unnests_to_explicit = Parser._implicit_unnests_to_explicit


def _without_copies(parser: Parser, query: sge.Query) -> sge.Query:
    """Look for arrays among the joined tables only where there may be some.

    sqlglot copies a query's tables to learn their aliases, level by level. The emulator parses a
    statement a dozen times, so a deep one took 40 s.
    """
    joined = [join.this for join in query.args.get("joins") or () if not join.args.get("on")]
    if any(isinstance(table, sge.Table) and len(table.parts) > 1 for table in joined):
        return _implicit_unnests_to_explicit(parser, query)
    return query


Parser._implicit_unnests_to_explicit = _without_copies

_parse_one = sqlglot.parse_one
_parsed = functools.lru_cache(maxsize=64)(_parse_one)


def _parsed_once(sql: str, read: str | None = None, **options: Any) -> sge.Expr:
    """Parse a text once, and return a copy each time: the emulator parses one a dozen times."""
    return _parse_one(sql, read, **options) if options else _parsed(sql, read).copy()


sqlglot.parse_one = _parsed_once


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """Run an empty emulator in a thread; yields its URL."""
    # the packaged extension, copied to the place where DuckDB looks: nothing is downloaded
    duckdb_extensions.import_extension("spatial")
    server = EmulatorServer(
        Settings(
            persistence_mode=PersistenceMode.EPHEMERAL,
            rest_port=0,
            grpc_port=0,
            log_level="critical",
            enable_format_extensions=False,
            default_project_id=PROJECT,
        )
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
        yield server.rest_url
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
