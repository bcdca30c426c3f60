"""Kill builds at random moments of their life, and check the database and its folder.

python -m harnesses.kill --kills 200

It runs full builds of two inputs in turn, and partial ones. After each kill the database must hold
exactly the last published build, and the next build must succeed. Then nothing may lie beside the
database, nor in the folder of temporary files.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

import pipeline
from harnesses import builds, killing
from harnesses.builds import Digests, Inputs
from harnesses.killing import Place, Stage
from harnesses.verdict import KEEP, Verdict

PLANS: list[tuple[str, list[str]]] = [
    ("B", []),
    ("A", []),
    ("B", ["staging"]),
    ("A", ["+dim_users", "quarantined_users"]),
]
"""The builds in turn: the input, and the selected models, none for all.

A view changes with the tables that it reads, so a partial build also selects the views of its
tables.
"""

FIGURES = [
    *(f"killed_in_{stage}" for stage in killing.STAGES),
    "ended_before_the_kill",
    "the_old_build_was_there",
    "the_new_build_was_there",
    "next_builds_that_succeeded",
]


@dataclass(frozen=True)
class Plan:
    """A build: its input and models, and the digests that it makes."""

    inputs: Inputs
    select: list[str]
    makes: Digests

    def words(self, database: Path) -> list[str]:
        """Return the command."""
        selection = ["--select", *self.select] if self.select else []
        return ["build", "--database", str(database), *self.inputs.options, *selection]

    def build(self, database: Path) -> None:
        """Build to the end, in this process."""
        project = pipeline.connect(
            "duckdb", database=database, events=self.inputs.events, users=self.inputs.users
        )
        if not project.build(self.select).published:
            raise RuntimeError("a check failed on the input of a harness")


@click.command()
@click.option("--kills", type=click.IntRange(1), default=200, show_default=True)
@KEEP
def main(kills: int, keep: bool) -> None:
    """Kill builds of a DuckDB database."""
    verdict = Verdict("kill", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-kill-") as folder:
        _run(Path(folder), kills, verdict)
    verdict.finish(keep=keep, kills=kills)


def _run(folder: Path, kills: int, verdict: Verdict) -> None:
    database = folder / "database" / "pipeline.duckdb"
    place = Place(folder / "output", folder / "temporary")
    place.temporary.mkdir()
    plans = _plans(folder, database)
    lives = [killing.live(place, plan.words(database)) for plan in plans]
    holds = builds.digests(database)
    killed = turn = 0
    while killed < kills:
        plan, life = plans[turn % len(plans)], lives[turn % len(plans)]
        # the end is short, so each fifth kill is there
        stage = killing.kill(place, plan.words(database), life, publishing=turn % 5 == 4)
        turn += 1
        killed += stage is not None
        verdict.figures[f"killed_in_{stage}" if stage else "ended_before_the_kill"] += 1
        holds = _look(verdict, database, stage, holds, {**holds, **plan.makes})
        following = random.choice(plans)
        following.build(database)
        holds = {**holds, **following.makes}
        verdict.expect(builds.digests(database) == holds, "the next build publishes what it makes")
        left = builds.beside(database) | {path.name for path in place.temporary.iterdir()}
        verdict.expect(not left, f"nothing is left after the next build, but {left}")
        verdict.figures["next_builds_that_succeeded"] += 1


def _plans(folder: Path, database: Path) -> list[Plan]:
    plans, makes = [], {}
    for name, inputs in builds.two_inputs(folder).items():
        Plan(inputs, [], {}).build(database)
        makes[name] = builds.digests(database), inputs
    select = pipeline.connect("duckdb", database=database).select
    for name, models in PLANS:
        digests, inputs = makes[name]
        plans.append(Plan(inputs, models, {model: digests[model] for model in select(models)}))
    return plans


def _look(
    verdict: Verdict, database: Path, stage: Stage | None, before: Digests, after: Digests
) -> Digests:
    """Return the database's digests after a kill: those from before, or those of the new build."""
    found = builds.digests(database)
    allowed = {"start_up": [before], "building": [before], "publishing": [before, after]}
    whole = found in allowed.get(stage or "end", [after])
    verdict.expect(whole, f"after a kill in {stage} the last good build is there, whole")
    which = "old" if found == before else "new"
    verdict.figures[f"the_{which}_build_was_there"] += 1
    left = builds.beside(database) - {f".{database.name}.building"}
    verdict.expect(not left, f"a kill leaves one folder beside the database, not {left}")
    return found


if __name__ == "__main__":
    main()
