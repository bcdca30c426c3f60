"""Let each effect of a build fail once, in turn, and check the database.

python -m harnesses.each_step                      # all schedules
python -m harnesses.each_step --schedules 300      # a random choice, by --seed
python -m harnesses.each_step --only incremental:crash_after:17
python -m harnesses.each_step --planted            # five faults that the harness must find

A schedule is a kind of build, a way to fail, and the number of the effect that fails: a crash
before or after it, a power loss after it (what nobody synced is lost), an error instead of it, an
error after it is done, a full disk. Each runs in a process of its own. Afterwards readers must see
the old build or the new one, whole; if the build said that it published, the new one. Its record
must agree with its rows. The next build must succeed and equal a full one, and leave nothing beside
the database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import click
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from harnesses import planted
from harnesses.compiled import compiled_once
from harnesses.schedules import Schedule
from harnesses.steps import CRASHED, ERRORS, HOW, How, Steps
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.duckdb.backend import DuckDB
from pipeline.build import build
from pipeline.errors import PipelineError
from pipeline.graph import Graph
from pipeline.incremental import build_incrementally
from pipeline.options import RunOptions
from pipeline.output.kept import FailureStore
from pipeline.results import Result
from pipeline.sources import SOURCES
from tests import small_models

GRAPH = Graph(each.model for each in small_models.FEW)
NAMES = list(GRAPH.models)
OF_EVENTS = [name for name in NAMES if name not in ("people", "devices")]
KINDS = ("first", "build", "run", "incremental", "partial", "store_failures")
NEEDS_NO_DISK = ("unlink", "rmdir", "flock", "fsync")
NEVER_FAILS = "disconnect"
"""DuckDB swallows the errors of closing a connection."""
START = dt.datetime(2022, 1, 31, 23, 59, 50, tzinfo=dt.UTC)
FIGURES = [
    *HOW,
    "the_old_build_was_there",
    "the_new_build_was_there",
    "refused_with_a_message",
    "next_builds_that_equal_a_full_one",
]

State = Mapping[str, Any]
"""The rows of each model, the files, and the record's own numbers; empty without a database."""


@dataclass(frozen=True)
class Place:
    """The folder of one kind of build: its inputs, the old database, and where builds work."""

    folder: Path
    kind: str

    @property
    def database(self) -> Path:
        """The database to build."""
        return self.folder / "database" / "d.duckdb"

    def begin_again(self) -> None:
        """Put the old database in place, alone."""
        for name in ("database", "spare", "failures", "temporary"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        if self.old.exists():
            shutil.copyfile(self.old, self.database)

    @property
    def old(self) -> Path:
        """The old database."""
        return self.folder / "old.duckdb"

    def build(self, kind: str | None = None) -> Result:
        """Build as the kind says."""
        kind = kind or self.kind
        inputs = {
            "raw_sync_events": (str(self.folder / "landing" / "*.parquet"),),
            "raw_users": (str(self.folder / "users.parquet"),),
        }
        backend = DuckDB(self.database, threads=1, inputs=inputs)
        options: dict[str, Any] = {"checks": kind != "run"}
        if kind == "store_failures":
            store = FailureStore(self.folder / "failures")
            store.begin()
            options |= {"on_failure": store.keep, "report": store.clear}
        if kind == "incremental":
            return build_incrementally(GRAPH, backend, RunOptions(**options))
        names = OF_EVENTS if kind == "partial" else NAMES
        return build(GRAPH, backend, names, RunOptions(**options))

    def state(self) -> State:
        """Open the database as a reader does, and return all that it says."""
        if not self.database.exists():
            return {}
        with duckdb.connect(self.database, read_only=True) as con:
            rows = {
                name: sorted(map(repr, con.execute(f"FROM {name}").fetchall())) for name in NAMES
            }
            files = con.execute(
                "SELECT path, bytes, rows FROM _pipeline.files ORDER BY 1"
            ).fetchall()
            runs = con.execute(
                "SELECT mode, models, sources FROM _pipeline.runs ORDER BY started_at DESC"
            ).fetchall()
        mode, models, sources = runs[0]
        recorded = {each["name"]: each["rows"] for each in json.loads(models)}
        read = {name: each["rows"] for name, each in json.loads(sources).items()}
        return {
            "rows": rows,
            "files": [list(map(str, each)) for each in files],
            "recorded": recorded,
            "read": read,
            "mode": mode,
        }

    def beside(self) -> list[str]:
        """Return the names of all else in the database's folder, and of temporary files."""
        there = [*self.database.parent.iterdir(), *(self.folder / "temporary").iterdir()]
        return sorted(path.name for path in there if path != self.database)


@click.command()
@click.option("--schedules", type=click.IntRange(1), help="A random choice. [default: all]")
@click.option("--seed", type=int, default=1, show_default=True, help="Which ones.")
@click.option("--only", help="One schedule: KIND:HOW:NUMBER.")
@click.option("--planted", "is_planted", is_flag=True, help="Plant faults that must be found.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@KEEP
def main(
    schedules: int | None, seed: int, only: str | None, is_planted: bool, jobs: int, keep: bool
) -> None:
    """Let each effect of builds of a DuckDB database fail once."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="harness-each-step-", dir=_in_memory()) as folder,
        compiled_once("duckdb"),
    ):
        places = [Places(Path(folder) / str(job)) for job in range(jobs)]
        # a child that looks for garbage copies all of its parent's memory
        gc.freeze()
        gc.disable()
        chosen = (
            [Schedule.of(only)]
            if only and not is_planted
            else _chosen(places[0].lengths, schedules, seed)
        )
        name, figures = ("planted", [*planted.FAULTS]) if is_planted else ("each_step", FIGURES)
        verdict = Verdict(name, figures)
        if is_planted:
            _plant(verdict, places, only)
        else:
            for number, found in enumerate(_run(places, chosen)):
                _note(verdict, chosen[number], found)
    seconds = round(time.perf_counter() - started)
    tried = sum(verdict.figures.values()) if is_planted else len(chosen)
    verdict.finish(keep=keep, schedules=tried, seed=seed, seconds=seconds)


def _in_memory() -> str | None:
    """Return a folder in memory, where a sync takes no time; None if there is none."""
    folder = Path("/dev/shm")
    return str(folder) if os.access(folder, os.W_OK) else None


class Places:
    """A folder for each kind of build, with the number of its effects and its two states."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = {kind: _prepared(folder / kind, kind) for kind in KINDS}
        self.lengths: dict[str, list[str]] = {}
        self.states: dict[str, tuple[State, State]] = {}
        for kind, place in self.places.items():
            # in this process, so its children need not compile the models' statements anew
            self.lengths[kind], *states = _undisturbed(place)
            self.states[kind] = tuple(json.loads(json.dumps(states)))
            place.build()


def _prepared(folder: Path, kind: str) -> Place:
    place = Place(folder, kind)
    (folder / "landing").mkdir(parents=True)
    _write_users(folder, "ann", "bob")
    _write_events(folder / "landing" / "1.parquet", 1, rows=150)
    place.begin_again()
    if kind != "first":
        place.build("build")
        shutil.copyfile(place.database, place.old)
    # few rows, so an incremental build changes tables instead of making them anew
    _write_events(folder / "landing" / "2.parquet", 2, rows=6)
    _write_users(folder, "ann", "cleo")
    return place


def _write_events(file: Path, seed: int, *, rows: int) -> None:
    random = Random(seed)
    events = [
        {
            "MapRevision": f"e{random.randrange(100)}",
            "ItemKey": random.choice(("Command", "DoorLocked")),
            "MapUniqueName": random.choice(("a", "b", "c", "d", "e", "y")),
            "DateCreated": START + dt.timedelta(seconds=random.choice((0, 7, 15, 86_400))),
        }
        for _ in range(rows)
    ]
    schema = SOURCES["raw_sync_events"].schema.to_pyarrow()
    pq.write_table(pa.Table.from_pylist(events, schema=schema), file)


def _write_users(folder: Path, *names: str) -> None:
    rows = [
        {
            "uid": str(number),
            "username": name,
            "dateRegistered": "2022-01-01",
            "last_modified": "2022-01-01",
        }
        for number, name in enumerate(names)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "users.parquet")


def _undisturbed(place: Place) -> tuple[list[str], State, State]:
    """Build to the end; return the effects, and the states before and after."""
    place.begin_again()
    old = place.state()
    steps = Steps(0, "error")
    with steps.watching():
        result = place.build()
    if not result.published:
        raise RuntimeError(f"a {place.kind} build of the harness failed")
    return steps.names, old, place.state()


def _can_fail(how: How, step: str) -> bool:
    return step != NEVER_FAILS and not (how == "full_disk" and step.startswith(NEEDS_NO_DISK))


def _chosen(lengths: Mapping[str, Sequence[str]], number: int | None, seed: int) -> list[Schedule]:
    every = [
        Schedule(kind, how, at, losses)
        for kind, names in lengths.items()
        for how in HOW
        # one step more than there are: the build ends, then the power fails
        for at in range(1, len(names) + 1 + (how == "power_loss"))
        for losses in (range(3) if how == "power_loss" else range(1))
        if how not in ERRORS or _can_fail(how, names[at - 1])
    ]
    if number is None or number >= len(every):
        return every
    return Random(seed).sample(every, number)


def _run(
    places: Sequence[Places], chosen: Sequence[Schedule], fault: str = ""
) -> Iterator[dict[str, Any]]:
    """Run schedules, each worker in folders of its own, and yield what was found in order."""
    parts = [chosen[number :: len(places)] for number in range(len(places))]
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(len(places), fork) as pool:
        work = [
            pool.submit(_work, place, part, fault)
            for place, part in zip(places, parts, strict=True)
        ]
        found = [each.result() for each in work]
    for number in range(len(chosen)):
        yield found[number % len(places)][number // len(places)]


def _work(places: Places, part: Sequence[Schedule], fault: str) -> list[dict[str, Any]]:
    return [_tried(places, each, fault) for each in part]


def _tried(places: Places, schedule: Schedule, fault: str) -> dict[str, Any]:
    """Run one schedule, look at the database, build again, and look again."""
    place = places.places[schedule.kind]
    place.begin_again()
    with planted.planted(fault):
        first = _in_a_process(place.folder, lambda: _disturbed(place, schedule))
        if "state" not in first:
            first |= _in_a_process(place.folder, lambda: _afterwards(place))
    old, new = places.states[schedule.kind]
    broken = list(_broken(schedule, first, old, new))
    return {**first, "broken": broken, "is_new": first.get("state") == new}


def _disturbed(place: Place, schedule: Schedule) -> dict[str, Any]:
    steps = Steps(schedule.at, schedule.how, schedule.seed, place.folder / "spare")
    outcome, text = "published", ""
    with steps.watching():
        try:
            result = place.build()
            outcome = "published" if result.published else "refused"
        except PipelineError as error:
            outcome, text = "refused", str(error)
        except Exception:
            outcome, text = "raw error", traceback.format_exc()
    if schedule.how == "power_loss":
        steps.lose()
        return {"outcome": outcome, "text": text, "step": steps.names[-1]}
    step = steps.names[schedule.at - 1] if schedule.at <= len(steps.names) else "the end"
    # in this process, which still holds a lock that it did not release
    return {"outcome": outcome, "text": text, "step": step, **_afterwards(place)}


def _afterwards(place: Place) -> dict[str, Any]:
    """Look at the database as a reader, build again, and look again."""
    found: dict[str, Any] = {}
    try:
        found["state"] = place.state()
        place.build()
        found |= {"next": place.state(), "left": place.beside()}
    except Exception:
        found.setdefault("state", {"broken": True})
        found["failed"] = traceback.format_exc()
    return found


def _broken(schedule: Schedule, found: dict[str, Any], old: State, new: State) -> Iterator[str]:
    """Return the promises that a schedule broke."""
    if "trace" in found:
        yield f"the harness itself failed: {found['trace']}"
        return
    outcome = found.get("outcome", "crashed")
    state = found["state"]
    if outcome == "raw error":
        yield f"an error has no message of ours: {found['text']}"
    if outcome == "published" and state != new:
        yield "a build that said that it published is not there"
    if state not in (old, new):
        yield f"readers see neither the old build nor the new one: {_differences(state, old, new)}"
    elif state and not _agrees(state):
        yield "the record and the rows disagree"
    if "failed" in found:
        yield f"the next build fails: {found['failed']}"
        return
    if found["next"] != new:
        yield f"the next build is no full one: {_differences(found['next'], new)}"
    if found["left"]:
        yield f"left after the next build: {', '.join(found['left'])}"


def _agrees(state: State) -> bool:
    counted = {name: len(rows) for name, rows in state["rows"].items()}
    read = state["read"]["raw_sync_events"]
    return state["recorded"] == counted and read == sum(int(each[2]) for each in state["files"])


def _differences(state: State, *others: State) -> str:
    return "; ".join(
        ", ".join(name for name in {**other, **state} if state.get(name) != other.get(name))
        for other in others
    )


def _note(verdict: Verdict, schedule: Schedule, found: dict[str, Any]) -> None:
    step = found.get("step", "")
    for text in found["broken"]:
        verdict.expect(False, f"{schedule} ({step}): {text}")
    verdict.figures[schedule.how] += 1
    which = "new" if found.get("is_new") else "old"
    verdict.figures[f"the_{which}_build_was_there"] += 1
    verdict.figures["refused_with_a_message"] += found.get("outcome") == "refused"
    verdict.figures["next_builds_that_equal_a_full_one"] += "failed" not in found


def _plant(verdict: Verdict, places: Sequence[Places], only: str | None) -> None:
    """Plant each fault in turn, and run schedules from the end on until one of them finds it."""
    for name, fault in planted.FAULTS.items():
        if not name.startswith(only or ""):
            continue
        names = places[0].lengths["incremental"]
        order = [
            each
            for each in reversed(_chosen({"incremental": names}, None, 0))
            if each.how == fault.how and [*names, "the end"][each.at - 1].startswith(fault.step)
        ]
        tried, finds = 0, ""
        while tried < len(order) and not finds:
            part = order[tried : tried + 2 * len(places)]
            tried += len(part)
            for schedule, found in zip(part, _run(places, part, name), strict=True):
                if found["broken"] and not finds:
                    why = found["broken"][0].strip().splitlines()[-1]
                    finds = f"{schedule} ({found.get('step', 'a crash')}): {why}"
        verdict.figures[name] = tried
        verdict.expect(bool(finds), f"the harness finds {name}")
        click.echo(f"{name}: {finds}")


def _in_a_process(folder: Path, work: Callable[[], Any]) -> dict[str, Any]:
    """Do some work in a child process, and return its answer; after a crash it has none."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        status, tempfile.tempdir = 0, str(folder / "temporary")
        try:
            with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
                made = work()
            answer.write_text(json.dumps(made if isinstance(made, dict) else {}))
        except BaseException:
            answer.write_text(json.dumps({"trace": traceback.format_exc()}))
            status = 1
        os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == CRASHED:
        return {}
    return json.loads(answer.read_text())


if __name__ == "__main__":
    sys.exit(main())
