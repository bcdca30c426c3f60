"""The tables that an incremental build stores, each filled by the job that first needs its rows.

So statements that need no answer share one job, and a table that nobody reads costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

import ibis.expr.operations as ops
import ibis.expr.types as ir

from pipeline.backends.bigquery.statements import quoted

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Store:
    """A table, the statement that fills it, and the stored tables that this statement reads."""

    name: str
    statement: str
    place: str
    """Its name with project and dataset."""
    reads: frozenset[str]
    filled: Future[None] = field(default_factory=Future)


@dataclass(frozen=True)
class Stores:
    """All stored tables of a build; several threads may use them at once."""

    _tables: dict[str, Store] = field(default_factory=dict)
    _claimed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, statement: str, place: str, reads: Iterable[str]) -> None:
        """Note a table that is there, and is still empty."""
        self._tables[name] = Store(name, statement, place, frozenset(reads))

    def after(self, names: Iterable[str], run: Callable[[Sequence[Store]], Answer]) -> Answer:
        """Return the answer of `run`, which needs the rows of these tables.

        It gets those that are still to be filled, in order, and fills them. If another thread fills
        some of them, this one waits.
        """
        with self._lock:
            needed = self._needed(names)
            ours = [each for each in needed if each.name not in self._claimed]
            self._claimed.update(each.name for each in ours)
        try:
            for each in needed:
                if each not in ours:
                    each.filled.result()
            answer = run(ours)
        except BaseException as error:
            for each in ours:
                each.filled.set_exception(error)
            raise
        for each in ours:
            each.filled.set_result(None)
        return answer

    def _needed(self, names: Iterable[str]) -> list[Store]:
        """Return these tables and all that they need, each after those that it reads."""
        found: dict[str, Store] = {}
        for name in names:
            store = self._tables.get(name)
            if store is not None and name not in found:
                found |= {each.name: each for each in self._needed(store.reads)}
                found[name] = store
        return list(found.values())


def filling(stores: Iterable[Store]) -> list[str]:
    """Return the statements that fill tables, with the same rows if their job runs twice."""
    return [
        line for each in stores for line in (f"TRUNCATE TABLE {quoted(each.place)}", each.statement)
    ]


def tables_of(expr: ir.Table) -> list[str]:
    """Return the names of the tables that an expression reads."""
    return [found.name for found in expr.op().find(ops.DatabaseTable)]
