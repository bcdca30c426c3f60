"""A BigQuery of our own: the API on free ports of this machine, its SQL translated for DuckDB.

It shows that requests, jobs, uploads, schemas and names are right. That the SQL is BigQuery's it
does not: `googlesql` does. What it gets wrong that BigQuery does right is mended here, each with
what would fail otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

import duckdb_extensions
import structlog

# it logs while it is imported
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

from bqemulator.config import PersistenceMode, Settings  # noqa: E402
from bqemulator.server import EmulatorServer  # noqa: E402
from bqemulator.sql.translator import SQLTranslator  # noqa: E402
from sqlglot.dialects.bigquery import BigQuery  # noqa: E402

PROJECT = "test-project"


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """Run it in a thread, with nothing in it; yields its URL."""
    # the packaged extension, put where the engine looks for it: nothing is downloaded
    duckdb_extensions.import_extension("spatial")
    mend()
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


def mend() -> None:
    """Work around what keeps the emulator from running valid SQL of ours."""
    # it writes BigQuery's SQL anew several times, and loses its own TRY(…) for SAFE. on the way
    BigQuery.Generator.TRY_SUPPORTED = True
    translate = SQLTranslator.translate

    def with_known_formats(self: SQLTranslator, bq_sql: str, **rest: Any) -> Any:
        # it writes `%E4Y`, a year in four digits, into the text as it stands
        return translate(self, bq_sql.replace("%E4Y", "%Y"), **rest)

    SQLTranslator.translate = with_known_formats
