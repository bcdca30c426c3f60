"""Break the pipeline on purpose, and check that the tests notice each time.

python -m harnesses.mutation            # all mutants
python -m harnesses.mutation --every 9  # each ninth

We do not use mutmut or cosmic-ray: they change every operator and text, and run the whole suite for
each change. In Ibis expressions and column descriptions most such changes mean nothing, or repeat
another one. Our list names the break of each mutant, and the tests that must notice it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from harnesses.mutants import MUTANTS, TESTS, Mutant

ROOT = Path(__file__).parents[1]
_COPIED = ("pipeline", "tests", "data", "cli.py", "pyproject.toml", "README.md")
_KILLED = 1  # pytest's status if tests failed; with any other they did not even run


@click.command()
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Try 1 in N.")
@click.option("--only", default="", help="Try those whose file or meaning holds this text.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(every: int, only: str, jobs: int, output: Path | None) -> None:
    """Try mutants; status 1 if one survives, or no longer fits the code."""
    started = time.perf_counter()
    for mutant in MUTANTS:
        _mutated(mutant)  # first of all, find mutants that no longer fit the code
    chosen = [each for each in MUTANTS if only in each.file + each.breaks][::every]
    with ThreadPoolExecutor(jobs) as pool:
        killed = list(pool.map(_is_killed, chosen))
    survivors = [mutant for mutant, dead in zip(chosen, killed, strict=True) if not dead]
    figures = {
        "mutants": len(chosen),
        "killed": len(chosen) - len(survivors),
        "survivors": [f"{mutant.file}: {mutant.breaks}" for mutant in survivors],
        "seconds": round(time.perf_counter() - started, 1),
    }
    click.echo(json.dumps(figures, indent=2))
    if output:
        output.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(1 if survivors else 0)


def _is_killed(mutant: Mutant) -> bool:
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = Path(folder)
        _copy_to(tree)
        (tree / "pipeline" / mutant.file).write_text(_mutated(mutant), encoding="utf-8")
        tests = [str(Path("tests") / name) for name in tests_of(mutant.file)]
        words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True)
    if ran.returncode not in (0, _KILLED):
        raise click.ClickException(f"{mutant} can't be tried:\n{ran.stdout[-2000:]}{ran.stderr}")
    click.echo(f"{'killed  ' if ran.returncode else 'SURVIVED'} {mutant.file}: {mutant.breaks}")
    return ran.returncode == _KILLED


def tests_of(file: str) -> tuple[str, ...]:
    """Return the tests of a file: those listed for it, else the test of its own name."""
    path = Path(file)
    return TESTS.get(file, (str(path.with_name(f"test_{path.name}")),))


def _copy_to(tree: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            # with what is compiled, but not what another process is just writing
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, tree / name)


def _mutated(mutant: Mutant) -> str:
    text = (ROOT / "pipeline" / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1 or mutant.old == mutant.new:
        raise click.ClickException(
            f"{mutant.file} has {text.count(mutant.old)} times {mutant.old!r}, which"
            f" the mutant of {mutant.breaks!r} changes: mend the list of mutants."
        )
    return text.replace(mutant.old, mutant.new)


if __name__ == "__main__":
    main()
