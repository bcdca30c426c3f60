"""Programs on the model of BigQuery: they take turns by a seed, and one of their requests fails.

A program is a function in a thread of its own. It waits for its turn before each request.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import inspect
import json
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, Literal
from unittest import mock

import ibis
import requests
from google.api_core.retry import retry_base
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient

import pipeline.build
import pipeline.incremental
from harnesses.bigquery_model import PROJECT, RefusedError, Service
from harnesses.compiled import compiled_once
from pipeline.backends.bigquery import backend, loading, lock, workspace
from pipeline.backends.bigquery.backend import BigQuery

How = Literal[
    "crash_before", "crash_after", "refused", "unavailable", "answer_lost", "job_fails", "paused"
]
HOW: tuple[How, ...] = (
    *("crash_before", "crash_after", "refused", "unavailable"),
    *("answer_lost", "job_fails", "paused"),
)
DATASET = "models"
_LONGER_THAN_A_LOCK = 200
_ENDLESS = 2_000
_STORAGE = BigQueryReadClient(credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]


class CrashError(BaseException):
    """The program is dead: nothing that it does any more has an effect."""


@dataclass
class Turns:
    """Lets one of several threads go on at a time; the seed decides which."""

    random: Random
    waiting: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    turn: str | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    asleep: dict[str, Callable[[], bool]] = field(default_factory=dict)
    """The threads that want no turn yet, each with the condition that wakes it."""
    beside: list[threading.Thread] = field(default_factory=list)

    def wait(self, until: Callable[[], bool] | None = None) -> None:
        """Wait in a program's thread until it is its turn, and until a condition holds."""
        name = threading.current_thread().name
        with self.changed:
            self.waiting.add(name)
            if until:
                self.asleep[name] = until
            self._choose(name)
            self.changed.wait_for(lambda: self.turn == name)
            self.waiting.discard(name)
            self.asleep.pop(name, None)

    def begin(self, name: str, work: Callable[[], Any]) -> None:
        """Let a second thread of a program take turns too."""

        def whole() -> None:
            self.wait()
            try:
                with contextlib.suppress(CrashError):
                    work()
            finally:
                self._leave(name)

        with self.changed:
            self.live.add(name)
        self.beside.append(threading.Thread(target=whole, name=name))
        self.beside[-1].start()

    def run(self, programs: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Run programs to their ends, and return their results by name; raise the first error."""
        results: dict[str, Any] = {}
        errors: list[Exception] = []

        def whole(name: str) -> None:
            self.wait()
            try:
                results[name] = programs[name]()
            except Exception as error:
                errors.append(error)
            finally:
                self._leave(name)

        self.live, self.turn = set(programs), None
        threads = [threading.Thread(target=whole, args=(name,), name=name) for name in programs]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        while self.beside:
            self.beside.pop().join()
        if errors:
            raise errors[0]
        return results

    def _leave(self, name: str) -> None:
        with self.changed:
            self.live.discard(name)
            self._choose(name)

    def _choose(self, name: str) -> None:
        """Choose whose turn it is, if all wait; `name` has had its turn."""
        self.turn = None
        if self.live and self.waiting >= self.live:
            awake = [each for each in self.live if self.asleep.get(each, lambda: True)()]
            self.turn = self.random.choice(sorted(awake or self.live))
            if self.turn != name:
                self.changed.notify_all()


@dataclass
class Machine:
    """Gives each program a process id, and knows which processes run; stands for `os` in locks."""

    dead: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)
    apart: bool = False
    """Whether the first program runs on another machine than the others."""

    def getpid(self) -> int:
        """Return the process id of the program that asks."""
        name = threading.current_thread().name
        return self.numbers.setdefault(name, len(self.numbers) + 1)

    def kill(self, number: int, _: int) -> None:
        """Raise ProcessLookupError for a dead program."""
        names = {number: name for name, number in self.numbers.items()}
        if names.get(number) in self.dead:
            raise ProcessLookupError

    def gethostname(self) -> str:
        """Return the name of the machine of the program that asks."""
        return "away" if self.apart and threading.current_thread().name == "first" else "here"


@dataclass
class Wire:
    """The network between a program and the service; the request of number `at` fails."""

    service: Service
    turns: Turns
    machine: Machine
    at: int = 0
    how: How | None = None
    asked: list[str] = field(default_factory=list)
    is_dead: bool = False
    is_mtls = False

    def request(
        self,
        method: str,
        url: str,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> requests.Response:
        """Send a request, as google.auth's session does."""
        if self.is_dead:
            raise CrashError
        self.turns.wait()
        content = _bytes(data)
        if match := (headers or {}).get("If-Match"):
            content = json.dumps({**json.loads(content), "_match": match}).encode()
        self.asked.append(_described(method, url, content))
        if len(self.asked) > _ENDLESS:
            raise RuntimeError(f"the program does not end, and asks for {self.asked[-1]}")
        if len(self.asked) != self.at:
            return self._sent(method, url, content)
        if self.how == "crash_before":
            self._crash()
        if self.how == "refused":
            return _response(
                url, method, *RefusedError("Access Denied", "accessDenied", 403).answer
            )
        if self.how == "unavailable":
            error = RefusedError("Try again", "backendError", 503)
            return _response(url, method, *error.answer)
        if self.how == "paused":
            self._pause()
        self.service.fails = self.how == "job_fails"
        found = self._sent(method, url, content)
        self.service.fails = False
        if self.how == "answer_lost":
            raise requests.exceptions.ConnectionError("the connection broke")
        if self.how == "crash_after":
            self._crash()
        return found

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _pause(self) -> None:
        self.service.sleep(_LONGER_THAN_A_LOCK)
        for _ in range(self.turns.random.choice((0, 50, 400))):
            self.turns.wait()

    def _crash(self) -> None:
        self.is_dead = True
        self.machine.dead.add(threading.current_thread().name.partition("/")[0])
        raise CrashError

    def _sent(self, method: str, url: str, content: bytes) -> requests.Response:
        status, body, headers = self.service.answer(method, url, content)
        return _response(url, method, status, body, headers)


@dataclass
class Over:
    """Stands for the event that ends the renewal of a lock; it waits by the service's clock."""

    wire: Wire | None = None
    is_over: bool = False

    def set(self) -> None:
        """End the renewal."""
        self.is_over = True

    def wait(self, seconds: float) -> bool:
        """Wait for so many seconds; return whether the renewal is over."""
        wire = self.wire
        if wire is None:
            raise RuntimeError("no thread renews the lock yet")
        moment = wire.service.now() + dt.timedelta(seconds=seconds)

        def is_over() -> bool:
            return self.is_over or wire.is_dead

        wire.turns.wait(lambda: is_over() or wire.service.has_reached(moment))
        return is_over()


@dataclass
class Renewal:
    """Stands for the thread that renews a lock; it takes turns, and dies with its program."""

    target: Callable[..., None]
    args: tuple[bigquery.Client, str, str, Over]
    daemon: bool

    def start(self) -> None:
        """Begin to renew."""
        client, over = self.args[0], self.args[3]
        wire = over.wire = client._http
        name = f"{threading.current_thread().name}/renews"
        wire.turns.begin(name, lambda: self.target(*self.args))


def connected(wire: Wire) -> BigQuery:
    """Return our backend on the model, with Google's own client, one job at a time."""
    client = bigquery.Client(
        PROJECT,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        _http=wire,
    )
    made = BigQuery(PROJECT, DATASET, DATASET, threads=1)
    vars(made)["con"] = ibis.bigquery.connect(
        client=client, storage_client=_STORAGE, project_id=PROJECT, dataset_id=DATASET
    )
    return made


@contextlib.contextmanager
def time_of(service: Service, machine: Machine) -> Iterator[None]:
    """Give all programs the service's clock, processes of their own, and the same names each time.

    So the statements of two schedules are the same, and are compiled and evaluated once.
    """
    runs = Counter[str]()

    def name_of_run() -> str:
        name = threading.current_thread().name
        runs[name] += 1
        return f"20220301t000000_{(zlib.crc32(name.encode()) + runs[name]) % 2**32:08x}"

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return service.now()

    with contextlib.ExitStack() as patches:
        for each in _cached():
            # Python 3.11 lets only one object at a time compute a cached property of a class, so a
            # program would wait for one whose turn it is not
            patches.enter_context(
                mock.patch.object(each, "lock", contextlib.nullcontext(), create=True)
            )
        patches.enter_context(mock.patch.object(backend, "name_of_run", name_of_run))
        patches.enter_context(compiled_once("bigquery"))
        for module in (pipeline.build, pipeline.incremental, backend, loading, lock, workspace):
            patches.enter_context(mock.patch.object(module, "datetime", Clock))
        seconds = SimpleNamespace(perf_counter=lambda: service.now().timestamp())
        for module in (pipeline.build, pipeline.incremental):
            patches.enter_context(mock.patch.object(module, "time", seconds))
        patches.enter_context(mock.patch.object(time, "sleep", service.sleep))
        half = SimpleNamespace(uniform=lambda least, most: (least + most) / 2)
        patches.enter_context(mock.patch.object(retry_base, "random", half))
        renewing = SimpleNamespace(Event=Over, Thread=Renewal)
        patches.enter_context(mock.patch.object(lock, "threading", renewing))
        patches.enter_context(mock.patch.object(lock, "os", machine))
        patches.enter_context(mock.patch.object(lock, "socket", machine))
        yield


def _cached() -> Iterator[functools.cached_property[Any]]:
    """Yield the cached properties of all classes of our backend."""
    for name, module in list(sys.modules.items()):
        if name.startswith("pipeline."):
            for cls in filter(inspect.isclass, vars(module).values()):
                if cls.__module__ == name:
                    found = vars(cls).values()
                    yield from (x for x in found if isinstance(x, functools.cached_property))


def _bytes(data: Any) -> bytes:
    if data is None:
        return b""
    if isinstance(data, str):
        return data.encode()
    return data if isinstance(data, bytes) else bytes(data.read())


def _described(method: str, url: str, content: bytes) -> str:
    path = url.partition("?")[0].rpartition("/projects/")[2].partition("/")[2]
    if content[:1] != b"{":
        return f"{method} {path}"
    query = json.loads(content).get("configuration", {}).get("query", {}).get("query", "")
    return f"{method} {path} {' '.join(query.split())[:60]}".strip()


def _response(
    url: str, method: str, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> requests.Response:
    made = requests.Response()
    made.status_code, made.url, made.encoding = status, url, "utf-8"
    made._content = json.dumps(body).encode()
    made.headers.update({"content-type": "application/json", **(headers or {})})
    made.request = SimpleNamespace(method=method, url=url)  # type: ignore[assignment]
    return made
