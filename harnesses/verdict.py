"""The result of a harness: its figures, the broken promises, and the exit status."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any

import click

RESULTS = Path(__file__).parent / "results"
KEEP = click.option(
    "--keep", is_flag=True, help="Write the figures to harnesses/results, for docs/PROMISES.md."
)


@dataclass
class Verdict:
    """The figures of one harness by name, and the broken promises that it saw."""

    harness: str
    names: InitVar[Sequence[str]]
    broken: list[str] = field(default_factory=list)

    def __post_init__(self, names: Sequence[str]) -> None:
        self.figures = Counter(dict.fromkeys(names, 0))

    def expect(self, held: bool, promise: str) -> None:
        """Note a broken promise, and print it at once."""
        if not held:
            self.broken.append(promise)
            click.echo(f"BROKEN {promise}", err=True)

    def finish(self, *, keep: bool, **setting: Any) -> None:
        """Print the figures, keep them if asked to, and end with 1 if a promise was broken.

        `setting` are the options of the run.
        """
        result = {**setting, **self.figures, "broken": len(self.broken)}
        for name, value in result.items():
            click.echo(f"{name.replace('_', ' ')}: {value}")
        if keep:
            RESULTS.mkdir(exist_ok=True)
            text = json.dumps(result, indent=2)
            (RESULTS / f"{self.harness}.json").write_text(text + "\n")
        sys.exit(1 if self.broken else 0)
