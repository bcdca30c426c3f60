"""Steps that wait for one another, several at once."""

from __future__ import annotations

import threading

import pytest
from crowd import Crowd

from pipeline.schedule import InOrder, Once, all_at_once, work_through


def test_a_step_begins_when_all_that_it_needs_has_ended():
    events: list[str] = []

    def begin(step):
        events.append(f"{step} begins")
        return lambda: step

    work_through(
        {"a": [], "b": ["a"], "c": ["a", "b"], "d": []},
        4,
        begin,
        lambda step, made: events.append(f"{made} ends"),
    )

    for step, needed in (("b", "a"), ("c", "a"), ("c", "b")):
        assert events.index(f"{needed} ends") < events.index(f"{step} begins")
    # what needs nothing waits for nothing
    assert events[:2] == ["a begins", "d begins"]


def test_as_many_steps_run_as_may_and_no_more():
    crowd = Crowd(3)

    all_at_once([crowd.work] * 6, 3)

    assert crowd.most == 3


def test_one_step_at_a_time_works_in_the_callers_thread_in_order():
    done = []

    def work(step):
        return lambda: done.append((step, threading.current_thread() is threading.main_thread()))

    work_through({"c": [], "a": ["c"], "b": []}, 1, work, lambda step, made: None)

    assert done == [("c", True), ("a", True), ("b", True)]


def test_a_step_without_work_ends_at_once():
    ended = []

    work_through(
        {"a": [], "b": ["a"]},
        2,
        lambda step: None if step == "a" else lambda: step,
        lambda step, made: ended.append(made),
    )

    assert ended == ["b"]


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_exception_cancels_what_is_under_way_and_goes_on(at_once):
    cancelled = threading.Event()

    def fail():
        raise ValueError("no")

    works = {"fails": fail, "waits": lambda: cancelled.wait(60), "later": fail}
    begun = []

    def begin(step):
        begun.append(step)
        return works[step]

    needs = {"fails": [], "waits": [], "later": ["waits"]}
    with pytest.raises(ValueError, match="no"):
        work_through(needs, at_once, begin, lambda step, made: None, cancelled.set)

    assert cancelled.is_set()
    assert begun == ["fails", "waits"][:at_once]


def test_results_come_in_the_order_of_the_works():
    first = threading.Event()

    assert all_at_once([lambda: first.wait(60), lambda: first.set() or "second"], 2) == [
        True,
        "second",
    ]


def test_names_are_told_of_in_order_whichever_ends_first():
    told = []
    names = InOrder(["a", "b", "c"], told.append)

    names.end("b")
    assert told == []
    names.end("a")
    assert told == ["a", "b"]
    names.end("c")
    assert told == ["a", "b", "c"]


def test_an_exception_of_one_cancels_the_others():
    cancelled = threading.Event()

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        all_at_once([fail, lambda: cancelled.wait(60)], 2, cancelled.set)

    assert cancelled.is_set()


def test_of_several_threads_the_first_makes_a_result_and_the_others_wait_for_it():
    once, made, waiting = Once[str, int](), [], threading.Barrier(4, timeout=10)

    def ask() -> int:
        waiting.wait()
        return once.get("key", lambda: made.append(1) or len(made))

    assert all_at_once([ask] * 4, 4) == [1, 1, 1, 1]
    assert once.get("other", lambda: 2) == 2
    assert made == [1]
