"""Kill builds on a BigQuery emulator at random moments, and look at what is left.

python -m harnesses.kill_bigquery --kills 30

As `harnesses.kill`, save that here tables are published one by one: a kill while that goes on may
leave some of them old and some new, each whole. A view is as its tables are. What a killed build
made under names of its own expires by itself; the emulator, which keeps no expiry, only counts it.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

import pipeline
from harnesses import builds, killing
from harnesses.builds import Digests
from harnesses.killing import Place, Stage
from harnesses.verdict import KEEP, Verdict
from pipeline.backends.bigquery.workspace import PREFIX
from pipeline.project import Project
from tests.emulator.server import PROJECT, emulator

DATASET = "models"
MODELS = ["+dim_users", "quarantined_users"]
"""What is built: three tables and a view. All models would take the emulator a minute a build."""

FIGURES = [
    *(f"killed_in_{stage}" for stage in killing.STAGES),
    "ended_before_the_kill",
    "old_and_new_tables_were_there",
    "next_builds_that_succeeded",
    "tables_left_to_expire",
]


@dataclass(frozen=True)
class Warehouse:
    """An emulator: its URL, and what a build of each raw dataset makes."""

    url: str
    makes: dict[str, Digests]

    def words(self, source: str) -> list[str]:
        """Return the command that builds from a raw dataset."""
        where = ["--project", PROJECT, "--dataset", DATASET, "--api-endpoint", self.url]
        source_dataset = ["--source-dataset", source, "--select", *MODELS]
        return ["build", "--backend", "bigquery", *where, *source_dataset]

    def project(self, source: str) -> Project:
        """Return the pipeline on a raw dataset, freshly connected."""
        return pipeline.connect(
            "bigquery",
            project=PROJECT,
            dataset=DATASET,
            source_dataset=source,
            api_endpoint=self.url,
        )

    def build(self, source: str) -> Digests:
        """Build to the end, in this process, and return what is then published."""
        project = self.project(source)
        if not project.build(MODELS).published:
            raise RuntimeError("a check failed on the input of a harness")
        return project.digest(MODELS)

    def left(self) -> int:
        """Return how many tables killed builds left, to expire."""
        with self.project("A").backend.reader() as reader:
            return sum(name.startswith(PREFIX) for name in reader.names())


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
        warehouse.makes[name] = warehouse.build(name)
    place = Place(folder / "output", folder)
    life = killing.live(place, warehouse.words("A"))
    holds, killed, turn = "A", 0, 0
    while killed < kills:
        source = "B" if holds == "A" else "A"
        # publishing goes table by table: each third is killed there
        stage = killing.kill(place, warehouse.words(source), life, publishing=turn % 3 == 2)
        turn += 1
        killed += stage is not None
        verdict.figures[f"killed_in_{stage}" if stage else "ended_before_the_kill"] += 1
        _look(verdict, warehouse, stage, holds, source)
        holds = random.choice("AB")
        found = warehouse.build(holds)
        verdict.expect(found == warehouse.makes[holds], "the next build publishes what it makes")
        verdict.figures["next_builds_that_succeeded"] += 1


def _look(
    verdict: Verdict, warehouse: Warehouse, stage: Stage | None, before: str, after: str
) -> None:
    project = warehouse.project(before)
    found, old, new = project.digest(MODELS), warehouse.makes[before], warehouse.makes[after]
    for name, digest in found.items():
        if stage in ("start_up", "building"):
            held = digest == old[name]
        elif stage == "publishing":
            view = project.models[name].materialized == "view"
            held = view or digest in (old[name], new[name])
        else:
            held = digest == new[name]
        verdict.expect(held, f"after a kill in {stage} {name} is whole")
    verdict.figures["old_and_new_tables_were_there"] += found not in (old, new)
    verdict.figures["tables_left_to_expire"] = warehouse.left()


if __name__ == "__main__":
    main()
