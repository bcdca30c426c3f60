"""Let disk and memory run out under builds and whatever else writes, and look at what is left.

python -m harnesses.resources --builds 20

The disk is a small one of its own in memory, mounted for the time being, which takes root. With
less and less room on it, and with less and less memory, a build either succeeds or ends with status
1 and a message that says what ran out; then the database holds what it held, and nothing lies
beside it. Commands that write elsewhere are let run into a full disk too.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from harnesses import builds
from harnesses.builds import Digests, Inputs
from harnesses.verdict import KEEP, Verdict

DISK = 40_000_000
"""Bytes of the small disk: room for the old build, the new one, and some to spare."""

MEMORY = 120_000_000
"""Bytes of memory that a build of the inputs has enough of."""

FIGURES = [
    "builds_with_too_small_a_disk",
    "builds_with_too_little_memory",
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
        with _small_disk(folder / "disk") as disk:
            _run(folder, disk, number, verdict)
    verdict.finish(keep=keep)


def _run(folder: Path, disk: Path, number: int, verdict: Verdict) -> None:
    inputs = builds.two_inputs(folder, commands=600)
    database = disk / "database" / "pipeline.duckdb"
    words = ["build", "--database", str(database)]
    verdict.expect(_end([*words, *inputs["A"].options], folder)[0] == 0, "the disk is big enough")
    before = builds.digests(database)
    needed = database.stat().st_size * 2
    for turn in range(number):
        share = turn / number
        with _ballast(disk, free=int(needed * share)):
            _try(verdict, database, inputs["B"], folder, before, "disk", [])
        limit = f"{int(MEMORY * share) + 1_000_000}B"
        _try(verdict, database, inputs["B"], folder, before, "memory", ["--memory-limit", limit])
    with _ballast(disk, free=0):
        for others in _writers(database, inputs["A"], disk):
            status, text = _end(others, folder)
            said = status == 1 and "full" in text and "Traceback" not in text
            verdict.expect(said, f"{others[0]} says that the disk is full: {status} {text}")
            verdict.figures["other_commands_on_a_full_disk"] += 1
    verdict.expect(builds.digests(database) == before, "the last build is there after all of it")


def _try(
    verdict: Verdict,
    database: Path,
    inputs: Inputs,
    folder: Path,
    before: Digests,
    what: str,
    options: Sequence[str],
) -> None:
    """Build once; where it succeeds, put the old build back."""
    old = database.read_bytes()
    status, text = _end(["build", "--database", str(database), *inputs.options, *options], folder)
    if status == 0:
        verdict.figures["builds_that_had_enough"] += 1
        database.write_bytes(old)
    else:
        verdict.figures[
            f"builds_with_too_{'small_a_disk' if what == 'disk' else 'little_memory'}"
        ] += 1
        said = status == 1 and what in text and "Traceback" not in text
        verdict.expect(said, f"a build says that the {what} ran out: {status} {text}")
        verdict.expect(builds.digests(database) == before, f"short of {what} the old build stays")
    left = builds.beside(database) | {path.name for path in (folder / "temporary").iterdir()}
    verdict.expect(not left, f"nothing is left when a build ends, but {left}")


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
def _small_disk(place: Path) -> Iterator[Path]:
    """Mount it.

    Raises:
        click.ClickException: this user, or this machine, can't.
    """
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
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
    """Fill the disk but for so many bytes."""
    ballast = disk / "ballast"
    room = shutil.disk_usage(disk).free - free
    ballast.write_bytes(bytes(max(0, room)))
    try:
        yield
    finally:
        ballast.unlink()


if __name__ == "__main__":
    main()
