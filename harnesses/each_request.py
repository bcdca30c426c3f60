"""Let each request of a program to BigQuery fail once, in turn, and check the dataset.

python -m harnesses.each_request                      # each request, each way, alone and in a crowd
python -m harnesses.each_request --schedules 300      # a random choice, by --seed
python -m harnesses.each_request --only build:answer_lost:17:4
python -m harnesses.each_request --planted            # six faults that the harness must find

It works like `harnesses.each_step`, on the model of BigQuery in `harnesses.bigquery_model`. A
schedule is a kind of program, a way to fail, the number of the request that fails, and a seed. With
seed 0 the program is alone. Any other seed adds a second builder, a loader and a reader, chooses
whose turn it is, and how far the running jobs are. After each commit of anybody, readers must see
one whole build, and its record must agree with the rows. The next program must succeed and equal a
full build, and leave nothing that does not expire.
"""

from __future__ import annotations

import datetime as dt
import functools
import gc
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import click
import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis.backends.bigquery.datatypes import BigQuerySchema

from harnesses import planted_requests
from harnesses.bigquery_model import Service, fitted, schema_of
from harnesses.programs import (
    DATASET,
    HOW,
    CrashError,
    Machine,
    Turns,
    Wire,
    connected,
    time_of,
)
from harnesses.schedules import Schedule
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery import runs
from pipeline.backends.bigquery.days import DAYS
from pipeline.backends.bigquery.lock import LIFETIME as LOCKED
from pipeline.backends.bigquery.lock import PREFIX as LOCK
from pipeline.backends.bigquery.workspace import LIFETIME
from pipeline.build import build
from pipeline.contract import Model
from pipeline.errors import PipelineError
from pipeline.graph import Graph
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.output.kept import FailureStore
from pipeline.results import RunRecord
from pipeline.sources import EVENTS, SOURCES
from tests import small_models

MODELS: dict[str, Model] = {each.__name__: each.model for each in small_models.FEW}
GRAPH = Graph(MODELS.values())
NAMES = list(GRAPH.models)
OF_EVENTS = [name for name in NAMES if name != "people"]
OTHER_LAYOUTS = Graph(
    replace(
        model,
        partition_by=None,
        materialized={"firsts": "table", "people": "view"}.get(name, "table"),
    )
    for name, model in MODELS.items()
)
KINDS = (
    *("first", "build", "run", "partial", "incremental", "new_layout"),
    *("store_failures", "load", "append"),
)
OF_LOADS = ("load", "append")
IN_STEPS = ("first", "new_layout")
"""The kinds of builds that make or swap tables one by one before the transaction."""
OUTCOMES = ("published", "refused", "crashed")
FIGURES = [
    *HOW,
    "in_a_crowd",
    *(f"{each}_with_the_failure" for each in OUTCOMES),
    "next_programs_that_succeeded",
    "commits_looked_at",
]
START = dt.datetime(2022, 1, 31, 23, 59, 50, tzinfo=dt.UTC)

_AGAIN = "Another build was published since this one began: build again."
"""A partial build of ours may say so, and the user builds again."""

_FAILURES = "commands.no_device_is_y.parquet"

Content = tuple[str, ...]


# --- The rows -------------------------------------------------------------------------------------


def full(name: str) -> str:
    """Return the name of a table with its dataset."""
    return f"{DATASET}.{name}"


@functools.cache
def raw(source: str, number: int) -> pa.Table:
    """Return a batch of raw rows; each batch changes every model."""
    random = Random(number)
    if source == EVENTS:
        rows: list[dict[str, Any]] = [
            {
                "MapRevision": f"{number}-{random.randrange(4)}",
                "ItemKey": random.choice(("Command", "DoorLocked")),
                "MapUniqueName": random.choice("abc"),
                "DateCreated": START + dt.timedelta(seconds=random.choice((0, 7, 86_400))),
                "_scheduled_timestamp": START + dt.timedelta(days=number),
            }
            for _ in range(4)
        ]
        # a check warns of device y
        new = {"MapRevision": f"{number}-x", "ItemKey": "Command", "MapUniqueName": "y"}
        rows.append({**rows[0], **new})
    else:
        rows = [{"uid": str(number), "username": f"user {number}"}]
    return fitted(pa.Table.from_pylist(rows), _raw_schema(source))


def _raw_schema(source: str) -> pa.Schema:
    return schema_of({"schema": {"fields": _raw_fields(source)}})


def _raw_fields(source: str) -> list[dict[str, Any]]:
    fields = BigQuerySchema.from_ibis(SOURCES[source].schema)
    return [{"name": each.name, "type": each.field_type, "mode": "NULLABLE"} for each in fields]


def content(rows: pa.Table) -> Content:
    """Return rows as texts, in an order of their own."""
    return tuple(sorted(map(repr, rows.to_pylist())))


_MADE: dict[Content, dict[str, Content]] = {}


def made_of(source: str, rows: pa.Table) -> dict[str, Content]:
    """Return the content of each model that a full build makes of a raw table's rows."""
    key = content(rows)
    if key not in _MADE:
        con = ibis.duckdb.connect()
        con.raw_sql("SET TimeZone = 'UTC'")
        tables = {source: con.create_table(source, rows)}
        for name, model in MODELS.items():
            if name == "devices" and source == EVENTS:
                tables["people"] = con.create_table("people", schema=MODELS["people"].schema)
            if all(up in tables for up in model.upstream) and name not in tables:
                tables[name] = con.create_table(
                    name, model.function(*map(tables.get, model.upstream))
                )
        _MADE[key] = {
            name: content(fitted(table.to_pyarrow(), MODELS[name].schema.to_pyarrow()))
            for name, table in tables.items()
            if name in (OF_EVENTS if source == EVENTS else ["people"])
        }
    return _MADE[key]


# --- A look at the dataset ------------------------------------------------------------------------


@dataclass
class Watch:
    """Looks at the dataset after each commit, as a reader of that moment would."""

    service: Service
    kind: str
    broken: list[str] = field(default_factory=list)
    looks: int = 0
    is_strict: bool = False
    """Whether a build of these tables has been published, so all must be there."""
    seen: dict[str, tuple[tuple[int, ...], Content]] = field(default_factory=dict)

    def look(self, names: set[str]) -> None:
        """Check all that readers see, after a commit has changed tables of these names."""
        ours = {
            full(name) for name in ([*SOURCES] if self.kind in OF_LOADS else [*NAMES, runs.RUNS])
        }
        if names & ours:
            self.looks += 1
            if (
                found := self._loaded() if self.kind in OF_LOADS else self.unlike()
            ) and not self.broken:
                self.broken.append(f"after a commit on {', '.join(sorted(names & ours))}: {found}")

    def contents(self) -> dict[str, Content]:
        """Return the rows of each published model."""
        return {name: self._content(name) for name in NAMES if full(name) in self.service.stored}

    def unlike(self) -> str:
        """Return how the models are unlike one whole build with its record; empty if they are."""
        found, raw_events, raw_users = self.contents(), self._past(EVENTS), self._past("raw_users")
        in_steps = self.kind in IN_STEPS and not self.is_strict
        if in_steps:
            strange = [
                name
                for name, rows in found.items()
                if all(rows != self._made(each, name) for each in (*raw_events, *raw_users))
            ]
            return f"no build makes {', '.join(strange)}" if strange else ""
        if missing := [name for name in NAMES if name not in found]:
            return f"there is no {', '.join(missing)}"
        if not (records := self.last_records()):
            return "there is no record"
        said = [self._unlike(record, found, raw_events, raw_users) for record in records]
        return "" if "" in said else said[0]

    def _unlike(
        self,
        record: RunRecord,
        found: Mapping[str, Content],
        raw_events: Sequence[pa.Table],
        raw_users: Sequence[pa.Table],
    ) -> str:
        counts = {name: len(rows) for name, rows in found.items()}
        if counts != (recorded := {made.name: made.rows for made in record.models}):
            return f"the record says {recorded}, the tables have {counts}"
        read = {name: each.rows for name, each in record.sources.items()}
        for source, past, names in (
            (EVENTS, raw_events, OF_EVENTS),
            ("raw_users", raw_users, ["people"]),
        ):
            of_that = [rows for rows in past if rows.num_rows == read[source]]
            if not any(all(found[n] == self._made(rows, n) for n in names) for rows in of_that):
                return f"no full build of {read[source]} rows of {source} makes {', '.join(names)}"
        return ""

    def last_records(self) -> list[RunRecord]:
        """Return the record of the last build, as our own commands read it.

        A build has no time of publication for a moment after its commit. If the lock of another one
        was over before that one's end, either record may be the last one.
        """
        rows = self.service.rows(
            f"SELECT * FROM {full(runs.RUNS)} ORDER BY {runs._PUBLISHED} DESC"
        ).to_pylist()
        return [runs.record_of(row) for row in rows if row is rows[0] or not row["published_at"]]

    def records(self) -> Iterator[str]:
        """Yield what is wrong with the records: one comes twice, or names a wrong moment."""
        rows = self.service.stored[full(runs.RUNS)].rows.to_pylist()
        names = [each["run"] for each in rows]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"the record of {name} is there {names.count(name)} times"
        # tables that are new or have a new layout come one by one before the others
        for row in rows if self.kind not in IN_STEPS else ():
            for made in runs.record_of(row).models if row["published_at"] else ():
                table = self.service.stored[full(made.name)]
                if table.query is None and table.created <= row["published_at"]:
                    then = table.at(row["published_at"]).num_rows
                    if then != made.rows:
                        yield f"when {row['run']} was published, {made.name} had {then} rows"

    def _past(self, source: str) -> list[pa.Table]:
        return [rows for _, rows in self.service.stored[full(source)].versions]

    def _made(self, rows: pa.Table, name: str) -> Content | None:
        source = EVENTS if "MapRevision" in rows.column_names else "raw_users"
        return made_of(source, rows).get(name)

    def _content(self, name: str) -> Content:
        stored = self.service.stored[full(name)]
        if stored.query is None:
            return _content_of(stored.rows)
        try:
            return content(self.service.rows(f"SELECT * FROM {full(name)}"))
        except Exception as error:
            return (f"the view fails: {error}",)

    def _loaded(self) -> str:
        now = [content(self.service.stored[full(name)].rows) for name in SOURCES]
        before = [self._past(name)[self.base] for name in SOURCES]
        new = [raw(name, 9) for name in SOURCES]
        allowed = [[content(rows) for rows in before]]
        for _ in range(2):
            if self.kind == "append":
                new_rows = [pa.concat_tables(both) for both in zip(before, new, strict=True)]
                before = new_rows
            else:
                new_rows = new
            allowed.append([content(rows) for rows in new_rows])
        return "" if now in allowed else "the raw tables are of two loads"

    base: int = 0
    """The number of the version of the raw tables at the start."""


_CONTENTS: dict[int, tuple[pa.Table, Content]] = {}


def _content_of(rows: pa.Table) -> Content:
    """Return the content of a version of a table; a version never changes."""
    if id(rows) not in _CONTENTS:
        if len(_CONTENTS) > 5_000:
            _CONTENTS.clear()
        _CONTENTS[id(rows)] = rows, content(rows)
    return _CONTENTS[id(rows)][1]


# --- The programs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """The state before a kind of program, and the requests of that program when nothing fails."""

    kind: str
    stored: Service
    files: Path
    requests: Sequence[str] = ()

    def service(self, seed: int) -> Service:
        """Return a copy of the service."""
        return self.stored.copy(Random(seed) if seed else None)

    def program(self, wire: Wire, kind: str | None = None) -> tuple[str, str]:
        """Run a program, and return its outcome with a message."""
        kind, backend = kind or self.kind, connected(wire)
        try:
            if kind in OF_LOADS:
                inputs = {name: (str(self.files / f"{name}.parquet"),) for name in SOURCES}
                backend.load(inputs, append=kind == "append")
                return "published", ""
            if kind == "incremental":
                result = build_incrementally(GRAPH, backend, RunOptions(checks=False))
                # with no new rows there is nothing to publish
                return ("published", "") if result.ok else ("refused", repr(result.models))
            names = OF_EVENTS if kind == "partial" else NAMES
            result = build(GRAPH, backend, names, self._options(kind))
            told = "; ".join(
                f"{each.name}: {each.message}" for each in result.models if each.message
            )
            return ("published", "") if result.published else ("refused", told)
        except CrashError:
            return "crashed", ""
        except PipelineError as error:
            return "refused", str(error)
        except Exception:
            return "raw error", traceback.format_exc()

    def _options(self, kind: str) -> RunOptions:
        if kind != "store_failures":
            return RunOptions(checks=kind == "build")
        store = FailureStore(self.failures)
        store.begin()
        return RunOptions(on_failure=store.keep, report=store.clear)

    @property
    def failures(self) -> Path:
        """The folder of the failing rows."""
        return self.files / f"failures_{os.getpid()}"  # the jobs run at once


def prepared(kind: str, files: Path) -> Place:
    """Make the dataset as it is before a kind of program, and count the program's requests."""
    service = Service(None, {DATASET})
    for source in SOURCES:
        body = {"schema": {"fields": _raw_fields(source)}}
        service.make(full(source), body)
        service.append(full(source), raw(source, 1))
    place = Place(kind, service, files)
    if kind not in ("first", *OF_LOADS):
        before = OTHER_LAYOUTS if kind == "new_layout" else GRAPH
        run_alone(
            service, lambda wire: build(before, connected(wire), NAMES, RunOptions()), "before"
        )
    if kind not in OF_LOADS:
        for source in [EVENTS] if kind == "partial" else SOURCES:
            service.append(full(source), raw(source, 2))
    whole, asked = place.service(0), list[str]()

    def counted(wire: Wire) -> tuple[str, str]:
        outcome = place.program(wire)
        asked.extend(wire.asked)
        return outcome

    if (outcome := run_alone(whole, counted)) != ("published", ""):
        raise RuntimeError(f"the harness's own {kind} ends with {outcome}")
    return replace(place, requests=asked)


def run_alone(service: Service, program: Callable[[Wire], Any], name: str = "alone") -> Any:
    """Run one program to its end."""
    turns, machine = Turns(Random(0)), Machine()
    with time_of(service, machine):
        found = turns.run({name: lambda: program(Wire(service, turns, machine))})[name]
    service.finish()
    return found


@dataclass
class Trial:
    """A schedule under way."""

    place: Place
    schedule: Schedule
    service: Service = field(init=False)
    turns: Turns = field(init=False)
    machine: Machine = field(init=False)
    watch: Watch = field(init=False)
    reads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        seed = self.schedule.seed
        self.service = self.place.service(seed)
        self.turns = Turns(Random(seed))
        self.machine = Machine(apart=seed % 2 == 1)
        self.watch = Watch(self.service, self.schedule.kind)
        self.watch.base = len(self.service.stored[full(EVENTS)].versions) - 1
        self.watch.is_strict = self.schedule.kind not in IN_STEPS
        self.service.watch = self.watch.look

    def run(self) -> dict[str, Any]:
        """Run the schedule and the program after it; return what was found."""
        schedule, wire = self.schedule, self._wire()
        wire.at, wire.how = schedule.at, schedule.how
        programs: dict[str, Callable[[], Any]] = {"first": lambda: self.place.program(wire)}
        if schedule.seed:
            programs["second"] = self._second
            if schedule.kind not in OF_LOADS:
                programs["loader"] = self._load
                if schedule.kind not in IN_STEPS:
                    programs["reader"] = lambda: self._read(connected(self._wire()))
        shutil.rmtree(self.place.failures, ignore_errors=True)
        with time_of(self.service, self.machine):
            ended = self.turns.run(programs)
            broken = list(self._broken(ended))
            if not self.schedule.seed:
                # nobody asks for the jobs of a dead program, so they end now
                self.service.finish()
            left = self._temporary()
            failed = (wire.asked[schedule.at - 1 :] or [""])[0]
            if self.machine.apart or LOCK in failed:
                # its holder could not remove the lock
                self.service.sleep(LOCKED.total_seconds())
            kind = "run" if schedule.kind == "build" else schedule.kind
            wire = self._wire()
            ended["next"] = self._next(lambda: self.place.program(wire, kind))
            if _AGAIN in ended["next"][1]:
                # the transaction of a dead program was committed meanwhile
                ended["next"] = self._next(lambda: self.place.program(self._wire(), kind))
            self.service.finish()
            broken += self._after(ended["next"], left)
        return {"broken": broken, "ended": ended, "looks": self.watch.looks, "step": failed}

    def _next(self, program: Callable[[], tuple[str, str]]) -> tuple[str, str]:
        return self.turns.run({"next": program})["next"]

    def _wire(self) -> Wire:
        return Wire(self.service, self.turns, self.machine)

    def _second(self) -> tuple[str, str]:
        """Build too, from some moment on."""
        self._pass((1, 30, 60, 120))
        return self.place.program(self._wire(), "run")

    def _pass(self, turns: Sequence[int]) -> None:
        """Let others go on for one of these numbers of turns."""
        for _ in range(self.turns.random.choice(turns)):
            self.turns.wait()

    def _load(self) -> None:
        """Add rows as somebody else's loader does, three times."""
        for number in (3, 4, 5):
            self._pass((1, 10, 40))
            source = self.turns.random.choice(list(SOURCES))
            self.service.append(full(source), raw(source, number))

    def _read(self, backend: Any) -> None:
        """Read the tables of the last build one after the other, as README says."""
        for _ in range(3):
            (found,) = backend.jobs.rows(
                f"SELECT MAX(published_at) AS at FROM {full(runs.RUNS)}"
            ).to_pylist()
            contents = {}
            for name in ("events", "commands", "devices"):
                sql = f"SELECT * FROM {full(name)} FOR SYSTEM_TIME AS OF TIMESTAMP '{found['at']}'"
                contents[name] = content(
                    fitted(backend.jobs.rows(sql), MODELS[name].schema.to_pyarrow())
                )
            past = [rows for _, rows in self.service.stored[full(EVENTS)].versions]
            if not any(
                all(made_of(EVENTS, rows)[name] == each for name, each in contents.items())
                for rows in past
            ):
                self.reads.append(f"at {found['at']} the tables are of several builds")

    def _broken(self, ended: Mapping[str, Any]) -> Iterator[str]:
        outcome, text = ended["first"]
        for name in ("first", "second"):
            if name in ended and ended[name][0] == "raw error":
                yield f"the {name} program's error has no message of ours: {ended[name][1]}"
        passes = self.schedule.how in ("unavailable", "job_fails", "paused")
        if passes and not self.schedule.seed and outcome != "published":
            yield f"a failure that passes ended the program: {text}"

    def _after(self, outcome: tuple[str, str], left: set[str]) -> Iterator[str]:
        """Yield what is wrong after the next program."""
        yield from self.watch.broken
        yield from self.reads
        if outcome[0] != "published":
            yield f"the next program fails: {outcome[1]}"
            return
        if self.schedule.kind not in OF_LOADS:
            self.watch.is_strict = True
            if found := self.watch.unlike():
                yield f"after the next build: {found}"
            now = {source: self.service.stored[full(source)].rows for source in SOURCES}
            skipped = ["people"] if self.schedule.kind == "partial" else []
            wanted = made_of(EVENTS, now[EVENTS]) | made_of("raw_users", now["raw_users"])
            wrong = [
                name
                for name, rows in self.watch.contents().items()
                if rows != wanted[name] and name not in skipped
            ]
            if wrong:
                yield f"the next build is no full one: {', '.join(wrong)}"
            yield from self.watch.records()
        if self.schedule.kind == "store_failures":
            rows = self.service.stored[full("commands")].rows.filter(pc.field("device") == "y")
            files = {path.name: path for path in self.place.failures.iterdir()}
            if [*files] != [_FAILURES] or pq.read_table(files[_FAILURES]).num_rows != rows.num_rows:
                yield f"{', '.join(files)} are not the failing rows of the next build"
        # the script of a dead program may go on, and rename a table only now
        made = self._temporary() - left
        if more := {name for name in made if name.removesuffix("_before") not in left}:
            yield f"the next program leaves {', '.join(sorted(more))}"
        self.service.sleep(LIFETIME.total_seconds())
        self.service.expire()
        if stays := self._temporary():
            yield f"left for ever: {', '.join(sorted(stays))}"

    def _temporary(self) -> set[str]:
        """Return the names of all objects that are no model, no raw table and no table of ours."""
        ours = {full(name) for name in (*NAMES, *SOURCES, runs.RUNS, DAYS)}
        return {*self.service.stored} - ours


# --- The command ----------------------------------------------------------------------------------


@click.command()
@click.option("--schedules", type=click.IntRange(1), help="A random choice. [default: all]")
@click.option("--seed", type=int, default=1, show_default=True, help="Which ones.")
@click.option("--only", help="One schedule: KIND:HOW:NUMBER:SEED.")
@click.option("--planted", "is_planted", is_flag=True, help="Plant faults that must be found.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@KEEP
def main(
    schedules: int | None, seed: int, only: str | None, is_planted: bool, jobs: int, keep: bool
) -> None:
    """Let each request of programs on BigQuery fail once."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="harness-each-request-") as folder:
        places = all_prepared(
            Path(folder), [only.partition(":")[0]] if only and not is_planted else KINDS
        )
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)
        if is_planted:
            verdict = Verdict("planted_requests", [*planted_requests.FAULTS])
            _plant(verdict, places, jobs, only)
        else:
            chosen = [Schedule.of(only)] if only else _chosen(places, schedules, seed)
            verdict = Verdict("each_request", FIGURES)
            for schedule, found in zip(chosen, _run(places, chosen, jobs), strict=True):
                _note(verdict, schedule, found)
    tried = sum(verdict.figures.values()) if is_planted else len(chosen)
    seconds = round(time.perf_counter() - started)
    verdict.finish(keep=keep, schedules=tried, seed=seed, seconds=seconds)


def all_prepared(folder: Path, kinds: Sequence[str]) -> dict[str, Place]:
    """Prepare the dataset of each kind of program, and write the files that are loaded."""
    for source in SOURCES:
        pq.write_table(raw(source, 9), folder / f"{source}.parquet")
    return {kind: prepared(kind, folder) for kind in kinds}


def _chosen(places: Mapping[str, Place], number: int | None, seed: int) -> list[Schedule]:
    random = Random(seed)
    every = [
        Schedule(kind, how, at, seed_of)
        for kind, place in places.items()
        for how in HOW
        for at in range(1, len(place.requests) + 1)
        for seed_of in (0, random.randrange(1, 10_000))
    ]
    return every if number is None or number >= len(every) else random.sample(every, number)


def _run(
    places: Mapping[str, Place], chosen: Sequence[Schedule], jobs: int, fault: str = ""
) -> Iterator[dict[str, Any]]:
    """Run schedules in child processes, and yield what was found in order."""
    work = functools.partial(_tried, places, fault)
    if jobs == 1:
        yield from map(work, chosen)
        return
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(jobs, fork, _begin, (places,)) as pool:
        yield from pool.map(_tried_there, chosen, [fault] * len(chosen), chunksize=4)


_PLACES: dict[str, Place] = {}


def _begin(places: Mapping[str, Place]) -> None:
    _PLACES.update(places)


def _tried_there(schedule: Schedule, fault: str) -> dict[str, Any]:
    return _tried(_PLACES, fault, schedule)


def _tried(places: Mapping[str, Place], fault: str, schedule: Schedule) -> dict[str, Any]:
    with planted_requests.planted(fault):
        try:
            return Trial(places[schedule.kind], schedule).run()
        except Exception:
            return {"broken": [f"the harness itself failed: {traceback.format_exc()}"]}


def _note(verdict: Verdict, schedule: Schedule, found: Mapping[str, Any]) -> None:
    for text in found["broken"]:
        verdict.expect(False, f"{schedule} ({found.get('step', '')}): {text}")
    ended = found.get("ended", {"first": ("", ""), "next": ("", "")})
    verdict.figures[schedule.how] += 1
    verdict.figures["in_a_crowd"] += schedule.seed != 0
    if (outcome := ended["first"][0]) in OUTCOMES:
        verdict.figures[f"{outcome}_with_the_failure"] += 1
    verdict.figures["next_programs_that_succeeded"] += ended["next"][0] == "published"
    verdict.figures["commits_looked_at"] += found.get("looks", 0)


def _plant(verdict: Verdict, places: Mapping[str, Place], jobs: int, only: str | None) -> None:
    """Plant each fault in turn, and run schedules from the end on until one of them finds it."""
    for name, fault in planted_requests.FAULTS.items():
        if not name.startswith(only or ""):
            continue
        order = [
            each
            for each in reversed(_chosen(places, None, 1))
            if (each.kind, each.how, bool(each.seed)) == (fault.kind, fault.how, fault.crowd)
        ]
        tried, finds = 0, ""
        while tried < len(order) and not finds:
            part = order[tried : tried + 4 * jobs]
            for schedule, found in zip(part, _run(places, part, jobs, name), strict=True):
                tried += not finds
                if found["broken"] and not finds:
                    why = found["broken"][0].strip().splitlines()[-1]
                    finds = f"{schedule} ({found.get('step', '')}): {why}"
        verdict.figures[name] = tried
        verdict.expect(bool(finds), f"the harness finds {name}")
        click.echo(f"{name}: {finds}")


if __name__ == "__main__":
    sys.exit(main())
