"""A change of one upstream column changes only columns that have it in their lineage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import Any

import ibis
import messy
import pyarrow as pa
import pytest
from conftest import arrow
from engines import KINDS

from pipeline import catalog, lineage
from pipeline.expressions import declared_table, expression
from pipeline.rules.items import ITEM_DATA
from pipeline.sources import SOURCES
from pipeline.sql import to_sql

GRAPH = catalog.load()
LINEAGE = lineage.of(GRAPH)
SEED = 3


class Tables:
    """All tables of a build; a test changes one and runs a model on it, again and again."""

    def __init__(self) -> None:
        self.con = ibis.duckdb.connect(threads=1)
        raw = {
            "raw_sync_events": messy.many_events(SEED, 2),
            "raw_users": messy.users_of(messy.entropy(SEED)),
        }
        self.rows: dict[str, pa.Table] = {}
        self.statements: dict[str, str] = {}
        for name, rows in raw.items():
            self.put(name, arrow(rows, KINDS["typed"][name]))
        for name, model in GRAPH.models.items():
            expr = expression(model, lambda upstream: declared_or_raw(upstream))
            self.statements[name] = to_sql(expr, "duckdb")
            self.put(name, self.made(name))

    def put(self, name: str, rows: pa.Table) -> None:
        self.rows[name] = rows
        self.con.con.register("incoming", rows)
        self.con.con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM incoming")
        self.con.con.unregister("incoming")

    def made(self, model: str) -> pa.Table:
        return self.con.con.execute(self.statements[model]).to_arrow_table()

    def made_with(self, model: str, upstream: str, changed: pa.Table) -> pa.Table:
        before = self.rows[upstream]
        self.put(upstream, changed)
        try:
            return self.made(model)
        finally:
            self.put(upstream, before)


def declared_or_raw(name: str) -> ibis.Table:
    if name in SOURCES:
        return ibis.table(ibis.Schema.from_pyarrow(pa.schema(KINDS["typed"][name])), name=name)
    return declared_table(GRAPH, name)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables()


def contents(rows: pa.Table, names: Iterable[str]) -> Counter[str]:
    return Counter(map(repr, rows.select(list(names)).to_pylist()))


def renamed(rows: pa.Table, column: str, random: Random) -> pa.Table:
    """The rows with a column's values renamed one to one, so a key stays unique."""
    values = rows.column(column).to_pylist()
    old = list(dict.fromkeys(repr(value) for value in values if value is not None))
    of = {repr(value): value for value in values}
    new = [of[each] for each in old]
    random.shuffle(new)
    names = dict(zip(old, new, strict=True))
    changed = [None if value is None else names[repr(value)] for value in values]
    return put(rows, column, changed)


def other(value: Any, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return random.choice((value // 2, 1, 7, 100))
    if isinstance(value, str):
        return random.choice((value + "x", value.upper() + "1", "true", "off", ""))
    if isinstance(value, list):
        return value[1:]
    later = random.choice((timedelta(seconds=2), timedelta(days=1)))
    return value - later if value.year > 2022 else value + later


def altered(rows: pa.Table, column: str, nullable: bool, random: Random) -> pa.Table:
    """The rows with about half of a column's values invented or NULL."""
    values = rows.column(column).to_pylist()
    known = [value for value in values if value is not None]
    changed = []
    for value in values:
        dice = random.random()
        if dice < 0.3 and known:
            changed.append(random.choice(known))
        elif dice < 0.5 and value is not None:
            changed.append(other(value, random))
        elif dice < 0.6 and nullable:
            changed.append(None)
        else:
            changed.append(value)
    return put(rows, column, changed)


def put(rows: pa.Table, column: str, values: list[Any]) -> pa.Table:
    at = rows.column_names.index(column)
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))


def changed(upstream: str, rows: pa.Table, column: str) -> pa.Table:
    random = Random(f"{SEED} {upstream} {column}")
    model = GRAPH.models.get(upstream)
    if model and column in model.key:
        return renamed(rows, column, random)
    nullable = model is None or {each.name: each.nullable for each in model.columns}[column]
    return altered(rows, column, nullable, random)


def assert_same(before: pa.Table, after: pa.Table, but: set[str], why: Any) -> None:
    rest = [name for name in before.column_names if name not in but]
    assert not rest or contents(before, rest) == contents(after, rest), why


@pytest.mark.parametrize("model", GRAPH.models)
def test_a_column_differs_only_by_what_its_lineage_names(tables, model):
    made, before, seen = LINEAGE.direct(model), tables.rows[model], 0
    whole = contents(before, before.column_names)

    for upstream in GRAPH.models[model].upstream:
        unnamed = tables.rows[upstream]
        for column in unnamed.column_names:
            named = {
                name
                for name, each in made.items()
                if any((o.table, o.column) == (upstream, column) for o in each.all)
            }
            if named:
                rows = changed(upstream, tables.rows[upstream], column)
                after = tables.made_with(model, upstream, rows)
                assert_same(before, after, named, column)
                seen += contents(after, after.column_names) != whole
            else:
                unnamed = changed(upstream, unnamed, column)
        assert_same(before, tables.made_with(model, upstream, unnamed), set(), "what none names")

    assert seen


def member_changed(rows: pa.Table, path: tuple[str, ...], random: Random) -> pa.Table:
    """Raw events with an invented value at a path in ItemData, if the path exists."""
    documents = rows.column("ItemData").to_pylist()
    for number, text in enumerate(documents):
        document = read(text)
        holder: Any = document
        for step in path[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        last: Any = int(path[-1][1:-1]) if path[-1].startswith("[") else path[-1]
        places = range(len(holder)) if isinstance(holder, list) else holder
        if isinstance(holder, list | dict) and last in places:
            holder[last] = f"new {random.random()}"
            documents[number] = json.dumps(document, ensure_ascii=False)
    return put(rows, "ItemData", documents)


def read(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


MEMBERS = sorted({member.name for item in ITEM_DATA for member in item.members if member.name})
PATHS = [(*member.split("."),) for member in MEMBERS if member != "desired_state"]
PATHS += [("desired_state", f"[{position}]") for position in range(3)]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_a_member_of_item_data_changes_only_what_is_made_of_it(tables, path):
    before, raw = tables.rows["stg_sync_events"], tables.rows["raw_sync_events"]
    named = {
        name
        for name, made in LINEAGE.direct("stg_sync_events").items()
        if any(origin.column == "ItemData" and meet(origin.path, path) for origin in made.all)
    }

    rows = member_changed(raw, path, Random(f"{SEED} {path}"))
    after = tables.made_with("stg_sync_events", "raw_sync_events", rows)

    assert_same(before, after, named, path)
    assert contents(after, after.column_names) != contents(before, before.column_names)


def meet(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path leads to a part of the other's value."""
    return all(step == other_step for step, other_step in zip(path, other, strict=False))
