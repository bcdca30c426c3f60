"""Lets objects show themselves when printed and in a notebook.

This module knows no kind of object: the code that draws a kind registers with `view`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.terminal_theme import TerminalTheme

WIDTH = 120
# colours that are legible on a white page and on a dark one
_BLACK, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, _WHITE = (
    (107, 114, 128),
    (220, 60, 50),
    (35, 134, 75),
    (176, 110, 10),
    (55, 120, 210),
    (170, 80, 190),
    (20, 135, 145),
    (140, 145, 155),
)
_HTML = (
    '<pre style="white-space: pre; overflow-x: auto; line-height: normal; '
    "font-family: Menlo, 'DejaVu Sans Mono', Consolas, monospace\">{code}</pre>"
)


@singledispatch
def view(shown: object) -> RenderableType:
    """Return a rich renderable of an object; each kind registers its own."""
    return object.__repr__(shown)


class Watch:
    """Follows long work; this one shows nothing."""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End, well or not."""

    def __call__(self, event: object) -> None:
        """Take an event of the work."""

    def end(self, result: object) -> None:
        """Take the result of the work."""


_watches: list[Callable[[], Watch | None]] = []


def watch_by(make: Callable[[], Watch | None]) -> None:
    """Register a function that makes a watch, or returns None if nobody would see it."""
    _watches.append(make)


def watch() -> Watch:
    """Return a watch; it shows nothing if nobody would see it."""
    return next((made for make in _watches if (made := make())), Watch())


class Displayed:
    """Shows itself as text when printed and as HTML in a notebook, both from `view`."""

    def __str__(self) -> str:
        return text(self)

    def _repr_html_(self) -> str:
        return html(self)

    def __rich__(self) -> RenderableType:
        return view(self)


def text(shown: RenderableType) -> str:
    """Return a rich renderable as plain text."""
    from rich.console import Console

    file = io.StringIO()
    # in a notebook rich shows it at once, whatever `file` is
    console = Console(
        file=file, width=WIDTH, highlight=False, color_system=None, force_jupyter=False
    )
    console.print(shown, crop=False)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def html(shown: RenderableType) -> str:
    """Return a rich renderable as HTML, for a white or a dark notebook."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(), width=WIDTH, highlight=False, record=True, force_jupyter=False
    )
    console.print(shown, crop=False)
    return console.export_html(theme=_theme(), inline_styles=True, code_format=_HTML)


def _theme() -> TerminalTheme:
    from rich.terminal_theme import TerminalTheme

    colours = [_BLACK, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, _WHITE]
    return TerminalTheme((255, 255, 255), (0, 0, 0), colours)
