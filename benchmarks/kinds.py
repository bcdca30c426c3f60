"""Measure builds of the same events from every kind of file, and write a table.

python -m benchmarks.kinds --folder /tmp/benchmarks --events 1000000 --events 10000000
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks.data import Data, of_kind
from benchmarks.measure import Run, build, machine, spread

_RESULTS = Path(__file__).parent / "results"
_KINDS = ("parquet", "ndjson", "csv", "ndjson.gz", "csv.gz")


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="Data and databases."
)
@click.option("--events", "sizes", type=int, multiple=True, default=(1_000_000, 10_000_000))
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--memory-limit", default="8GB", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=_RESULTS, show_default=True)
def main(folder: Path, sizes: tuple[int, ...], runs: int, memory_limit: str, output: Path) -> None:
    """Measure, and write kinds.json and kinds.md."""
    cases = [case for size in sorted(sizes) for case in _cases(folder, size, runs, memory_limit)]
    result = {"machine": machine(), "cases": cases}
    output.mkdir(parents=True, exist_ok=True)
    (output / "kinds.json").write_text(json.dumps(result, indent=2) + "\n")
    (output / "kinds.md").write_text(table(result))
    click.echo(table(result))


def table(result: Mapping[str, Any]) -> str:
    """Return all measurements as Markdown."""
    return "\n".join([*_lines(result), ""])


def _cases(folder: Path, size: int, runs: int, memory_limit: str) -> Iterator[dict[str, Any]]:
    files = {kind: of_kind(folder, size, kind) for kind in _KINDS}
    # the kinds in turn, so that a slow moment of the machine meets all of them
    turns = [
        {kind: build(folder, data, memory_limit) for kind, data in files.items()}
        for _ in range(runs)
    ]
    for kind, data in files.items():
        yield {"name": kind} | _case(data, [turn[kind] for turn in turns], turns)


def _case(data: Data, runs: list[Run], turns: list[dict[str, Run]]) -> dict[str, Any]:
    def ratio(figure: Callable[[Run], float]) -> dict[str, float]:
        pairs = zip(runs, turns, strict=True)
        return spread([figure(one) / figure(turn["parquet"]) for one, turn in pairs])

    return {
        "events": data.rows,
        "bytes_read": data.size,
        "wall": spread([one.wall for one in runs]),
        "cpu": spread([one.cpu for one in runs]),
        "peak": spread([one.peak for one in runs]),
        "wall_to_parquet": ratio(lambda one: one.wall),
        "cpu_to_parquet": ratio(lambda one: one.cpu),
    }


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    yield "| files | events | read GB | wall s | CPU s | peak GB | to Parquet | CPU to Parquet |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for case in result["cases"]:
        yield (
            f"| {case['name']} | {case['events']:,} | {case['bytes_read'] / 1e9:.2f}"
            f" | {case['wall']['median']:.1f} | {case['cpu']['median']:.1f}"
            f" | {case['peak']['max'] / 1e9:.2f} | {case['wall_to_parquet']['median']:.2f}"
            f" | {case['cpu_to_parquet']['median']:.2f} |"
        )
    told = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    yield ""
    yield f"Medians, each ratio within one turn. Measured on: {told}."


if __name__ == "__main__":
    main()
