"""Measure builds beside the floor, and write a table and a plot.

python -m benchmarks --folder /tmp/benchmarks --events 1000000 --events 10000000 --once 100000000
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
import duckdb

from benchmarks import report
from benchmarks.data import Data, generated, with_a_hot_device
from benchmarks.measure import Run, build, machine, run, spread

_RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), required=True, help="Data and databases."
)
@click.option("--events", "sizes", type=int, multiple=True, default=(1_000_000, 10_000_000))
@click.option("--once", type=int, multiple=True, help="More events, for a single run.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--memory-limit", default="8GB", show_default=True)
@click.option("--tight", default="2GB", show_default=True, help="Memory limit to compare with.")
@click.option("--output", type=click.Path(path_type=Path), default=_RESULTS, show_default=True)
def main(
    folder: Path,
    sizes: tuple[int, ...],
    once: tuple[int, ...],
    runs: int,
    memory_limit: str,
    tight: str,
    output: Path,
) -> None:
    """Measure, and write results.json, table.md and plot.svg."""
    cases = [case for size in once for case in _pair(folder, size, 1, memory_limit)]
    cases += _cases(folder, sorted(sizes), runs, memory_limit, tight)
    result = {"machine": machine(), "cases": cases, "commands": _commands(runs)}
    result["query"] = _one_day(folder / "build.duckdb")
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (output / "table.md").write_text(report.table(result))
    report.plot(result).save(output / "plot.svg")
    click.echo(report.table(result))


def _cases(
    folder: Path, sizes: list[int], runs: int, memory_limit: str, tight: str
) -> Iterator[dict[str, Any]]:
    for size in sizes:
        yield from _pair(folder, size, runs, memory_limit)
    data = generated(folder, sizes[-1])
    hot = with_a_hot_device(folder, data)
    builds = [build(folder, hot, memory_limit) for _ in range(runs)]
    yield _case("build, one device with a fifth", hot, builds)
    builds = [build(folder, data, tight) for _ in range(runs)]
    yield _case(f"build, --memory-limit {tight}", data, builds)


def _pair(folder: Path, size: int, runs: int, memory_limit: str) -> Iterator[dict[str, Any]]:
    data = generated(folder, size)
    # floors and build in turn, so a slow moment of the machine affects all of them
    turns = [
        (
            _floor(folder, data, memory_limit),
            _floor(folder, data, memory_limit, "tuned"),
            build(folder, data, memory_limit),
        )
        for _ in range(runs)
    ]
    floors, tuned, builds = ([*of_one] for of_one in zip(*turns, strict=True))
    yield _case("floor", data, floors)
    yield _case("floor, with the settings of builds", data, tuned)
    case = _case("build", data, builds)
    ratios = {
        "to_floor": spread([built.wall / floor.wall for floor, _, built in turns]),
        "to_tuned_floor": spread([built.wall / floor.wall for _, floor, built in turns]),
    }
    yield case | ratios | _models(folder)


def _floor(folder: Path, data: Data, memory_limit: str, *tuned: str) -> Run:
    database = folder / "floor.duckdb"
    arguments = (data.events, str(database), memory_limit, *tuned)
    measured = run([sys.executable, "-m", "benchmarks.floor", *arguments], makes=database)
    database.unlink()
    return measured


def _case(name: str, data: Data, runs: list[Run]) -> dict[str, Any]:
    def of(figure: Callable[[Run], float]) -> dict[str, float]:
        return spread([figure(one) for one in runs])

    return {
        "name": name,
        "events": data.rows,
        "bytes_read": data.size,
        "bytes_written": runs[-1].written,
        "wall": of(lambda one: one.wall),
        "cpu": of(lambda one: one.cpu),
        "peak": of(lambda one: one.peak),
    }


def _models(folder: Path) -> dict[str, Any]:
    """Return the seconds of each model and of all checks in the last build."""
    result = json.loads((folder / "results.json").read_text())
    # one statement answers a model's row and key checks; each has the whole time
    checks = {(check["model"], check["seconds"]) for check in result["checks"]}
    return {
        "models": {model["name"]: model["seconds"] for model in result["models"]},
        "checks": sum(seconds for _, seconds in checks),
    }


def _commands(runs: int) -> dict[str, Any]:
    return {
        f"cli.py {command}": spread(
            [run([sys.executable, "cli.py", command]).wall for _ in range(runs)]
        )
        for command in ("--help", "ls")
    }


def _one_day(database: Path) -> dict[str, float]:
    """Return the seconds of a scan of fct_command_readings, and of one day (every tenth day)."""
    query = "SELECT bit_xor(hash(COLUMNS(*))) FROM fct_command_readings"
    days = [date(2022, 1, 5) + timedelta(days=days) for days in range(0, 60, 10)]
    with duckdb.connect(str(database), read_only=True) as con:
        con.execute(query)
        each = [_seconds(con, f"{query} WHERE command_date = DATE '{day}'") for day in days]
        return {"full": _seconds(con, query), "one_day": spread(each)["median"]}


def _seconds(con: duckdb.DuckDBPyConnection, query: str) -> float:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        con.execute(query).fetchall()
        times.append(time.perf_counter() - started)
    return spread(times)["median"]


if __name__ == "__main__":
    main()
