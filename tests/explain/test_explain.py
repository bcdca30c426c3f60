from __future__ import annotations

import json
from pathlib import Path

import googlesql
import ibis
import messy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from conftest import (
    Built,
    after,
    arrow,
    command,
    event_types,
    raw_event,
    raw_user,
    reading,
    result,
    user_types,
)
from hypothesis import HealthCheck, given, settings
from stories import story

import pipeline
from pipeline import catalog
from pipeline.cli import cli
from pipeline.errors import UsageError
from pipeline.explain import MODELS, Explanation, explain
from pipeline.expressions import declared_table
from pipeline.masking import Masking
from pipeline.sql import to_sql

UUID = "00627d57-4ec0-48af-a5e9-815fbf3b0943"
ODD = """it's "a" \\ `b` -- é😀 [red]%s{}; DROP"""


# --- An id that no command has --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([], "No raw event carries this id."),
        ([raw_event("Command", {"uuid": "x"})], "Its Command came, but could not be used."),
        ([result("x")], "The hub reported it, but its Command never came."),
        ([reading("x")], "It is the id of a reading, not of a command."),
        (
            [raw_event("HubHeartbeat", {"uuid": "x"})],
            "Only events of kinds that the pipeline does not read carry this id.",
        ),
        ([raw_event("Command", '{"uuid": "x", "de')], "Its Command came, but could not be used."),
    ],
    ids=["nothing", "quarantined", "hub only", "reading", "out of scope", "broken"],
)
def test_of_an_unknown_id_it_tells_what_is_known(built, events, why):
    found = story(built(command("c"), *events), "x")

    assert (found.found, found.why) == (False, why)
    assert len(found.events) == len(events)


def test_a_typed_beginning_finds_the_ids_that_begin_so(built):
    models = built(command("0062-b"), command("0062-a"), command("1062-a"))

    assert story(models, "0062").similar == ("0062-a", "0062-b")


@pytest.mark.parametrize(
    ("typed", "similar"),
    [
        (UUID.upper(), (UUID,)),
        (UUID.replace("4ec0", "4ce0"), (UUID,)),
        (UUID[1:], (UUID,)),
        ("something-else-altogether-of-36-chars", ()),
    ],
    ids=["upper case", "swapped letters", "lost letter", "another"],
)
def test_a_mistyped_id_finds_the_nearest(built, typed, similar):
    assert story(built(command(UUID)), typed).similar == similar


def test_an_empty_id_is_a_usage_error(built):
    with pytest.raises(UsageError, match="not empty"):
        story(built(command("c")), "")


# --- Masked values, and hostile text --------------------------------------------------------------


PIN = command("c", "PinAssignment", 3, "987654")


def everything_shown(found: Explanation) -> str:
    return repr(found) + found._repr_html_() + repr(vars(found))


def test_a_pin_is_masked_in_all_that_is_told(built):
    models = built(PIN, PIN, command("d", "PinAssignment", 4, "987654", at=2))

    assert "987654" not in everything_shown(story(models, "c"))


def test_a_pin_in_a_quarantined_command_is_masked(built):
    broken = PIN | {"ItemData": PIN["ItemData"][:-1]}

    found = story(built(broken), "c")

    assert len(found.events) == 1
    assert "987654" not in everything_shown(found)


def test_reveal_shows_the_pin(built):
    assert story(built(PIN), "c", reveal=True).asked == "PinAssignment slot 3, pin 987654"


def test_an_odd_id_is_looked_for_as_it_is_typed(built):
    models = built(command(ODD), command("c"))

    assert story(models, ODD).found
    assert ODD in repr(story(models, ODD))


def test_what_a_hub_writes_is_shown_as_it_is(built):
    failure = {"uuid": "c", "result": False, "failure_string": "[bold]<b>jam"}
    found = story(built(command("c"), raw_event("CommandResult", failure)), "c")

    # beside its name in the head, and in the timeline
    assert repr(found).count("[bold]<b>jam") == 2
    assert found._repr_html_().count("[bold]&lt;b&gt;jam") == 2


# --- The same on both engines ---------------------------------------------------------------------


def on_googlesql(uuid: str, tables: dict[str, pa.Table], **asked: bool) -> Explanation:
    """The explanation that BigQuery would give."""
    place = ("project", "dataset")
    named = {f"project.dataset.{name}": table for name, table in tables.items()}
    return explain(
        uuid,
        lambda name: declared_table(catalog.load(), name, *place),
        lambda expr: googlesql.query(to_sql(Masking(catalog.load()).rows(expr), "bigquery"), named),
        **asked,
    )


def assert_told_alike(models: Built, *uuids: str, **asked: bool) -> None:
    tables = {name: models.table(name).to_pyarrow() for name in MODELS}
    for uuid in uuids:
        assert vars(on_googlesql(uuid, tables, **asked)) == vars(story(models, uuid, **asked))


def test_both_engines_tell_the_same_story(built):
    models = built(
        *(command("c", at=0), command("c", at=1), command("c", MapRevision=None)),
        *(
            command("d", "SwitchState", "on", at=3),
            result("c"),
            reading("r"),
            PIN | {"DateCreated": after(5)},
        ),
        *(reading("s", {"value": 70, "unit": "F"}, "ThermostatHeatSetpoint"), command(ODD)),
        command("e", "ThermostatHeatSetPoint", "70.5"),
        raw_event("CommandActive", '{"uuid": "c", "nod'),
        users=[raw_user()],
    )

    assert_told_alike(models, "c", "d", "e", ODD, "x", "cc", "C", ODD[:9])


def test_a_reading_with_a_commands_id_is_found_on_any_day(built):
    of_another = {"MapUniqueName": "another"}
    models = built(
        command("c", at=0),
        result("c", at=1),
        *(reading("c", at=day * 86_400) for day in (-9, 9, 9)),
        reading("c", at=3, **of_another),
        reading("c", at=9 * 86_400, **of_another),
    )

    assert len(story(models, "c").events) == 7
    # the readings of all other devices are too much to pay for
    assert len(story(models, "c", charges_by_bytes=True).events) == 6
    assert_told_alike(models, "c")
    assert_told_alike(models, "c", charges_by_bytes=True)


@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(messy.raw_events(), messy.raw_users())
def test_both_engines_tell_the_same_of_messy_rows(events, users):
    con = ibis.duckdb.connect()
    raw = {"raw_sync_events": arrow(events, event_types()), "raw_users": arrow(users, user_types())}
    models = Built(con, raw)
    uuids = {event["item_uuid"] for event in models["stg_sync_events"]} - {None, ""}

    assert_told_alike(models, *sorted(uuids)[:3])
    con.disconnect()


# --- From Python and from the command line --------------------------------------------------------


@pytest.fixture
def database(tmp_path) -> Path:
    """A database built on a few raw rows."""
    events = [command("c"), result("c"), reading("r"), command("p", "PinAssignment", 1, "987654")]
    pq.write_table(arrow(events, event_types()), tmp_path / "events.parquet")
    pq.write_table(arrow([raw_user()], user_types()), tmp_path / "users.parquet")
    path = tmp_path / "test.duckdb"
    files = {"events": tmp_path / "events.parquet", "users": tmp_path / "users.parquet"}
    pipeline.connect("duckdb", database=path, **files).build()
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["explain", *map(str, args)])


def test_in_python_the_story_is_an_object_that_shows_itself(database):
    found = pipeline.connect("duckdb", database=database).explain("c")

    assert found.outcome == "confirmed"
    assert repr(found).startswith("Command c: confirmed\n")
    assert "confirmed</span>" in found._repr_html_()


def test_the_command_tells_the_story_as_a_timeline(database):
    found = run("c", "--database", database)

    assert found.exit_code == 0
    times = [line.split()[2:4] for line in found.output.splitlines() if "2022-01-01 12:00" in line]
    assert times[1:] == [
        ["+0.000", "Command"],
        ["+0.000", "other"],
        ["+1.000", "CommandResult"],
        ["+2.000", "DoorLocked"],
    ]


def test_an_unknown_id_is_told_with_status_1(database):
    found = run("x", "--database", database)

    assert found.exit_code == 1
    assert "There is no command x. No raw event carries this id." in found.output


def test_the_json_holds_the_whole_story(database):
    found = json.loads(run("c", "--database", database, "--format", "json").output)

    assert (found["found"], found["outcome"]) == (True, "confirmed")
    assert found["command"]["command_update_timestamp"] == "2022-01-01T12:00:00+00:00"
    assert [event["item_key"] for event in found["events"]] == ["Command", "CommandResult"]
    assert found["readings"][0]["attributed_to"] == "c"
    assert found["neighbours"][0]["command_uuid"] == "p"


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_command_masks_unless_told_to_reveal(database, form):
    masked = run("p", "--database", database, "--format", form)
    revealed = run("p", "--database", database, "--format", form, "--reveal")

    assert "987654" not in masked.output
    assert "987654" in revealed.output


def test_reveal_is_typed_and_never_taken_from_the_environment(database, monkeypatch):
    monkeypatch.setenv("PIPELINE_REVEAL", "1")

    assert "987654" not in run("p", "--database", database).output
