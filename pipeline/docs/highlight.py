"""Marks keywords, texts and comments of SQL; style.css colours pygments' classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from markupsafe import Markup
from pygments import highlight
from pygments.filter import simplefilter
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, String, Token

LEXERS = {"duckdb": "postgresql", "bigquery": "googlesql"}
MARKED = (Keyword, Name.Builtin, Name.Constant, String.Single, String.Escape, Comment)


@simplefilter  # type: ignore[untyped-decorator]
def _few(_: Any, lexer: Any, stream: Iterator[Any], options: Any) -> Iterator[Any]:
    # names and signs stay bare, which halves the pages
    for kind, text in stream:
        yield _marked(kind), text


@cache
def _marked(kind: Any) -> Any:
    return kind if any(kind in marked for marked in MARKED) else Token


@lru_cache(maxsize=256)
def highlighted(sql: str, engine: str) -> Markup:
    """Return an engine's SQL as HTML."""
    lexer = get_lexer_by_name(LEXERS[engine], filters=[_few()])
    return Markup(highlight(sql, lexer, HtmlFormatter(nowrap=True)))
