"""Tables and blocks that never cut or break a name, id or time, however narrow the screen is.

Print them with `crop=False`: then the terminal wraps a value that is wider than the screen, and a
copy of it stays whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from textwrap import TextWrapper

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Fields = Sequence["tuple[str, Text | Sequence[Fields]]"]
"""The names and values of one block; a value may be a list of blocks."""

_ANY_WIDTH = 100_000
_GAP = 2
_INDENT = 4
_LEAST_WORDS = 20
"""The least width of a column of words; rows become blocks before it gets narrower."""
_PROSE = 4
"""The least number of words of prose; ids and times have fewer."""


@dataclass(frozen=True)
class Sheet:
    """Rows under headings: a table if it fits the screen, else one block for each row.

    Each set names headings. `words` may wrap between words; all other columns stay on one line.
    `right` are numbers. A narrow screen leaves out `spare`. `blocks` are the rows as blocks, if
    those say more than the cells.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]
    right: Collection[str] = ()
    words: Collection[str] = ()
    spare: Collection[str] = ()
    blocks: Sequence[Fields] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the form that fits."""
        # rich measures no table as wider than the screen
        anywhere = options.update(max_width=_ANY_WIDTH)
        for table in (self._table(()), self._table(self.spare)):
            if Measurement.get(console, anywhere, table).minimum <= options.max_width:
                yield table
                break
        else:
            for number, fields in enumerate(self._fields()):
                if number:
                    yield Text()
                yield Block(fields)
        if not self.rows:
            yield Text("(no rows)")

    def _fields(self) -> Sequence[Fields]:
        if self.blocks is not None:
            return self.blocks
        return [list(zip(self.headings, row, strict=True)) for row in self.rows]

    def _table(self, without: Collection[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        places = [at for at, heading in enumerate(self.headings) if heading not in without]
        for place in places:
            heading = self.headings[place]
            wraps = heading in self.words
            widest = max((row[place].cell_len for row in self.rows), default=0)
            table.add_column(
                Text(heading),
                justify="right" if heading in self.right else "left",
                no_wrap=not wraps,
                min_width=min(widest, _LEAST_WORDS) if wraps else widest,
            )
        for row in self.rows:
            table.add_row(*(row[place] for place in places))
        return table


@dataclass(frozen=True)
class Block:
    """Names and values one below the other.

    A value that is too long for the rest of its line goes on the next line; prose wraps.
    """

    fields: Fields

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give one line after the other."""
        yield from map(as_it_is, _lines(self.fields, options.max_width))


@dataclass(frozen=True)
class Wrapped:
    """A text of one style with a margin, wrapped only between words."""

    text: Text
    margin: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give one line after the other."""
        for line in _wrapped(self.text, options.max_width - self.margin):
            yield as_it_is(Text(" " * self.margin).append_text(line))


def as_it_is(line: Text) -> Text:
    """Return a line that rich does not wrap or cut; the terminal wraps it."""
    line.no_wrap, line.overflow = True, "ignore"
    return line


def _lines(fields: Fields, width: int) -> Iterator[Text]:
    start = max(len(name) for name, _ in fields) + _GAP
    for name, value in fields:
        title = Text().append(name, style="dim")
        beside = " " * (start - len(name))
        if not isinstance(value, Text):
            yield title if value else title.append(beside + "[]")
            yield from _elements(value, width)
        elif value.cell_len <= width - start:
            yield title.append(beside).append_text(value)
        elif _is_prose(value.plain, width - start):
            first, *rest = _wrapped(value, width - start)
            yield title.append(beside).append_text(first)
            yield from (Text(" " * start).append_text(line) for line in rest)
        else:
            yield title
            yield Text(" " * _INDENT).append_text(value)


def _elements(blocks: Sequence[Fields], width: int) -> Iterator[Text]:
    for block in blocks:
        for number, line in enumerate(_lines(block, width - _INDENT)):
            yield Text("    " if number else "  - ").append_text(line)


def _is_prose(text: str, width: int) -> bool:
    words = text.split()
    return len(words) >= _PROSE and max(map(len, words)) <= width


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    wrapper = TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return (Text(line, style=text.style) for line in wrapper.wrap(text.plain))
