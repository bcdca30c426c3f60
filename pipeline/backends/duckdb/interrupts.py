"""Lets Ctrl-C end a statement."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from ibis.backends.duckdb import Backend as IbisDuckDB

Answer = TypeVar("Answer")


def interruptible(con: IbisDuckDB, ask: Callable[[], Answer]) -> Answer:
    """Run statements on a connection so that Ctrl-C interrupts them; return the answer.

    DuckDB does not look for signals during a long statement. So the statements run in another
    thread, and this one waits for signals.
    """
    with ThreadPoolExecutor(1) as worker:
        running = worker.submit(ask)
        try:
            return running.result()
        except KeyboardInterrupt:
            # repeated, because a statement that has not begun yet ignores an interrupt
            while wait([running], timeout=0.05).not_done:
                con.con.interrupt()
            raise
