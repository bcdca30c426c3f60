"""Read a database without pause while builds of two inputs follow each other.

python -m harnesses.readers --builds 20

Processes read all tables in one connection: some with a fresh connection each time, some with one
that they hold for a while. No read may fail, all tables must be of the same build, and a held
connection must keep reading its first build. During each build the harness stops it and starts a
second one: that must end at once and name the first one's process id.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
import tempfile
import time
from contextlib import closing
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import click
import duckdb

import pipeline
from harnesses import builds
from harnesses.builds import Inputs
from harnesses.verdict import KEEP, Verdict

PATIENCE = 60.0
"""Seconds after which a process counts as stuck."""

READS_HELD = 20
"""The number of reads on a held connection before the reader opens a new one."""

FIGURES = ["builds", "reads", "reads_of_A", "reads_of_B", "connections", "second_builds_refused"]

Content = dict[str, tuple[int, int]]


@click.command()
@click.option("--builds", "number", type=click.IntRange(1), default=20, show_default=True)
@click.option("--readers", type=click.IntRange(2), default=4, show_default=True)
@KEEP
def main(number: int, readers: int, keep: bool) -> None:
    """Build, read meanwhile, and try a second build."""
    verdict = Verdict("readers", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-readers-") as folder:
        _run(Path(folder), number, readers, verdict)
    verdict.finish(keep=keep, readers=readers)


def _run(folder: Path, number: int, readers: int, verdict: Verdict) -> None:
    database = folder / "database" / "pipeline.duckdb"
    inputs, contents = builds.two_inputs(folder), {}
    for name in ("A", "B"):
        process = builds.start(_build(database, inputs[name]), folder / "output", folder)
        assert process.wait() == 0, (folder / "output").read_text()
        contents[name] = _content(database)
    processes = multiprocessing.get_context("spawn")
    stop, told = processes.Event(), processes.Queue()
    started = [
        processes.Process(target=read, args=(database, contents, turn % 2 == 1, stop, told))
        for turn in range(readers)
    ]
    for reader in started:
        reader.start()
    try:
        for turn in range(number):
            _two_builds(verdict, folder, database, inputs["AB"[turn % 2]])
    finally:
        stop.set()
        findings = [told.get(timeout=PATIENCE) for _ in started]
        for reader in started:
            reader.join()
    for figures, broken in findings:
        verdict.figures.update(figures)
        for promise in broken:
            verdict.expect(False, promise)
    verdict.expect(verdict.figures["reads"] > 0, "readers read")


def _two_builds(verdict: Verdict, folder: Path, database: Path, inputs: Inputs) -> None:
    first = builds.start(_build(database, inputs), folder / "first", folder)
    holder = database.parent / f".{database.name}.building" / "pid"
    while first.poll() is None and not (holder.exists() and holder.read_text()):
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)
    second = builds.start(_build(database, inputs), folder / "second", folder)
    try:
        refused = second.wait(PATIENCE) == 2
    finally:
        first.send_signal(signal.SIGCONT)
    text = (folder / "second").read_text()
    named = re.search(rf"Another build .* \(process {first.pid}\)", text)
    verdict.expect(refused and named is not None, f"a second build is refused at once: {text}")
    verdict.figures["second_builds_refused"] += refused
    verdict.expect(first.wait() == 0, f"a build succeeds under readers: {first.returncode}")
    verdict.figures["builds"] += 1


def _build(database: Path, inputs: Inputs) -> list[str]:
    return ["build", "--database", str(database), *inputs.options]


def read(
    database: Path,
    contents: dict[str, Content],
    hold: bool,
    stop: Event,
    told: Queue[tuple[dict[str, int], list[str]]],
) -> None:
    """Read until `stop`; then report the counts of reads, and what was wrong with them."""
    figures = dict.fromkeys(("reads", "reads_of_A", "reads_of_B", "connections"), 0)
    broken: list[str] = []
    while not stop.is_set() and not broken:
        try:
            with closing(duckdb.connect(str(database), read_only=True)) as con:
                figures["connections"] += 1
                found = [_read(con) for _ in range(READS_HELD if hold else 1)]
        except duckdb.Error as error:
            broken.append(f"no read fails: {error}")
            break
        figures["reads"] += len(found)
        whose = [next((n for n in contents if contents[n] == each), None) for each in found]
        if None in whose:
            broken.append("all tables read in one connection are of one build")
        elif len(set(whose)) > 1:
            broken.append("a connection that is held keeps reading the build it began with")
        else:
            figures[f"reads_of_{whose[0]}"] += len(found)
    told.put((figures, broken))


def _content(database: Path) -> Content:
    with closing(duckdb.connect(str(database), read_only=True)) as con:
        return _read(con)


def _read(con: duckdb.DuckDBPyConnection) -> Content:
    con.execute("SET TimeZone = 'UTC'")
    content: Content = {}
    for name in pipeline.connect("duckdb").models:
        query = f"SELECT count(*), coalesce(bit_xor(hash({name})), 0) FROM {name}"
        content[name] = con.execute(query).fetchone() or (0, 0)
    return content


if __name__ == "__main__":
    main()
