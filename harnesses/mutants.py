"""Breaks of the pipeline: each mutant changes a result, and the tests must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change of the code: a file under pipeline/, a text that it has once, and the new text."""

    file: str
    old: str
    new: str
    breaks: str


_UNITS = ("test_units.py",)
_INCREMENTAL = ("test_incremental.py",)

TESTS = {
    "units.py": _UNITS,
    "pruning.py": (*_INCREMENTAL, "test_pruning.py"),
    "changes.py": _INCREMENTAL,
    "incremental.py": _INCREMENTAL,
    "fingerprints.py": ("test_fingerprints.py",),
    "backends/bigquery/load_days.py": ("backends/bigquery/test_load_days.py",),
    "backends/duckdb/manifest.py": _INCREMENTAL,
    "backends/duckdb/changing.py": _INCREMENTAL,
    "backends/duckdb/increment.py": _INCREMENTAL,
    "slices.py": ("test_slices.py",),
    "staged.py": _INCREMENTAL,
    "staging/stg_readings.py": ("test_units.py", "staging/test_stg_readings.py"),
    "staging/stg_repeated_events.py": ("test_units.py", "staging/test_stg_repeated_events.py"),
    "rules/window.py": ("marts/test_fct_command_readings.py",),
    "rules/matching.py": ("rules/test_matching.py",),
    "rules/comparisons.py": ("rules/test_matching.py",),
    "rules/time.py": ("rules/test_time.py",),
    "rules/numbers.py": ("rules",),
    "rules/outcomes.py": ("marts/test_fct_command_readings.py",),
    "rules/commands.py": ("staging/test_stg_commands.py",),
    "marts/fct_command_neighbours.py": ("marts/test_fct_command_readings.py", *_UNITS),
    "marts/fct_command_readings.py": ("marts/test_fct_command_readings.py", *_UNITS),
    "rules/dedup.py": ("rules/test_dedup.py", "staging/test_stg_repeated_events.py"),
    "rules/revision.py": ("rules/test_revision.py", "rules/test_dedup.py"),
    "rules/items.py": ("rules", "staging"),
    "rules/reconciliation.py": ("marts/test_fct_command_statuses.py", "test_checks.py"),
    "staging/stg_sync_events.py": ("staging",),
    "dialect.py": ("test_dialect.py",),
    "checks.py": ("test_checks.py",),
    "counting.py": ("test_checks.py",),
    "contract.py": ("test_checks.py",),
    "masking.py": ("cli/test_show_command.py",),
    "where.py": ("cli/test_show_command.py",),
    "digest.py": ("test_digest.py",),
    "files/ndjson.py": ("files/test_ndjson_files.py",),
    "files/csv_survey.py": ("files/test_csv_files.py",),
    "files/types.py": ("files/test_files_together.py", "files/test_parquet_files.py"),
    "files/streams.py": ("files",),
    "files/faults.py": ("files",),
    "files/parquet_footer.py": ("files/test_parquet_files.py",),
    "backends/duckdb/workspace.py": ("backends/test_duckdb.py",),
}
"""The tests of each file; a model or rule that is not listed has a test of its own name."""

_COMPARED = "rules/comparisons.py"
_READINGS = "marts/fct_command_readings.py"
_NEIGHBOURS = "marts/fct_command_neighbours.py"
_STATUSES = "marts/fct_command_statuses.py"
_DAILY = "marts/met_daily_command_count_by_username.py"
_OUTCOMES = "marts/met_command_outcomes.py"
_EVENTS = "staging/stg_sync_events.py"

MUTANTS = (
    # the window of 15 seconds
    Mutant("rules/window.py", "WINDOW_SECONDS = 15", "WINDOW_SECONDS = 16", "the window's length"),
    Mutant("rules/window.py", '<= asked["at"] + WINDOW', '< asked["at"] + WINDOW', "its end"),
    Mutant(
        "rules/window.py", 'read_at >= asked["at"]', 'read_at > asked["at"]', "a reading at once"
    ),
    Mutant("rules/window.py", "[first, first + 1]", "[first]", "readings past a bucket's end"),
    Mutant(
        "rules/window.py",
        "            asked.device_id == reported.read_device_id,\n",
        "",
        "readings of other devices are left out",
    ),
    Mutant("rules/window.py", "(gap <= WINDOW)", "(gap < WINDOW)", "commands 15 s apart share"),
    Mutant(
        "rules/window.py",
        '*revision_order(commands.command_map_revision, nulls="lowest"),',
        "commands.command_map_revision,",
        "of commands at one time the higher hex revision is later",
    ),
    Mutant(
        "rules/window.py", "        commands.command_uuid,\n", "", "the order of commands is total"
    ),
    Mutant("rules/window.py", "microseconds / 1e6", "microseconds / 1e3", "the unit is seconds"),
    Mutant("rules/window.py", 'nulls="lowest"', 'nulls="last"', "a NULL revision is the lowest"),
    # what a reading shows
    Mutant(_COMPARED, "SET_POINT_TOLERANCE = 0.5", "SET_POINT_TOLERANCE = 0.4", "0.5"),
    Mutant(_COMPARED, "LEVEL_TOLERANCE = 1\n", "LEVEL_TOLERANCE = 0\n", "99 matches 100"),
    Mutant(_COMPARED, "(read - 32) * 5 / 9", "read * 5 / 9", "Fahrenheit's offset"),
    Mutant(_COMPARED, "read * 9 / 5 + 32", "read * 9 / 5", "Celsius's offset"),
    Mutant(_COMPARED, "near(read) | near(converted)", "near(read)", "the other unit"),
    Mutant(_COMPARED, "<= SET_POINT_TOLERANCE", "< SET_POINT_TOLERANCE", "just 0.5 off"),
    Mutant(_COMPARED, "> LEVEL_TOLERANCE", ">= LEVEL_TOLERANCE", "just 1 off"),
    Mutant(_COMPARED, '("settocool", "cool")', '("settocool", "heat")', "settocool"),
    Mutant(_COMPARED, "pairs.state_value.lower()", "pairs.state_value", "On matches on"),
    Mutant(_COMPARED, '(*asked) == "on"', '(*asked) == "off"', "level of on"),
    Mutant(_COMPARED, "words[words.length() - 1]", "words[0]", "Multilevel On is on"),
    Mutant(_COMPARED, "LEVEL_TOLERANCE).fill_null(False)", "LEVEL_TOLERANCE)", "no level: any"),
    Mutant(_COMPARED, '("locked", "true")', '("locked", "false")', "locked is true"),
    # attribution and outcome
    Mutant(
        _READINGS, "_.next_same_at > _.read_at", "_.next_same_at >= _.read_at", "at the same time"
    ),
    Mutant(_READINGS, ".fill_null(True)", ".fill_null(False)", "the last command's attribution"),
    Mutant(
        _NEIGHBOURS, 'group_by=["device_id", "command"]', 'group_by="device_id"', "another command"
    ),
    Mutant(
        _READINGS,
        "matches_desired_state=_.is_expected_type & is_match(expected)",
        "matches_desired_state=is_match(expected)",
        "only the expected type matches",
    ),
    Mutant(
        _READINGS,
        "confirms = pairs.is_attributed & pairs.matches_desired_state",
        "confirms = pairs.matches_desired_state",
        "only what is attributed confirms",
    ),
    Mutant(_READINGS, ").left_join(\n", ").join(\n", "commands without readings"),
    Mutant("rules/outcomes.py", '"unconfirmed", True', '"unconfirmed", None', "outcome"),
    Mutant("rules/outcomes.py", '"contradicted", False', '"contradicted", True', "no success"),
    Mutant(
        _READINGS,
        "is_near(since) | is_near",
        "is_near",
        "a window is shared with the command before",
    ),
    Mutant(_NEIGHBOURS, "previous_at=at.lag()", "previous_at=at.lead()", "the command before"),
    Mutant(_READINGS, ".min(where=confirms)", ".max(where=confirms)", "the first reading"),
    # statuses
    Mutant(
        _STATUSES,
        'commands.left_join(actives, "command_uuid")',
        'commands.join(actives, "command_uuid")',
        "without active",
    ),
    Mutant(_STATUSES, ".is_hub_success.fill_null(False)", ".is_hub_success", "no result"),
    Mutant(
        _STATUSES,
        "_._command_result_uid.notnull()",
        "_.is_hub_success.fill_null(False)",
        "a failure is a response",
    ),
    Mutant(
        _STATUSES,
        "active_timestamp=_.event_timestamp",
        "active_timestamp=_.update_timestamp",
        "which of two times",
    ),
    Mutant(
        "staging/stg_command_results.py",
        r'r"\b(true|success)\b"',
        'r"(true|success)"',
        "unsuccessful",
    ),
    Mutant("staging/stg_command_results.py", "_.result.lower()", "_.result", "TRUE is a success"),
    Mutant("staging/stg_command_results.py", ".fill_null(False)", "", "no result is no success"),
    Mutant(
        "staging/stg_commands.py",
        "commands[element].lower() if",
        "commands[element] if",
        "lower case",
    ),
    Mutant(
        "staging/stg_commands.py",
        "zip(ELEMENTS, kind",
        "zip(ELEMENTS[::-1], kind",
        "the pin",
    ),
    Mutant(
        "staging/stg_commands.py",
        "command_client=_.client",
        "command_client=_.origin",
        "the client",
    ),
    # the parse and the dispositions
    Mutant(
        _EVENTS,
        "ibis.coalesce(_.command_id, _.uuid)",
        "ibis.coalesce(_.uuid, _.command_id)",
        "command_id goes first",
    ),
    Mutant(_EVENTS, 'command_id=_.command_id.nullif("")', "command_id=_.command_id", "an empty id"),
    Mutant(_EVENTS, "ibis.coalesce(_.uuid, _._uid)", "_.uuid", "a reading without uuid"),
    Mutant(_EVENTS, 'user_id=_.user.nullif("")', "user_id=_.user", "an empty user is none"),
    Mutant(
        _EVENTS,
        "ItemKey)\n    return raw",
        "ItemKey).lower()\n    return raw",
        "keys compare exactly",
    ),
    Mutant(
        _EVENTS,
        'events.device_id.fill_null("") == ""',
        "events.device_id.isnull()",
        "an empty device",
    ),
    Mutant(
        _EVENTS,
        'events.event_type == "map_item_removed"',
        'events.event_type == "no event"',
        "what was removed",
    ),
    Mutant(
        _EVENTS,
        "events.command.fill_null(ALL_COMMANDS) == ALL_COMMANDS",
        "events.command.isnull()",
        "the reserved word",
    ),
    Mutant(
        _EVENTS,
        "_.has_members.ifelse(_.state_value, json_scalar(states.state))",
        "_.state_value",
        "a scalar state",
    ),
    # copies
    Mutant("rules/dedup.py", '("_source_file", *CONTENT)', "CONTENT", "the file breaks ties"),
    Mutant("rules/dedup.py", '("_source_file", *CONTENT)', '("_source_file",)', "the content does"),
    Mutant("rules/dedup.py", "(_._position == 0)", "(_._position == 1)", "the first is kept"),
    Mutant(
        "rules/dedup.py",
        "[column.isnull(), column]",
        "[column.notnull(), column]",
        "NULL last",
    ),
    Mutant("rules/revision.py", "revision.length().fill_null(0), ", "", "9 before a before 10"),
    Mutant(
        "rules/dedup.py",
        '(_.staged_kind == READING).ifelse(_.device_id, "")',
        "_.device_id",
        "a command's id is of no device",
    ),
    Mutant(
        "staging/stg_users.py",
        'ibis.desc("last_modified")',
        'ibis.asc("last_modified")',
        "the latest version",
    ),
    Mutant("staging/stg_users.py", ', ibis.desc("date_registered")', "", "ties of versions"),
    Mutant(
        "staging/stg_user_versions.py",
        'users.username.fill_null("") == ""',
        "users.username.isnull()",
        "an empty name",
    ),
    # texts as times and numbers
    Mutant("rules/time.py", "_BELOW = 10**11, 10**14", "_BELOW = 10**12, 10**14", "epoch in ms"),
    Mutant("rules/time.py", "between(1 - limit,", "between(-limit,", "just -10^11"),
    Mutant("rules/time.py", "number % 1_000 < 0", "number % 1_000 > 0", "nanoseconds before 1970"),
    Mutant("rules/time.py", r"[0-5][0-9]|14:00)", r"[0-5][0-9])", "the offset of 14 hours"),
    Mutant("rules/time.py", r"(\.[0-9]{1,9})?", r"(\.[0-9]{1,6})?", "nanoseconds are cut"),
    Mutant(
        "rules/numbers.py",
        "(fitting < 0).ifelse(fitting.ceil(), fitting.floor())",
        "fitting.floor()",
        "a fraction before 1970 is cut",
    ),
    Mutant(
        "rules/numbers.py",
        'value.isinf().ifelse(ibis.null("float64"), value)',
        "value",
        "1e400 is not a number",
    ),
    Mutant(
        "rules/numbers.py",
        r"^-?[0-9]+(\.[0-9]+)?([eE]",
        r"^[+-]?[0-9]+(\.[0-9]+)?([eE]",
        "+7 is not a number",
    ),
    Mutant(
        "rules/source_values.py", "_EXACT = 2.0**53", "_EXACT = 2.0**31", "7e12 keeps its digits"
    ),
    # counts
    Mutant(_DAILY, "spine.left_join(", "spine.join(", "days without commands"),
    Mutant(_DAILY, "named.name.fill_null(UNKNOWN_USER)", "named.name", "unknown users"),
    Mutant(_DAILY, "named.user_id.isnull().ifelse(NO_USER, ", "(", "commands without a user"),
    Mutant(
        _OUTCOMES,
        "_.rank * 100 >= _.total * percent",
        "_.rank * 100 > _.total * percent",
        "nearest rank",
    ),
    Mutant(
        _OUTCOMES,
        "_.number_hub_success.nullif(0)",
        "_.number_of_commands.nullif(0)",
        "the rate is of successes",
    ),
    Mutant(
        _OUTCOMES,
        "where=success & (_.matching_reading_count > 0)",
        "where=_.matching_reading_count > 0",
        "hub successes alone",
    ),
    Mutant(
        "marts/audit_dispositions.py",
        "moved(STAGED, -later.number_of_rows)",
        "moved(STAGED, 0 * later.number_of_rows)",
        "rows are counted once",
    ),
    Mutant(
        "marts/audit_dispositions.py",
        "(_.copies - 1)",
        "_.copies",
        "the kept copy is no duplicate",
    ),
    Mutant(
        "marts/audit_dispositions.py",
        "_.number_of_rows > 0",
        "_.number_of_rows >= 0",
        "no row with 0",
    ),
    # engines
    Mutant(
        "dialect.py",
        "compiler.if_(nested, sge.null(), member)",
        "member",
        "an object is not a scalar",
    ),
    Mutant(
        "dialect.py",
        'wide = sge.Kwarg(this=sge.var("wide_number_mode"), expression=sge.convert("round"))',
        'wide = sge.Kwarg(this=sge.var("wide_number_mode"), expression=sge.convert("exact"))',
        "long numbers on BigQuery",
    ),
    # masking and files
    Mutant(
        "masking.py", "ibis.cases((table[name].notnull(), MASK))", "table[name]", "PINs are masked"
    ),
    Mutant(
        "where.py", "if name not in FUNCTIONS:", "if False:", "a condition only looks at its row"
    ),
    Mutant(
        "where.py", "column.name in model.sensitive and not reveal", "False", "conditions on PINs"
    ),
    Mutant(
        "files/csv_survey.py",
        "if found is None or found.fields - {len(header)}:",
        "if found is None:",
        "records are as wide as the header",
    ),
    Mutant(
        "files/streams.py",
        "            if not rest and not member.eof:\n                raise self._damaged()",
        '            if not rest:\n                return b""',
        "a .gz that is cut",
    ),
    Mutant(
        "files/parquet_footer.py",
        "if rows != metadata.num_rows:",
        "if False:",
        "a footer's counts agree",
    ),
    Mutant(
        "files/faults.py",
        "        _read_alone(raw, path)\n",
        "",
        "what only the engine refuses is named",
    ),
    Mutant(
        "files/ndjson.py",
        'ibis.null("string")),\n        else_',
        "text),\n        else_",
        "nested values of other columns",
    ),
    Mutant(
        "files/types.py",
        "if time.type().scale != 9:",
        "if True:",
        "nanoseconds before 1970 are cut",
    ),
    Mutant(
        "digest.py",
        'value.length().cast("string").concat(":", value)',
        "value",
        "texts do not run together",
    ),
    Mutant("contract.py", ".fill_null(null_passes)", ".fill_null(True)", "NULL is no value"),
    Mutant("counting.py", "_[column.name].isnull()", "_[column.name].notnull()", "not-NULL checks"),
    Mutant("checks.py", "key_hashes < measured.rows", "key_hashes > measured.rows", "unique keys"),
    Mutant(
        "backends/duckdb/workspace.py",
        "return by_day(day, to_sql",
        "return by_day(model.key[0], to_sql",
        "rows of a day lie together",
    ),
    # declarations: the unit, a link, the window
    Mutant(
        "marts/fct_command_neighbours.py",
        'Within("device_id")',
        'Within("command_uuid")',
        "neighbours are the device's",
    ),
    Mutant(
        "staging/stg_readings.py",
        'stg_repeated_events="item_uuid"',
        'stg_repeated_events="device_id"',
        "a reading's id in the repeated events",
    ),
    Mutant(
        "staging/stg_repeated_events.py",
        'Within("item_uuid")',
        'Within("item_uuid", stg_sync_events="device_id")',
        "an event's id in the staged events",
    ),
    Mutant(_READINGS, "window=WINDOW,", "window=WINDOW - 1_000_000,", "declared a second shorter"),
    Mutant(_READINGS, "window=WINDOW,", "window=WINDOW + 1_000_000,", "declared a second longer"),
    Mutant(
        _READINGS,
        """stg_readings=Near(
            of="fct_command_statuses",
            on="device_id",
            start="command_update_timestamp",
            at="update_timestamp",
            window=WINDOW,
        ),""",
        'stg_readings="reading_uuid",',
        "a command's readings are those near it",
    ),
    Mutant(
        _READINGS,
        'at="update_timestamp",\n            window',
        'at="event_timestamp",\n            window',
        "the recorded time decides",
    ),
    Mutant(
        "units.py",
        'read["at"] <= starts.start + link.window',
        'read["at"] <= starts.start + link.window - 1_000_000',
        "a window a second shorter",
    ),
    Mutant(
        "units.py",
        'read["at"] <= starts.start + link.window',
        'read["at"] <= starts.start + link.window + 1_000_000',
        "a window a second longer",
    ),
    Mutant("units.py", "ibis.array([last - 1, last])", "ibis.array([last])", "a bucket before"),
    Mutant(
        "units.py",
        "ibis.array([starts.bucket, starts.bucket + 1])",
        "ibis.array([starts.bucket])",
        "a bucket after",
    ),
    # what changed: rows that went count as well as rows that came
    Mutant(
        "steps.py",
        "for rows in (self.went, self.came) if",
        "for rows in (self.came,) if",
        "readings that went",
    ),
    Mutant(
        "backends/duckdb/changing.py",
        "return gone.union(more)",
        "return more",
        "units of rows that went",
    ),
    Mutant(
        "changes.py",
        "gone = went.select(*by).union(came.select(*by), distinct=True)",
        "gone = came.select(*by).distinct()",
        "rows that only went are deleted",
    ),
    Mutant(
        "backends/duckdb/changing.py",
        "expected.rows is not None and expected.rows != counted",
        "expected.rows is None",
        "rows have to add up",
    ),
    # what came on BigQuery, and the days to read
    Mutant(
        "backends/bigquery/load_days.py",
        "if each.rows - each.later < had:",
        "if each.rows < had:",
        "an old row that gave way to a later one",
    ),
    Mutant(
        "backends/bigquery/load_days.py",
        "elif came == each.later:",
        "elif each.later:",
        "rows that came late beside later ones",
    ),
    Mutant(
        "backends/bigquery/load_days.py",
        "for name, rows in lost.items():",
        "for name, rows in list(lost.items())[1:]:",
        "a load day of which no row is left",
    ),
    Mutant(
        "changes.py",
        'days = days + self._days_of(name, column, found, "former")',
        "pass",
        "the days of rows that were there before",
    ),
    Mutant(
        "changes.py",
        'id(found), "now"), lambda: new)',
        'id(found), "now"), lambda: old)',
        "readers get the rows as they are now",
    ),
    Mutant("pruning.py", "later(low, -before)", "later(low)", "a range is longer before"),
    Mutant("pruning.py", "[at.isnull()] if None in named", "[] if named", "rows without a day"),
    # the state: files that were read, code, age
    Mutant(
        "backends/duckdb/manifest.py",
        "if not _is_as_read(each, state):",
        "if state.st_size > each.bytes + 10**9:",
        "a recorded file that has changed",
    ),
    Mutant(
        "backends/duckdb/manifest.py",
        "if os.path.realpath(path) not in known",
        "if path.name",
        "files are read once",
    ),
    Mutant(
        "backends/duckdb/increment.py",
        "if previous.engine != VERSION:",
        "if not VERSION:",
        "another version of the engine",
    ),
    Mutant("incremental.py", "{**outdated(graph, previous), **modified}", "modified", "age"),
    Mutant(
        "incremental.py",
        'found.fingerprint == self.code.checks.get((model, found.name), "")',
        "found.name",
        "a check that has changed",
    ),
    Mutant(
        "fingerprints.py",
        '"code": _digest(model_sql(graph, model.name, engine)),',
        '"code": "",',
        "code that has changed",
    ),
    # rows of files that are gone
    Mutant("staged.py", "_.place < _.gone", "_.place >= _.gone", "the rows that stay"),
    Mutant("staged.py", '(kinds["most"] or 0) > 1', "False", "rows that can't be told apart"),
    # slices
    Mutant("slices.py", "self.share + self.shares", "self.share", "the other half of a day"),
    Mutant("slices.py", "if number and number + count > most:", "if False:", "slices"),
    Mutant(
        "slices.py",
        "link.at, ranges, after=link.window",
        "link.at, ranges",
        "readings after a slice's last day",
    ),
)
