"""Makes published rows anew from the raw rows that the build read, and compares the two.

It takes whole devices: a share of them, at least one, and all that share a command id with one of
these. The rows of these devices depend on no other device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa

import pipeline.lineage as lineage
from pipeline import slices
from pipeline.backends.base import Backend, Session, Workspace
from pipeline.comparison import Comparison, Readable
from pipeline.contract import Grows, Model, Within
from pipeline.digest import number_of
from pipeline.errors import UsageError
from pipeline.expressions import bound, columns_read, expression
from pipeline.graph import Graph
from pipeline.results import Diff, ModelDiff, RunRecord, Verification
from pipeline.rules.dedup import DEDUP_KEY
from pipeline.rules.items import COMMAND_ITEMS
from pipeline.rules.source_values import as_text
from pipeline.sources import EVENTS, SOURCES

PLACES = 1_000_000
"""The number of places on a ring that device ids fall on."""

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")


@dataclass(frozen=True)
class Share:
    """A share of all devices: those whose ids fall on an arc of the ring.

    A hash of its id gives a device its place, the same on every engine. The arcs of seeds in a row
    lie one after the other, so a hundred seeds in a row with 1 % take every device.
    """

    width: int
    seed: int
    reach: int = 0
    """How long the arc is at least, to reach a device."""

    @classmethod
    def of(cls, text: str, seed: int | None = None) -> Share:
        """Read a share such as `1%`. By default the seed is the number of days since 1970 (UTC).

        Raises:
            UsageError: it is no share above 0 % and up to 100 %.
        """
        found = _PERCENT.fullmatch(text.strip())
        width = round(Fraction(found[1]) * PLACES / 100) if found else 0
        if not 0 < width <= PLACES:
            raise UsageError(f"{text!r} is no share.", "Write one up to 100%, such as 1%.")
        days = (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
        return cls(width, days if seed is None else seed)

    @property
    def percent(self) -> float:
        """The share in percent."""
        return self.width * 100 / PLACES

    @property
    def is_whole(self) -> bool:
        """Whether it is everything."""
        return self.width == PLACES

    def has(self, device: ir.StringValue) -> ir.BooleanValue:
        """Tell whether a device falls on the arc; rows without a device count as one device."""
        return self._place(device.fill_null("")) < max(self.width, self.reach)

    def nearest(self, device: ir.StringValue) -> ir.IntegerScalar:
        """Return the length of an arc that reaches one of these devices, NULL if there is none."""
        return self._place(device.nullif("")).min() + 1

    def _place(self, device: ir.StringValue) -> ir.IntegerValue:
        first = self.seed * self.width % PLACES
        return (number_of(device) + (PLACES - first)) % PLACES


@dataclass(frozen=True)
class Devices:
    """The chosen devices: a share, and the others that share a command id with one of it."""

    share: Share
    others: Sequence[str] = ()

    def of(self, rows: ir.Table, device: ir.StringValue) -> ir.Table:
        """Return the rows of the chosen devices."""
        if self.share.is_whole:
            return rows
        chosen = self.share.has(device)
        return rows.filter(chosen | device.isin(self.others) if self.others else chosen)


def linked(pairs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the devices that share a command id with a chosen one, directly or through others.

    A pair has a command's `id`, its `device`, and whether that one is `chosen` already.
    """
    devices: dict[str, set[str]] = {}
    ids: dict[str, set[str]] = {}
    chosen = set()
    for pair in pairs:
        devices.setdefault(pair["id"], set()).add(pair["device"])
        ids.setdefault(pair["device"], set()).add(pair["id"])
        if pair["chosen"]:
            chosen.add(pair["device"])
    found, edge = set(chosen), set(chosen)
    while edge:
        edge = {other for each in edge for id_ in ids[each] for other in devices[id_]} - found
        found |= edge
    return sorted(found - chosen)


@dataclass(frozen=True)
class Verifier:
    """Verifies the published tables of a session on a local engine.

    `local` opens a new database of that engine, with the files of each source; `con` and `folder`
    are for the comparison.
    """

    graph: Graph
    session: Session
    place: str
    local: Callable[[Path, Mapping[str, Sequence[Path]]], Backend]
    con: Any
    folder: Path
    of_devices: Collection[str] = field(init=False)
    """The models whose rows belong to one device each, and depend on that device alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_devices", _of_devices(self.graph, self._staged))

    def verify(self, run: RunRecord, share: Share) -> Verification:
        """Make the rows of a share anew, and compare them with those that the run published.

        Raises:
            UsageError: another program writes to the database.
            InputError: a source is not as the build read it.
            EngineError: an engine can't run a statement.
            ResourceError: memory or disk ran out.
        """
        names = [made for made in self.graph.models if made in {each.name for each in run.models}]
        if not share.is_whole and self._staged.name in self.session.names():
            share = replace(share, reach=self._reach(share))
        devices = Devices(share, () if share.is_whole else self._linked(share))
        remade = self._remade(names, share)
        sources = self.graph.sources_of(remade)
        columns = columns_read(self.graph, remade)

        def chosen(raw: ir.Table) -> ir.Table:
            return devices.of(raw, as_text(raw[self._raw_device]))

        files = {
            name: self.session.rows_read(
                SOURCES[name],
                columns[name],
                chosen if name == EVENTS else lambda raw: raw,
                self.folder,
            )
            for name in sources
        }
        with self.local(self.folder / "remade.duckdb", files).workspace(
            remade, keep=False
        ) as workspace:
            raw = {
                name: workspace.read_source(SOURCES[name], columns[name]).table for name in sources
            }
            if EVENTS in raw:
                raw[EVENTS] = chosen(raw[EVENTS])
            self._make(workspace, remade, raw)
            compared = [self._compare(name, workspace, remade, devices) for name in names]
            counts = self._counts(workspace) if self._staged.name in remade else (0, 0)
        read = run.sources.get(EVENTS)
        return Verification(
            Diff(self.place, "the same, made anew", tuple(each for each in compared if each)),
            share.percent,
            share.seed,
            counts[0],
            read.devices if read else 0,
            counts[1],
            read.rows if read else 0,
            {name: self._made_from(name, remade) for name in names},
        )

    @property
    def _staged(self) -> Model:
        """The model of the raw events, which knows the column of the device."""
        [found] = [each for each in self.graph.models.values() if each.arrivals]
        return found

    @property
    def _device(self) -> str:
        return _device_of(self._staged)

    @property
    def _raw_device(self) -> str:
        made = lineage.of(self.graph).direct(self._staged.name)[self._device]
        [origin] = made.value
        return origin.column

    def _reach(self, share: Share) -> int:
        device = self.session.table(self._staged.name)[self._device]
        (found,) = self.session.fetch(share.nearest(device).name("reach").as_table()).to_pylist()
        return found["reach"] or 0

    def _linked(self, share: Share) -> list[str]:
        if self._staged.name not in self.session.names():
            return []
        events = self.session.table(self._staged.name)
        sent = events.filter(events.staged_kind.isin(COMMAND_ITEMS))
        sent = sent.select(id=sent.item_uuid, device=sent[self._device])
        each = sent.group_by("id").agg(low=sent.device.min(), high=sent.device.max())
        shared = each.filter(each.low != each.high).select("id")
        pairs = sent.semi_join(shared, "id").distinct()
        return linked(self.session.fetch(pairs.mutate(chosen=share.has(pairs.device))).to_pylist())

    def _remade(self, names: Sequence[str], share: Share) -> list[str]:
        """Return the models to make anew from raw rows, with those that they need."""
        wanted = {
            name
            for name in names
            if share.is_whole or name in self.of_devices or EVENTS not in self._sources(name)
        }
        needed = wanted.union(*(self.graph.needs(name) for name in wanted))
        return [name for name in self.graph.models if name in needed]

    def _sources(self, name: str) -> list[str]:
        return self.graph.sources_of([name, *self.graph.needs(name)])

    def _make(
        self, workspace: Workspace, names: Sequence[str], raw: Mapping[str, ir.Table]
    ) -> None:
        rows: dict[str, int | None] = {}

        def table(name: str) -> ir.Table:
            return raw[name] if name in raw else workspace.table(name)

        for name in names:
            model = self.graph.models[name]
            made = slices.create(workspace, model, bound(self.graph, name, table), table, rows)
            rows[name] = made.rows

    def _compare(
        self, name: str, workspace: Workspace, remade: Collection[str], devices: Devices
    ) -> ModelDiff | None:
        anew: Readable = workspace if name in remade else _FromPublished(self.graph, self.session)
        published = _OfDevices(self.session, self.of_devices, self._device, devices)
        sensitive = lineage.of(self.graph).sensitive
        comparison = Comparison((published, anew), self.con, self.folder, sensitive)
        return comparison.compare(self.graph.models[name])

    def _counts(self, workspace: Workspace) -> tuple[int, int]:
        """Return the number of chosen devices, and of their raw events."""
        staged = workspace.table(self._staged.name)
        counts = staged.aggregate(devices=staged[self._device].nunique(), events=staged.count())
        (found,) = workspace.fetch(counts).to_pylist()
        return found["devices"], found["events"]

    def _made_from(self, name: str, remade: Collection[str]) -> str:
        if name in remade:
            return ", ".join(self._sources(name))
        return f"published {', '.join(self.graph.models[name].upstream)}"


@dataclass(frozen=True)
class _OfDevices:
    """Published tables; of a model whose rows belong to a device, the rows of chosen devices."""

    session: Session
    of_devices: Collection[str]
    device: str
    devices: Devices

    def names(self) -> set[str]:
        return self.session.names()

    def table(self, name: str) -> ir.Table:
        found = self.session.table(name)
        if name not in self.of_devices or self.device not in found.columns:
            return found
        return self.devices.of(found, found[self.device])

    def fetch(self, expr: ir.Table) -> pa.Table:
        return self.session.fetch(expr)

    def export(self, expr: ir.Table, file: Path) -> None:
        self.session.export(expr, file)


@dataclass(frozen=True)
class _FromPublished:
    """Models as their functions make them from the published tables that they read."""

    graph: Graph
    session: Session

    def names(self) -> set[str]:
        return {*self.graph.models}

    def table(self, name: str) -> ir.Table:
        return expression(self.graph.models[name], self.session.table)

    def fetch(self, expr: ir.Table) -> pa.Table:
        return self.session.fetch(expr)

    def export(self, expr: ir.Table, file: Path) -> None:
        self.session.export(expr, file)


def _device_of(staged: Model) -> str:
    if staged.arrivals is None:
        raise TypeError(f"{staged.name} has no devices")
    return staged.arrivals.device


def _of_devices(graph: Graph, staged: Model) -> frozenset[str]:
    """Return the models with rows that belong to one device each and depend on it alone.

    Such a model has the device's column. It grows with such a model, or its unit is the device or
    the id of an event, in each table that it reads.
    """
    device = _device_of(staged)
    found: set[str] = set()
    ids = {staged.name: {device, *DEDUP_KEY}}
    for name, model in graph.models.items():
        above = [up for up in model.upstream if up != EVENTS]
        if device not in model.schema or not found.issuperset(above):
            continue
        within = model.locality
        if isinstance(within, Within):
            links = {up: within.link(up) for up in model.upstream}
            tied = within.unit == device or all(
                link in ids[up] for up, link in links.items() if isinstance(link, str)
            )
            unit = {within.unit}
        else:
            tied, unit = isinstance(within, Grows), set()
        if tied:
            found.add(name)
            key = model.key if len(model.key) == 1 else ()
            ids.setdefault(name, {device, *unit, *key})
    return frozenset(found)
