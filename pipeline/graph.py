"""The graph of models: upstream and downstream, the order to build in, and selection.

A model's parameters name its upstream, so the functions in `staging` and `marts` are the graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

from pipeline.contract import Column, Model, TableCheck, names_of
from pipeline.declarations import Fault, faults_of, faults_of_checks, place, refuse
from pipeline.display import Displayed
from pipeline.errors import ContractError, UsageError, did_you_mean, nearest
from pipeline.locality import require_locality
from pipeline.sources import SOURCES

LAYERS = ("staging", "marts")
SPEC = """
SPEC is a model, a glob, tag:NAME, source:NAME, staging or marts,
or state:modified, the models whose code differs from the published build.
+x adds all models that x needs, x+ all that need x; 2+x and x+1 go so many steps;
@x adds all models that need x, and all that these need.
White space unites, a comma intersects."""
"""The syntax of a selection, for the messages about a wrong one."""

STATE = "state:"
_TERM = re.compile(r"(?P<at>@)?((?P<before>\d{0,6})\+)?(?P<name>[^+@]+)(\+(?P<after>\d{0,6}))?")


class Models(Displayed, dict[str, Model]):
    """Models by name, in dependency order."""

    def __repr__(self) -> str:
        return str(self)


class Graph:
    """Models in dependency order, by name, with the checks that belong to each."""

    def __init__(self, models: Iterable[Model], faults: Iterable[Fault] = ()) -> None:
        self.faults = list(faults)
        by_name = self._by_name(self._with_carried([*models]))
        self._upstream = {name: self._known(model, by_name) for name, model in by_name.items()}
        self.models = Models({name: by_name[name] for name in self._order(by_name)})
        self._downstream = {
            upstream: {name for name, above in self._upstream.items() if upstream in above}
            for upstream in (*SOURCES, *self.models)
        }
        self.table_checks = self._owned_checks()
        self._note_localities()

    def require(self, names: Iterable[str]) -> None:
        """Refuse models with a faulty declaration, or that read such a model.

        Raises:
            ContractError: the faults, each with file, line and remedy.
        """
        needed = {near for name in names for near in (name, *self.needs(name, 1))}
        refuse([fault for fault in self.faults if fault.model in needed])

    def needs(self, name: str, steps: int | None = None) -> set[str]:
        """Return a model's upstream models, so many steps up, by default all."""
        return _reached(name, self._upstream, steps)

    def needed_by(self, name: str, steps: int | None = None) -> set[str]:
        """Return a model's downstream models, so many steps down, by default all."""
        return _reached(name, self._downstream, steps)

    def sources_of(self, names: Iterable[str]) -> list[str]:
        """Return the sources that these models read directly, in the order of SOURCES."""
        read = {upstream for name in names for upstream in self.models[name].upstream}
        return [source for source in SOURCES if source in read]

    def select(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        modified: Callable[[], Collection[str]] | None = None,
    ) -> list[str]:
        """Return the selected models' names in dependency order; no `select` is all.

        Each text is a SPEC as in dbt: white space unites and a comma intersects. `modified` returns
        the models of state:modified; these may be none.

        Raises:
            UsageError: a text is empty or names nothing, or no model is left.
        """
        self._modified = modified
        wanted = self._united("--select", select) if select else set(self.models)
        chosen = wanted - self._united("--exclude", exclude)
        if not chosen and not any(STATE in spec for spec in select):
            raise UsageError(
                f"--select {' '.join(select) or '(all)'} --exclude {' '.join(exclude) or '(none)'}"
                " leaves no model.",
                "`python cli.py ls` lists the models and their tags.",
            )
        return [name for name in self.models if name in chosen]

    def _united(self, option: str, specs: Sequence[str]) -> set[str]:
        if any(not spec.strip() for spec in specs):
            raise UsageError(f"{option} is empty.", f"Leave it out, or name models.{SPEC}")
        parts = [part for spec in specs for part in spec.split()]
        return set().union(*(self._intersected(part) for part in parts))

    def _intersected(self, part: str) -> set[str]:
        terms = part.split(",")
        if "" in terms:
            raise UsageError(
                f"{part!r} has nothing on one side of a comma.",
                f"A comma intersects: write staging,tag:part_one without a space.{SPEC}",
            )
        return set.intersection(*(self._one(term) for term in terms))

    def _one(self, term: str) -> set[str]:
        read = _TERM.fullmatch(term)
        if not read:
            raise UsageError(f"{term!r} names no model.", SPEC.strip())
        if read["at"] and read["after"] is not None:
            raise UsageError(
                f"{term!r} has @ before and + after it.",
                f"@{read['name']} goes all the way down already: leave out the +.",
            )
        named = self._named(read["name"])
        before, after = _steps(read["before"]), _steps(read["after"])
        if read["at"]:
            after = None
        found = named.union(*(self.needed_by(name, after) for name in named))
        if named.issubset(SOURCES) and after == 0:
            # a source is not a model; alone it selects the models that read it
            found = found.union(*(self.needed_by(name, 1) for name in named))
        above = found if read["at"] else named
        found = found.union(*(self.needs(name, None if read["at"] else before) for name in above))
        return found.difference(SOURCES)

    def _named(self, name: str) -> set[str]:
        if name in LAYERS:
            return {model.name for model in self.models.values() if model.layer == name}
        method, colon, value = name.partition(":")
        if colon:
            methods = {"tag": self._tagged, "source": self._sources, "state": self._in_state}
            if method not in methods:
                raise UsageError(
                    f"Nothing is selected by {method}:.",
                    f"{did_you_mean(f'{method}:', [f'{known}:' for known in methods])}{SPEC}",
                )
            return methods[method](value)
        found = {model for model in self.models if fnmatchcase(model, name)}
        if not found:
            known = [
                *self.models,
                *LAYERS,
                *(f"tag:{tag}" for tag in self._tags()),
                *(f"source:{source}" for source in SOURCES),
            ]
            raise UsageError(f"No model is called {name!r}.", f"{did_you_mean(name, known)}{SPEC}")
        return found

    def _in_state(self, state: str) -> set[str]:
        if state != "modified":
            raise UsageError(f"There is no state {state!r}.", f"Did you mean {STATE}modified?")
        if self._modified is None:
            raise UsageError(
                f"{STATE}modified compares with a database, and this command reads none.",
                "`python cli.py ls --select state:modified` lists the models.",
            )
        return {*self._modified()}

    def _sources(self, pattern: str) -> set[str]:
        found = {source for source in SOURCES if fnmatchcase(source, pattern)}
        if not found:
            raise UsageError(f"There is no source {pattern!r}.", did_you_mean(pattern, SOURCES))
        return found

    def _tagged(self, tag: str) -> set[str]:
        tags = {known for known in self._tags() if fnmatchcase(known, tag)}
        if not tags:
            raise UsageError(f"No model has the tag {tag!r}.", did_you_mean(tag, self._tags()))
        return {model.name for model in self.models.values() if tags.intersection(model.tags)}

    def _tags(self) -> set[str]:
        return {tag for model in self.models.values() for tag in model.tags}

    def _with_carried(self, models: Sequence[Model]) -> list[Model]:
        """Return the models with their carried columns before their own.

        If a model declares a carried column itself, its own declaration counts.
        """
        by_name = {model.name: model for model in models}

        def columns(model: Model, *path: str) -> tuple[Column, ...]:
            own = set(names_of(model.columns))
            others = [name for name in model.carries if name in by_name and name not in path]
            carried = (
                column for name in others for column in columns(by_name[name], *path, model.name)
            )
            return (*(column for column in carried if column.name not in own), *model.columns)

        for model in models:
            for name in model.carries:
                if name in SOURCES or name not in model.upstream:
                    what = f'it carries "{name}", which is not a model that it reads'
                    self._note(model, what, "Carry the columns of a model that is a parameter.")
        return [
            replace(model, columns=columns(model)) if model.carries else model for model in models
        ]

    def _by_name(self, models: Iterable[Model]) -> dict[str, Model]:
        """Return the models by name, and note the faults of each by itself."""
        found: dict[str, Model] = {}
        known = {fault.model for fault in self.faults}
        for model in models:
            first = found.setdefault(model.name, model)
            if first is not model:
                other = place(first.function)
                self._note(model, f"a model in {other} has this name too", "Rename one of them.")
            elif model.name not in known:
                self.faults += list(faults_of(model)) or faults_of_checks(model)
        return found

    def _known(self, model: Model, models: Mapping[str, Model]) -> set[str]:
        """Return a model's upstream models, and note those that do not exist."""
        known = {*models, *SOURCES}
        for name in model.upstream:
            if name not in known:
                what = f'it reads "{name}", which is neither a model nor a source'
                self._note(model, f"{what}, {nearest(name, known)}")
        return known.intersection(model.upstream)

    def _order(self, models: Mapping[str, Model]) -> list[str]:
        """Return the names in dependency order; the order cuts each circle and notes it."""
        while True:
            try:
                order = [*TopologicalSorter(self._upstream).static_order()]
            except CycleError as error:
                circle = error.args[1]
                what = f"models read each other in a circle: {' -> '.join(circle)}"
                for name in dict.fromkeys(circle):
                    self._note(models[name], what, "Let one of them read something else.")
                    self._upstream[name] -= set(circle)
            else:
                return [name for name in order if name in models]

    def _note_localities(self) -> None:
        faulty = {fault.model for fault in self.faults}
        for model in self.models.values():
            if faulty.isdisjoint((model.name, *model.upstream)):
                try:
                    require_locality(model.name, model.locality, self._columns(model))
                except ContractError as error:
                    self._note(model, error.what, error.next_step)

    def _columns(self, model: Model) -> dict[str, dict[str, bool]]:
        """Return the columns of a model and its upstreams, and whether each may be NULL."""
        tables: list[tuple[str, Sequence[Column]]] = [(model.name, model.columns)]
        for name in model.upstream:
            owner = self.models.get(name) or SOURCES[name]
            tables.append((name, owner.columns))
        return {name: {each.name: each.nullable for each in columns} for name, columns in tables}

    def _owned_checks(self) -> dict[str, list[TableCheck]]:
        # a check over several models belongs to the last of them in dependency order
        order = list(self.models)
        owned: dict[str, list[TableCheck]] = {name: [] for name in order}
        for model in self.models.values():
            for check in model.checks:
                if isinstance(check, TableCheck) and self._can_read(model, check):
                    read = [name for name in check.reads if name not in SOURCES]
                    owned[max(read, key=order.index)].append(check)
        return owned

    def _can_read(self, model: Model, check: TableCheck) -> bool:
        """Tell whether a check reads only models and numbers of rows of sources; note faults."""
        before = len(self.faults)
        for name in check.reads:
            what = f'check {check.name} reads "{name}"'
            if name in SOURCES and name not in check.counted:
                remedy = f"A check knows how many rows a source has: annotate {name}: int."
                self._note(model, f"{what}, a source", remedy, check)
            elif name not in SOURCES and name not in self.models:
                known = nearest(name, self.models)
                self._note(model, f"{what}, which is not a model, {known}", "", check)
        if set(check.reads) <= set(SOURCES):
            self._note(model, f"check {check.name} reads no model", "Give it one.", check)
        self._note_units(model, check)
        return len(self.faults) == before

    def _note_units(self, model: Model, check: TableCheck) -> None:
        """Note a fault if `within` or `near_day` of a check is no column of the models it reads."""
        read = [self.models[name] for name in check.reads if name in self.models]
        remedy = "Name a column, or leave it out: the check then reads whole tables."
        whole = [each for each in read if check.within not in names_of(each.columns)]
        if check.within and len(whole) == len(read):
            what = f"check {check.name} is within {check.within}, which no model that it reads has"
            self._note(model, what, remedy, check)
        if check.near_day and not check.within:
            what = f"check {check.name} is near a day, but within no column"
            self._note(model, what, "Declare within, or leave near_day out.", check)
        near = [each for each in read if each not in whole] if check.near_day else []
        for each in near:
            if check.near_day not in names_of(each.columns):
                what = f"check {check.name} is near {check.near_day}, which {each.name} lacks"
                self._note(model, what, remedy, check)

    def _note(
        self, model: Model, what: str, remedy: str = "", by: TableCheck | None = None
    ) -> None:
        where = place((by or model).function)
        self.faults.append(Fault(model.name, where, what, remedy))


def _reached(name: str, direct: Mapping[str, set[str]], steps: int | None) -> set[str]:
    """Return the models within so many steps of a name, without it; None is all the way."""
    found: set[str] = set()
    edge = {name}
    while edge and (steps is None or steps > 0):
        edge = set().union(*(direct.get(reached, set()) for reached in edge)) - found
        found |= edge
        steps = None if steps is None else steps - 1
    return found.difference(SOURCES)


def _steps(written: str | None) -> int | None:
    """Read the number beside a +: none without a +, all the way without a number."""
    if written is None:
        return 0
    return int(written) if written else None
