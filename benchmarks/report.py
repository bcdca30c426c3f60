"""Writes measurements as a table in Markdown and as a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import altair as alt

Result = Mapping[str, Any]


def table(result: Result) -> str:
    """Return all measurements as Markdown."""
    return "\n".join([*_cases(result), "", *_build(result), "", *_others(result), ""])


def plot(result: Result) -> alt.Chart:
    """Return a plot of the parts of a build's time, beside its floor, for the last size."""
    floor, build = _last(result)
    rows = [{"what": "floor", "part": "read, parse, store", "seconds": floor["wall"]["median"]}]
    rows += [
        {"what": "build", "part": name, "seconds": seconds}
        for name, seconds in _parts(build)
        if seconds >= build["wall"]["median"] / 100
    ]
    order = [row["part"] for row in rows]
    return (
        alt.Chart(alt.Data(values=rows), width=640, height=120)
        .mark_bar()
        .encode(
            x=alt.X("seconds:Q", title=f"seconds, {build['events']:,} events"),
            y=alt.Y("what:N", title=None, sort=["floor", "build"]),
            color=alt.Color("part:N", title=None, sort=order),
            order=alt.Order("index:Q"),
        )
        .transform_window(index="row_number()")
    )


def _cases(result: Result) -> Iterator[str]:
    yield (
        "| case | events | wall s (min, median, max) | s per million | CPU s | peak GB"
        " | written GB | to floor (min, median, max) | to the tuned floor |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for case in sorted(result["cases"], key=lambda case: case["events"]):
        to_floor, to_tuned = (
            _spread(case[ratio], 2) if ratio in case else ""
            for ratio in ("to_floor", "to_tuned_floor")
        )
        yield (
            f"| {case['name']} | {case['events']:,} | {_spread(case['wall'])}"
            f" | {case['wall']['median'] / case['events'] * 1e6:.2f}"
            f" | {case['cpu']['median']:.1f} | {case['peak']['max'] / 1e9:.2f}"
            f" | {case['bytes_written'] / 1e9:.2f} | {to_floor} | {to_tuned} |"
        )


def _build(result: Result) -> Iterator[str]:
    _, build = _last(result)
    yield f"| part of the build of {build['events']:,} events | seconds |"
    yield "|---|--:|"
    for name, seconds in _parts(build):
        if seconds >= 0.05:
            yield f"| {name} | {seconds:.2f} |"


def _others(result: Result) -> Iterator[str]:
    yield "| what | seconds |"
    yield "|---|--:|"
    for command, seconds in result["commands"].items():
        yield f"| `{command}` | {seconds['median']:.2f} |"
    query = result["query"]
    share = query["one_day"] / query["full"]
    yield f"| all of fct_command_readings scanned | {query['full']:.3f} |"
    yield f"| one day of it ({share:.0%} of that) | {query['one_day']:.3f} |"
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    yield ""
    yield f"Measured on: {machine}."


def _last(result: Result) -> tuple[Result, Result]:
    def last(name: str) -> Result:
        cases: list[Result] = [case for case in result["cases"] if case["name"] == name]
        return cases[-1]

    return last("floor"), last("build")


def _parts(build: Result) -> list[tuple[str, float]]:
    models = sorted(build["models"].items(), key=lambda model: -model[1])
    rest = build["wall"]["median"] - sum(build["models"].values()) - build["checks"]
    return [*models, ("all checks", build["checks"]), ("start, sources, publishing", max(rest, 0))]


def _spread(figures: Mapping[str, float], digits: int = 1) -> str:
    return ", ".join(f"{figures[name]:.{digits}f}" for name in ("min", "median", "max"))
