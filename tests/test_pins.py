"""No output and no file of a command holds one of the PINs planted in the data.

Each command has its words here: the last test fails for a new command until it has some.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pins
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from pins import desired, pin, told

import pipeline
from pipeline.cli import cli
from pipeline.errors import PipelineError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with raw files and their build, with checks and failing rows."""
    folder = tmp_path_factory.mktemp("pins")
    with contextlib.chdir(folder):
        pins.write(Path())
        built = type_(*BUILD, "--store-failures", "failures", "--results", "results.json")
        assert built.exit_code == 0, built.output
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder, tmp_path, monkeypatch) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def type_(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), env={"PIPELINE_REVEAL": "1", "REVEAL": "true"})


def written(*suffixes: str) -> Iterator[str]:
    """The written files that are no raw file and no database."""
    raw = {"events.ndjson", "users.ndjson", "pipeline.duckdb"}
    for path in Path().rglob("*"):
        if path.is_file() and path.name not in raw:
            parquet = path.suffix == ".parquet"
            yield str(pq.read_table(path).to_pylist()) if parquet else path.read_text("utf-8")


INPUTS = ["--events", "events.ndjson", "--users", "users.ndjson"]
BUILD = ["build", *INPUTS]
IDS = ("text", "number", "letters", "nested", "copies", "slot", "cut", "object", "first", "none")
MODELS = list(pipeline.connect("duckdb").models)
FORMATS = ("table", "csv", "json")

WORDS: dict[str, list[list[str]]] = {
    "build": [
        BUILD,
        [*BUILD, "--log-format", "json", "--results", "again.json"],
        [*BUILD, "--warn-error", "--store-failures", "again"],
    ],
    "run": [["run", *INPUTS], ["run", *INPUTS, "--log-format", "json"]],
    "test": [
        ["test", "--store-failures", "again", "--results", "again.json"],
        ["test", "--log-format", "json", "--warn-error"],
    ],
    "compile": [["compile"], ["compile", "--backend", "bigquery", "--output", "sql"]],
    "lint": [["lint", "-s", "stg_commands"]],
    "show": [
        *(["show", name, "--limit", "99", "--format", how] for name in MODELS for how in FORMATS),
        ["show", "stg_commands", "--preview"],
        ["show", "stg_sync_events", "--preview", "--limit", "99"],
        ["show", "stg_sync_events", "--where", "CAST(_uid AS INTEGER) = 1"],
        ["show", "stg_sync_events", "--where", "CAST(item_data AS INTEGER) = 1"],
        ["--debug", "show", "stg_sync_events", "--where", "item_key = 'Command' AND slot"],
    ],
    "explain": [["explain", id, "--format", how] for id in IDS for how in ("table", "json")],
    "lineage": [["lineage", "stg_commands.pin"], ["lineage", "stg_commands.pin", "--down"]],
    "ls": [["ls"], ["ls", "--format", "json"]],
    "runs": [["runs"], ["runs", "--format", "json"]],
    "freshness": [["freshness"], ["freshness", "--error-after", "1h", "--format", "json"]],
    "digest": [["digest"], ["digest", "--format", "json"]],
    "verify": [["verify", "--share", "100%"], ["verify", "--share", "100%", "--format", "json"]],
    "diff": [["diff", "results.json", "events.ndjson"], ["diff", "events.ndjson", "events.ndjson"]],
    "docs": [["docs"]],
    "generate": [["generate", "--output", "made", "--commands", "10"]],
    "load": [
        [
            *("load", "--project", "my-project", "--source-dataset", "raw", *INPUTS),
            *("--api-endpoint", "http://127.0.0.1:9", "--debug"),
        ]
    ],
}


@pytest.mark.parametrize(
    "words", [each for words in WORDS.values() for each in words], ids=" ".join
)
def test_a_command_tells_no_pin(words):
    typed = type_(*words)

    assert isinstance(typed.exception, SystemExit | None), typed.exception
    assert told(typed.stdout + typed.stderr) == []
    assert [found for text in written() for found in told(text)] == []


def test_what_the_build_wrote_holds_rows_with_masked_pins_and_no_others():
    stored = list(Path("failures").glob("stg_commands.*.parquet"))

    assert stored
    assert all("***" in str(pq.read_table(path).to_pylist()) for path in stored)
    assert [found for text in written() for found in told(text)] == []


def test_the_record_of_a_build_holds_no_pin():
    with duckdb.connect() as con:
        con.execute("ATTACH 'build/pipeline.duckdb' AS built (READ_ONLY)")
        runs = con.execute("SELECT sources, models, checks FROM built._pipeline.runs").fetchall()
        comments = con.execute("SELECT comment FROM duckdb_columns()").fetchall()

    assert runs
    assert told(str([runs, comments])) == []


def test_python_shows_no_pin_of_a_story_either():
    story = pipeline.connect("duckdb").explain("text")

    assert told(repr(story) + story._repr_html_() + str(vars(story))) == []


@pytest.mark.parametrize(
    "words",
    [
        ["show", "stg_commands", "--format", "csv", "--reveal"],
        ["explain", "text", "--reveal"],
        [*BUILD, "--reveal"],
        ["test", "--reveal"],
    ],
    ids=" ".join,
)
def test_what_is_hidden_is_there_to_be_revealed(words):
    assert told(type_(*words).stdout)


def _broken() -> dict[str, bytes]:
    """Files at fault in a line with a PIN, by name."""
    line = json.dumps(desired("c", ["PinAssignment", 1, pin()])["ItemData"])
    header = b"EventType,DateCreated,MapRevision,ItemKey,ItemRevision,EndpointId,ItemData"
    header += b",MapUniqueName,_source_file\n"
    texts = {
        "cut.ndjson": '{"ItemKey": "Command", "ItemData": ' + line[:-4],
        "trailing.ndjson": '{"ItemKey": "Command", "ItemData": ' + line + "} " + pin(),
        "array.ndjson": f'["{pin()}"]',
        "keys.ndjson": json.dumps({pin(): 1}),
        "text.parquet": pin(),
    }
    records = {
        "fields.csv": f'Command,"{pin()}",d',
        "quote.csv": f'a,b,c,Command,e,f,"{pin()}"x,h,i',
        "open.csv": f'a,b,c,Command,e,f,"{pin()},h,i',
        "bytes.csv": f"a,b,c,Command,e,f,{pin()}\udcff,h,i",
    }
    broken = {name: text.encode() for name, text in texts.items()}
    broken["bytes.ndjson"] = f'{{"ItemKey": "{pin()}\udcff"}}'.encode(errors="surrogateescape")
    broken["header.csv"] = f"{pin()},b\n".encode()
    for name, record in records.items():
        broken[name] = header + record.encode(errors="surrogateescape") + b"\n"
    return broken


BROKEN = _broken()


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_broken_file_is_named_without_the_pin_in_it(name, log_format):
    Path(name).write_bytes(BROKEN[name])

    words = ["build", "--events", name, "--users", "users.ndjson", "--log-format", log_format]
    built = type_("--debug", *words, "--results", "again.json")

    assert built.exit_code == 2
    assert "Traceback" in built.stderr
    assert name in built.stderr
    assert told(built.stdout + built.stderr) == []


@pytest.mark.parametrize("name", BROKEN)
def test_python_tells_no_pin_of_a_broken_file_either(name, capfd):
    Path(name).write_bytes(BROKEN[name])
    p = pipeline.connect("duckdb", events=name, users="users.ndjson")

    with pytest.raises(PipelineError) as raised:
        p.build()

    seen = io.StringIO()
    print(*capfd.readouterr(), raised.getrepr(style="native"), file=seen)
    assert told(seen.getvalue()) == []


def test_reveal_is_typed_and_never_taken_from_the_environment():
    for name, each in cli.commands.items():
        for option in each.params:
            if option.name == "reveal":
                assert isinstance(option, click.Option)
                assert option.envvar is None, name
                assert (
                    not option.allow_from_autoenv
                    or cli.context_settings.get("auto_envvar_prefix") is None
                ), name


def test_every_command_is_looked_at():
    assert set(WORDS) == set(cli.commands)
