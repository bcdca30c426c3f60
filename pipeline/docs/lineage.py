"""Draws the lineage: a column for each step from the sources, few crossing lines.

Sugiyama's method gives the layers, the order within them, and the path of each line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from statistics import fmean

LINE_LENGTH = 20
"""The most characters of a name in one line; a longer one breaks at an underscore."""

CHARACTER, LINE, PADDING = 7.3, 16, 11
COLUMN_GAP, ROW_GAP, MARGIN = 42, 14, 4
PASSING = 4
"""The height of a line in a column that it only passes through."""

SWEEPS = 12


@dataclass(frozen=True)
class Box:
    """A model or source in the picture; `lines` are its name, broken to fit."""

    name: str
    lines: tuple[str, ...]
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Edge:
    """A line from `upstream` to `downstream`, which reads it; `path` is an SVG path."""

    upstream: str
    downstream: str
    path: str


@dataclass(frozen=True)
class Picture:
    """All boxes and edges, and the picture's size in pixels."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int


def draw(reads: Mapping[str, Sequence[str]]) -> Picture:
    """Draw each box to the right of those that it reads.

    `reads` maps each box to those that it reads, in dependency order; no others are drawn.
    """
    layers = _Layers({name: [up for up in ups if up in reads] for name, ups in reads.items()})
    boxes = _boxes(layers)
    return Picture(
        tuple(box for slot, box in boxes.items() if not slot.to),
        tuple(
            Edge(up, name, _path(boxes[slot] for slot in route))
            for (up, name), route in layers.routes.items()
        ),
        max(box.x + box.width for box in boxes.values()) + MARGIN,
        max(box.y + box.height for box in boxes.values()) + MARGIN,
    )


@dataclass(frozen=True)
class _Slot:
    """A place in a column: of a box, or of a line that passes through to the box `to`."""

    name: str
    column: int
    to: str = ""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        lines = [""]
        for part in self.name.replace("_", "_\n").split("\n"):
            if lines[-1] and len(lines[-1] + part) > LINE_LENGTH:
                lines.append("")
            lines[-1] += part
        return tuple(lines)

    @property
    def width(self) -> int:
        return 0 if self.to else round(CHARACTER * max(map(len, self.lines)) + 2 * PADDING)

    @property
    def height(self) -> int:
        return PASSING if self.to else LINE * len(self.lines) + 2 * PADDING


class _Layers:
    """The columns of slots, each from top to bottom in the order with the fewest crossings."""

    def __init__(self, reads: Mapping[str, Sequence[str]]) -> None:
        depth: dict[str, int] = {}
        for name, ups in reads.items():
            depth[name] = 1 + max((depth[up] for up in ups), default=-1)
        self.routes = {
            (up, name): _route(up, name, depth) for name, ups in reads.items() for up in ups
        }
        passed = [slot for route in self.routes.values() for slot in route[1:-1]]
        slots = [_Slot(name, depth[name]) for name in reads] + passed
        self.columns = [
            [slot for slot in slots if slot.column == column]
            for column in range(max(depth.values()) + 1)
        ]
        links = [link for route in self.routes.values() for link in pairwise(route)]
        self.before = {slot: [a for a, b in links if b == slot] for slot in slots}
        self.after = {slot: [b for a, b in links if a == slot] for slot in slots}
        self._uncross()

    def _uncross(self) -> None:
        best, fewest = self.columns, self._crossings()
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            neighbours = self.before if forward else self.after
            for column in self.columns if forward else reversed(self.columns):
                self._sort(column, neighbours)
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(column) for column in self.columns], crossings
        self.columns = best

    def _sort(self, column: list[_Slot], neighbours: Mapping[_Slot, list[_Slot]]) -> None:
        place = {slot: at for slots in self.columns for at, slot in enumerate(slots)}

        def wanted(slot: _Slot) -> float:
            near = [place[neighbour] for neighbour in neighbours[slot]]
            return fmean(near) if near else place[slot]

        column.sort(key=wanted)

    def _crossings(self) -> int:
        place = {slot: at for slots in self.columns for at, slot in enumerate(slots)}
        return sum(
            (place[a] - place[c]) * (place[b] - place[d]) < 0
            for column in self.columns
            for (a, b), (c, d) in combinations(
                [(slot, after) for slot in column for after in self.after[slot]], 2
            )
        )


def _route(up: str, name: str, depth: Mapping[str, int]) -> list[_Slot]:
    between = [_Slot(up, column, to=name) for column in range(depth[up] + 1, depth[name])]
    return [_Slot(up, depth[up]), *between, _Slot(name, depth[name])]


def _middles(layers: _Layers) -> dict[_Slot, float]:
    """Return each slot's middle from the top: near its linked slots, without overlaps."""
    middles: dict[_Slot, float] = {}
    for column in layers.columns:
        middles |= _apart(column, [0.0] * len(column))
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for column in layers.columns if forward else reversed(layers.columns):
            wanted = [_pulled(slot, layers, middles) for slot in column]
            middles |= _apart(column, wanted)
    return middles


def _pulled(slot: _Slot, layers: _Layers, middles: Mapping[_Slot, float]) -> float:
    near = [*layers.before[slot], *layers.after[slot]]
    return fmean(sorted(middles[neighbour] for neighbour in near)) if near else middles[slot]


def _apart(column: Sequence[_Slot], wanted: Sequence[float]) -> dict[_Slot, float]:
    # the average of pushing overlapping slots down and of pushing them up favours none
    down = _pushed(column, wanted)
    up = _pushed(column[::-1], [-middle for middle in wanted[::-1]])[::-1]
    return {slot: (a - b) / 2 for slot, a, b in zip(column, down, up, strict=True)}


def _pushed(column: Sequence[_Slot], wanted: Iterable[float]) -> list[float]:
    middles: list[float] = []
    for at, middle in enumerate(wanted):
        if at:
            room = (column[at - 1].height + column[at].height) / 2 + ROW_GAP
            middle = max(middle, middles[-1] + room)
        middles.append(middle)
    return middles


def _boxes(layers: _Layers) -> dict[_Slot, Box]:
    middles = _middles(layers)
    top = min(middle - slot.height / 2 for slot, middle in middles.items()) - MARGIN
    boxes, x = {}, MARGIN
    for column in layers.columns:
        width = max(slot.width for slot in column)
        for slot in column:
            y = round(middles[slot] - slot.height / 2 - top)
            boxes[slot] = Box(slot.name, slot.lines, x, y, width, slot.height)
        x += width + COLUMN_GAP
    return boxes


def _path(boxes: Iterable[Box]) -> str:
    # a curve between two columns, a straight line through a column
    steps = []
    for left, right in pairwise(boxes):
        x, y, to_x, to_y = left.x + left.width, _middle(left), right.x, _middle(right)
        half = (x + to_x) // 2
        steps.append(f"{x},{y} C{half},{y} {half},{to_y} {to_x},{to_y}")
    return "M" + " L".join(steps)


def _middle(box: Box) -> int:
    return box.y + box.height // 2
