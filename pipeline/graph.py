"""The graph of models: what reads what, in which order to build, and which are selected.

A model's parameters name what it reads, so the functions in `staging` and `marts` are the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType

from pipeline import marts, staging
from pipeline.contract import Model, TableCheck
from pipeline.display import Displayed
from pipeline.errors import ContractError, UsageError, did_you_mean
from pipeline.sources import SOURCES

LAYERS = {"staging": staging, "marts": marts}


class Models(Displayed, dict[str, Model]):
    """Models by name, in dependency order."""

    def __repr__(self) -> str:
        return str(self)

    @property
    def sensitive(self) -> frozenset[str]:
        """The columns that are masked wherever rows are shown."""
        return frozenset().union(*(model.sensitive for model in self.values()))


class Graph:
    """Models in dependency order, by name, with the checks that belong to each."""

    def __init__(self, models: Iterable[Model]) -> None:
        by_name = {model.name: model for model in models}
        self.models = Models({name: by_name[name] for name in _dependency_order(by_name)})
        self.table_checks = self._owned_checks()

    def needs(self, name: str) -> set[str]:
        """Return all models that a model is made from, directly or not."""
        direct = {upstream for upstream in self.models[name].upstream if upstream in self.models}
        return direct.union(*(self.needs(upstream) for upstream in direct))

    def needed_by(self, name: str) -> set[str]:
        """Return all models that are made from a model, directly or not."""
        return {other for other in self.models if name in self.needs(other)}

    def sources_of(self, names: Iterable[str]) -> list[str]:
        """Return the sources that these models read themselves, in the order of SOURCES."""
        read = {upstream for name in names for upstream in self.models[name].upstream}
        return [source for source in SOURCES if source in read]

    def select(self, select: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
        """Return the selected models' names in dependency order; no `select` is all.

        Within each text white space unites and a comma intersects; a part is a model, a glob,
        `tag:NAME`, `staging` or `marts`, with `+` before it, after it, or both.

        Raises:
            UsageError: a part names nothing, or nothing is left to do.
        """
        wanted = self._united(select) if select else set(self.models)
        chosen = wanted - self._united(exclude)
        if not chosen:
            raise UsageError(
                f"--select {' '.join(select) or '(all)'} --exclude {' '.join(exclude) or '(none)'}"
                " leaves no model.",
                "`python cli.py ls` lists the models and their tags.",
            )
        return [name for name in self.models if name in chosen]

    def _united(self, specs: Sequence[str]) -> set[str]:
        parts = [part for spec in specs for part in spec.split()]
        return set().union(*(self._intersected(part) for part in parts))

    def _intersected(self, part: str) -> set[str]:
        return set.intersection(*(self._one(term) for term in part.split(",")))

    def _one(self, term: str) -> set[str]:
        found = self._named(term.strip("+"))
        before = set().union(*map(self.needs, found)) if term.startswith("+") else set()
        after = set().union(*map(self.needed_by, found)) if term.endswith("+") else set()
        return found | before | after

    def _named(self, name: str) -> set[str]:
        if name in LAYERS:
            return {model.name for model in self.models.values() if model.layer == name}
        if name.startswith("tag:"):
            return self._tagged(name.removeprefix("tag:"))
        found = {model for model in self.models if fnmatchcase(model, name)}
        if not found:
            known = [*self.models, *LAYERS, *(f"tag:{tag}" for tag in self._tags())]
            raise UsageError(f"No model is called {name!r}.", did_you_mean(name, known))
        return found

    def _tagged(self, tag: str) -> set[str]:
        if tag not in self._tags():
            raise UsageError(f"No model has the tag {tag!r}.", did_you_mean(tag, self._tags()))
        return {model.name for model in self.models.values() if tag in model.tags}

    def _tags(self) -> set[str]:
        return {tag for model in self.models.values() for tag in model.tags}

    def _owned_checks(self) -> dict[str, list[TableCheck]]:
        # a check over several models belongs to the last of them in dependency order
        order = list(self.models)
        owned: dict[str, list[TableCheck]] = {name: [] for name in order}
        for model in self.models.values():
            for check in model.checks:
                if isinstance(check, TableCheck):
                    read = [name for name in check.reads if name not in SOURCES]
                    if raw := set(check.reads) - set(read) - check.counted:
                        raise ContractError(
                            f"Check {check.name} of {model.name} reads {', '.join(sorted(raw))},"
                            " of which checks know the number of rows alone.",
                            f"Annotate the parameter: `{min(raw)}: int`.",
                        )
                    if unknown := set(read) - set(order):
                        raise ContractError(
                            f"Check {check.name} of {model.name} reads {', '.join(unknown)}.",
                            did_you_mean(unknown.pop(), order),
                        )
                    owned[max(read, key=order.index)].append(check)
        return owned


@cache
def load() -> Graph:
    """Return the graph of all models that `staging` and `marts` export."""
    return Graph(model for layer in LAYERS.values() for model in _models_in(layer))


def _models_in(layer: ModuleType) -> list[Model]:
    return [value.model for value in vars(layer).values() if hasattr(value, "model")]


def _dependency_order(models: Mapping[str, Model]) -> list[str]:
    for model in models.values():
        for upstream in model.upstream:
            if upstream not in models and upstream not in SOURCES:
                raise ContractError(
                    f"{model.name} reads {upstream}, which is no model and no source.",
                    did_you_mean(upstream, [*models, *SOURCES]),
                )
    sorter = TopologicalSorter({name: model.upstream for name, model in models.items()})
    try:
        return [name for name in sorter.static_order() if name in models]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ContractError(f"Models read each other in a circle: {circle}.") from error
