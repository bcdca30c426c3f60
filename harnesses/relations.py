"""Relations between builds of related inputs: right results have them, and need no reference.

python -m harnesses.relations --commands 1000000
python -m harnesses.relations --commands 200 --devices 12 --only cut

Each changes an input of generated events in a way whose effect on every model is known. The first
build is on one thread. `split` reads the events from files with shuffled rows and columns on eight
threads, and builds the files one after the other; `ndjson` reads them from NDJSON, `twice` reads
them twice, `cut` reads two sets of devices apart, `moved` moves all times by days.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import click
import duckdb
import ibis
import ibis.expr.types as ir

import pipeline
from harnesses import builds
from harnesses.verdict import KEEP, Verdict
from pipeline.digest import content
from pipeline.generate import generate
from pipeline.project import Project

DAYS = 400
PARTS = 3
_OF_DEVICES = (
    *("stg_sync_events", "stg_repeated_events", "stg_commands", "stg_readings"),
    *("fct_command_statuses", "fct_command_neighbours", "fct_command_readings"),
)
_EVERY = "stg_sync_events", "quarantined_events", "audit_dispositions", "stg_repeated_events"
"""The models that count each raw row or copy."""
RELATIONS = ("split", "ndjson", "twice", "cut", "moved")
FIGURES = [*RELATIONS, "models_compared"]


@click.command()
@click.option("--commands", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--devices", type=click.IntRange(2), default=1_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--only", type=click.Choice(RELATIONS), multiple=True, help="Only these relations.")
@click.option("--memory-limit", help="DuckDB memory, such as 4GB.")
@KEEP
def main(
    commands: int,
    devices: int,
    seed: int,
    only: Sequence[str],
    memory_limit: str | None,
    keep: bool,
) -> None:
    """Compare builds of related inputs."""
    started = time.perf_counter()
    verdict = Verdict("relations", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-relations-") as folder:
        related = Related(Path(folder), verdict, memory_limit)
        options = {"commands": commands, "devices": devices, "days": 20, "seed": seed}
        made = generate(related.folder / "raw", format="parquet", messy_values=True, **options)
        related.users = made.users_file
        raw = related.folder / "raw" / "raw_sync_events*.parquet"
        related.whole = related.write("whole", f"FROM '{raw}'")
        related.begin()
        for relation in only or RELATIONS:
            getattr(related, relation)()
        events = related.query("SELECT count(*) FROM whole")[0][0]
    seconds = round(time.perf_counter() - started)
    verdict.finish(keep=keep, events=events, seed=seed, seconds=seconds)


class Related:
    """A folder with related inputs and their builds."""

    def __init__(self, folder: Path, verdict: Verdict, memory_limit: str | None) -> None:
        self.folder, self.verdict, self.memory_limit = folder, verdict, memory_limit
        self.users, self.whole = Path(), ""
        self.con = duckdb.connect()
        if memory_limit:
            self.con.execute(f"SET memory_limit = '{memory_limit}'")

    def write(self, name: str, query: str) -> str:
        """Write events to a file of this name, and return its path; a table has the name too."""
        path = self.folder / f"{name}.parquet"
        self.con.execute(f"COPY ({query}) TO '{path}'")
        self.con.execute(f"CREATE OR REPLACE VIEW {name} AS FROM '{path}'")
        return str(path)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query over files that were written."""
        return self.con.execute(sql).fetchall()

    def built(self, *events: str, threads: int | None = None, each: bool = False) -> Project:
        """Build events in a new database, with `each` file by file, incrementally."""
        database = self.folder / "built.duckdb"
        database.unlink(missing_ok=True)
        options = {"database": database, "threads": threads, "memory_limit": self.memory_limit}
        for number in range(1, len(events) + 1) if each else [len(events)]:
            given = {"events": list(events[:number]), "users": str(self.users)}
            project = pipeline.connect("duckdb", **options, **given)
            project.build(checks=False, incremental=each)
        return project

    def begin(self) -> None:
        """Build all events at once, on one thread: the others are compared with this build."""
        project = self.built(self.whole, threads=1)
        self.wanted, self.counts = project.digest(), _counts(project)
        self.sums = {name: _sums(project, name) for name in _OF_DEVICES}
        self.outcomes = _at(project, 0)

    def split(self) -> None:
        """Read files with rows and columns in any order, at once and one after the other."""
        names = [f'"{row[0]}"' for row in self.query("DESCRIBE whole")]
        parts = [
            self.write(
                f"part_{number}",
                f"SELECT {', '.join(Random(number).sample(names, len(names)))} FROM whole"
                f" WHERE hash(EventId, MapSid, 1) % {PARTS} = {number}"
                f" ORDER BY hash(EventId, MapSid, {number})",
            )
            for number in range(PARTS)
        ]
        self._equal("split", self.built(*reversed(parts), threads=8).digest())
        self._equal("split", self.built(*parts, each=True).digest())

    def ndjson(self) -> None:
        """Read the same rows as NDJSON."""
        file = self.folder / "whole.ndjson"
        self.con.execute(f"COPY whole TO '{file}' (FORMAT json)")
        self._equal("ndjson", self.built(str(file)).digest())

    def twice(self) -> None:
        """Read all events twice: facts stay, and each staged row is a duplicate more."""
        project = self.built(self.whole, self.write("again", "FROM whole"))
        self._equal("twice", project.digest(), but=_EVERY)
        both = _counts(project) == _doubled(self.counts)
        self.verdict.expect(both, "given twice, only duplicates are added")

    def cut(self) -> None:
        """Read two sets of devices that share no id apart: their rows are those of both."""
        halves = []
        for name, query in self._halves().items():
            project = self.built(self.write(name, query))
            halves.append({model: _sums(project, model) for model in _OF_DEVICES})
        for name in _OF_DEVICES:
            both = tuple(map(sum, zip(*(half[name] for half in halves), strict=True)))
            self.verdict.expect(both == self.sums[name], f"cut: {name} has the rows of both halves")
        self._count("cut", len(_OF_DEVICES))

    def moved(self) -> None:
        """Move all events by so many days: all else stays."""
        later = f"DateCreated + INTERVAL {DAYS} DAY AS DateCreated"
        found = _at(self.built(self.write("moved", f"SELECT * REPLACE ({later}) FROM whole")), DAYS)
        for name, digest in found.items():
            self.verdict.expect(
                digest == self.outcomes[name], f"moved: {name} is the same otherwise"
            )
        self._count("moved", len(found))

    def _equal(self, relation: str, found: builds.Digests, but: Sequence[str] = ()) -> None:
        wanted = {name: digest for name, digest in self.wanted.items() if name not in but}
        for name, digest in wanted.items():
            self.verdict.expect(found.get(name) == digest, f"{relation}: {name} is the same")
        self._count(relation, len(wanted))

    def _count(self, relation: str, models: int) -> None:
        self.verdict.figures[relation] += 1
        self.verdict.figures["models_compared"] += models

    def _halves(self) -> dict[str, str]:
        """Return queries for the events of two sets of devices that share no command id."""
        ids = "coalesce(nullif(ItemData->>'$.command_id', ''), ItemData->>'$.uuid')"
        pairs = self.query(
            f"SELECT DISTINCT MapUniqueName, {ids} FROM whole WHERE json_valid(ItemData)"
            " AND ItemKey LIKE 'Command%' AND MapUniqueName IS NOT NULL"
        )
        leader: dict[str, str] = {}

        def find(name: str) -> str:
            while leader.setdefault(name, name) != name:
                leader[name] = leader[leader[name]]  # a device with many ids makes no long chain
                name = leader[name]
            return name

        for device, id_ in pairs:
            leader[find(f"d{device}")] = find(f"i{id_}")
        groups = {device: find(f"d{device}") for device, _ in pairs}
        names = sorted({*groups.values()})
        self.verdict.expect(len(names) > 1, "there are two sets of devices that share no id")
        half = {*names[::2]}
        second = [device for device, group in groups.items() if group in half]
        self.con.execute("CREATE OR REPLACE TABLE second (device VARCHAR)")
        self.con.executemany("INSERT INTO second VALUES (?)", [[device] for device in second])
        chosen = "coalesce(MapUniqueName IN (FROM second), false)"
        return {
            "one": f"FROM whole WHERE NOT {chosen}",
            "other": f"FROM whole WHERE {chosen}",
        }


def _sums(project: Project, name: str) -> tuple[int, ...]:
    """Return a model's rows and the sums of their hashes: those of two parts add up."""
    (found,) = project.backend.fetch(content(project.table(name))).to_pylist()
    return tuple(found.values())


def _counts(project: Project) -> dict[tuple[str, str], int]:
    audit = project.table("audit_dispositions")
    rows = project.backend.fetch(audit.filter(audit.source == "raw_sync_events")).to_pylist()
    return {(row["item_key"], row["disposition"]): row["number_of_rows"] for row in rows}


def _doubled(counts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the counts of an input that comes twice: what was staged is a duplicate more."""
    found = {key: number if key[1] == "staged" else 2 * number for key, number in counts.items()}
    for (item_key, disposition), number in counts.items():
        if disposition == "staged":
            duplicates = item_key, "duplicate"
            found[duplicates] = found.get(duplicates, 0) + number
    return found


def _at(project: Project, days: int) -> dict[str, Any]:
    """Return the digests of what stays the same if all events move by so many days."""
    back = ibis.interval(days=days)
    daily = project.table("met_daily_command_count_by_username")
    readings = project.table("fct_command_readings")
    same = [
        name
        for name, kind in readings.schema().items()
        if not kind.is_timestamp()
        and not kind.is_date()
        and not kind.is_array()
        and not name.endswith("_uid")
    ]
    tables: dict[str, ir.Table] = {
        "met_command_outcomes": project.table("met_command_outcomes"),
        "audit_dispositions": project.table("audit_dispositions"),
        "met_daily_command_count_by_username": daily.mutate(
            timestamp_date=daily.timestamp_date - back
        ),
        "fct_command_readings": readings.select(*same, at=readings.command_update_timestamp - back),
    }
    return {
        name: project.backend.fetch(content(table)).to_pylist() for name, table in tables.items()
    }


if __name__ == "__main__":
    main()
