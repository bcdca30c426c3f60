"""Builds of every kind in any order, while files come, change and go.

After each build, every model equals what a reference in plain Python makes of the rows that were
read, or the build was refused, for a reason, and nothing has changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import small_models
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from test_incremental import Place, event

from pipeline.errors import InputError

Row = tuple[Any, ...]
NAMES = list(small_models.graph().models)
OF_EVENTS = [name for name in NAMES if name != "people"]
EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(["p", "q", "r", "s"]),
        st.sampled_from(["Command", "DoorLocked"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([0, 7, 15, 15.000001, 86_400]),
    ),
    min_size=1,
    max_size=4,
)
NEW = st.one_of(EVENTS, st.just([]))
GONE = st.sampled_from(["keep", "lose", "refuse"])
SELECTED = st.sampled_from([["events"], ["commands"], OF_EVENTS, ["people"]])
DISTURBANCE = st.sampled_from(["", "", "users", "remove", "rename", "change", "break"])
NAMES_OF_USERS = st.sampled_from(["ann", "bob", "eve"])


def expected(rows: Counter[Row], users: frozenset[str]) -> dict[str, Counter[Row]]:
    """Make the small models of staged events: uuid, device, kind, seconds since 1970."""
    firsts: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row[3], row[1], row[2])):
        firsts.setdefault(row[0], row)
    commands = [(u, d, at) for u, d, kind, at in firsts.values() if kind == "Command"]
    readings = [(d, at) for _, d, kind, at in firsts.values() if kind == "DoorLocked"]

    def next_at(command: Row) -> float | None:
        uuid, device, at = command
        later = [(t, u) for u, d, t in commands if d == device and (t, u) > (at, uuid)]
        return min(later)[0] if later else None

    return {
        "events": rows,
        "firsts": Counter(firsts.values()),
        "commands": Counter((*each, each[2] // 86_400) for each in commands),
        "nexts": Counter((*each[:2], next_at(each)) for each in commands),
        "answers": Counter(
            (u, sum(d == device and at <= t <= at + 15 for device, t in readings))
            for u, d, at in commands
        ),
        "people": Counter((name,) for name in users),
        "devices": Counter(Counter(d for _, d, _ in commands).items()),
    }


def plain(row: dict[str, Any]) -> Row:
    """Return a fetched row with its times as seconds and its dates as days since 1970."""
    return tuple(
        value.timestamp()
        if hasattr(value, "timestamp")
        else value.toordinal() - 719_163
        if hasattr(value, "toordinal")
        else value
        for value in row.values()
    )


class Builds(RuleBasedStateMachine):
    """A folder of files, a database, and which rows its models are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="builds-"))
        self.place = Place(self.folder)
        self.number = 0
        self.files: dict[str, tuple[int, Counter[Row]]] = {}
        """What is there: by name, a number that each version has for itself, and rows."""
        self.read: dict[str, tuple[int, Counter[Row]]] = {}
        """What the published events are from."""
        self.users = frozenset({"ann"})
        self.made_of: dict[str, tuple[Counter[Row], frozenset[str]]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(rows=EVENTS)
    def begin(self, rows):
        self.write("first", rows)
        self.build(self.place.full, NAMES, self.files, "refuse", True)

    # --- Files

    def write(self, name, rows):
        self.number += 1
        self.place.events(name, *rows)
        staged = Counter(
            (r["MapRevision"], r["MapUniqueName"], r["ItemKey"], r["DateCreated"].timestamp())
            for r in rows
        )
        self.files[name] = self.number, staged

    def disturb(self, how, rows, data):
        """Do what a later build may have to refuse, or what a check fails on."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        path = self.folder / f"events-{name}.parquet"
        if how == "users":
            self.users = frozenset(data.draw(st.sets(NAMES_OF_USERS, min_size=1)))
            self.place.users(*sorted(self.users))
        elif how == "change":
            self.write(name, rows)
        elif how == "remove":
            path.unlink()
            del self.files[name]
        elif how == "rename":
            self.number += 1
            path.rename(self.folder / f"events-n{self.number}.parquet")
            self.files[f"n{self.number}"] = self.files.pop(name)
        else:
            self.write(f"n{self.number}", [event("x", device="x")])

    # --- Builds

    # one rule: hypothesis tries few rules together, and here it is their order that matters
    @rule(
        kind=st.sampled_from(["incremental", "partial", "full"]),
        new=NEW,
        disturbance=DISTURBANCE,
        rows=EVENTS,
        if_gone=GONE,
        names=SELECTED,
        checks=st.booleans(),
        data=st.data(),
    )
    def change_files_and_build(self, kind, new, disturbance, rows, if_gone, names, checks, data):
        if disturbance and self.files:
            self.disturb(disturbance, rows, data)
        if new:
            self.write(f"n{self.number}", new)
        place = self.place
        if kind == "incremental":
            self.build(lambda: place.incremental(checks=checks), NAMES, self.files, "stay", checks)
        elif kind == "full":
            options = {"if_gone": if_gone, "checks": checks}
            self.build(lambda: place.full(**options), NAMES, self.files, if_gone, checks)
        else:
            options = {"if_gone": if_gone, "checks": False, "names": names}
            made, reads = names, None
            if "events" in names:
                made, reads = [*names, "firsts"], self.files
            self.build(lambda: place.full(**options), made, reads, if_gone)

    def build(self, build, made, reads, if_gone, checks=False):
        """Build; `made` are the models that are up to date then, `reads` the files that it reads.

        Where a file is gone, its rows `stay`, or `if_gone` says what becomes of them.
        """
        changed = {
            name
            for name, file in self.read.items()
            if name in self.files and file != self.files[name]
        }
        gone = self.read.keys() - self.files.keys()
        try:
            result = build()
        except InputError:
            assert reads is not None
            assert changed or gone or not self.files
            self.expect_what_was_read()
            return
        if reads is not None:
            assert not (gone and if_gone == "refuse")
            assert not (changed and if_gone == "stay")
            stays = {name: self.read[name] for name in gone} if if_gone in ("stay", "keep") else {}
            reads = {**stays, **reads}
        rows = Counter[Row]()
        for _, staged in (self.read if reads is None else reads).values():
            rows += staged
        if not result.ok:
            assert checks
            assert any(row[1] == "x" for row in rows)
        else:
            self.read = self.read if reads is None else dict(reads)
            users = self.users if "people" in made else self.made_of["people"][1]
            self.made_of |= dict.fromkeys(made, (rows, users))
        self.expect_what_was_read()

    def expect_what_was_read(self):
        found = self.place.fetched()
        for name, of in self.made_of.items():
            assert Counter(map(plain, found[name])) == expected(*of)[name], name
        files = self.place.query("SELECT path, rows FROM _pipeline.files")
        recorded = {Path(path).stem.removeprefix("events-"): rows for path, rows in files}
        assert recorded == {name: staged.total() for name, (_, staged) in self.read.items()}


TestBuilds = Builds.TestCase
TestBuilds.settings = settings(
    max_examples=4,
    stateful_step_count=10,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
