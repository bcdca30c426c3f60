"""Statements that Ctrl-C ends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from ibis.backends.duckdb import Backend as IbisDuckDB

Answer = TypeVar("Answer")


def interruptible(con: IbisDuckDB, ask: Callable[[], Answer]) -> Answer:
    """Return the answer of statements on a connection, which Ctrl-C interrupts.

    In the middle of a long statement DuckDB does not look for signals. So the statements run in a
    thread, and this one waits for signals.
    """
    with ThreadPoolExecutor(1) as worker:
        running = worker.submit(ask)
        try:
            return running.result()
        except KeyboardInterrupt:
            # again and again: a statement that has not begun yet does not heed it
            while wait([running], timeout=0.05).not_done:
                con.con.interrupt()
            raise
