"""One broken model in the folders: commands that need it say so, and all others work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

ROOT = Path(pipeline.__file__).parents[1]
SOUND = '''"""Commands, once more."""

import ibis.expr.types as ir
from ibis import _

from pipeline.contract import Column, model


@model(
    key=["command_uuid"],
    tags=["mine"],
    columns=[Column("command_uuid", "string", "the command"), Column("command", "string", "what")],
)
def NAME(stg_commands: ir.Table) -> ir.Table:
    """One row per command."""
    return stg_commands.select("command_uuid", command=_.command)
'''


def broken(name: str, *change: str) -> str:
    text = SOUND.replace("NAME", name)
    assert not change or change[0] in text
    return text.replace(*change) if change else text


FILES = {
    "met_key": broken("met_key", 'key=["command_uuid"]', 'key=["comand_uuid"]'),
    "met_slip": broken("met_slip", "_.command)", "_.comand)"),
    "met_syntax": broken("met_syntax", "-> ir.Table:", "-> ir.Table"),
    "met_name": broken("met_name", "    tags=", "    tag="),
    "met_unlisted": broken("met_unlisted"),
    "met_twin": broken("dim_users"),
    # this one is sound, except that it does not declare that it holds PINs
    "met_doors": broken("met_doors").replace("command=_.command", "command=_.pin"),
}
MESSAGES = {
    "met_key": 'met_key (pipeline/marts/met_key.py:10): the key is not a column: "comand_uuid", ',
    "met_syntax": "met_syntax (pipeline/marts/met_syntax.py:14): expected ':'",
    "met_name": "met_name (pipeline/marts/met_name.py:9): TypeError: model() got an unexpected",
    "met_unlisted": "met_unlisted (pipeline/marts/met_unlisted.py:1): pipeline/marts/__init__.py",
    "met_gone": "met_gone (pipeline/marts/__init__.py:",
    "dim_users": "dim_users (pipeline/marts/met_twin.py:9): a model in pipeline/marts/dim_users.py",
}
SLIP = 'met_slip (pipeline/marts/met_slip.py:16): no column "comand", did you mean "command"'


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the project with models that are broken in every way."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "cli.py", copy)
    shutil.copytree(ROOT / "pipeline", copy / "pipeline", symlinks=False)
    for name, text in FILES.items():
        (copy / f"pipeline/marts/{name}.py").write_text(text)
    init = copy / "pipeline/marts/__init__.py"
    listed = [name for name in (*FILES, "met_gone") if name != "met_unlisted"]
    lines = [f"from pipeline.marts.{name} import {name} as {name}" for name in listed]
    text = "\n".join(lines).replace("import met_twin as met_twin", "import dim_users as dim_users")
    init.write_text(init.read_text() + text + "\n")
    return copy


def type_(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "cli.py", *words], cwd=checkout, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def built(checkout) -> subprocess.CompletedProcess[str]:
    """The build of what does not need the broken models, at the default place."""
    return type_(checkout, "build", "--select", "+met_doors", "--fail-fast")


def test_models_are_listed_and_each_fault_is_one_line(checkout):
    typed = type_(checkout, "ls", "--format", "json")

    assert typed.returncode == 0
    assert all(f'"{name}"' in typed.stdout for name in (*FILES, "stg_users") if name != "met_twin")
    lines = typed.stderr.splitlines()
    assert len(lines) == len(MESSAGES)
    for message in MESSAGES.values():
        assert sum(line.startswith(message) for line in lines) == 1, (message, lines)


def test_what_is_made_of_a_pin_is_masked_and_lint_says_so(checkout, built):
    shown = type_(checkout, "show", "met_doors", "--format", "json")
    linted = type_(checkout, "lint", "--select", "met_doors")

    assert built.returncode == 0, built.stdout + built.stderr
    assert {row["command"] for row in json.loads(shown.stdout)} <= {None, "***"}
    assert "undeclared_sensitive: command is made of stg_commands.pin" in linted.stdout
    assert linted.returncode == 1


def test_what_does_not_need_them_works(checkout, built):
    assert "ERROR=0" in built.stdout, built.stdout + built.stderr
    assert built.returncode == 0

    shown = type_(checkout, "show", "stg_commands", "--limit", "1")
    assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["build", "--select", "met_slip"],
        ["compile", "--select", "met_slip"],
        ["docs", "--select", "met_slip"],
        ["lint", "--select", "met_slip"],
        ["show", "met_slip", "--preview"],
    ],
    ids=" ".join,
)
def test_a_function_that_raises_is_told_alike_by_every_command(checkout, built, words):
    typed = type_(checkout, *words)

    assert typed.returncode == 1
    assert SLIP in typed.stdout + typed.stderr
    assert "Traceback" not in typed.stderr


@pytest.mark.parametrize("words", [["build"], ["show", "dim_users"], ["lint", "-s", "dim_users"]])
def test_what_needs_them_says_what_is_wrong(checkout, words):
    typed = type_(checkout, *words)

    assert typed.returncode == 1
    assert MESSAGES["dim_users"] in typed.stdout + typed.stderr
    assert "Traceback" not in typed.stderr
