"""The command line: reads options, calls `pipeline`, prints, and ends with the right status."""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import re
import shlex
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from pipeline.disk import printing
from pipeline.errors import PipelineError, UsageError, did_you_mean
from pipeline.stopping import stoppable

# a last look for garbage among all that a command has imported takes a tenth of a small build
atexit.register(gc.freeze)

# modules that need Ibis are imported where they are used, so --help answers at once
if TYPE_CHECKING:
    from pipeline.project import Project
    from pipeline.results import CheckResult, Digest, Result
    from pipeline.sql import Engine

Command = TypeVar("Command", bound=Callable[..., Any])
SELECTION = ("--select", "-s", "-m", "--models", "--exclude")
CHECKOUT = "python cli.py"
INSTALLED = ("hub-events", "python -m pipeline")
"""The name of this program in a checkout, and where it is installed."""

WHAT_STANDS = {
    "generate": "The folder is as it was.",
    "load": "The raw tables are as they were.",
}
"""The last line of a stopped command, if it is not about the last build."""


def _note_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta["debug"] = True  # all contexts share `meta`


DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_note_debug,
    help="Show the traceback of a failure.",
)


def _as_started(text: str) -> str:
    """Return a text whose commands name this program as the user started it."""
    name = click.get_current_context().find_root().info_name or ""
    return text.replace(CHECKOUT, name) if name in INSTALLED else text


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python look for garbage rarely.

    What a command imports and compiles stays until its end, and a look at all of it each time takes
    a tenth of a small build.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class ExpectedError(click.ClickException):
    """A failure of the pipeline, with its own message and exit status."""

    def __init__(self, error: PipelineError) -> None:
        super().__init__(_as_started(error.typed))
        self.exit_code = error.exit_status  # type: ignore[misc]


class Commands(click.Group):
    """The group of all commands: suggests names, and prints expected failures as messages."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest one; click suggests none for `sl`."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. {did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, and give it --debug."""
        cmd.params.append(DEBUG)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; --debug shows the traceback of an expected failure.

        A command that logs in JSON also prints a failure as a JSON object.
        """
        words = (*ctx._protected_args, *ctx.args)

        def what_stands() -> str:
            return WHAT_STANDS.get(ctx.invoked_subcommand or "", "The last build stands.")

        try:
            with stoppable(what_stands), printing(), _rare_collections():
                return super().invoke(ctx)
        except PipelineError as error:
            if ctx.meta.get("debug"):
                click.echo(traceback.format_exc(), err=True)
            self._log(ctx, words, error.what, error.next_step, error.exit_status)
            raise ExpectedError(error) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("", "pipeline"):
                raise
            raise ExpectedError(_lacking(error)) from error
        except click.ClickException as error:
            self._log(ctx, words, error.format_message(), "", error.exit_code)
            self._mark_results(ctx, words, error)
            raise

    def _mark_results(
        self, ctx: click.Context, words: Sequence[str], error: click.ClickException
    ) -> None:
        """Replace the --results file of an earlier run when a run fails before it begins."""
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        named = re.search(r"(?:^|\n)--results[=\n]([^\n]+)", "\n".join(words))
        if named and command and any(each.name == "results" for each in command.params):
            from pipeline.output.kept import ResultsFile

            ResultsFile(Path(named[1])).fail(error.format_message(), "", error.exit_code)

    def _log(
        self, ctx: click.Context, words: Sequence[str], what: str, next_step: str, status: int
    ) -> None:
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        takes_format = command and any(each.name == "log_format" for each in command.params)
        asked = re.search(r"(^| )--log-format[ =]json\b", " ".join(words))
        if takes_format and (asked or os.environ.get("PIPELINE_LOG_FORMAT") == "json"):
            write_json(
                {
                    "event": "error",
                    "message": what,
                    "next_step": next_step,
                    "exit_status": status,
                }
            )


def _lacking(error: ModuleNotFoundError) -> UsageError:
    return UsageError(
        f"This Python ({sys.executable}) has no {error.name}, which the pipeline needs.",
        "Use the Python of the virtual environment, such as `.venv/bin/python`, or install the"
        " pipeline: `python -m pip install -e .`.",
    )


def write_json(fields: Mapping[str, Any]) -> None:
    """Print one line of the JSON log; all lines of a run carry its id."""
    meta = click.get_current_context().meta
    run = meta.setdefault("run", f"{datetime.now(UTC):%Y%m%dt%H%M%S}_{uuid.uuid4().hex[:8]}")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    click.echo(json.dumps({"time": now, "run": run, **fields}))


class Span(click.ParamType):  # type: ignore[type-arg]
    """A length of time, such as 12h."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read the text."""
        from pipeline.freshness import span

        return span(value)


class SelectingCommand(click.Command):
    """A command whose --select and --exclude take several values, as in dbt."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `--select a b` as `--select a --select b`."""
        ctx.meta["words"] = tuple(args)
        spread: list[str] = []
        option = None
        for arg in args:
            if option and not arg.startswith("-") and spread[-1] != option:
                spread.append(option)
            elif arg.startswith("-"):
                name = arg.split("=")[0]
                option = name if name in SELECTION else None
            spread.append(arg)
        return super().parse_args(ctx, spread)


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Add several options to a command, in their order."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def common(name: str, **settings: Any) -> Callable[[Command], Command]:
    """Make an option that may also come from the environment, as PIPELINE_<OPTION>."""
    variable = f"PIPELINE_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, envvar=variable, show_default=True, **settings)


BACKEND = common(
    "--backend",
    type=click.Choice(["duckdb", "bigquery"]),
    default="duckdb",
    help="The engine to run on.",
)
BIGQUERY = (
    common("--project", help="BigQuery project, which pays."),
    common("--dataset", help="BigQuery dataset of the models, made if missing."),
    common("--source-dataset", help="BigQuery dataset of the raw tables. [default: the same]"),
    common(
        "--location",
        help="Where BigQuery runs jobs and makes datasets, such as EU. "
        "[default: where the raw tables are]",
    ),
    common("--api-endpoint", metavar="URL", help="An emulator instead of BigQuery."),
    common(
        "--max-bytes-billed",
        type=click.IntRange(0),
        metavar="N",
        help="Let each BigQuery statement fail that would be billed more bytes.",
    ),
    common(
        "--policy-tag",
        metavar="RESOURCE",
        help="BigQuery policy tag for the sensitive columns of new tables: "
        "projects/…/policyTags/….",
    ),
)
OPTIONS = {
    "duckdb": ("database", "threads", "memory_limit", "events", "users"),
    "bigquery": (
        "project",
        "dataset",
        "source_dataset",
        "location",
        "api_endpoint",
        "max_bytes_billed",
        "policy_tag",
        "threads",
    ),
}
"""The options of each backend."""
CONNECTION = options(
    BACKEND,
    common(
        "--database",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("build/pipeline.duckdb"),
        help="DuckDB database file.",
    ),
    common(
        "--threads",
        type=click.IntRange(1, 1024),
        help="DuckDB threads, BigQuery jobs at once. [default: all cores; 8 jobs]",
    ),
    common("--memory-limit", metavar="SIZE", help="Memory on DuckDB, such as 4GB."),
    *BIGQUERY,
)
DIFF_CONNECTION = options(
    common(
        "--threads",
        type=click.IntRange(1, 1024),
        help="DuckDB threads, BigQuery jobs at once. [default: all cores; 8 jobs]",
    ),
    common("--memory-limit", metavar="SIZE", help="Memory on DuckDB, such as 4GB."),
    common("--location", help="Where BigQuery runs jobs."),
    common("--api-endpoint", metavar="URL", help="An emulator instead of BigQuery."),
    common(
        "--max-bytes-billed",
        type=click.IntRange(0),
        metavar="N",
        help="Let each BigQuery statement fail that would be billed more bytes.",
    ),
)
SELECT = options(
    click.option(
        "--select",
        "-s",
        "-m",
        "--models",
        "select",
        multiple=True,
        metavar="SPEC",
        help="Models, globs, tag:NAME, source:NAME, staging or marts; + before or after adds what "
        "it needs or what needs it, 2+ and +1 so many steps, @ both ways; a comma intersects.",
    ),
    click.option("--exclude", multiple=True, metavar="SPEC", help="Models to leave out."),
)
LOG_FORMAT = common(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Lines for people, or a JSON object a line.",
)
LOG = options(
    LOG_FORMAT,
    click.option(
        "--verbose", is_flag=True, help="A line for each check. [default: on a terminal, none]"
    ),
    click.option("--quiet", is_flag=True, help="Only failures, warnings and the last line."),
    click.option(
        "--results",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write all results to this file as JSON.",
    ),
)
INPUTS = options(
    click.option(
        "--events",
        multiple=True,
        metavar="PATH",
        help="File or glob of raw_sync_events: .parquet, .ndjson, .jsonl, .json, .csv, or .gz. "
        "Repeatable. [default: what the last build read, else the sample]",
    ),
    click.option(
        "--users", multiple=True, metavar="PATH", help="File or glob of raw_users. Repeatable."
    ),
)
WARN_ERROR = click.option("--warn-error", is_flag=True, help="Count every warning as an error.")
INCREMENTAL = options(
    click.option(
        "--incremental",
        is_flag=True,
        envvar="PIPELINE_INCREMENTAL",
        help="Read only new raw events; every model then equals a full build.",
    ),
    click.option(
        "--allow-fewer-rows",
        is_flag=True,
        help="Go on without the rows of files that are gone, or with under half of a source.",
    ),
    click.option(
        "--keep-staged",
        is_flag=True,
        help="Keep the rows of files that are gone, as the last build staged them.",
    ),
)
FAIL_FAST = click.option("--fail-fast", "-x", is_flag=True, help="Stop at the first failure.")
FAILURES = options(
    click.option(
        "--store-failures",
        type=click.Path(file_okay=False, path_type=Path),
        help="Write each failing check's rows to this folder as Parquet.",
    ),
    click.option(
        "--reveal", is_flag=True, allow_from_autoenv=False, help="Do not mask sensitive columns."
    ),
)
ROW_FORMAT = click.option(
    "--format",
    "row_format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
)


LIST_FORMAT = click.option(
    "--format",
    "row_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)


@click.group(cls=Commands, params=[DEBUG], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hub-events-pipeline", prog_name="pipeline")
def cli() -> None:
    """Turn raw hub events into tables people can trust."""


@cli.command(cls=SelectingCommand)
@options(CONNECTION, INPUTS, INCREMENTAL, SELECT, FAIL_FAST, WARN_ERROR, FAILURES, LOG)
@click.option("--dry-run", is_flag=True, help="Build nothing: print how much BigQuery would bill.")
@click.option(
    "--preflight",
    is_flag=True,
    help="Build nothing: try every statement on empty tables of BigQuery, for free.",
)
@click.option(
    "--price-per-tib",
    type=click.FloatRange(0),
    default=6.25,
    show_default=True,
    help="BigQuery's price in US dollars, for --dry-run.",
)
def build(dry_run: bool, preflight: bool, price_per_tib: float, **given: Any) -> None:
    """Build the models, check each, and publish all at once."""
    if preflight:
        _preflight(given)
    elif dry_run:
        _estimate(given, price_per_tib)
    else:
        _build(given, checks=True)


@cli.command(cls=SelectingCommand)
@options(CONNECTION, INPUTS, INCREMENTAL, SELECT, FAIL_FAST, LOG)
def run(**given: Any) -> None:
    """Build the models without checking them."""
    _build(given, checks=False)


@cli.command(cls=SelectingCommand)
@options(CONNECTION, SELECT, FAIL_FAST, WARN_ERROR, FAILURES, LOG)
def test(**given: Any) -> None:
    """Check the built tables."""
    with _reporting(given) as hooks:
        result = _project(given).test(
            given["select"],
            given["exclude"],
            fail_fast=given["fail_fast"],
            warn_error=given["warn_error"],
            **hooks,
        )
    _finish(result, given)


@cli.command("compile", cls=SelectingCommand)
@options(
    BACKEND,
    common("--project", default="project", help="BigQuery project of the models."),
    common("--dataset", default="dataset", help="BigQuery dataset of the models."),
    common("--source-dataset", help="BigQuery dataset of the sources. [default: the same]"),
    SELECT,
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write DIR/<model>.sql instead of printing.",
)
def compile_(
    backend: Engine,
    project: str,
    dataset: str,
    source_dataset: str | None,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    output: Path | None,
) -> None:
    """Write each model's SQL, without any connection."""
    from pipeline.backends.bigquery.names import namespaces
    from pipeline.catalog import load
    from pipeline.expressions import model_sql

    graph = load()
    names = graph.select(select, exclude)
    graph.require(names)
    where = namespaces(project, dataset, source_dataset) if backend == "bigquery" else ()
    for name in names:
        sql = model_sql(graph, name, backend, *where)
        if output is None:
            click.echo(f"-- {name}\n{sql};\n")
        else:
            _write(output / f"{name}.sql", sql)


@cli.command(cls=SelectingCommand)
@options(SELECT, LIST_FORMAT)
def lint(select: tuple[str, ...], exclude: tuple[str, ...], row_format: str) -> None:
    """Check that every model means the same on both engines, without any connection."""
    from pipeline.catalog import load
    from pipeline.lint import lint as find
    from pipeline.output import render

    graph = load()
    findings = find(graph, graph.select(select, exclude))
    if row_format == "json":
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(render.finding_text(finding) + "\n")
        click.echo(f"Done. FINDINGS={len(findings)}")
    sys.exit(1 if findings else 0)


@cli.command()
@click.argument("model")
@options(CONNECTION)
@click.option("--limit", type=click.IntRange(0), default=10, show_default=True, help="Rows.")
@click.option("--columns", metavar="A,B", help="Only these columns.")
@click.option("--where", metavar="CONDITION", help="Only rows for which this holds.")
@click.option("--failing", metavar="CHECK", help="The rows that break this check instead.")
@click.option("--preview", is_flag=True, help="Run the model's current code; write nothing.")
@click.option("--reveal", is_flag=True, help="Do not mask sensitive columns.")
@ROW_FORMAT
def show(
    model: str,
    limit: int,
    columns: str | None,
    where: str | None,
    failing: str | None,
    preview: bool,
    reveal: bool,
    row_format: str,
    **given: Any,
) -> None:
    """Print the first rows of a built model."""
    from pipeline.output import rows as shown

    project = _project(given)
    if failing is not None:
        if columns or where or preview:
            raise UsageError(
                "--failing shows the check's own rows and columns.",
                "Leave out --columns, --where and --preview.",
            )
        rows = project.failing(model, failing, limit=limit, reveal=reveal)
    else:
        names = [name.strip() for name in columns.split(",")] if columns else []
        rows = project.rows(
            model, limit=limit, columns=names, where=where, preview=preview, reveal=reveal
        )
    if row_format == "table":
        _print(shown.rows_table(rows))
    else:
        text = shown.rows_json(rows) + "\n" if row_format == "json" else shown.rows_csv(rows)
        click.echo(text, nl=False)


@cli.command()
@click.argument("command_uuid")
@options(CONNECTION, LIST_FORMAT)
@click.option("--reveal", is_flag=True, help="Do not mask sensitive columns.")
def explain(command_uuid: str, row_format: str, reveal: bool, **given: Any) -> None:
    """Explain one command: its raw events, its readings, and the reason of its outcome."""
    from pipeline.output import timeline

    story = _project(given).explain(command_uuid, reveal=reveal)
    _list(row_format, story, timeline.story_json, timeline.timeline)
    sys.exit(0 if story.found else 1)


@cli.command()
@click.argument("column", metavar="MODEL.COLUMN")
@options(LIST_FORMAT)
@click.option("--down", is_flag=True, help="Show the columns made from it instead.")
def lineage(column: str, row_format: str, down: bool) -> None:
    """Show where a column comes from, up to the raw column and the member of ItemData."""
    import pipeline.lineage as traced
    from pipeline.catalog import load
    from pipeline.lineage.columns import column_lineage
    from pipeline.output import lineage as shown

    found = column_lineage(load(), traced.of(load()), column, down=down)
    _list(row_format, found, type(found).to_json, shown.column_lineage)


@cli.command()
@options(CONNECTION, LIST_FORMAT)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Builds.")
def runs(limit: int, row_format: str, **given: Any) -> None:
    """List the last builds: when, how long, what they read, made and checked."""
    from pipeline.output import render

    _list(row_format, _project(given).runs(limit), render.runs_json, render.runs_table)


@cli.command()
@options(CONNECTION, LIST_FORMAT)
@click.option("--warn-after", type=Span(), metavar="SPAN", help="Warn of an older event: 12h.")
@click.option("--error-after", type=Span(), metavar="SPAN", help="Fail for an older event: 24h.")
def freshness(row_format: str, warn_after: Any, error_after: Any, **given: Any) -> None:
    """Show the age of each source's newest event, and the rows of the last builds."""
    from pipeline.output import render

    found = _project(given).freshness(warn_after, error_after)
    _list(row_format, found, render.freshness_json, render.freshness_table)
    sys.exit(1 if any(each.status == "ERROR" for each in found) else 0)


@cli.command("ls", cls=SelectingCommand)
@options(CONNECTION, SELECT, LIST_FORMAT)
def ls(select: tuple[str, ...], exclude: tuple[str, ...], row_format: str, **given: Any) -> None:
    """List the models in dependency order; with state:modified, also the reason of each."""
    from pipeline.catalog import load
    from pipeline.output import render

    loaded, why = load(), None
    if any("state:" in spec for spec in (*select, *exclude)):
        why = _project(given).modified()
    names = loaded.select(select, exclude, lambda: why or {})
    models = [loaded.models[name] for name in names]
    _list(
        row_format,
        models,
        lambda models: render.models_json(models, why),
        lambda models: render.models_table(models, why),
    )
    for fault in loaded.faults:
        click.echo(fault, err=True)


@cli.command(cls=SelectingCommand)
@options(CONNECTION, SELECT, LIST_FORMAT)
def digest(
    select: tuple[str, ...], exclude: tuple[str, ...], row_format: str, **given: Any
) -> None:
    """Digest each model: its rows, and a text that is equal for equal content on any engine."""
    from pipeline.output import render

    digests = _project(given).digest(select, exclude)
    _list(row_format, digests, render.digests_json, render.digests_table)


@cli.command()
@click.argument("left", metavar="A")
@click.argument("right", metavar="B")
@options(DIFF_CONNECTION)
@click.option("--model", "models", multiple=True, metavar="SPEC", help="Only these. Repeatable.")
@click.option("--columns", metavar="A,B", help="Compare only these columns, besides the key.")
@click.option("--limit", type=click.IntRange(0), default=5, show_default=True, help="Samples.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write all rows that differ to this folder as Parquet.",
)
def diff(
    left: str,
    right: str,
    models: tuple[str, ...],
    columns: str | None,
    limit: int,
    store: Path | None,
    **given: Any,
) -> None:
    """Show the models and rows in which A and B differ.

    Each is a DuckDB database, bigquery:PROJECT.DATASET, or a file that `digest --format json`
    wrote, which compares only whole models.
    """
    from pipeline.diff import are_digests, differences, read_digests
    from pipeline.output import render

    files = [are_digests(place) for place in (left, right)]
    if not any(files):
        from pipeline.project import Project

        one, other = (Project.at(place, **given) for place in (left, right))
        names = [name.strip() for name in columns.split(",")] if columns else []
        compared = one.diff(other, models, columns=names, limit=limit, store=store)
        _print(render.diff_view(compared))
        sys.exit(1 if compared.differing else 0)
    if models or columns or store:
        raise UsageError(
            "A file of digests has no rows to look at.",
            "Name two databases, or leave out --model, --columns and --store.",
        )
    digests = [
        read_digests(Path(place)) if is_file else _digests_at(place, given)
        for place, is_file in zip((left, right), files, strict=True)
    ]
    found = differences(*digests)
    for difference in found:
        click.echo(render.difference_line(difference, left, right))
    click.echo(f"{len(found)} of {len({**digests[0], **digests[1]})} models differ.")
    sys.exit(1 if found else 0)


def _digests_at(place: str, given: Mapping[str, Any]) -> Mapping[str, Digest]:
    from pipeline.project import Project

    return Project.at(place, **given).digest_built()


@cli.command()
@options(CONNECTION, LIST_FORMAT)
@click.option("--share", default="1%", show_default=True, help="Share of the devices; 100% is all.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Which devices. [default: the days since 1970, so each night takes others]",
)
@click.option(
    "--on",
    type=click.Choice(["duckdb"]),
    help="Make the rows of a BigQuery dataset anew on this machine.",
)
def verify(share: str, seed: int | None, on: str | None, row_format: str, **given: Any) -> None:
    """Make published rows anew from the raw rows that the build read, and compare the two.

    It takes whole devices: a share of them, and those that share a command id with one of them.
    Models whose rows belong to no device are compared whole.
    """
    from pipeline.output import render

    found = _project(given).verify(share, seed=seed, on=on)
    _list(row_format, found, render.verification_json, render.verification_view)
    sys.exit(0 if found.ok else 1)


@cli.command(cls=SelectingCommand)
@options(CONNECTION, SELECT)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/docs"),
    show_default=True,
    help="Folder to fill.",
)
def docs(output: Path, select: tuple[str, ...], exclude: tuple[str, ...], **given: Any) -> None:
    """Write a static site: lineage, models, columns, checks and last results, SQL."""
    first = _project(given).docs(output, select, exclude)
    click.echo(f"Wrote {first}: open it in a browser.")


@cli.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to fill.")
@click.option("--commands", type=int, default=1_000, show_default=True, help="Commands to issue.")
@click.option("--devices", type=int, default=50, show_default=True, help="Devices to simulate.")
@click.option("--days", type=int, default=60, show_default=True, help="Days to spread them over.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "ndjson", "csv"]),
    default="parquet",
    show_default=True,
)
@click.option(
    "--readings",
    type=int,
    default=0,
    show_default=True,
    help="Extra readings in the 15 s after each command.",
)
@click.option("--messy-values", is_flag=True, help="Add commands that value checks warn about.")
def generate(output: Path, file_format: Any, **given: Any) -> None:
    """Make a realistic, messy raw data set of any size."""
    from pipeline.generate import generate as make

    with _counting("events", given["commands"] * 10) as count:
        made = make(output, format=file_format, progress=count, **given)
    click.echo(
        f"Wrote {made.events:,} events ({made.commands:,} commands) in "
        f"{len(made.event_files)} file(s), and {made.users:,} user rows."
    )
    events = made.event_files[0] if len(made.event_files) == 1 else _glob_of(made.event_files)
    options = shlex.join(["--events", str(events), "--users", str(made.users_file)])
    click.echo(_as_started(f"Build them: {CHECKOUT} build {options}"))


def _glob_of(paths: tuple[Path, ...]) -> Path:
    return paths[0].with_name("raw_sync_events*" + paths[0].suffix)


@cli.command()
@options(*BIGQUERY)
@click.option("--events", multiple=True, metavar="PATH", help="File or glob. Repeatable.")
@click.option("--users", multiple=True, metavar="PATH", help="File or glob. Repeatable.")
@click.option("--append", is_flag=True, help="Add to the raw tables instead of replacing them.")
@LOG_FORMAT
def load(
    events: tuple[str, ...], users: tuple[str, ...], append: bool, log_format: str, **given: Any
) -> None:
    """Load local files into BigQuery's raw tables, those named or none."""
    from pipeline.output import render

    given["dataset"] = given["dataset"] or given["source_dataset"]
    loaded = _project({"backend": "bigquery", **given}).load(events, users, append=append)
    for made in loaded:
        if log_format == "json":
            write_json({"event": "loaded", **made.to_json()})
        else:
            click.echo(render.loaded_line(made))


def _estimate(given: Mapping[str, Any], price_per_tib: float) -> None:
    from pipeline.output import render
    from pipeline.results import Price

    as_json = given["log_format"] == "json"
    found = []
    incremental = given["incremental"]
    project = _project(given)
    for each in project.estimate(given["select"], given["exclude"], incremental=incremental):
        found.append(each)
        if as_json:
            write_json({"event": "estimate", **each.to_json()})
        else:
            click.echo(render.estimate_line(each))
    price = Price.of(found, price_per_tib)
    if as_json:
        write_json({"event": "done", **price.to_json()})
    else:
        click.echo(render.price_line(price, price_per_tib))


def _preflight(given: Mapping[str, Any]) -> None:
    from pipeline.output import render
    from pipeline.results import Estimate

    failed = False
    for each in _project(given).preflight(given["select"], given["exclude"]):
        planned = isinstance(each, Estimate)
        failed |= isinstance(each, Estimate) and each.bytes is None
        if given["log_format"] == "json":
            write_json({"event": "estimate" if planned else "note", **each.to_json()})
        else:
            line = render.estimate_line(each) if isinstance(each, Estimate) else each.text
            click.echo(line)
    sys.exit(1 if failed else 0)


def _build(given: Mapping[str, Any], checks: bool) -> None:
    with _reporting(given) as hooks:
        result = _project(given).build(
            given["select"],
            given["exclude"],
            checks=checks,
            fail_fast=given["fail_fast"],
            warn_error=given.get("warn_error", False),
            incremental=given["incremental"],
            allow_fewer_rows=given["allow_fewer_rows"],
            keep_staged=given["keep_staged"],
            **hooks,
        )
    _finish(result, given)


def _project(given: Mapping[str, Any]) -> Project:
    # not pipeline.connect(), which loads what draws results in a notebook
    from pipeline.project import Project

    backend, context = given["backend"], click.get_current_context()
    others = {name for other in OPTIONS.values() for name in other}.difference(OPTIONS[backend])
    for name in sorted(others.intersection(given)):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is not for {backend}.", _instead(backend, name))
    known = {name: given[name] for name in OPTIONS[backend] if name in given}
    if backend == "bigquery":
        known["labels"] = {"command": context.info_name}
    return Project.connect(backend, **known)


def _instead(backend: str, name: str) -> str:
    if backend == "duckdb":
        return "Add --backend bigquery, or leave it out."
    if name in ("events", "users"):
        return "BigQuery reads raw tables: fill them with `python cli.py load`."
    return "Leave it out."


@contextlib.contextmanager
def _reporting(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Print results as they come, and keep failing rows if the user asks for it."""
    from pipeline.output.kept import FailureStore, ResultsFile
    from pipeline.output.progress import JsonLines, People

    if given["verbose"] and given["quiet"]:
        raise UsageError("--verbose and --quiet exclude each other.", "Leave one of them out.")
    people = None
    if given["log_format"] == "json":
        tell: Callable[[Any], None] = JsonLines(write_json)
    else:
        console = _console()
        every = given["verbose"] or not console.is_terminal
        tell = people = People(console, every=every, quiet=given["quiet"])
    hooks: dict[str, Any] = {"reveal": given.get("reveal", False), "report": tell}
    with contextlib.ExitStack() as stack:
        # first, because a build is in vain if its results can't be written
        if path := given["results"]:
            stack.enter_context(ResultsFile(path).kept())
        if folder := given.get("store_failures"):
            store = FailureStore(folder)
            store.begin()
            hooks["on_failure"] = store.keep
            hooks["report"] = _each(store.clear, tell)
        if people:
            stack.enter_context(people)
        yield hooks


def _each(*listeners: Callable[[Any], None]) -> Callable[[Any], None]:
    def tell(event: Any) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _finish(result: Result, given: Mapping[str, Any]) -> None:
    from pipeline.output import lines, render
    from pipeline.output.kept import ResultsFile

    if path := given["results"]:
        ResultsFile(path).write(result)
    if given["log_format"] == "json":
        write_json(render.done_json(result))
    else:
        for each in lines.recap(result, _rows_of(result, given)):
            _print(each)
        if result.published is False and not given["quiet"]:
            click.echo(lines.NOT_PUBLISHED)
        click.echo(lines.done(result))
    sys.exit(0 if result.ok else 1)


def _rows_of(result: Result, given: Mapping[str, Any]) -> Callable[[CheckResult], str]:
    """Return the function that names the command or file with a failing check's rows."""
    context = click.get_current_context()
    words = [context.info_name or "", *context.meta["words"]]

    def rows_of(found: CheckResult) -> str:
        if folder := given.get("store_failures"):
            return str(folder / f"{found.model}.{found.name}.parquet")
        if result.published is False:
            return _as_started(f"{CHECKOUT} {shlex.join([*words, '--store-failures', 'failures'])}")
        show = ["show", found.model, "--failing", found.name, *_connection_words(given)]
        return _as_started(f"{CHECKOUT} {shlex.join(show)}")

    return rows_of


def _connection_words(given: Mapping[str, Any]) -> list[str]:
    """Return the options that name the database, as the user typed them."""
    context = click.get_current_context()
    names = ("backend", *OPTIONS["bigquery"], "database")
    typed = [
        name
        for name in names
        if name in given.keys() - {"threads"}
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    return [word for name in typed for word in (f"--{name.replace('_', '-')}", str(given[name]))]


def _write(path: Path, text: str) -> None:
    from pipeline.disk import writing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")


def _list(
    row_format: str, found: Any, as_json: Callable[[Any], Any], as_table: Callable[[Any], Any]
) -> None:
    """Print a command's result as a table or as JSON; times in JSON are ISO-8601."""
    if row_format == "json":
        text = json.dumps(as_json(found), ensure_ascii=False, indent=2, default=_iso)
        click.echo(text)
    else:
        _print(as_table(found))


def _iso(time: date) -> str:
    return time.isoformat()


def _print(shown: Any) -> None:
    console = _console()
    if console.is_terminal:
        # never cut: the terminal wraps a line that is too wide
        console.print(shown, crop=False)
        return
    with console.capture() as captured:
        console.print(shown, crop=False)
    # rich fills the last column with blanks
    click.echo("\n".join(line.rstrip() for line in captured.get().split("\n")), nl=False)


def _console() -> Any:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        # there is no screen whose width could cut the lines
        console = Console(highlight=False, width=10_000)
    return console


@contextlib.contextmanager
def _counting(what: str, expected: int) -> Iterator[Callable[[int], None] | None]:
    """Show progress, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=expected)
        yield lambda done: progress.update(task, completed=done)
