"""Remakes, model by model, the rows of the units that new rows touch.

It knows no engine: a workspace stores temporary tables and writes the changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import ibis
import ibis.expr.types as ir

import pipeline.lineage as lineage
from pipeline import pruning, slices, units
from pipeline.backends.base import IncrementalWorkspace, Made
from pipeline.contract import Grows, Model, Near, Within
from pipeline.counting import Expected
from pipeline.errors import OutOfMemoryError
from pipeline.expressions import bound, declared_expression, expression
from pipeline.graph import Graph
from pipeline.schedule import Once
from pipeline.sources import SOURCES
from pipeline.steps import KEPT, Step, Units

LARGE = 0.4
"""From this share of a table's rows on, remaking all of them is cheaper."""

When = Literal["former", "now"]

Restricted = tuple[str, str, int, When]
"""A model, a column, the units that it holds, and the state of the model."""


class Changes:
    """One incremental build: makes models in dependency order, each from its upstream changes.

    Several threads may make models at once.
    """

    def __init__(
        self,
        graph: Graph,
        workspace: IncrementalWorkspace,
        remade: Mapping[str, str],
        raw: Mapping[str, ir.Table],
        news: Collection[str],
        rows: Mapping[str, int | None],
    ) -> None:
        """Begin.

        `remade` maps the models to make in full, and all that depend on one, to the reason. `raw`
        are all rows of the sources, or the new rows of one that only grows. `news` are the changed
        sources. `rows` are the published numbers of rows.
        """
        self._graph, self._models = graph, graph.models
        self._workspace = workspace
        self._remade, self._raw, self._news, self._rows = remade, raw, news, rows
        self.steps: dict[str, Step] = {}
        self._units: dict[str, Units] = {}
        self._known: list[Units] = []
        self._used: dict[str, dict[str, frozenset[str]]] = {}
        self._restricted = Once[Restricted, ir.Table]()
        self._days = Once[Restricted, pruning.Days]()

    def make(self, model: Model) -> Step:
        """Bring one model up to date, after those that it reads.

        Raises:
            UsageError: the rows don't add up.
            EngineError: the engine can't run a statement.
        """
        step = self.steps[model.name] = self._make(model)
        return step

    def is_changed(self, name: str) -> bool:
        """Tell whether a model or source differs from the published one."""
        return name in self._news if name in SOURCES else self.steps[name].mode != "kept"

    def now(self, name: str) -> ir.Table:
        """Return a model, or the rows of a source."""
        return self._raw[name] if name in self._raw else self._workspace.table(name)

    def of_units(
        self, names: Sequence[str], column: str, near_day: str | None = None
    ) -> dict[str, ir.Table]:
        """Return models as they are now, restricted to the values of a column in changed rows.

        With `near_day`, only rows on the days of changed rows, in that column, and the days next to
        them.
        """
        parts: list[ir.Table] = []
        for name in filter(self.is_changed, names):
            if name in self._units and units.is_unit(self._models[name], column):
                parts.append(self._units[name].table)  # their upstream rows are found already
            else:
                parts += [rows.select(unit=rows[column]) for rows in self.steps[name].changed]
        found = self._united(parts)
        if near_day is None:
            return {name: self._having(name, column, found, "now") for name in names}
        changed = [
            rows.select(near_day)
            for name in filter(self.is_changed, names)
            for rows in self.steps[name].changed
        ]
        days = pruning.next_to(
            pruning.days(self._workspace.fetch, units.together(changed), near_day)
        )
        near = {name: pruning.of_days(self.now(name), near_day, days) for name in names}
        return {name: units.having(rows, column, found.table) for name, rows in near.items()}

    def _make(self, model: Model) -> Step:
        if model.name in self._remade:
            made = self._create(model)
            return Step("created", self._remade[model.name], made.rows)
        changed = [name for name in model.upstream if self.is_changed(name)]
        if not changed:
            return KEPT
        known = all(name not in SOURCES and self.steps[name].came is not None for name in changed)
        if isinstance(model.locality, Grows) and (known or changed[0] in SOURCES):
            return self._grown(model, changed[0])
        if isinstance(model.locality, Within) and known and not SOURCES.keys() & {*model.upstream}:
            return self._within(model, changed)
        return self._anew(model)

    # --- By declaration

    def _grown(self, model: Model, upstream: str) -> Step:
        new = self._raw[upstream] if upstream in SOURCES else self.steps[upstream].came
        if new is None:
            raise TypeError(f"nobody knows which rows came to {upstream}")
        if upstream in SOURCES:
            came = self._workspace.staged(model, new)
        else:
            came = self._workspace.stored(expression(model, lambda _: new), model=model.name)
        number = self._workspace.count(came)
        if not number:
            return KEPT
        if model.materialized == "table":
            self._workspace.append(model, came)
        return self._updated(model, None, came, 0, number)

    def _within(self, model: Model, changed: list[str]) -> Step:
        found = self._units_of(model, changed)
        if not found.count:
            return KEPT
        self._units[model.name] = found
        if self._is_large(model, found):
            return self._anew(model)
        try:
            return self._updated_units(model, found)
        except OutOfMemoryError:
            return self._anew(model)  # slices need less memory than all of the units at once

    def _updated_units(self, model: Model, found: Units) -> Step:
        new = self._of_units(model, found, "now")
        if model.materialized == "view":
            old = self._of_units(model, found, "former")
        else:
            old = self._rows_having(model.name, units.unit_of(model), found, "former")
        stored = self._workspace.stored
        new, old = stored(new, model=model.name), stored(old, model=model.name)
        # readers and checks of the same units ask for these rows
        self._restricted.get((model.name, units.unit_of(model), id(found), "now"), lambda: new)
        self._restricted.get((model.name, units.unit_of(model), id(found), "former"), lambda: old)
        went, came, rows_went, rows_came = self._workspace.differences(model, old, new)
        if not rows_went and not rows_came:
            return KEPT
        if model.materialized == "table":
            self._replace(model, (units.unit_of(model), *model.key), went, came, new)
        return self._updated(model, went, came, rows_went, rows_came, new)

    def _replace(
        self, model: Model, key: tuple[str, ...], went: ir.Table, came: ir.Table, new: ir.Table
    ) -> None:
        # with the day, so an engine that skips partitions reads those of the changed rows alone
        day = (model.partition_by,) if model.partition_by else ()
        by = tuple(dict.fromkeys((*key, *day)))
        gone = went.select(*by).union(came.select(*by), distinct=True)
        # all rows of a key: without checks, a key may come twice
        self._workspace.replace(model, by, gone, new)

    def _anew(self, model: Model) -> Step:
        """Make all rows of a model; find out which have changed if its readers need to know."""
        if model.materialized == "view":
            return Step("updated")
        if not self._is_compared(model):
            return Step("created", rows=self._create(model).rows)
        whole = bound(self._graph, model.name, self.now)
        new = self._workspace.stored(whole, model=model.name)
        old = self._former(model.name)
        went, came, rows_went, rows_came = self._workspace.differences(model, old, new)
        if not rows_went and not rows_came:
            return KEPT
        changed = max(rows_went, rows_came)
        if model.key and changed <= LARGE * (self._rows.get(model.name) or 0):
            self._replace(model, model.key, went, came, new)
            return self._updated(model, went, came, rows_went, rows_came, new)
        made = self._workspace.create(lineage.of(self._graph).resolved(model.name), new)
        return Step("updated", "", made.rows, went, came, rows_went, rows_came, new)

    def _create(self, model: Model) -> Made:
        rows = {name: self._rows.get(name) for name in model.upstream}
        resolved = lineage.of(self._graph).resolved(model.name)
        whole = bound(self._graph, model.name, self.now)
        return slices.create(self._workspace, resolved, whole, self.now, rows)

    def _is_compared(self, model: Model) -> bool:
        readers = [each for each in self._models.values() if model.name in each.upstream]
        if model.locality is None:
            return bool(readers)  # no locality: it is narrow, so comparing may spare its readers
        return any(each.locality is not None for each in readers)

    def _updated(
        self,
        model: Model,
        went: ir.Table | None,
        came: ir.Table,
        rows_went: int,
        rows_came: int,
        fresh: ir.Table | None = None,
    ) -> Step:
        expected = Expected(self._rows.get(model.name), rows_went, rows_came)
        rows = expected.rows
        if model.materialized == "table":
            rows = self._workspace.counted(model, expected)
        return Step("updated", "", rows, went, came, rows_went, rows_came, fresh)

    # --- Units

    def _units_of(self, model: Model, changed: list[str]) -> Units:
        within = model.locality
        parts: list[ir.Table] = []
        for name in changed:
            link = within.link(name)  # type: ignore[union-attr]
            upstream = self._models[name]
            if isinstance(link, Near):
                parts += self._units_near(str(within.link(link.of)), link, name)  # type: ignore[union-attr]
            elif upstream.materialized == "view" and units.is_unit(upstream, link):
                parts.append(self._units[name].table)
            else:
                parts += [rows.select(unit=rows[link]) for rows in self._seen(model, name, link)]
        return self._united(parts)

    def _seen(self, model: Model, name: str, link: str) -> list[ir.Table]:
        """Return the upstream rows that went and came, in the columns that the model reads."""
        step = self.steps[name]
        if step.went is None or step.came is None:
            return [*step.changed]
        columns = sorted({link, *self._columns_used(model)[name]})
        went, came = step.went.select(*columns), step.came.select(*columns)
        return [self._workspace.differing(went, came)]

    def _units_near(self, unit: str, link: Near, name: str) -> list[ir.Table]:
        changed = [rows.select(link.on, link.at) for rows in self.steps[name].changed]
        rows = self._workspace.stored(units.together(changed))
        of, spans, day = self.now(link.of), self._spans(rows[link.at]), self._day(link)
        near = pruning.between(of, link.start, spans, before=link.window)
        if day and spans:
            near = pruning.on_days_between(near, day, spans, before=link.window)
        return [units.units_near(near, unit, link, rows)]

    def _day(self, link: Near) -> str | None:
        """Return the partition column if it is the day of a link's start."""
        day = self._models[link.of].partition_by if self._is_by_day(link.of) else None
        if day is None:
            return None
        made = declared_expression(self._graph, link.of)
        return day if units.is_day_of(made, day, link.start) else None

    def _united(self, parts: list[ir.Table]) -> Units:
        """Return the union of the units, or equal units that are stored already."""
        if not parts:
            nothing = ibis.literal("").as_table().select(unit=ibis.literal("")).limit(0)
            return Units(nothing, 0, 0)
        for known in self._known:
            if all(part is known.table for part in parts):
                return known
        table = self._workspace.stored(units.united(parts))
        count, hashed = self._workspace.identity(table)
        found = Units(table, count, hashed)
        for known in self._known:
            is_equal = (known.count, known.hash) == (found.count, found.hash)
            if is_equal and known.table["unit"].type() == table["unit"].type():
                return known
        self._known.append(found)
        return found

    def _is_large(self, model: Model, found: Units) -> bool:
        before = self._rows.get(model.name)
        if model.materialized == "view" or not before:
            return False
        unit = units.unit_of(model)
        if self._is_by_day(model.name):
            return sum(self._days_of(model.name, unit, found, "former").values()) > LARGE * before
        column = self._former(model.name).select(unit)
        return self._workspace.count(units.having(column, unit, found.table)) > LARGE * before

    # --- Restricted tables

    def _of_units(self, model: Model, found: Units, when: When) -> ir.Table:
        """Return a model's rows of some units, made from restricted upstream tables."""
        upstream = units.upstream(
            model,
            lambda name, column: self._having(name, column, found, when),
            lambda name, link, of: self._near(name, link, of, when),
        )
        return expression(model, upstream.__getitem__)

    def _having(self, name: str, column: str, found: Units, when: When) -> ir.Table:
        if when == "former" and not self.is_changed(name):
            when = "now"
        key = (name, column, id(found), when)
        return self._restricted.get(key, lambda: self._restrict(name, column, found, when))

    def _restrict(self, name: str, column: str, found: Units, when: When) -> ir.Table:
        model = self._models[name]
        if model.materialized == "view" and units.is_unit(model, column):
            return self._of_units(model, found, when)
        readers = [
            each
            for each in self._models.values()
            if isinstance(each.locality, Within)
            and name in each.upstream
            and each.locality.link(name) == column
        ]
        if len(readers) < 2:
            return self._rows_having(name, column, found, when)
        read = {column}.union(*(self._columns_used(each)[name] for each in readers))
        columns = [each for each in model.schema.names if each in read]
        came = self.steps[name].came
        if when == "now" and isinstance(model.locality, Grows) and came is not None:
            old = self._having(name, column, found, "former")
            both = old.union(units.having(came.select(*columns), column, found.table))
            return self._workspace.stored(both, model=name)
        rows = self._rows_having(name, column, found, when).select(*columns)
        return self._workspace.stored(rows, model=name)

    def _rows_having(self, name: str, column: str, found: Units, when: When) -> ir.Table:
        table = self._former(name) if when == "former" else self.now(name)
        if self._is_by_day(name):
            days = self._days_of(name, column, found, when)
            table = pruning.of_days(table, str(self._models[name].partition_by), days)
        return units.having(table, column, found.table)

    def _is_by_day(self, name: str) -> bool:
        model = self._models[name]
        return model.materialized == "table" and model.partition_by is not None

    def _days_of(self, name: str, column: str, found: Units, when: When) -> pruning.Days:
        """Find the days of the units' rows, by one narrow scan at most."""

        def find() -> pruning.Days:
            step = self.steps.get(name, KEPT)
            above = units.same_days(self._graph, self._models[name], column)
            remade = {step.mode, self.steps[above[0]].mode} if above else set()
            if above and when == "former" and "created" not in remade:
                return self._days_of(*above, found, "former")
            came = step.came if when == "now" and step.mode == "updated" else None
            rows, day = came, str(self._models[name].partition_by)
            if rows is None and step.mode == "created":
                rows = self.now(name)
            elif rows is None:
                if (known := self._workspace.known_days(name, column, found.table)) is not None:
                    return known
                rows = self._former(name)
            narrow = units.having(rows.select(column, day), column, found.table)
            days = pruning.days(self._workspace.fetch, narrow, day)
            if came is not None:  # a row that is there now was there before, or came
                days = days + self._days_of(name, column, found, "former")
            return days

        return self._days.get((name, column, id(found), when), find)

    def _near(self, name: str, link: Near, of: ir.Table, when: When) -> ir.Table:
        starts = self._workspace.stored(of.select(link.on, link.start))
        rows = self._former(name) if when == "former" else self.now(name)
        near = pruning.between(rows, link.at, self._spans(starts[link.start]), after=link.window)
        return units.near_rows(near, link, starts)

    def _former(self, name: str) -> ir.Table:
        """Return a model as it is published; a view is computed, because its tables changed."""
        model = self._models[name]
        is_there = name not in self.steps or not self.is_changed(name)
        if model.materialized == "view":
            return expression(model, self._former)
        if is_there:
            return self._workspace.table(name)
        return self._workspace.former(name).select(*model.schema.names)

    def _columns_used(self, model: Model) -> dict[str, frozenset[str]]:
        if model.name not in self._used:
            columns = {name: self._models[name].schema.names for name in model.upstream}
            made = declared_expression(self._graph, model.name)
            self._used[model.name] = units.columns_used(made, columns)
        return self._used[model.name]

    def _spans(self, time: ir.Column) -> list[pruning.Span]:
        return pruning.spans(self._workspace.fetch, time, by_day=self._workspace.charges_by_bytes)
