"""Lets Ctrl-C and the signals of schedulers end a command tidily."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from pipeline.errors import PipelineError

_NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP"}
_PAUSE = 5.0
"""Seconds after a signal in which a second one counts as its echo."""


class StoppedError(PipelineError):
    """A signal ended the command: exit status 128 and the signal's number."""

    def __init__(self, number: int, what_stands: str) -> None:
        name = _NAMES.get(signal.Signals(number).name, "a signal")
        super().__init__(f"{name} stopped this. {what_stands}")
        self.exit_status = 128 + number


@contextlib.contextmanager
def stoppable(what_stands: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a failure; its message says what is unchanged.

    Inside, each raises KeyboardInterrupt, so all cleaning up runs. Use this only in a process that
    then ends: it ignores further signals.

    Raises:
        StoppedError: such a signal came.
    """
    received: list[int] = []
    last = float("-inf")

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal last
        received.append(number)
        # a terminal and a wrapper may both send it: the second must not disturb the cleaning up
        if time.monotonic() - last > _PAUSE:
            last = time.monotonic()
            raise KeyboardInterrupt

    handlers = {
        number: signal.signal(number, stop)
        for number in (getattr(signal, name, None) for name in _NAMES)
        # a shell makes background programs ignore Ctrl-C, and nohup makes them ignore SIGHUP
        if number is not None and signal.getsignal(number) != signal.SIG_IGN
    }
    after = handlers
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # all is cleaned up; nothing may end the process before it prints the message
        after = dict.fromkeys(handlers, signal.SIG_IGN)
        number = received[0] if received else signal.SIGINT
        raise StoppedError(number, what_stands()) from interrupt
    finally:
        for number, handler in after.items():
            signal.signal(number, handler)
