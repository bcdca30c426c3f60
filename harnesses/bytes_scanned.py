"""Count the bytes that BigQuery bills for each command, from the statements that it really sends.

python -m harnesses.bytes_scanned --keep

The commands run on the emulator, and its proxy records the statements. DuckDB applies BigQuery's
rules for sizes to generated rows: a text has its own bytes and 2, a time, day or number 8, a
boolean 1, NULL none. BigQuery bills the columns that a statement reads, at least 10 MB a table. It
skips partitions and blocks by literal conditions on the partition column or on the first clustered
columns. The sums are scaled to 100 million events. `--keep` writes the table into docs/COSTS.md.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
import sqlglot.expressions as sge
from click.testing import CliRunner
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

import pipeline
from pipeline import catalog
from pipeline.backends.bigquery.backend import BigQuery
from pipeline.backends.bigquery.load_days import STAMP
from pipeline.backends.bigquery.runs import RUNS
from pipeline.cli import cli
from pipeline.contract import Model
from pipeline.generate import generate
from pipeline.sources import EVENTS, SOURCES
from tests.emulator.server import PROJECT, emulator
from tests.emulator.service import Asked, Service, refusing

SCALE = 100_000_000
LEAST = 10_000_000
GB = 1_000_000_000
SHARES = (0.01, 0.001)
"""The shares of all events that a batch of new ones has; they are those loaded last."""
COMMANDS_A_DEVICE, DAYS = 25, 100
"""So a batch of 1 % touches as large a share of the days as with 50,000 devices in a year."""
_UNIONS = 4
"""The most unions within one another that a condition goes through."""
WANTED = {"build": 85, "test": 25, "explain": 1, "show stg_commands": 1}
_OURS = re.compile(r"_(?:building|loading)_\d+t\d+_[0-9a-f]{8}_(\w+)")
_COSTS = Path(__file__).parents[1] / "docs" / "COSTS.md"
_FLAT = {"BIGINT": 8, "DOUBLE": 8, "DATE": 8, "TIMESTAMP WITH TIME ZONE": 8, "BOOLEAN": 1}


@dataclass
class Sizes:
    """The rows of all tables in DuckDB, and the layout of each on BigQuery."""

    con: duckdb.DuckDBPyConnection
    models: Mapping[str, Model]
    events: int
    tables: frozenset[str] = frozenset()
    """The names of all tables."""
    _seen: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def schema(self, table: str) -> dict[str, str]:
        """Return the columns of a table and their types, as DuckDB names them."""
        found = self.con.execute(f'DESCRIBE "{table}"').fetchall()
        return {name: kind for name, kind, *_ in found}

    def scanned(self, table: str, columns: set[str], where: str) -> int:
        """Return the bytes of some columns, of rows that meet a condition, for 100 M events."""
        kinds = self.schema(table)
        total = 0
        # BigQuery ignores the case of columns' names
        for column in sorted(name for name in kinds if name.lower() in columns):
            key = (table, column, where)
            if key not in self._seen:
                size = _size(f'"{column}"', kinds[column])
                sql = f'SELECT sum({size}) FROM "{table}"' + (f" WHERE {where}" if where else "")
                self._seen[key] = int(self.con.execute(sql).fetchone()[0] or 0)
            total += self._seen[key]
        return total * SCALE // self.events


def _size(value: str, kind: str) -> str:
    if kind.endswith("[]"):
        return f"coalesce(list_sum(list_transform({value}, x -> {_size('x', kind[:-2])})), 0)"
    if kind.startswith("STRUCT("):
        fields = re.findall(r'"?(\w+)"? ([A-Z ]+)[,)]', kind[len("STRUCT") :])
        return " + ".join(_size(f"{value}.{name}", each.strip()) for name, each in fields)
    if kind == "VARCHAR":
        return f"coalesce(2 + strlen({value}), 0)"
    return f"CASE WHEN {value} IS NULL THEN 0 ELSE {_FLAT[kind]} END"


@dataclass
class Reader:
    """Finds the columns and rows that a statement scans."""

    sizes: Sizes
    views: dict[str, sge.Query] = field(default_factory=dict)

    def billed(self, statement: sge.Expression) -> int:
        """Return the bytes that BigQuery bills for one statement."""
        if isinstance(statement, sge.Create) and statement.kind == "VIEW":
            name = _plain(statement.this.find(sge.Table).name)
            self.views[name] = statement.expression
            return 0
        query = statement.expression if isinstance(statement, sge.Insert) else statement
        scans: Counter[str] = Counter()
        if isinstance(statement, sge.Delete):
            where = statement.args["where"]
            query = sge.select("1").from_(statement.this.copy()).where(where.this.copy())
            # BigQuery also bills all columns of the partitions that lose rows
            lost = sge.select("*").from_(statement.this.copy()).where(where.this.copy())
            target = self._measured(statement.this.find(sge.Table).name)
            scans[target] += sum(
                self.sizes.scanned(*scan) for scan in self._scans(lost) if scan[0] == target
            )
        if not isinstance(query, sge.Query):
            return 0
        for table, columns, where in self._scans(query):
            scans[table] += self.sizes.scanned(table, columns, where)
        return sum(max(scanned, LEAST) for scanned in scans.values() if scanned)

    def _scans(self, query: sge.Query) -> Iterator[tuple[str, set[str], str]]:
        flat = self._expanded(query.copy())
        schema = {
            name: self.sizes.schema(name)
            for name in {table.name for table in flat.find_all(sge.Table)}
            if name in self.sizes.tables
        }
        tree = qualify(flat, schema=schema, dialect="bigquery", validate_qualify_columns=False)
        tree = pushdown_predicates(tree, dialect="bigquery")
        for _ in range(_UNIONS):
            if not _push_into_unions(tree):
                break
            tree = pushdown_predicates(tree, dialect="bigquery")
        tree = pushdown_projections(tree, schema=schema)
        for scope in traverse_scope(tree):
            for alias, source in scope.sources.items():
                if isinstance(source, sge.Table) and source.name in schema:
                    used = {c.name.lower() for c in scope.columns if c.table == alias}
                    yield source.name, used, self._pruned(source.name, alias, scope.expression)

    def _expanded(self, query: sge.Query) -> sge.Query:
        """Replace views by their queries, and tables of a build by the published ones."""
        for table in list(query.find_all(sge.Table)):
            name = self._measured(table.name)
            if name in self.views:
                inner = self._expanded(self.views[name].copy())
                table.replace(inner.subquery(table.alias_or_name))
            elif table.db:
                plain = sge.to_table(name, dialect="bigquery")
                table.replace(sge.alias_(plain, table.alias_or_name, table=True))
        return query

    def _measured(self, name: str) -> str:
        """Return the name of a table with the same rows: a build's table stands for a published."""
        return name if name in self.sizes.tables else _plain(name)

    def _pruned(self, table: str, alias: str, select: sge.Expression) -> str:
        """Return the conditions of a scan that skip partitions or blocks, in DuckDB's SQL."""
        model = self.sizes.models.get(table)
        where = select.args.get("where") if isinstance(select, sge.Select) else None
        day = model.partition_by if model else STAMP if table == EVENTS else None
        if where is None or (model is None and day is None):
            return ""
        by_column: dict[str, list[str]] = defaultdict(list)
        for condition in where.this.flatten() if isinstance(where.this, sge.And) else [where.this]:
            columns = {c.name for c in condition.find_all(sge.Column) if c.table == alias}
            if len(columns) == 1 and _is_plain(condition):
                bare = condition.copy()
                for column in bare.find_all(sge.Column):
                    column.set("table", None)
                by_column[columns.pop()].append(bare.sql("duckdb"))
        kept = list(by_column.get(day or "", ()))
        for column in model.cluster_by if model else ():
            if column not in by_column:
                break
            kept += by_column[column]
        return " AND ".join(f"({each})" for each in kept)


def _is_plain(condition: sge.Expression) -> bool:
    """Tell whether a condition compares one column with literals, perhaps with several ranges."""
    bare = condition.unnest()
    if isinstance(bare, (sge.Or, sge.And)):
        return all(_is_plain(each) for each in (bare.left, bare.right))
    return len(list(bare.find_all(sge.Column))) == 1 and isinstance(
        bare, (sge.EQ, sge.In, sge.Between, sge.GT, sge.GTE, sge.LT, sge.LTE, sge.Is)
    )


def _push_into_unions(tree: sge.Expression) -> bool:
    """Copy conditions on a union into both sides, as BigQuery does; tell whether there were any."""
    copied = False
    for select in list(tree.find_all(sge.Select)):
        where, source = select.args.get("where"), select.args.get("from_")
        union = source.this if source is not None else None
        if where is None or not isinstance(union, sge.Subquery):
            continue
        if not isinstance(union.this, sge.Union):
            continue
        conditions = where.this.flatten() if isinstance(where.this, sge.And) else [where.this]
        for condition in conditions:
            if {c.table for c in condition.find_all(sge.Column)} == {union.alias}:
                copied = True
                for side in _sides(union.this):
                    side.where(_through(condition, side), copy=False)
    return copied


def _sides(union: sge.Expression) -> Iterator[sge.Select]:
    if isinstance(union, sge.Union):
        yield from _sides(union.left)
        yield from _sides(union.right)
    elif isinstance(union, sge.Select):
        yield union


def _through(condition: sge.Expression, side: sge.Select) -> sge.Expression:
    """Return a condition on the columns that a side of a union selects, before it selects them."""
    values = {value.alias_or_name: value.unalias() for value in side.expressions}
    return condition.copy().transform(
        lambda node: values[node.name].copy() if isinstance(node, sge.Column) else node
    )


def _plain(name: str) -> str:
    found = _OURS.fullmatch(name)
    return found[1] if found else name


def billed(reader: Reader, sql: str) -> int:
    """Return the bytes that BigQuery bills for a job: one statement, or a script of several."""
    return sum(reader.billed(each) for each in sqlglot.parse(sql, read="bigquery") if each)


@click.command()
@click.option("--keep", is_flag=True, help="Write the table into docs/COSTS.md.")
@click.option("--commands", default=2_000, show_default=True, help="Commands to measure sizes on.")
@click.option("--recorded", type=click.Path(path_type=Path), help="Statements: read, else written.")
def main(keep: bool, commands: int, recorded: Path | None) -> None:
    """Count the billed bytes of each command."""
    with tempfile.TemporaryDirectory() as folder:
        if recorded and recorded.exists():
            sent = json.loads(recorded.read_text())
        else:
            sent = record(Path(folder))
            if recorded:
                recorded.write_text(json.dumps(sent, indent=1))
        reader = Reader(sizes_of(Path(folder), commands))
        found = {}
        for command, statements in sent.items():
            found[command] = [(label, billed(reader, sql)) for label, sql in statements]
        found |= batches(Path(folder) / "batches", commands)
    lines = table(found)
    click.echo("\n".join(lines))
    if keep:
        text = _COSTS.read_text()
        start, end = "<!-- bytes -->\n", "<!-- end of bytes -->"
        before, _, rest = text.partition(start)
        _COSTS.write_text(before + start + "\n".join(lines) + "\n" + end + rest.partition(end)[2])


def table(found: Mapping[str, list[tuple[str, int]]]) -> list[str]:
    """Return the bytes as a table, a command a row, with its largest parts."""
    lines = ["| command | GB billed | most of it |", "|---|--:|---|"]
    for command, jobs in found.items():
        total = sum(size for _, size in jobs)
        by_label: Counter[str] = Counter()
        for label, size in jobs:
            by_label[label] += size
        most = ", ".join(
            f"{label} {size / GB:.1f}"
            for label, size in by_label.most_common(8)
            if size > total / 50 and len(by_label) > 1
        )
        # a dry run bills nothing; this is its estimate
        size = f"{total / GB:.1f}" + (" (estimate)" if "--dry-run" in command else "")
        lines.append(f"| `{command}` | {size} | {most} |")
    return lines


def record(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Run the commands on the emulator; return label and statement of each job, by command."""
    made = generate(folder / "few", commands=20, devices=3, days=3, seed=5, format="parquet")
    files = ["--events", str(made.event_files[0]), "--users", str(made.users_file)]
    sent: dict[str, list[tuple[str, str]]] = {}
    with emulator() as url, refusing(url) as service:
        where = ["--project", PROJECT, "--dataset", "models", "--api-endpoint", service.url]

        def run(name: str, *words: str) -> str:
            service.asked.clear()
            backend = [] if words[0] == "load" else ["--backend", "bigquery"]
            found = CliRunner().invoke(cli, [words[0], *backend, *where, *words[1:]])
            if found.exit_code:
                raise RuntimeError(found.output) from found.exception
            sent[name] = [each for asked in service.asked for each in _statements(asked)]
            return found.output

        run("load", "load", *files)
        run("first build", "build")
        run("build", "build")
        run("build --dry-run", "build", "--dry-run")
        run("test", "test")
        run("digest", "digest")
        run("show stg_commands", "show", "stg_commands")
        uuid = json.loads(run("show", "show", "stg_commands", "--format", "json", "--limit", "1"))
        del sent["show"]
        run("explain", "explain", uuid[0]["command_uuid"])
    return sent


def batches(folder: Path, commands: int) -> dict[str, list[tuple[str, int]]]:
    """Build batches of new rows incrementally on the emulator; return the bytes of each job.

    The tables of these builds are measured as they are, because their rows depend on the batch.
    """
    events, users = _events_as_loaded(folder, commands)
    number = events.num_rows
    starts = [_start(events, 1 - sum(SHARES[place:])) for place in range(len(SHARES))]
    ends = [*starts[1:], number]
    parts = {"build": events.slice(0, starts[0])}
    for share, start, end in zip(SHARES, starts, ends, strict=True):
        parts[f"build --incremental, {share:.1%} new"] = events.slice(start, end - start)
    found: dict[str, list[tuple[str, int]]] = {}
    views: dict[str, sge.Query] = {}
    with emulator() as url, refusing(url) as service:
        _keep_tables(service)
        where = ["--project", PROJECT, "--dataset", "models", "--api-endpoint", service.url]

        def run(*words: str) -> None:
            backend = [] if words[0] == "load" else ["--backend", "bigquery"]
            made = CliRunner().invoke(cli, [words[0], *backend, *where, *words[1:]])
            if made.exit_code:
                raise RuntimeError(made.output) from made.exception

        for place, (name, part) in enumerate(parts.items()):
            file = folder / f"part-{place}.parquet"
            pq.write_table(part, file)
            run("load", *(["--append"] if place else ["--users", users]), "--events", str(file))
            if place:
                estimate = _estimate(service, number, views)
                found[name.replace("--incremental", "--dry-run --incremental")] = estimate
            service.asked.clear()
            run(*name.partition(",")[0].split())
            sent = [each for asked in service.asked for each in _statements(asked)]
            views |= _views(sent)
            if place:
                reader = Reader(_sizes_there(service, number))
                click.echo(f"{name}: {len(sent)} jobs")
                found[name] = [(label, billed(reader, sql)) for label, sql in sent]
    return found


def _estimate(service: Service, events: int, views: dict[str, sge.Query]) -> list[tuple[str, int]]:
    """Return the estimate of the batch that is there, by model.

    Dry runs answer with the bytes that their statements would scan.
    """
    sizes = _sizes_there(service, events)
    reader, answer, one_at_a_time = Reader(sizes, views), service.answer, threading.Lock()

    def telling(method: str, target: str, body: bytes, *more: Any) -> tuple[int, Any, bytes]:
        status, headers, found = answer(method, target, body, *more)
        if b'"dryRun": true' in body or b'"dryRun":true' in body:
            told = json.loads(found)
            # several dry runs ask at once, and DuckDB answers one at a time
            with one_at_a_time:
                scanned = str(billed(reader, json.loads(body)["configuration"]["query"]["query"]))
            told["statistics"].setdefault("query", {})["totalBytesProcessed"] = scanned
            told["statistics"]["totalBytesProcessed"] = scanned
            found = json.dumps(told).encode()
        return status, headers, found

    service.answer = telling  # type: ignore[method-assign]
    try:
        graph = catalog.load()
        backend = BigQuery(PROJECT, "models", "models", api_endpoint=service.url)
        found = backend.estimates(graph, list(graph.models), incremental=True)
        return [(each.name, each.bytes or 0) for each in found]
    finally:
        service.answer = answer  # type: ignore[method-assign]


def _views(sent: list[tuple[str, str]]) -> dict[str, sge.Query]:
    """Return the queries of the views that a build made."""
    reader = Reader(Sizes(duckdb.connect(), {}, 1))
    for _, sql in sent:
        if sql.startswith("CREATE"):
            billed(reader, sql)
    return reader.views


def _client(service: Service) -> bigquery.Client:
    return bigquery.Client(
        PROJECT,
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=service.url),
    )


def _events_as_loaded(folder: Path, commands: int) -> tuple[pa.Table, str]:
    devices = commands // COMMANDS_A_DEVICE
    made = generate(folder, commands=commands, devices=devices, days=DAYS, seed=7, format="parquet")
    events = pa.concat_tables([pq.read_table(file) for file in made.event_files])
    return events.sort_by(STAMP), str(made.users_file)


def _start(events: pa.Table, share: float) -> int:
    """Return the first place after a share of the events whose load time is a later one."""
    times, start = events[STAMP], round(events.num_rows * share)
    while times[start] == times[start - 1]:
        start += 1
    return start


def _keep_tables(service: Service) -> None:
    """Let no build drop the tables that it made for itself: they are measured later."""
    answer = service.answer

    def keeping(method: str, target: str, *more: Any) -> tuple[int, dict[str, str], bytes]:
        if method == "DELETE" and "_stored_" in target:
            return 204, {}, b""
        return answer(method, target, *more)

    service.answer = keeping  # type: ignore[method-assign]


def _sizes_there(service: Service, events: int) -> Sizes:
    """Copy the emulator's tables into DuckDB."""
    client = _client(service)
    con, names = duckdb.connect(), []
    con.execute("SET TimeZone = 'UTC'")
    for item in client.list_tables(f"{PROJECT}.models"):
        # the record does not grow with the events
        if item.table_type == "TABLE" and item.table_id != RUNS:
            sql = f"SELECT * FROM `{PROJECT}`.models.`{item.table_id}`"
            rows = client.query(sql).to_arrow(create_bqstorage_client=False)
            con.register("incoming", rows)
            con.execute(f'CREATE TABLE "{item.table_id}" AS FROM incoming')
            con.unregister("incoming")
            names.append(item.table_id)
    return Sizes(con, catalog.load().models, events, frozenset(names))


def _statements(asked: Asked) -> Iterator[tuple[str, str]]:
    """Yield label and statement of a request that runs one, or that makes a view."""
    job = asked.body.get("configuration", {})
    if "query" in job:
        sql = job["query"]["query"]
        other = "publish" if "BEGIN TRANSACTION" in sql else "ids and days of changes"
        yield job.get("labels", {}).get("model", other), sql
    if "view" in asked.body:
        name = asked.body["tableReference"]["tableId"]
        yield "publish", f"CREATE VIEW `{name}` AS {asked.body['view']['query']}"


def sizes_of(folder: Path, commands: int) -> Sizes:
    """Build generated events on DuckDB, and open the tables."""
    made = generate(
        folder / "many",
        commands=commands,
        devices=commands // 40,
        days=60,
        seed=7,
        format="parquet",
    )
    events, users = map(str, (folder / "many" / "raw_sync_events*.parquet", made.users_file))
    database = folder / "many.duckdb"
    project = pipeline.connect("duckdb", database=database, events=events, users=users)
    if not project.build(checks=False).published:
        raise RuntimeError("the build of a harness failed")
    models = project.models
    project.reconnect()
    con = duckdb.connect(str(database), read_only=True)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(
        "CREATE TEMP VIEW raw_sync_events AS FROM read_parquet(?)".replace("?", f"'{events}'")
    )
    con.execute(f"CREATE TEMP VIEW raw_users AS FROM read_parquet('{users}')")
    return Sizes(con, models, made.events, frozenset([*models, *SOURCES]))


if __name__ == "__main__":
    main()
