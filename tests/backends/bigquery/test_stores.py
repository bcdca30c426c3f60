"""A stored table is filled once, by the job that first needs its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.backends.bigquery.stores import Store, Stores, filling
from pipeline.errors import EngineError


@pytest.fixture
def stores() -> Stores:
    """Table c reads a and b, and b reads a."""
    made = Stores()
    made.add("a", "fill a", "p.d.a", ["published"])
    made.add("b", "fill b", "p.d.b", ["a"])
    made.add("c", "fill c", "p.d.c", ["b", "a"])
    return made


def noting(run: list[list[str]]) -> Callable[[Sequence[Store]], None]:
    return lambda found: run.append([each.statement for each in found])


def test_a_job_fills_all_that_it_needs_in_order_and_no_table_twice(stores):
    run: list[list[str]] = []

    stores.after(["b"], noting(run))
    stores.after(["published"], noting(run))
    stores.after(["c", "b"], noting(run))
    stores.after(["c"], noting(run))

    assert run == [["fill a", "fill b"], [], ["fill c"], []]


def test_a_job_that_runs_twice_fills_its_tables_once(stores):
    lines = stores.after(["b"], filling)

    assert lines == ["TRUNCATE TABLE `p`.`d`.`a`", "fill a", "TRUNCATE TABLE `p`.`d`.`b`", "fill b"]


def test_a_job_waits_for_the_tables_that_another_thread_fills(stores):
    ended, run, begun = threading.Event(), list[list[str]](), threading.Event()

    def slowly(found: Sequence[Store]) -> None:
        begun.set()
        assert ended.wait(10)
        noting(run)(found)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(stores.after, ["a"], slowly)
        assert begun.wait(10)
        second = threads.submit(stores.after, ["c"], noting(run))
        assert not second.done()
        ended.set()
        first.result(10)
        second.result(10)

    assert run == [["fill a"], ["fill b", "fill c"]]


def test_who_needs_a_table_that_could_not_be_filled_gets_the_error(stores):
    def failing(found: Sequence[Store]) -> None:
        raise EngineError("BigQuery is tired.")

    for _ in range(2):
        with pytest.raises(EngineError, match="tired"):
            stores.after(["b"], failing)
    with pytest.raises(EngineError, match="tired"):
        stores.after(["c"], noting([]))
