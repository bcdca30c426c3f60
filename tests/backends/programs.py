"""Other programs, started beside a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pipeline

ROOT = Path(pipeline.__file__).parents[1]

# a shell's background programs ignore Ctrl-C, and so would the programs of a test there
HEED_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def python(code, *arguments, **options):
    """Start a program of its own."""
    words = [sys.executable, "-c", HEED_CTRL_C + code, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=ROOT, text=True, **pipes, **options)


def ready(process):
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process
