from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import arrow, command, event_types, raw_user, reading, result, user_types

import pipeline
from pipeline import catalog
from pipeline.backends.duckdb.inputs import SAMPLE

COMMITTED = Path(__file__).parents[1] / "notebooks" / "explore.ipynb"
PICTURE = "image/svg+xml"
OF_THE_CODE = ("backend", "build")
"""The cells that list all models, with the time that each took."""


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook):
    return {cell["id"]: cell for cell in notebook["cells"] if cell["cell_type"] == "code"}


def shown(cell):
    """A cell's outputs, without the pictures: they depend on the drawing library's version."""
    outputs = [output.get("data", output) for output in cell["outputs"]]
    return [{kind: text for kind, text in data.items() if kind != PICTURE} for data in outputs]


def pictures(notebook):
    return [
        name
        for name, cell in code_cells(notebook).items()
        if any(PICTURE in output.get("data", {}) for output in cell["outputs"])
    ]


def run(notebook, folder):
    """Run a notebook in a folder, in a kernel of its own."""
    from nbclient import NotebookClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=300, resources=where).execute()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A folder for the notebook, without a database."""
    folder = tmp_path_factory.mktemp("clean") / "notebooks"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def executed(clean):
    """The notebook, run from nothing."""
    import nbformat

    notebook = nbformat.read(COMMITTED, as_version=4)
    for cell in code_cells(notebook).values():
        cell.outputs, cell.execution_count = [], None
    run(notebook, clean)
    assert (clean.parent / "build" / "pipeline.duckdb").exists()
    nbformat.write(notebook, clean / "executed.ipynb")
    return read(clean / "executed.ipynb")


def plain(notebook, name) -> str:
    [output] = code_cells(notebook)[name]["outputs"]
    return "".join(output["data"]["text/plain"])


def test_it_runs_from_nothing_and_says_what_the_committed_one_says(executed):
    committed = code_cells(read(COMMITTED))

    for name, cell in code_cells(executed).items():
        if name not in OF_THE_CODE:
            assert shown(cell) == shown(committed[name]), f"{name} shows something else now"


def test_each_cell_shows_one_thing_or_nothing_as_text_and_as_what_pages_show(executed):
    for notebook in (executed, read(COMMITTED)):
        for cell in code_cells(notebook).values():
            assert len(cell["outputs"]) <= 1
            for output in cell["outputs"]:
                assert "".join(output["data"]["text/plain"]).strip()
                assert {"text/html", "text/markdown", PICTURE} & output["data"].keys()


def test_it_lists_the_models_and_what_became_of_each(executed):
    models = list(catalog.load().models)

    listed = [line.split()[0] for line in plain(executed, "backend").splitlines()[2:]]
    assert [name for name in listed if name in models] == models
    built = re.findall(r"^OK created \w+ (\w+)", plain(executed, "build"), re.MULTILINE)
    assert built == models
    assert re.search(r"^Done\. PASS=\d+ WARN=3 FAIL=0", plain(executed, "build"), re.MULTILINE)
    # a new mart needs no new run of the notebook, a removed one does
    kept = re.findall(r"^OK created \w+ (\w+)", plain(read(COMMITTED), "build"), re.MULTILINE)
    assert set(kept) <= set(models)


def test_its_figures_are_those_of_plain_sql_on_the_build(executed, clean):
    with duckdb.connect(str(clean.parent / "build" / "pipeline.duckdb"), read_only=True) as con:
        outcomes = con.execute(
            "SELECT outcome, count(*) FROM fct_command_readings GROUP BY ALL"
        ).fetchall()
        success, matched, confirmed = con.execute(
            "SELECT count(*), count(*) FILTER (has_matching_reading),"
            " count(*) FILTER (has_attributed_matching_reading)"
            " FROM fct_command_readings WHERE is_hub_success"
        ).fetchone()

    text = re.sub(r"\x1b\[[0-9;]*m", "", plain(executed, "commands"))
    cells = re.findall(r"│ (\w+) +│ +(\d+) │", text)
    assert {name: int(number) for name, number in cells} == dict(outcomes)
    assert plain(executed, "by-kind-conclusion").startswith(
        f"Of **{success}** commands that the hub called a success, **{matched}** "
    )
    assert f"**{confirmed}** ({confirmed / success:.0%}) are confirmed" in plain(
        executed, "by-kind-conclusion"
    )


ODD = {
    "neither commands nor users": [reading("r1")],
    "one command": [command("c1")],
    "none superseded": [
        *(command("c1"), result("c1"), reading("r1")),
        *(command("c2", at=100), result("c2", False, at=101)),
        *(command("p", "PinAssignment", 1, "1234", at=300), result("p", at=301)),
    ],
}


def test_it_runs_on_any_data_and_says_none_where_there_is_nothing(tmp_path):
    import nbformat

    cells = []
    for number, events in enumerate(ODD.values()):
        users = [] if number == 0 else [raw_user()]
        paths = {name: tmp_path / f"{number}-{name}.parquet" for name in ("events", "users")}
        pq.write_table(arrow(events, event_types()), paths["events"])
        pq.write_table(arrow(users, user_types()), paths["users"])
        database = str(tmp_path / f"{number}.duckdb")
        assert pipeline.connect("duckdb", database=database, **paths).build(checks=False).ok
        for cell in code_cells(nbformat.read(COMMITTED, as_version=4)).values():
            cell["source"] = cell["source"].replace("../build/pipeline.duckdb", database)
            cell["id"], cell["outputs"] = f"{number}-{cell['id']}", []
            cells.append(cell)
    notebook = nbformat.v4.new_notebook(cells=cells)

    run(notebook, tmp_path)

    said = {cell["id"]: plain(notebook, cell["id"]) for cell in cells if "conclusion" in cell["id"]}
    assert said["0-delays-conclusion"] == "Confirmations: **none**."
    assert said["0-fails-conclusion"].startswith("**none** of all commands fail. ")
    assert said["1-fails-conclusion"].startswith("**100%** of all commands fail. ")
    assert "0 of these are superseded commands: none of" in said["2-by-situation-conclusion"]
    assert "the slowest kind by p95 is LockedState (2.0 s)" in said["2-delays-conclusion"]


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
    # shorter PINs may equal other numbers
    pins = set(re.findall(r'"PinAssignment","[0-9]+","([0-9]{6,})"', "".join(filter(None, sample))))
    outputs = json.dumps(
        [[cell.get("outputs") for cell in book["cells"]] for book in (executed, read(COMMITTED))]
    )

    assert len(pins) > 20
    assert pins.isdisjoint(re.findall(r"(?<![\d.])\d{6,}", outputs))
