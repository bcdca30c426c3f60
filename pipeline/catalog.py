"""The graph of all models that `staging` and `marts` export.

A file that can't be imported, or that its folder does not list, becomes a faulty model of its name.
The other models still work.
"""

from __future__ import annotations

import ast
import importlib
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from pipeline.contract import Model, model
from pipeline.declarations import Fault, shown, told
from pipeline.errors import ContractError
from pipeline.graph import LAYERS, Graph

PACKAGE = Path(__file__).parent


@cache
def load() -> Graph:
    """Return the graph of all models.

    Raises:
        ContractError: a folder's own `__init__` can't be read.
    """
    models: list[Model] = []
    faults: list[Fault] = []
    for layer in LAYERS:
        for file in _files(layer):
            found = _models_in(file, layer)
            models += found if isinstance(found, list) else [_nothing(file.stem, layer)]
            faults += [] if isinstance(found, list) else [found]
    return Graph(models, faults)


def _files(layer: str) -> list[Path]:
    """Import a folder's models; return the files that exist or that the folder lists."""
    try:
        importlib.import_module(f"pipeline.{layer}")
    except Exception:  # one of the files: _models_in imports each by itself and names it
        package = ModuleType(f"pipeline.{layer}")
        package.__path__ = [str(PACKAGE / layer)]
        sys.modules[package.__name__] = package
    listed = {PACKAGE / layer / f"{name}.py" for name in _listed(layer)}
    return sorted({*(PACKAGE / layer).glob("[!_]*.py"), *listed})


@cache
def _listed(layer: str) -> dict[str, int]:
    """Return the files that a folder's `__init__` imports, each with its line."""
    init = PACKAGE / layer / "__init__.py"
    try:
        tree = ast.parse(init.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ContractError(f"{shown(str(init))}:{error.lineno}: {error.msg}") from error
    prefix = f"pipeline.{layer}."
    return {
        node.module.removeprefix(prefix): node.lineno
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(prefix)
    }


def _models_in(file: Path, layer: str) -> list[Model] | Fault:
    """Return the models of a file, or why it has none."""
    name, init = file.stem, shown(str(PACKAGE / layer / "__init__.py"))
    if name not in _listed(layer):
        line = f"from pipeline.{layer}.{name} import {name} as {name}"
        remedy = f"Add there: {line}; or move the file out of {layer}/."
        return Fault(name, f"{shown(str(file))}:1", f"{init} does not list it", remedy)
    if not file.exists():
        where = f"{init}:{_listed(layer)[name]}"
        return Fault(name, where, f"there is no {shown(str(file))}", "Add it, or leave it out.")
    try:
        module = importlib.import_module(f"pipeline.{layer}.{name}")
    except Exception as error:  # a model's file may raise anything
        return _unimportable(name, file, error)
    models = list(_declared_in(module))
    if not models:
        what = "no function in it is declared with @model"
        return Fault(
            name, f"{shown(str(file))}:1", what, f"Declare one, or move it out of {layer}/."
        )
    for each in models:
        vars(sys.modules[f"pipeline.{layer}"])[each.name] = each.function
    return models


def _declared_in(module: ModuleType) -> Iterator[Model]:
    for value in vars(module).values():
        declared = getattr(value, "model", None)
        if isinstance(declared, Model) and value.__module__ == module.__name__:
            yield declared


def _unimportable(name: str, file: Path, error: Exception) -> Fault:
    if isinstance(error, SyntaxError):
        return Fault(name, f"{shown(error.filename or str(file))}:{error.lineno}", error.msg)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(PACKAGE) and frame.filename != __file__
    ]
    where = (
        f"{shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else f"{shown(str(file))}:1"
    )
    return Fault(name, where, told(error))


def _nothing(name: str, layer: str) -> Model:
    """Return an empty model for a file that has none."""

    def function() -> None:
        """One row per nothing: its file can't be used."""

    function.__name__, function.__module__ = name, f"pipeline.{layer}.{name}"
    return model(key=[], columns=[], tags=[])(function).model  # type: ignore[attr-defined]
