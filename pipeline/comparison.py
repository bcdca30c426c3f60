"""Compares two databases row by row, on the same engine or on two.

Each engine sums up its rows by bucket of the key. Only rows of differing buckets leave it: they go
into files that a local database joins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

from pipeline.contract import Model
from pipeline.dialect import md5
from pipeline.digest import BUCKETS, bucket, content_by_bucket, row_hash, text_of
from pipeline.engine_text import MASK
from pipeline.errors import UsageError, did_you_mean
from pipeline.results import ModelDiff

SAMPLES = 5
Sides = tuple[ir.Table, ir.Table]


class Readable(Protocol):
    """Tables to compare, on an engine of their own."""

    def names(self) -> set[str]:
        """Return the names of all tables and views there."""
        ...

    def table(self, name: str) -> ir.Table:
        """Return a table or view."""
        ...

    def fetch(self, expr: ir.Table) -> pa.Table:
        """Evaluate an expression of these tables."""
        ...

    def export(self, expr: ir.Table, file: Path) -> None:
        """Write the rows of an expression of these tables to a Parquet file."""
        ...


@dataclass(frozen=True)
class Comparison:
    """Compares models in two databases, A and B, on a local connection with a folder of its own.

    `sensitive` names the columns of a model whose values must stay secret: it compares their
    hashes. It compares `columns` besides the key, all by default. It keeps `limit` rows of each
    kind as samples, and writes all of them to the folder `store`.
    """

    tables: tuple[Readable, Readable]
    local: Any
    folder: Path
    sensitive: Callable[[str], Collection[str]]
    columns: Sequence[str] = ()
    limit: int = SAMPLES
    store: Path | None = None

    def compare(self, model: Model) -> ModelDiff | None:
        """Compare a model; None if neither database has it."""
        there = [model.name in each.names() for each in self.tables]
        if not any(there):
            return None
        if not all(there):
            return ModelDiff(model.name, (None, None), notes=(f"only in {'AB'[there[1]]}",))
        a, b = (each.table(model.name) for each in self.tables)
        names, notes = self._comparable(model, a, b)
        key = [name for name in model.key if name in names]
        by = key if len(key) == len(model.key) and key else names
        rows, buckets = self._buckets((a, b), by, names)
        if not buckets:
            return ModelDiff(model.name, rows, notes=tuple(notes))
        exported = self._exported(model, (a, b), by, names, buckets)
        if by is names or not all(map(self._is_unique, exported, [by, by])):
            return self._as_multisets(model, exported, names, rows, notes)
        return self._by_key(model, exported, key, names, rows, notes)

    def _comparable(self, model: Model, a: ir.Table, b: ir.Table) -> tuple[list[str], list[str]]:
        """Return the columns that both have with the same type, and notes on the others."""
        types = a.schema(), b.schema()
        wanted = [*model.key, *(self.columns or dict.fromkeys([*types[0], *types[1]]))]
        names: list[str] = []
        notes = []
        for name in dict.fromkeys(wanted):
            kinds = [each.get(name) for each in types]
            if None in kinds:
                if kinds == [None, None] and name in self.columns:
                    known = [*types[0], *types[1]]
                    raise UsageError(
                        f"{model.name} has no column {name!r}.", did_you_mean(name, known)
                    )
                notes.append(f"column {name} is only in {'AB'[kinds[0] is None]}")
            elif kinds[0].copy(nullable=True) != kinds[1].copy(nullable=True):
                notes.append(f"column {name} is {kinds[0]} in A, {kinds[1]} in B")
            else:
                names.append(name)
        return names, notes

    def _buckets(
        self, sides: Sides, by: Sequence[str], names: Sequence[str]
    ) -> tuple[tuple[int, int], list[str]]:
        """Return the number of rows of each side, and the buckets whose content differs."""
        found = []
        for tables, side in zip(self.tables, sides, strict=True):
            sums = tables.fetch(content_by_bucket(side, by, names)).to_pylist()
            found.append({row.pop("bucket"): tuple(row.values()) for row in sums})
        one, other = found
        rows = sum(row[0] for row in one.values()), sum(row[0] for row in other.values())
        return rows, sorted(
            each for each in one.keys() | other.keys() if one.get(each) != other.get(each)
        )

    def _exported(
        self,
        model: Model,
        sides: Sides,
        by: Sequence[str],
        names: Sequence[str],
        buckets: Sequence[str],
    ) -> Sides:
        """Return the rows of these buckets as local tables; sensitive values are hashes."""
        hidden = set(self.sensitive(model.name)).intersection(names)
        made = []
        for number, (tables, side) in enumerate(zip(self.tables, sides, strict=True)):
            rows = side if len(buckets) == BUCKETS else side.filter(bucket(side, by).isin(buckets))
            values = [
                _hidden(rows[name]).name(name) if name in hidden else rows[name] for name in names
            ]
            file = self.folder / f"{model.name}.{number}.parquet"
            tables.export(rows.select(values), file)
            made.append(self.local.read_parquet(file))
        return made[0], made[1]

    def _is_unique(self, table: ir.Table, key: Sequence[str]) -> bool:
        (found,) = self._rows(
            table.aggregate(rows=_.count(), keys=row_hash(table, key).nunique())
        ).to_pylist()
        return bool(found["rows"] == found["keys"])

    def _by_key(
        self,
        model: Model,
        sides: Sides,
        key: Sequence[str],
        names: Sequence[str],
        rows: tuple[int, int],
        notes: Sequence[str],
    ) -> ModelDiff:
        values = [name for name in names if name not in key]
        a, b = (_side(table, letter, names) for table, letter in zip(sides, "ab", strict=True))
        same = [a[f"a.{name}"].identical_to(b[f"b.{name}"]) for name in key]
        joined = a.join(b, same, how="outer")
        in_both = joined["a.there"].notnull() & joined["b.there"].notnull()
        flags = {
            name: in_both & (text_of(joined[f"a.{name}"]) != text_of(joined[f"b.{name}"]))
            for name in values
        }
        changed = ibis.or_(*flags.values()) if flags else ibis.literal(False)
        counts = {
            "only_in_a": joined.count(where=joined["b.there"].isnull()),
            "only_in_b": joined.count(where=joined["a.there"].isnull()),
            "changed": joined.count(where=changed),
        }
        by_column = {f"is.{name}": joined.count(where=flag) for name, flag in flags.items()}
        (found,) = self._rows(joined.aggregate(**counts, **by_column)).to_pylist()
        columns = {name: found[f"is.{name}"] for name in values if found[f"is.{name}"]}
        hidden = set(self.sensitive(model.name))
        side_by_side: dict[str, ir.Value] = {}
        for name in columns:
            one, other = joined[f"a.{name}"], joined[f"b.{name}"]
            if name in hidden:
                another = ibis.cases((flags[name], f"{MASK} (another)"), else_=MASK)
                one, other = _masked(one), other.notnull().ifelse(another, ibis.null("string"))
            side_by_side |= {f"{name} in A": one, f"{name} in B": other}
        kinds = {
            "only_in_a": joined.filter(joined["b.there"].isnull()).select(
                **{name: _[f"a.{name}"] for name in names}
            ),
            "only_in_b": joined.filter(joined["a.there"].isnull()).select(
                **{name: _[f"b.{name}"] for name in names}
            ),
            "changed": joined.filter(changed).select(
                **{name: _[f"a.{name}"] for name in key}, **side_by_side
            ),
        }
        samples = self._samples(model, kinds, found, key)
        return ModelDiff(
            model.name,
            rows,
            found["only_in_a"],
            found["only_in_b"],
            found["changed"],
            dict(sorted(columns.items(), key=lambda each: -each[1])),
            tuple(notes),
            samples,
        )

    def _as_multisets(
        self,
        model: Model,
        sides: Sides,
        names: Sequence[str],
        rows: tuple[int, int],
        notes: Sequence[str],
    ) -> ModelDiff:
        a, b = (
            table.mutate(hash=row_hash(table, names))
            .group_by("hash")
            .agg(copies=_.count(), **{name: _[name].arbitrary() for name in names})
            for table in sides
        )
        kinds = {"only_in_a": _surplus(a, b, names), "only_in_b": _surplus(b, a, names)}
        found = {
            kind: self._rows(table.aggregate(rows=_.copies.sum().fill_null(0)))["rows"][0].as_py()
            for kind, table in kinds.items()
        }
        samples = self._samples(model, kinds, found, ())
        return ModelDiff(
            model.name,
            rows,
            found["only_in_a"],
            found["only_in_b"],
            notes=tuple(notes),
            samples=samples,
        )

    def _samples(
        self,
        model: Model,
        kinds: Mapping[str, ir.Table],
        found: Mapping[str, int],
        key: Sequence[str],
    ) -> dict[str, pa.Table]:
        """Return a few rows of each kind that was found, and store all of them."""
        hidden = set(self.sensitive(model.name))
        samples = {}
        for kind, table in kinds.items():
            if found[kind]:
                shown = table.mutate(
                    **{name: _masked(table[name]) for name in table.columns if name in hidden}
                )
                ordered = shown.order_by(list(key) or shown.columns[:1])
                samples[kind] = self._rows(ordered.limit(self.limit))
                if self.store is not None:
                    self.local.to_parquet(shown, self.store / f"{model.name}.{kind}.parquet")
        return samples

    def _rows(self, expr: ir.Table) -> pa.Table:
        return self.local.to_pyarrow(expr)


def _hidden(value: ir.Value) -> ir.Value:
    """Hash a value that must stay secret; NULL stays NULL."""
    return value.notnull().ifelse(md5(text_of(value)), ibis.null("string"))


def _masked(value: ir.Value) -> ir.Value:
    return value.notnull().ifelse(MASK, ibis.null("string"))


def _side(table: ir.Table, letter: str, names: Sequence[str]) -> ir.Table:
    return table.select(
        **{f"{letter}.{name}": table[name] for name in names},
        **{f"{letter}.there": ibis.literal(True)},
    )


def _surplus(one: ir.Table, other: ir.Table, names: Sequence[str]) -> ir.Table:
    """Return the rows that `one` has more copies of than `other`, and how many more."""
    there = other.select("hash", others="copies")
    joined = one.left_join(there, "hash")
    more = joined.mutate(copies=_.copies - _.others.fill_null(0)).filter(_.copies > 0)
    return more.select(*names, "copies")
