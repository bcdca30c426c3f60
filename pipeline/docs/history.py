"""The history of builds as small charts: a bar for each build, the latest on the right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.results import RunRecord
from pipeline.sources import EVENTS, SOURCES

WIDTH, HEIGHT, GAP = 240, 48, 2
_WIDEST = 24
_QUARANTINES = ("quarantined_events", "quarantined_users")


@dataclass(frozen=True)
class Bar:
    """The bar of one build, `x` from the left and `height` high."""

    started_at: datetime
    mode: str
    value: float
    x: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """One value of the last builds; `unit` says how a page writes it."""

    title: str
    unit: str
    bars: tuple[Bar, ...]

    @property
    def last(self) -> float:
        """The value of the latest build."""
        return self.bars[-1].value


def charts(runs: Sequence[RunRecord]) -> list[Chart]:
    """Return the charts of builds, the latest of which is the first; none of a single build."""
    if len(runs) < 2:
        return []
    measures: dict[str, tuple[str, Callable[[RunRecord], float | None]]] = {
        "Raw events read": ("rows", lambda run: _read(run, [EVENTS])),
        "Time taken": ("seconds", lambda run: run.seconds),
        "Quarantined share of raw rows": ("share", _quarantined),
    }
    made = (
        Chart(title, unit, tuple(_bars([(run, value(run)) for run in reversed(runs)])))
        for title, (unit, value) in measures.items()
    )
    return [chart for chart in made if chart.bars]


def _bars(found: Sequence[tuple[RunRecord, float | None]]) -> Iterator[Bar]:
    known = [(run, value) for run, value in found if value is not None]
    most = max((value for _, value in known), default=0) or 1
    step = min(WIDTH / max(len(known), 1), _WIDEST)
    for number, (run, value) in enumerate(known):
        # a value of 0 has a bar too, otherwise it would look like no build
        height = max(1.0, HEIGHT * value / most)
        x, width = round(step * number, 1), round(step - GAP, 1)
        yield Bar(run.started_at, run.mode, value, x, width, round(height, 1))


def _read(run: RunRecord, sources: Sequence[str]) -> float | None:
    rows = [run.sources[name].rows for name in sources if name in run.sources]
    return sum(rows) if rows else None


def _quarantined(run: RunRecord) -> float | None:
    rows = {made.name: made.rows or 0 for made in run.models}
    read = _read(run, list(SOURCES))
    if not read or not rows.keys() & set(_QUARANTINES):
        return None
    return sum(rows.get(name, 0) for name in _QUARANTINES) / read
