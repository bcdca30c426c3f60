from __future__ import annotations

import threading


class Crowd:
    """Work that goes on when so many do it at a time; it counts the most that ever did."""

    def __init__(self, size: int) -> None:
        self.most = self._running = 0
        self._together = threading.Barrier(size, timeout=60)
        self._lock = threading.Lock()

    def work(self) -> None:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._together.wait()
        with self._lock:
            self._running -= 1
        self._together.wait()
