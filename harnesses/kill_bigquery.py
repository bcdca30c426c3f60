"""Kill builds on a BigQuery emulator at random moments, and check the dataset.

python -m harnesses.kill_bigquery --kills 30

It works like `harnesses.kill`. BigQuery publishes in one transaction. The emulator has none, so a
kill during it may leave some tables old and some new, each whole; a view follows its tables. The
tables that a killed build made for itself expire, as `tests/backends/bigquery` shows by the
statement. The emulator ignores an expiry, so the harness counts these tables; nothing else may be
left.

Two kinds of builds take turns: the models from the raw events to a fact, without checks, and the
models of the users, with checks. The emulator takes a second for each long statement, however few
the rows, so the checks of the events' models would take half a minute a build. For that reason
`.ci/run` has no short form of this harness.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

import pipeline
from harnesses import builds, killing
from harnesses.builds import Digests
from harnesses.killing import Place, Stage
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery.days import DAYS
from pipeline.backends.bigquery.runs import RUNS
from pipeline.backends.bigquery.tables import PREFIX
from pipeline.contract import Model
from pipeline.project import Project
from tests.emulator.server import PROJECT, emulator

DATASET = "models"


@dataclass(frozen=True)
class Plan:
    """A command, and the models that it makes."""

    command: str
    select: tuple[str, ...]

    def words(self, url: str, source: str) -> list[str]:
        """Return the command on an emulator's raw dataset."""
        where = ["--project", PROJECT, "--dataset", DATASET, "--api-endpoint", url]
        what = ["--source-dataset", source, "--select", *self.select]
        return [self.command, "--backend", "bigquery", *where, *what]


PLANS = (
    Plan("run", ("+fct_command_statuses", "quarantined_events")),
    Plan("build", ("+dim_users", "quarantined_users")),
)
"""No model is in both."""

FIGURES = [
    *(f"killed_in_{stage}" for stage in killing.STAGES),
    "ended_before_the_kill",
    "old_and_new_tables_were_there",
    "next_builds_that_succeeded",
    "tables_left_to_expire",
]


@dataclass(frozen=True)
class Warehouse:
    """An emulator: its URL, and the digests that each plan makes from each raw dataset."""

    url: str
    makes: dict[tuple[Plan, str], Digests]

    def project(self, source: str) -> Project:
        """Return the pipeline on a raw dataset, freshly connected."""
        return pipeline.connect(
            "bigquery",
            project=PROJECT,
            dataset=DATASET,
            source_dataset=source,
            api_endpoint=self.url,
        )

    def build(self, plan: Plan, source: str) -> Digests:
        """Build to the end, in this process, and return the published digests."""
        built = self.project(source).build(plan.select, checks=plan.command == "build")
        if not built.published:
            raise RuntimeError(f"a build failed on the input of a harness: {built}")
        return self.digests(plan)

    def digests(self, plan: Plan) -> Digests:
        """Digest the published models of a plan."""
        return self.project("A").digest(plan.select)

    def names(self) -> set[str]:
        """Return the names of all objects in the dataset."""
        with self.project("A").backend.reader() as reader:
            return reader.names()


@click.command()
@click.option("--kills", type=click.IntRange(1), default=30, show_default=True)
@KEEP
def main(kills: int, keep: bool) -> None:
    """Kill builds of a dataset."""
    verdict = Verdict("kill_bigquery", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-kill-") as folder, emulator() as url:
        _run(Path(folder), url, kills, verdict)
    verdict.finish(keep=keep, kills=kills)


def _run(folder: Path, url: str, kills: int, verdict: Verdict) -> None:
    warehouse = Warehouse(url, {})
    for name, inputs in builds.two_inputs(folder, commands=20).items():
        warehouse.project(name).load(inputs.events, inputs.users)
        warehouse.makes.update({(plan, name): warehouse.build(plan, name) for plan in PLANS})
    place = Place(folder / "output", folder)
    lives = {plan: killing.live(place, plan.words(url, "A")) for plan in PLANS}
    holds = dict.fromkeys(PLANS, "A")
    killed = turn = 0
    while killed < kills:
        plan = PLANS[turn % len(PLANS)]
        before, after = holds[plan], "B" if holds[plan] == "A" else "A"
        # publishing goes table by table, so each third kill is there
        words, publishing = plan.words(url, after), turn % 3 == 2
        stage = killing.kill(place, words, lives[plan], publishing)
        turn += 1
        killed += stage is not None
        verdict.figures[f"killed_in_{stage}" if stage else "ended_before_the_kill"] += 1
        old, new = warehouse.makes[plan, before], warehouse.makes[plan, after]
        _look(verdict, warehouse, stage, plan, old, new)
        holds[plan] = random.choice("AB")
        _build_next(verdict, warehouse, plan, holds[plan])


def _build_next(verdict: Verdict, warehouse: Warehouse, plan: Plan, source: str) -> None:
    before = warehouse.names()
    found = warehouse.build(plan, source)
    made = warehouse.makes[plan, source]
    verdict.expect(found == made, "the next build publishes what it makes")
    left = warehouse.names() - before
    verdict.expect(not left, f"the next build leaves nothing of its own, but {left}")
    verdict.figures["next_builds_that_succeeded"] += 1


def _look(
    verdict: Verdict,
    warehouse: Warehouse,
    stage: Stage | None,
    plan: Plan,
    old: Digests,
    new: Digests,
) -> None:
    allowed = {"start_up": [old], "building": [old], "publishing": [old, new]}
    found, models = warehouse.digests(plan), warehouse.project("A").models
    whole = _is_whole(found, allowed.get(stage or "end", [new]), models)
    verdict.expect(whole, f"after a kill in {stage} each table is there, whole, and each view")
    verdict.figures["old_and_new_tables_were_there"] += found not in (old, new)
    left = warehouse.names() - {*models, RUNS, DAYS}
    strange = {name for name in left if not name.startswith(PREFIX)}
    verdict.expect(not strange, f"a kill leaves nothing but what expires, and not {strange}")
    verdict.figures["tables_left_to_expire"] = len(left)


def _is_whole(found: Digests, allowed: list[Digests], models: Mapping[str, Model]) -> bool:
    if found in allowed:
        return True
    # if some tables are old and some new, a view of both is neither
    tables = [name for name in found if models[name].materialized == "table"]
    mixed = all(any(found[name] != each[name] for name in tables) for each in allowed)
    return mixed and all(found[name] in [each[name] for each in allowed] for name in tables)


if __name__ == "__main__":
    main()
