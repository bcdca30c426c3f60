"""Give a build files that are cut, damaged, misnamed, mixed up or broken, and check its answer.

python -m harnesses.files --each 100

A build must refuse each file with status 2 in one message that names it, or read all of its rows:
as many as an independent reader finds, with the same values. The harness reads most files as a
build does, without the models. It gives some to the whole command: if that refuses a file, the last
build must stay as it was; if not, audit_dispositions must account for each row.

Damage that no reader can see is no fault here: a .gz cut between two members, an NDJSON or CSV file
cut between two lines, a CSV cut in its last field, a value changed into another one. A build may
read a damaged Parquet file that another reader refuses, if all of its rows are there: DuckDB does
not check the checksums of pages.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random

import click

from harnesses import faulty_files, one_read
from harnesses.faulty_files import Case, Sound
from harnesses.one_command import Command
from harnesses.verdict import KEEP, Verdict

_BY_COMMAND = 50  # the whole command also tries one of so many files
FIGURES = [
    "files",
    *(
        f"{kind}_files_{came}"
        for kind in ("parquet", "ndjson", "ndjson_gz", "csv", "csv_gz")
        for came in ("refused", "read")
    ),
    "parquet_files_read_that_another_reader_refuses",
    *(f"commands_that_{came}" for came in ("refused", "built")),
]


@click.command()
@click.option("--each", type=click.IntRange(1), default=20, show_default=True)
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Try 1 in N.")
@click.option("--seed", type=int, default=1, show_default=True)
@KEEP
def main(each: int, every: int, seed: int, keep: bool) -> None:
    """Cut each kind of file at least `each` times, and so on."""
    verdict = Verdict("files", FIGURES)
    with tempfile.TemporaryDirectory(prefix="harness-files-") as temporary:
        folder = Path(temporary)
        sounds = faulty_files.sound_files(folder / "sound", 40, seed)
        cases = faulty_files.cases(Random(seed), sounds, each)
        _run(folder, sounds, islice(cases, 0, None, every), verdict)
    verdict.finish(keep=keep, seed=seed)


def _run(folder: Path, sounds: list[Sound], cases: Iterable[Case], verdict: Verdict) -> None:
    reader = one_read.Reader(folder)
    command = Command(folder / "command", sounds)
    try:
        for number, case in enumerate(cases, 1):
            outcome = reader.read(case)
            refused = outcome.rows is None
            kind = case.sound.ending.replace(".", "_")
            verdict.figures["files"] += 1
            verdict.figures[f"{kind}_files_{'refused' if refused else 'read'}"] += 1
            verdict.figures["parquet_files_read_that_another_reader_refuses"] += outcome.doubtful
            _expect(verdict, case, outcome.broken)
            if number % _BY_COMMAND == 0:
                _expect(verdict, case, command.broken(case, outcome.rows))
                verdict.figures[f"commands_that_{'refused' if refused else 'built'}"] += 1
    finally:
        reader.close()


def _expect(verdict: Verdict, case: Case, broken: str | None) -> None:
    what = f"{case.sound.source}, {case.sound.name}, {case.fault.name}, must {case.fault.must}"
    verdict.expect(broken is None, f"{what}: {broken}")


if __name__ == "__main__":
    main()
