from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import catalog
from pipeline.backends.duckdb.inputs import SAMPLE

COMMITTED = Path(__file__).parents[1] / "notebooks" / "explore.ipynb"
PICTURE = "image/svg+xml"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook):
    return {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}


def shown(cell):
    """What a cell shows, without what depends on the drawing library's version."""
    outputs = [output.get("data", output) for output in cell["outputs"]]
    return [{kind: text for kind, text in data.items() if kind != PICTURE} for data in outputs]


def pictures(notebook):
    return [
        name
        for name, cell in code_cells(notebook).items()
        if any(PICTURE in output.get("data", {}) for output in cell["outputs"])
    ]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook, run from nothing: a copy in a folder where no database is."""
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("clean") / "notebooks"
    folder.mkdir()
    notebook = nbformat.read(COMMITTED, as_version=4)
    for cell in code_cells(notebook).values():
        cell.outputs, cell.execution_count = [], None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=300, resources=where).execute()
    assert (folder.parent / "build" / "pipeline.duckdb").exists()
    nbformat.write(notebook, folder / "executed.ipynb")
    return read(folder / "executed.ipynb")


def test_it_runs_from_nothing_and_says_what_the_committed_one_says(executed):
    committed = code_cells(read(COMMITTED))

    for name, cell in code_cells(executed).items():
        assert shown(cell) == shown(committed[name]), f"{name} shows something else now"


def test_it_draws_the_pictures_of_the_committed_one(executed):
    assert pictures(executed) == pictures(read(COMMITTED))
    assert len(pictures(executed)) >= 8


def test_it_warns_of_nothing(executed):
    streams = [
        output["text"]
        for notebook in (executed, read(COMMITTED))
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    ]

    assert streams == []


def test_the_committed_one_was_run_from_top_to_bottom():
    counts = [cell["execution_count"] for cell in code_cells(read(COMMITTED)).values()]

    assert counts == list(range(1, len(counts) + 1))


def test_it_tells_nothing_of_the_machine_it_ran_on():
    notebook = read(COMMITTED)

    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not any(cell["metadata"] for cell in notebook["cells"])
    assert not re.search(r"/(home|root|Users|tmp)/|[A-Z]:\\\\", COMMITTED.read_text())


def test_it_shows_no_column_that_holds_pins():
    outputs = json.dumps([cell.get("outputs") for cell in read(COMMITTED)["cells"]])

    models = catalog.load().models.values()
    sensitive = {name for model in models for name in model.sensitive}
    assert not [column for column in sensitive if re.search(rf"\b{column}\b", outputs)]


def test_it_shows_no_pin_of_the_sample(executed):
    sample = pq.read_table(SAMPLE / "raw_sync_events.parquet").column("ItemData").to_pylist()
    # shorter ones may well be the numbers of something else
    pins = set(re.findall(r'"PinAssignment","[0-9]+","([0-9]{6,})"', "".join(filter(None, sample))))
    outputs = json.dumps(
        [[cell.get("outputs") for cell in book["cells"]] for book in (executed, read(COMMITTED))]
    )

    assert len(pins) > 20
    assert pins.isdisjoint(re.findall(r"(?<![\d.])\d{6,}", outputs))
