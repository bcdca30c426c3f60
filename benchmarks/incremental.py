"""Measure incremental builds beside full ones of the same rows, and write a table and a plot.

python -m benchmarks.incremental --folder /tmp/benchmarks --events 10000000
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altair as alt
import click
import duckdb

from benchmarks.data import generated
from benchmarks.measure import Run, machine, run, spread

_RESULTS = Path(__file__).parent / "results"
_SHARES = (0.001, 0.01, 0.1)
_BATCHES = {
    "of the last day": "row_number() OVER (ORDER BY DateCreated DESC NULLS LAST)",
    "spread over all days": "row_number() OVER (ORDER BY hash(MapUniqueName, MapRevision))",
}
"""The order in which rows are taken for a batch."""


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="Data and databases."
)
@click.option("--events", type=int, default=10_000_000, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=_RESULTS, show_default=True)
def main(folder: Path, events: int, runs: int, output: Path) -> None:
    """Measure, and write incremental.json, incremental.md and incremental.svg."""
    cases = list(_cases(folder, events, runs))
    result = {"machine": machine(), "cases": cases}
    output.mkdir(parents=True, exist_ok=True)
    (output / "incremental.json").write_text(json.dumps(result, indent=2) + "\n")
    (output / "incremental.md").write_text(table(result))
    plot(result).save(output / "incremental.svg")
    click.echo(table(result))


def _cases(folder: Path, events: int, runs: int) -> Iterator[dict[str, Any]]:
    data = generated(folder, events)
    for which, order in _BATCHES.items():
        for share in _SHARES:
            landing = folder / "landing"
            rows = _split(landing, data.events, order, int(data.rows * share))
            turns = list(_turns(folder, landing, data.users, runs))
            yield {
                "batch": which,
                "share": share,
                "rows": rows,
                "events": data.rows,
                "full": _figures([full for full, _ in turns]),
                "incremental": _figures([new for _, new in turns]),
                "ratio": spread([new.wall / full.wall for full, new in turns]),
                "cpu_ratio": spread([new.cpu / full.cpu for full, new in turns]),
            }
            shutil.rmtree(landing)


def _split(landing: Path, events: str, order: str, number: int) -> int:
    """Write the events as a file that landed before, and a batch of so many beside it."""
    landing.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(
            f"CREATE TABLE events AS SELECT *, {order} <= {number} AS is_new"
            f" FROM read_parquet('{events}')"
        )
        for name, condition in (("before", "NOT is_new"), ("batch", "is_new")):
            con.execute(
                f"COPY (SELECT * EXCLUDE (is_new) FROM events WHERE {condition})"
                f" TO '{landing / name}.parquet'"
            )
    return number


def _turns(folder: Path, landing: Path, users: Path, runs: int) -> Iterator[tuple[Run, Run]]:
    """Build in full, and incrementally, in turn: so a slow moment of the machine affects both."""
    begun, database, batch = folder / "begun.duckdb", folder / "next.duckdb", "batch.parquet"
    begun.unlink(missing_ok=True)
    (landing / batch).rename(folder / batch)
    _build(begun, landing, users)
    for _ in range(runs):
        shutil.copy2(begun, database)
        (folder / batch).rename(landing / batch)
        new = _build(database, landing, users, "--incremental")
        database.unlink()
        yield _build(database, landing, users), new
        database.unlink()
        (landing / batch).rename(folder / batch)
    begun.unlink()
    (folder / batch).unlink()


def _build(database: Path, landing: Path, users: Path, *options: str) -> Run:
    command = (sys.executable, "cli.py", "build", "--database", str(database), "--threads", "2")
    inputs = ("--events", str(landing / "*.parquet"), "--users", str(users))
    return run([*command, *inputs, *options])


def _figures(runs: list[Run]) -> dict[str, Any]:
    return {
        "wall": spread([each.wall for each in runs]),
        "cpu": spread([each.cpu for each in runs]),
    }


def table(result: dict[str, Any]) -> str:
    """Return all measurements as Markdown."""
    lines = [
        "| new events | of | full s (median) | incremental s (median) | ratio (min, median, max)"
        " | ratio of CPU |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for case in result["cases"]:
        ratio = ", ".join(f"{case['ratio'][name]:.2f}" for name in ("min", "median", "max"))
        lines.append(
            f"| {case['rows']:,} ({case['share']:.1%}) {case['batch']} | {case['events']:,}"
            f" | {case['full']['wall']['median']:.1f}"
            f" | {case['incremental']['wall']['median']:.1f} | {ratio}"
            f" | {case['cpu_ratio']['median']:.2f} |"
        )
    measured = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    return "\n".join([*lines, "", f"Measured on: {measured}.", ""])


def plot(result: dict[str, Any]) -> alt.Chart:
    """Return a plot of seconds against the size of a batch, with the full build as a line."""
    rows = [
        {"rows": case["rows"], "seconds": case[kind]["wall"]["median"], "build": name}
        for case in result["cases"]
        for kind, name in (("incremental", case["batch"]), ("full", "full build"))
    ]
    return (
        alt.Chart(alt.Data(values=rows), width=640, height=240)
        .mark_line(point=True)
        .encode(
            x=alt.X("rows:Q", title="new events", scale=alt.Scale(type="log", nice=False)),
            y=alt.Y("mean(seconds):Q", title="seconds"),
            color=alt.Color("build:N", title=None),
        )
    )


if __name__ == "__main__":
    main()
