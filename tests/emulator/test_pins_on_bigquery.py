"""No request, output or file of a command holds one of the PINs planted in the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pins
import pyarrow.parquet as pq
import pytest
import requests
from click.testing import CliRunner

from emulator.server import PROJECT
from pipeline.cli import cli

MODELS = "+fct_command_readings +quarantined_events +dim_users"
WORDS = [
    ["build", "--select", MODELS, "--store-failures", "failures", "--results", "results.json"],
    ["test", "--select", "stg_commands", "--warn-error", "--log-format", "json"],
    ["show", "stg_commands", "--where", "command = 'PinAssignment'", "--format", "json"],
    ["show", "quarantined_events", "--preview"],
    ["explain", "text"],
    ["explain", "cut"],
    ["docs"],
]


@pytest.fixture
def asked(monkeypatch) -> list[requests.PreparedRequest]:
    """All requests: addresses with job ids, bodies with statements and labels."""
    asked: list[requests.PreparedRequest] = []
    send = requests.Session.send

    def remembered(session, request, **options):
        asked.append(request)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", remembered)
    return asked


def typed(url: str, command: str, *words: str) -> str:
    """The output and files of a command."""
    backend = [] if command == "load" else ["--backend", "bigquery"]
    where = ["--project", PROJECT, "--dataset", "pins", "--api-endpoint", url]
    found = CliRunner().invoke(cli, ["--debug", command, *backend, *where, *words])
    assert found.exit_code in (0, 1), found.output
    return found.output + "".join(map(text_of, Path().rglob("*.*")))


def text_of(path: Path) -> str:
    return str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_text()


def texts(asked: Sequence[requests.PreparedRequest]) -> str:
    """Requests as text, without the rows of uploads."""
    return " ".join(
        f"{each.method} {each.url} {each.headers} {each.body!r}"
        for each in asked
        if each.method != "PUT"
    )


def test_no_command_on_bigquery_asks_prints_or_writes_a_pin_unless_it_is_told_to(
    warehouse, asked, tmp_path, tmp_path_factory, monkeypatch
):
    others = len(pins.PINS)  # planted by tests before this one
    files = pins.write(tmp_path_factory.mktemp("raw"))
    monkeypatch.chdir(tmp_path)

    for words in (["load", *files], *WORDS):
        told = typed(warehouse.url, *words)
        assert pins.told(told) == [], words
        assert pins.told(texts(asked)) == [], words

    assert '"labels"' in texts(asked)
    assert "INSERT INTO" in texts(asked)
    assert "BEGIN TRANSACTION" in texts(asked)
    one = pins.PINS[others]
    mine = ["show", "stg_commands", "--where", f"pin = '{one}'", "--reveal"]
    assert one in typed(warehouse.url, *mine)
    assert one in texts(asked)
