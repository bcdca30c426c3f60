"""A column's lineage for people: a block for each table on its way."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.lineage.columns import ColumnLineage, TableColumns


def column_lineage(found: ColumnLineage) -> RenderableType:
    """Return a column's upstream or downstream, from near to far."""
    what = "goes into" if found.down else "is made of"
    title = Text(f"{found.column} {what}", style="bold")
    if found.sensitive:
        title.append(" (sensitive)", style="red")
    if not found.tables:
        nothing = "nothing" if found.down else "no column: the model writes its values"
        return Group(title, Text(f"  {nothing}"))
    return Group(title, *(block for each in found.tables for block in _blocks(each, found.down)))


def _blocks(table: TableColumns, down: bool) -> Iterator[RenderableType]:
    yield Text(f"\n{table.table}")
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column()
    if table.value:
        rows.add_row("by value", Text(", ".join(table.value)))
    if table.decides:
        rows.add_row("decides about" if down else "only decides", Text(", ".join(table.decides)))
    yield Padding.indent(rows, 2)
