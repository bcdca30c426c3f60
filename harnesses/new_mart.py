"""Add the README's mart to a copy of the project: no test may turn red.

python -m harnesses.new_mart            # the tests that could care
python -m harnesses.new_mart tests      # these tests
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "__pycache__", "*.egg-info", ".*cache"
)
_STEP = re.compile(
    r"^\d\. (?:in )?`(?P<path>\S+)`\n\n(?P<code>   ```python\n.*?   ```)", re.M | re.S
)
TESTS = (
    *("test_columns.py", "test_graph.py", "lint/test_lint.py"),
    *("cli/test_listing_commands.py", "docs/test_pages.py"),
    "test_notebook.py::test_it_runs_from_nothing_and_says_what_the_committed_one_says",
    "test_notebook.py::test_it_lists_the_models_and_what_became_of_each",
    "cli/test_build_command.py::"
    "test_run_publishes_what_a_check_would_have_stopped_and_counts_models_alone",
)
"""The tests that look at all models."""


@click.command()
@click.argument("tests", nargs=-1)
def main(tests: tuple[str, ...]) -> None:
    """Add the README's mart to a copy, and run tests there; status 1 if one fails."""
    with tempfile.TemporaryDirectory(prefix="new-mart-") as folder:
        tree = Path(folder) / "copy"
        shutil.copytree(ROOT, tree, ignore=_LEFT_OUT)
        own_test = add_mart(tree)
        chosen = tests or (own_test, *(f"tests/{name}" for name in TESTS))
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
        environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.exit(1 if subprocess.run(words, cwd=tree, env=environment).returncode else 0)


def add_mart(tree: Path) -> str:
    """Follow the README's steps in a copy of the project; return the path of the mart's test."""
    readme = (tree / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Add a mart\n")[2].partition("\n## ")[0]
    steps = {step["path"]: _code(step["code"]) for step in _STEP.finditer(section)}
    if len(steps) != 3:
        raise click.ClickException(f"README.md adds a mart in {len(steps)} steps, not in three.")
    for path, code in steps.items():
        file = tree / path
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(before + code, encoding="utf-8")
    return list(steps)[-1]


def _code(block: str) -> str:
    return "\n".join(textwrap.dedent(block).splitlines()[1:-1]) + "\n"


if __name__ == "__main__":
    main()
