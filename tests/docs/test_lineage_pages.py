from __future__ import annotations

import re
from itertools import combinations

import pytest

from pipeline import catalog
from pipeline.docs.lineage import draw
from pipeline.sources import SOURCES

ALL = {
    **dict.fromkeys(SOURCES, ()),
    **{name: model.upstream for name, model in catalog.load().models.items()},
}
READS = {
    "one box": {"a": ()},
    "a line": {"a": (), "b": ("a",), "c": ("b",)},
    "a line beside a step that skips it": {"a": (), "b": ("a",), "c": ("b", "a")},
    "two that hang together with nothing": {"a": (), "b": ()},
    "all to all": {"a": (), "b": (), "c": ("a", "b"), "d": ("a", "b"), "e": ("c", "d", "a")},
    "the project": ALL,
}


@pytest.fixture(params=READS, ids=str)
def reads(request):
    return READS[request.param]


def test_everything_is_in_the_picture_once(reads):
    picture = draw(reads)

    assert sorted(box.name for box in picture.boxes) == sorted(reads)
    assert sorted((edge.upstream, edge.downstream) for edge in picture.edges) == sorted(
        (upstream, name) for name, ups in reads.items() for upstream in ups
    )


def test_what_is_read_is_left_of_its_reader(reads):
    at = {box.name: box for box in draw(reads).boxes}

    assert all(at[up].x + at[up].width < at[name].x for name, ups in reads.items() for up in ups)


def test_boxes_lie_inside_and_apart(reads):
    picture = draw(reads)

    for box in picture.boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= picture.width
        assert box.y + box.height <= picture.height
    for one, other in combinations(picture.boxes, 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_a_line_goes_from_box_to_box_and_through_no_other(reads):
    picture = draw(reads)
    at = {box.name: box for box in picture.boxes}

    for edge in picture.edges:
        points = [tuple(map(int, point)) for point in re.findall(r"(\d+),(\d+)", edge.path)]
        start, end = at[edge.upstream], at[edge.downstream]
        assert points[0] == (start.x + start.width, start.y + start.height // 2)
        assert points[-1] == (end.x, end.y + end.height // 2)
        for box in picture.boxes:
            inside = [
                (x, y)
                for x, y in points[1:-1]
                if box.x < x < box.x + box.width and box.y < y < box.y + box.height
            ]
            assert not inside


def test_an_order_without_crossings_is_found():
    reads = {"a": (), "b": (), "c": (), "x": ("c",), "y": ("b",), "z": ("a",)}
    at = {box.name: box for box in draw(reads).boxes}

    order = sorted("abc", key=lambda name: at[name].y)
    assert sorted("xyz", key=lambda name: at[name].y) == [
        {"c": "x", "b": "y", "a": "z"}[name] for name in order
    ]


def test_a_long_name_is_broken_at_an_underscore():
    (box,) = draw({"met_daily_command_count_by_username": ()}).boxes

    assert box.lines == ("met_daily_command_", "count_by_username")


def test_what_is_not_drawn_is_left_out():
    assert draw({"b": ("a",)}).edges == ()
