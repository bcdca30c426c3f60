"""Runs steps that wait for one another, as many at once as an engine takes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

Step = TypeVar("Step")
Made = TypeVar("Made")
Key = TypeVar("Key")


def work_through(
    needs: Mapping[Step, Collection[Step]],
    at_once: int,
    begin: Callable[[Step], Callable[[], Made] | None],
    end: Callable[[Step, Made], None],
    cancel: Callable[[], None] = lambda: None,
) -> None:
    """Do all steps, each when the steps that it needs are done, and the first ones first.

    `begin` returns the work of a step, or None if there is nothing to do; `end` gets its result.
    Both run in the caller's thread, so they need no lock. With one step at a time the work does
    too, so Ctrl-C reaches the engine.

    An exception of a step ends everything: `cancel` stops the running steps, and then the exception
    goes on.
    """
    order = {step: number for number, step in enumerate(needs)}
    steps = TopologicalSorter(needs)
    steps.prepare()
    ready: list[Step] = []
    under_way: dict[Future[Made], Step] = {}
    with ThreadPoolExecutor(at_once) as workers:
        try:
            while steps.is_active():
                ready = sorted([*ready, *steps.get_ready()], key=order.__getitem__)
                if ready and len(under_way) < at_once:
                    step = ready.pop(0)
                    work = begin(step)
                    if work is None:
                        steps.done(step)
                    elif at_once == 1:
                        end(step, work())
                        steps.done(step)
                    else:
                        under_way[workers.submit(work)] = step
                    continue
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda each: order[under_way[each]]):
                    step = under_way.pop(future)
                    end(step, future.result())
                    steps.done(step)
        except BaseException:
            cancel()
            raise


def all_at_once(
    works: Collection[Callable[[], Made]], at_once: int, cancel: Callable[[], None] = lambda: None
) -> list[Made]:
    """Return the results of functions in their order; at most `at_once` run at a time.

    An exception of one, or Ctrl-C, calls `cancel` and then goes on.
    """
    results: dict[int, Made] = {}
    listed = list(works)
    needs: dict[int, Collection[int]] = dict.fromkeys(range(len(listed)), ())
    work_through(needs, at_once, listed.__getitem__, results.__setitem__, cancel)
    return [results[number] for number in needs]


class InOrder:
    """Reports each name in order, when it and all names before it have ended."""

    def __init__(self, names: Sequence[str], tell: Callable[[str], None]) -> None:
        self._waiting, self._ended, self._tell = list(names), set[str](), tell

    def end(self, name: str) -> None:
        """Note that a name has ended."""
        self._ended.add(name)
        while self._waiting and self._waiting[0] in self._ended:
            self._tell(self._waiting.pop(0))


class Once(Generic[Key, Made]):
    """Results by key: the first thread that asks for one makes it, the others wait for it."""

    def __init__(self) -> None:
        self._made: dict[Key, Made] = {}
        self._locks: dict[Key, threading.RLock] = defaultdict(threading.RLock)

    def get(self, key: Key, make: Callable[[], Made]) -> Made:
        """Return the result for a key; make it if nobody has."""
        with self._locks[key]:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
