"""Measures whole processes from outside: wall and CPU seconds, peak memory."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.data import Data

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Run:
    """The cost of one process: seconds, seconds of CPU, peak memory, and bytes of the file made."""

    wall: float
    cpu: float
    peak: int
    written: int


def run(command: Sequence[str], makes: Path | None = None) -> Run:
    """Run a command to its end and measure it; first remove the file that it makes.

    Raises:
        RuntimeError: it failed.
    """
    if makes:
        makes.unlink(missing_ok=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    written = makes.stat().st_size if makes else 0
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, written)


def build(folder: Path, data: Data, memory_limit: str) -> Run:
    """Build these files in a new process, with checks, two threads and a new database."""
    database = folder / "build.duckdb"
    return run(
        [
            *(sys.executable, "cli.py", "build", "--database", str(database), "--threads", "2"),
            *("--memory-limit", memory_limit, "--events", data.events, "--users", str(data.users)),
            *("--results", str(folder / "results.json")),
        ],
        makes=database,
    )


def machine() -> dict[str, Any]:
    """Return what measurements depend on: processor, Python and versions of libraries."""
    names = ("duckdb", "ibis-framework", "pyarrow", "sqlglot")
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the minimum, the median and the maximum of some measurements."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}
