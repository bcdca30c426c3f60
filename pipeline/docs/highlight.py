"""SQL with its keywords, texts and comments marked."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, String

LEXERS = {"duckdb": "postgresql", "bigquery": "googlesql"}
STYLES = {
    Keyword: "keyword",
    Name.Builtin: "keyword",
    Name.Constant: "keyword",
    String.Single: "text",
    String.Escape: "text",
    Comment: "comment",
}


def highlighted(sql: str, engine: str) -> Markup:
    """Return an engine's SQL as HTML; names and signs stay bare, which keeps the pages small."""
    tokens = get_lexer_by_name(LEXERS[engine]).get_tokens(sql)
    styled = groupby(tokens, key=lambda token: _style(token[0]))
    return Markup("").join(
        _marked(style, "".join(text for _, text in tokens)) for style, tokens in styled
    )


def _style(kind: Any) -> str:
    return next((style for marked, style in STYLES.items() if kind in marked), "")


def _marked(style: str, text: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(style, text) if style else escape(text)
