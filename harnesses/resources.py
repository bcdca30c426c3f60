"""Let disk and memory run out under builds and other commands, and check the database.

python -m harnesses.resources --builds 20

The harness mounts a small disk in memory, which needs root. With less and less room on it, and with
less and less memory, a build must either succeed, or end with status 1 and a message that names the
lack. Then the database must be unchanged, and nothing may lie beside it. The same must hold if a
build spills and the disk has no room for that, or if others fill the disk meanwhile. Other commands
run into a full disk too.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from harnesses import builds
from harnesses.builds import Inputs
from harnesses.verdict import KEEP, Verdict

DISK = 40_000_000
"""Bytes of the small disk: room for the old build, the new one, and some to spare."""

MEMORY = 120_000_000
"""Bytes of memory that are enough for a build of the inputs."""

SPILL_DISK = 150_000_000
"""Bytes of the small disk for the builds that spill: enough for all spilled rows."""

SPILL_MEMORY = "155MB"
"""Too little memory to build many commands without spilling."""

SPILL_ROOM = 55_000_000
"""Bytes of disk that are enough for a build of many commands only if it need not spill."""

FIGURES = [
    "builds_with_too_small_a_disk",
    "builds_with_too_little_memory",
    "builds_with_too_small_a_disk_to_spill_to",
    "builds_whose_disk_was_filled_while_they_spilled",
    "builds_that_had_enough",
    "other_commands_on_a_full_disk",
]


@click.command()
@click.option("--builds", "number", type=click.IntRange(2), default=20, show_default=True)
@KEEP
def main(number: int, keep: bool) -> None:
    """Build with less and less room and memory."""
    verdict = Verdict("resources", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-resources-") as name:
        folder = Path(name)
        inputs = builds.two_inputs(folder / "few", commands=600)
        with _small_disk(folder / "disk", DISK) as disk:
            _run(folder, disk, inputs, number, verdict)
        with _small_disk(folder / "spilling", SPILL_DISK) as disk:
            _spill(folder, disk, inputs["A"], verdict)
    verdict.finish(keep=keep)


def _run(
    folder: Path, disk: Path, inputs: Mapping[str, Inputs], number: int, verdict: Verdict
) -> None:
    trial = _Trial(verdict, folder, disk / "database" / "pipeline.duckdb", inputs["A"])
    needed = trial.database.stat().st_size * 2
    for turn in range(number):
        share = turn / number
        with _ballast(disk, free=int(needed * share)):
            trial.build(inputs["B"], "builds_with_too_small_a_disk", "disk")
        limit = f"{int(MEMORY * share) + 1_000_000}B"
        trial.build(inputs["B"], "builds_with_too_little_memory", "memory", limit)
    with _ballast(disk, free=0):
        for others in _writers(trial.database, inputs["A"], disk):
            status, text = _end(others, folder)
            said = status == 1 and "full" in text and "Traceback" not in text
            verdict.expect(said, f"{others[0]} says that the disk is full: {status} {text}")
            verdict.figures["other_commands_on_a_full_disk"] += 1
    trial.expect_the_old_build("after all of it")


def _spill(folder: Path, disk: Path, old: Inputs, verdict: Verdict) -> None:
    many = builds.two_inputs(folder / "many", commands=20_000)["A"]
    trial = _Trial(verdict, folder, disk / "database" / "pipeline.duckdb", old)
    with _ballast(disk, free=SPILL_ROOM):
        verdict.expect(trial.build(many, "", "disk"), "without spilling the room is enough")
    verdict.expect(trial.build(many, "", "disk", SPILL_MEMORY), "with room memory is enough")
    for share in (1.0, 0.8, 0.6, 0.4, 0.2):
        with _ballast(disk, free=int(SPILL_ROOM * share)):
            ended = trial.build(
                many, "builds_with_too_small_a_disk_to_spill_to", "disk", SPILL_MEMORY
            )
        verdict.expect(not ended, "there is too little room to spill")
    for spilled in (1, 10_000_000, 20_000_000):
        with _filled_once_spilled(disk, spilled):
            ended = trial.build(
                many, "builds_whose_disk_was_filled_while_they_spilled", "disk", SPILL_MEMORY
            )
        verdict.expect(not ended, "the disk was filled while the build spilled")


class _Trial:
    """A database with an old build; further builds of it run short of disk or memory."""

    def __init__(self, verdict: Verdict, folder: Path, database: Path, old: Inputs) -> None:
        self.verdict, self.folder, self.database = verdict, folder, database
        status, text = _end(["build", "--database", str(database), *old.options], folder)
        verdict.expect(status == 0, f"the old build has enough of all: {text}")
        self.before = builds.digests(database)

    def build(self, inputs: Inputs, figure: str, what: str, memory: str | None = None) -> bool:
        """Build once, and return whether it succeeded; if so, put the old build back.

        A failed build counts under `figure`, and its message must say that `what` ran out.
        """
        old = self.database.read_bytes()
        limit = ["--memory-limit", memory] if memory else []
        words = ["build", "--database", str(self.database), *inputs.options, *limit]
        status, text = _end(words, self.folder)
        left = builds.beside(self.database)
        left |= {path.name for path in (self.folder / "temporary").iterdir()}
        self.verdict.expect(not left, f"nothing is left when a build ends, but {left}")
        if status == 0:
            self.verdict.figures["builds_that_had_enough"] += 1
            self.database.write_bytes(old)
            return True
        self.verdict.figures[figure] += 1
        said = status == 1 and what in text and "Traceback" not in text
        self.verdict.expect(said, f"a build says that the {what} ran out: {status} {text}")
        self.expect_the_old_build(f"short of {what}")
        return False

    def expect_the_old_build(self, when: str) -> None:
        """Expect the old build's digests."""
        held = builds.digests(self.database) == self.before
        self.verdict.expect(held, f"the old build is there {when}")


def _writers(database: Path, inputs: Inputs, disk: Path) -> Iterator[list[str]]:
    tested = ["test", "--database", str(database), "--select", "stg_commands"]
    yield [*tested, "--results", str(disk / "results.json")]
    yield [*tested, "--warn-error", "--store-failures", str(disk / "failures")]
    yield ["docs", "--database", str(database), "--output", str(disk / "docs")]
    yield ["compile", "--output", str(disk / "sql")]
    for kind in ("parquet", "ndjson", "csv"):
        yield ["generate", "--output", str(disk / kind), "--format", kind]


def _end(words: Sequence[str], folder: Path) -> tuple[int, str]:
    """Run a command to its end; return its status and what it printed."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    status = builds.start(words, folder / "output", temporary).wait()
    return status, "\n".join((folder / "output").read_text().splitlines()[-4:])


@contextlib.contextmanager
def _small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a small disk.

    Raises:
        click.ClickException: this user, or this machine, can't.
    """
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        raise click.ClickException(
            f"A small disk can't be mounted, which takes root: {mounted.stderr.strip()}"
        )
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextlib.contextmanager
def _ballast(disk: Path, *, free: int) -> Iterator[None]:
    """Fill the disk except for `free` bytes."""
    try:
        _fill(disk, free)
        yield
    finally:
        (disk / "ballast").unlink()


@contextlib.contextmanager
def _filled_once_spilled(disk: Path, size: int) -> Iterator[None]:
    """Fill the disk as soon as a build has so many bytes in its folder of spilled rows."""
    ended = threading.Event()

    def watch() -> None:
        while _spilled(disk) < size:
            if ended.wait(0.01):
                return
        _fill(disk, 0)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
        (disk / "ballast").unlink(missing_ok=True)


def _spilled(disk: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # the folder comes and goes with the build
        return sum(path.stat().st_blocks * 512 for path in disk.rglob("spill/*"))
    return 0


def _fill(disk: Path, free: int) -> None:
    room = max(0, shutil.disk_usage(disk).free - free)
    # a build may take some of the room at the same time
    with contextlib.suppress(OSError), (disk / "ballast").open("wb") as ballast:
        ballast.write(bytes(room))


if __name__ == "__main__":
    main()
