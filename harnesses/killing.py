"""Kills a command at a random moment of its life, or of its end."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harnesses.builds import start

Stage = Literal["start_up", "building", "publishing", "end"]
STAGES: tuple[Stage, ...] = ("start_up", "building", "publishing", "end")


@dataclass(frozen=True)
class Life:
    """An undisturbed build: its seconds, those after its last result, and its results."""

    seconds: float
    seconds_publishing: float
    results: int


@dataclass(frozen=True)
class Place:
    """The file that commands print to, and their folder for temporary files."""

    output: Path
    temporary: Path

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a build that prints a JSON object a line."""
        self.output.unlink(missing_ok=True)
        return start([*words, "--log-format", "json"], self.output, self.temporary)

    def results(self) -> int:
        """Return the number of models and checks that the command has reported."""
        return self._told("model") + self._told("check")

    def done(self) -> bool:
        """Tell whether the command has reported its end."""
        return self._told("done") > 0

    def _told(self, event: str) -> int:
        lines = self.output.read_bytes().splitlines(keepends=True)
        what = f'"event": "{event}"'.encode()
        return sum(what in line and line.endswith(b"\n") for line in lines)


def live(place: Place, words: Sequence[str]) -> Life:
    """Run a build to its end and measure it.

    Raises:
        RuntimeError: it failed.
    """
    started = last = time.perf_counter()
    process, results = place.start(words), 0
    while process.poll() is None:
        if place.results() > results:
            results, last = place.results(), time.perf_counter()
        time.sleep(0.001)
    ended = time.perf_counter()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{told(place)}")
    if not place.results():
        raise RuntimeError(f"{' '.join(words)} told no result, so no moment of it is known")
    return Life(ended - started, ended - last, place.results())


def kill(place: Place, words: Sequence[str], life: Life, publishing: bool) -> Stage | None:
    """Kill a build at a random moment; return its stage, None if it had ended before.

    The moment is one of its whole life, or one after its last result.
    """
    process = place.start(words)
    if publishing:
        while place.results() < life.results and process.poll() is None:
            time.sleep(0.001)
    seconds = life.seconds_publishing if publishing else life.seconds
    time.sleep(random.uniform(0, seconds))
    process.kill()
    if process.wait() == 0:
        return None
    if process.returncode > 0:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}:\n{told(place)}")
    return _stage(place, life)


def told(place: Place) -> str:
    """Return the error that a command printed, or else its last line."""
    lines = place.output.read_text().splitlines()
    errors = [json.loads(line) for line in lines if '"event": "error"' in line]
    return str(errors or lines[-1:])


def _stage(place: Place, life: Life) -> Stage:
    if place.done():
        return "end"
    if place.results() >= life.results:
        return "publishing"
    return "building" if place.results() else "start_up"
