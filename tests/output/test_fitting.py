from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from pipeline.output.fitting import Block, Sheet, Wrapped

NAME = "met_daily_command_count_by_username"
UUID = "00627d57-4ec0-48af-a5e9-815fbf3b0943"
TIME = "2022-02-22 17:51:54.639003"
PROSE = "one row per username and day of commands"


def printed(shown, width) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown, crop=False)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def sheet(*rows, **sets) -> Sheet:
    headings = [f"h{number}" for number, _ in enumerate(rows[0])]
    return Sheet(headings, [[Text(cell) for cell in row] for row in rows], **sets)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 110, 300])
def test_names_ids_and_times_stay_whole_on_any_screen(width):
    lines = printed(sheet((NAME, UUID, TIME, PROSE), words=("h3",)), width)

    for value in (NAME, UUID, TIME):
        assert sum(value in line for line in lines) == 1, width
    assert " ".join(" ".join(lines).split()).count("username and day") == 1


def test_a_column_of_words_gives_way_before_the_rows_become_blocks():
    shown = sheet((UUID, PROSE), words=("h1",))

    assert printed(shown, 60)[2:] == [
        f"{UUID}  one row per username",
        f"{'':36}  and day of commands",
    ]
    assert printed(shown, 57)[0] == f"h0  {UUID}"


def test_a_spare_column_is_left_out_where_it_does_not_fit():
    shown = sheet((UUID, "table"), spare=("h1",))

    assert printed(shown, 43)[0].split() == ["h0", "h1"]
    assert printed(shown, 42)[0].split() == ["h0"]


def test_each_row_is_a_block_where_the_table_does_not_fit():
    assert printed(sheet((UUID, "1"), (UUID, "2")), 37) == [
        *("h0", f"    {UUID}", "h1  1"),
        "",
        *("h0", f"    {UUID}", "h1  2"),
    ]


def test_no_rows_are_said_to_be_none():
    assert printed(Sheet(("name",), []), 80)[-1] == "(no rows)"


def test_a_long_value_stands_on_the_next_line_and_prose_is_wrapped_in_place():
    block = Block([("id", Text(UUID)), ("meaning", Text(PROSE)), ("wide", Text("x" * 50))])

    assert printed(block, 40) == [
        *("id", f"    {UUID}"),
        *("meaning  one row per username and day of", "         commands"),
        *("wide", "    " + "x" * 50),
    ]


def test_an_array_of_structs_is_a_list_of_blocks():
    inner = [[("a", Text("1")), ("bb", Text("2"))], [("a", Text("3"))]]

    assert printed(Block([("first", inner), ("none", [])]), 40) == [
        *("first", "  - a   1", "    bb  2", "  - a  3"),
        "none   []",
    ]


def test_a_text_is_wrapped_between_words():
    assert printed(Wrapped(Text(f"attributed to {UUID}"), margin=4), 41) == [
        "    attributed to",
        f"    {UUID}",
    ]
