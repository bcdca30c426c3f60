from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        ["ls"],
        ["compile"],
        ["show", "dim_users", "--format", "csv"],
        ["test", "--select", "dim_users"],
        ["test", "--select", "dim_users", "--log-format", "json"],
    ],
    ids=" ".join,
)
def test_a_full_disk_behind_standard_output_is_told_in_words(sample, words):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        typed = subprocess.run(
            [sys.executable, "cli.py", *words],
            cwd=ROOT,
            # buffered, as by default: Python does the last flush itself
            env={**os.environ, "PIPELINE_DATABASE": str(sample), "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert typed.returncode == 1
    assert typed.stderr == (
        "Error: The disk of the standard output is full: No space left on device.\n"
        "Make room on it.\n"
    )
