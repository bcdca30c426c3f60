"""The rules of imports between the parts of the pipeline, directly or through others.

The rules cover every import that can ever run, also one inside a function. Imports that only type
checkers read count only for circles.
"""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
ENGINE = ("duckdb", "google", "ibis.backends.duckdb", "ibis.backends.bigquery", "pipeline.files")
BACKENDS = ("pipeline.backends.duckdb", "pipeline.backends.bigquery")
MODELS = ("pipeline.staging", "pipeline.marts")
FOUND_BY_NAME = {"pipeline.catalog": MODELS}
"""The modules that a module imports by a computed name."""


class Import(NamedTuple):
    target: str
    lazy: bool
    typing: bool


class Reader(ast.NodeVisitor):
    """Collects a module's imports, and whether it prints."""

    def __init__(self, module: str) -> None:
        self.imports = [Import(name, False, False) for name in FOUND_BY_NAME.get(module, ())]
        self.prints = False
        self._lazy = self._typing = 0

    def visit_FunctionDef(self, node: ast.AST) -> None:
        self._lazy += 1
        self.generic_visit(node)
        self._lazy -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        self._typing += ast.unparse(node.test) == "TYPE_CHECKING"
        self.generic_visit(node)
        self._typing -= ast.unparse(node.test) == "TYPE_CHECKING"

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert not node.level, "imports here name the whole path"
        assert node.module
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            self._add(inner if inner in sources() else node.module)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if ast.unparse(node) in ("ibis.duckdb", "ibis.bigquery"):
            self._add(ast.unparse(node).replace("ibis.", "ibis.backends."))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.prints |= ast.unparse(node.func) == "print"
        self.generic_visit(node)

    def _add(self, target: str) -> None:
        self.imports.append(Import(target, self._lazy > 0, self._typing > 0))


@functools.cache
def sources() -> dict[str, Path]:
    """Each module of the pipeline with its file."""
    found = {}
    for path in (ROOT / "pipeline").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def read(module: str) -> Reader:
    reader = Reader(module)
    reader.visit(ast.parse(sources()[module].read_text(encoding="utf-8")))
    return reader


def within(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def modules(*rooms: str) -> list[str]:
    return sorted(module for module in sources() if within(module, rooms))


@functools.cache
def imported(module: str, lazily: bool) -> set[str]:
    """A module's own imports, with each package that contains an imported module."""
    found = {
        found.target
        for found in read(module).imports
        if not found.typing and (lazily or not found.lazy)
    }
    parts = [target.split(".") for target in found]
    return found.union(".".join(each[:end]) for each in parts for end in range(2, len(each)))


def paths(module: str, *, lazily: bool = True) -> dict[str, list[str]]:
    """All modules that a module imports, directly or through others, each with the path."""
    ways = {module: [module]}
    edge = [module]
    while edge:
        at = edge.pop()
        for target in sorted(imported(at, lazily)) if at in sources() else ():
            if target not in ways:
                ways[target] = [*ways[at], target]
                edge.append(target)
    del ways[module]
    return ways


def forbidden(rooms: Iterable[str], never: Iterable[str], *, lazily: bool = True) -> list[str]:
    return [
        " -> ".join(way)
        for module in modules(*rooms)
        for target, way in paths(module, lazily=lazily).items()
        if within(target, never) and not within(target, [module])
    ]


MEANING = (
    *("contract", "sources", "dialect", "sql", "rules", "graph", "expressions"),
    *("counting", "checks"),
)


@pytest.mark.parametrize(
    ("rooms", "never"),
    [
        *(([room], [*MODELS, *BACKENDS]) for room in MEANING),
        (["staging", "marts"], [*ENGINE, *BACKENDS]),
        (["build"], ["click", *ENGINE, *BACKENDS, *MODELS]),
        (["project"], ["click"]),
        (["backends.base"], [*ENGINE, *BACKENDS, *MODELS]),
        (["backends.duckdb"], [*MODELS, "google", "pipeline.backends.bigquery"]),
        (["backends.bigquery"], [*MODELS, "pipeline.backends.duckdb"]),
        (["digest", "diff", "explain", "lint", "generate", "docs"], ["click"]),
        (["output"], ["click", *ENGINE, *BACKENDS]),
    ],
    ids=lambda names: " ".join(names) if "pipeline" not in str(names) else "",
)
def test_a_part_never_imports(rooms, never):
    assert forbidden([f"pipeline.{room}" for room in rooms], never) == []


def test_models_import_no_other_model():
    assert [
        (module, target)
        for module in modules(*MODELS)
        if module not in MODELS
        for target in paths(module)
        if within(target, MODELS) and target not in (module, *MODELS)
    ] == []


@pytest.mark.parametrize(
    ("module", "allowed"),
    [("display", []), ("results", ["pipeline.errors", "pipeline.display"])],
)
def test_the_ground_imports_nothing_above_it(module, allowed):
    room = f"pipeline.{module}"
    found = {
        target
        for each in modules(room)
        for target in paths(each)
        if target in sources() and not within(target, [room])
    }

    assert found <= set(allowed)


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("pipeline.cli", ["ibis", *ENGINE, *BACKENDS]),
        ("pipeline", ["ibis", *ENGINE, *BACKENDS]),
        ("pipeline.project", [*ENGINE, *BACKENDS]),
    ],
)
def test_at_import_no_engine_is_loaded(module, never):
    assert [way for name, way in paths(module, lazily=False).items() if within(name, never)] == []


def test_what_the_command_line_alone_does_is_done_nowhere_else():
    printing = [module for module in sources() if read(module).prints]
    clicking = [
        module
        for module in sources()
        if any(within(each, ["click"]) for each in imported(module, True))
    ]

    assert (printing, clicking) == ([], ["pipeline.cli"])


def test_no_import_goes_in_a_circle():
    inside = {
        module: {found.target for found in read(module).imports if found.target in sources()}
        for module in sources()
    }

    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (
            "import pipeline; pipeline.connect('bigquery', project='project', dataset='d')",
            ["duckdb", "pipeline.backends.duckdb"],
        ),
        ("import pipeline; pipeline.connect('duckdb')", ["google.cloud.bigquery"]),
        ("import pipeline.diff, pipeline.output.render", ["ibis", "duckdb"]),
    ],
)
def test_what_is_imported_in_a_new_process_loads_no_more(code, absent):
    check = f"import sys; {code}; print([name for name in {absent} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
