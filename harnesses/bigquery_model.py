"""BigQuery in memory: versions of tables, jobs that take time, transactions that conflict.

`Service` answers the requests that Google's own client sends, so the client's retries are real.
DuckDB evaluates the queries. A job goes on while others ask: each request moves it by some
statements, and it goes on if its program is dead. docs/PROMISES.md lists the assumptions, each with
Google's page.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
import sqlglot.expressions as sge

PROJECT = "model-project"
Body = dict[str, Any]
Answer = tuple[int, Body]

_TYPES = {
    "STRING": pa.string(),
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}
_FIELDS: Mapping[pa.DataType, str] = {kind: name for name, kind in reversed(_TYPES.items())}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = datetime(2022, 3, 1, tzinfo=UTC)
_REQUEST = 0.5
"""The seconds that a request takes."""
_KEPT = ("description", "labels", "expirationTime", "schema", "clustering", "timePartitioning")


class RefusedError(Exception):
    """The service refuses a request, or a job fails."""

    def __init__(self, message: str, reason: str = "invalidQuery", status: int = 400) -> None:
        super().__init__(message)
        self.detail = {"reason": reason, "message": message}
        self.status = status

    @property
    def answer(self) -> Answer:
        """The answer to the request."""
        told = {"code": self.status, "message": str(self), "errors": [self.detail]}
        return self.status, {"error": told}


@dataclass
class Stored:
    """A table or view: its description, and the rows of a table at each moment of a change."""

    body: Body
    created: datetime
    versions: list[tuple[datetime, pa.Table]] = field(default_factory=list)
    described: datetime = _EPOCH
    """The time of the last change of the description."""

    @property
    def query(self) -> str | None:
        """The query of a view."""
        view = self.body.get("view")
        return view["query"] if view else None

    @property
    def rows(self) -> pa.Table:
        """The rows now."""
        return self.versions[-1][1]

    def at(self, moment: datetime) -> pa.Table:
        """Return the rows at a moment."""
        found = [rows for at, rows in self.versions if at <= moment]
        if not found:
            raise RefusedError("Invalid snapshot time: the table did not exist then")
        return found[-1]


@dataclass
class Transaction:
    """Changes that nobody else sees: rows to add, and tables that are rewritten."""

    start: datetime
    rewritten: dict[str, pa.Table] = field(default_factory=dict)
    added: dict[str, list[pa.Table]] = field(default_factory=dict)


@dataclass
class Job:
    """A job, and its progress."""

    reference: Body
    configuration: Body
    steps: Iterator[None]
    error: RefusedError | None = None
    is_done: bool = False
    rows: pa.Table | None = None
    affected: int = 0
    transaction: Transaction | None = None
    fails_at: int | None = None
    """The number of the step at which it fails for a temporary reason."""
    done_steps: int = 0


@dataclass
class Service:
    """BigQuery with one project; `pace` draws how far each request moves the running jobs."""

    pace: Random | None = None
    dataset_names: set[str] = field(default_factory=set)
    stored: dict[str, Stored] = field(default_factory=dict)
    """Tables and views by `dataset.table`."""
    jobs: dict[str, Job] = field(default_factory=dict)
    running: dict[str, Job] = field(default_factory=dict)
    """The jobs that are not done."""
    uploads: dict[str, Body] = field(default_factory=dict)
    watch: Callable[[set[str]], None] = lambda names: None
    """Gets the names of the tables that a commit has just changed."""
    rewrites: dict[str, datetime] = field(default_factory=dict)
    """The time of the last commit that rewrote a table."""
    fails: bool = False
    """Whether the next job fails once for a temporary reason."""

    def __post_init__(self) -> None:
        self._last = _START

    def copy(self, pace: Random | None) -> Service:
        """Return a service with the same tables at the same time, and no jobs."""
        made = Service(pace, set(self.dataset_names))
        made._last = self._last
        made.rewrites = dict(self.rewrites)
        made.stored = {
            name: replace(each, body=dict(each.body), versions=list(each.versions))
            for name, each in self.stored.items()
        }
        return made

    # time

    def now(self) -> datetime:
        """Return the time: it never stands still, and requests and sleep move it."""
        self._last += timedelta(microseconds=1)
        return self._last

    def has_reached(self, moment: datetime) -> bool:
        """Tell whether it is so late."""
        return self._last >= moment

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._last += timedelta(seconds=seconds)

    def expire(self) -> None:
        """Drop the tables whose time is over."""
        now = self.now()
        for name, table in list(self.stored.items()):
            expires = table.body.get("expirationTime")
            if expires and _EPOCH + timedelta(milliseconds=int(expires)) <= now:
                del self.stored[name]
                self.watch({name})

    # requests

    def answer(self, method: str, url: str, data: bytes) -> tuple[int, Body, dict[str, str]]:
        """Answer a request; return status, body and headers."""
        parts = urlsplit(url)
        self.sleep(_REQUEST)
        self.expire()
        try:
            headers = self._upload(method, parts.path, parse_qs(parts.query), data)
            if headers is not None:
                status, body = headers.pop("answer", (200, {}))  # type: ignore[misc]
                return status, body, headers
            content = json.loads(data) if data else {}
            status, body = self._answered(method, unquote(parts.path), content)
        except RefusedError as error:
            status, body = error.answer
        return status, body, {}

    def _upload(
        self, method: str, path: str, query: Mapping[str, list[str]], data: bytes
    ) -> dict[str, Any] | None:
        if not path.startswith(("/upload/", "/resumable/upload/")):
            return None
        if method == "POST":
            name = f"u{len(self.uploads)}"
            self.uploads[name] = json.loads(data)
            return {"location": f"https://bigquery.googleapis.com/upload/put?upload_id={name}"}
        (name,) = query["upload_id"]
        body = self.uploads[name]
        if body["jobReference"]["jobId"] not in self.jobs:
            return {"answer": self._insert_job(body, data)}
        return {"answer": (200, self._told(self.jobs[body["jobReference"]["jobId"]]))}

    def _answered(self, method: str, path: str, body: Body) -> Answer:
        words = path.split("/projects/", 1)[1].split("/")[1:]
        match words:
            case ["jobs"]:
                return self._insert_job(body)
            case ["jobs", job, "cancel"]:
                found = self._require_job(job)
                if self.running.pop(job, None):
                    self._end(found, RefusedError("Job execution was cancelled", "stopped", 499))
                return 200, {"job": self._told(found)}
            case ["jobs", job]:
                self._move(job)
                return 200, self._told(self._require_job(job))
            case ["queries", job]:
                self._move(job)
                return self._results(self._require_job(job))
        self._move()
        match words:
            case ["datasets"]:
                name = body["datasetReference"]["datasetId"]
                if name in self.dataset_names:
                    raise RefusedError(f"Already Exists: Dataset {name}", "duplicate", 409)
                self.dataset_names.add(name)
                return 200, _dataset(name)
            case ["datasets", name]:
                if name not in self.dataset_names:
                    raise RefusedError(f"Not found: Dataset {name}", "notFound", 404)
                return 200, _dataset(name)
            case ["datasets", name, "tables"] if method == "GET":
                listed = [
                    {"tableReference": _reference(each), "type": _kind(table)}
                    for each, table in self.stored.items()
                    if each.startswith(f"{name}.")
                ]
                return 200, {"tables": listed, "totalItems": len(listed)}
            case ["datasets", name, "tables"]:
                full = f"{name}.{body['tableReference']['tableId']}"
                if full in self.stored:
                    raise RefusedError(f"Already Exists: Table {full}", "duplicate", 409)
                return 200, self._describe(full, self.make(full, body))
            case ["datasets", name, "tables", table]:
                return self._of_table(method, f"{name}.{table}", body)
            case ["datasets", _, "tables", _, "rowAccessPolicies"]:
                return 200, {}
        raise NotImplementedError(f"{method} {path}")

    def _of_table(self, method: str, name: str, body: Body) -> Answer:
        found = self.stored.get(name)
        if found is None:
            raise RefusedError(f"Not found: Table {name}", "notFound", 404)
        if method == "DELETE":
            del self.stored[name]
            self.watch({name})
            return 204, {}
        if method in ("PATCH", "PUT"):
            wanted = body.pop("_match", None)
            if wanted and wanted != self._describe(name, found)["etag"]:
                raise RefusedError("Precondition check failed.", "conditionNotMet", 412)
            for key in _KEPT:
                if key in body:
                    found.body[key] = body[key]
            if "schema" in body and found.versions:
                found.versions.append((self.now(), fitted(found.rows, schema_of(found.body))))
            found.described = self.now()
        return 200, self._describe(name, found)

    # tables

    def make(self, name: str, body: Body) -> Stored:
        """Make an empty table, or a view, by its description."""
        made = Stored({key: body[key] for key in (*_KEPT, "view") if key in body}, self.now())
        if made.query is None:
            made.versions.append((made.created, _empty(schema_of(body))))
        else:
            made.body["schema"] = {"fields": _fields(self.rows(made.query).schema)}
        self.stored[name] = made
        self.watch({name})
        return made

    def _describe(self, name: str, table: Stored) -> Body:
        body = {key: value for key, value in table.body.items() if value is not None}
        changed = max(table.created, table.described, *(at for at, _ in table.versions[-1:]))
        return {
            **body,
            "tableReference": _reference(name),
            "type": _kind(table),
            "etag": changed.isoformat(),
            "creationTime": _millis(table.created),
            "lastModifiedTime": _millis(changed),
        }

    def append(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table in one moment, as a loader of somebody else does."""
        table = self.stored[name]
        table.versions.append((self.now(), _together([table.rows, rows])))
        self.watch({name})

    # jobs

    def _insert_job(self, body: Body, data: bytes = b"") -> Answer:
        reference = {**body["jobReference"], "projectId": PROJECT, "location": "US"}
        name = reference["jobId"]
        if name in self.jobs:
            raise RefusedError(f"Already Exists: Job {name}", "duplicate", 409)
        configuration = body["configuration"]
        job = Job(reference, configuration, iter(()))
        if self.fails:
            self.fails = False
            sql = configuration.get("query", {}).get("query", "")
            last = len(_statements(sql)) + 1
            # the worst moments: after the commit, and between the two renames
            alone = last if "COMMIT" in sql else (last + 1) // 2 + 1
            job.fails_at = self.pace.randint(1, last) if self.pace else alone
        if "query" in configuration:
            job.steps = self._query(job, configuration["query"]["query"])
        elif "copy" in configuration:
            job.steps = self._copy(job, configuration["copy"])
        else:
            job.steps = self._load(job, configuration["load"], data)
        self.jobs[name] = self.running[name] = job
        self._move()
        return 200, self._told(job)

    def _move(self, asked: str | None = None) -> None:
        """Let running jobs go on; the job that somebody asks for by a step at least."""
        for name, job in list(self.running.items()):
            steps = self.pace.choice((0, 0, 1, 3)) if self.pace else 1
            for _ in range(max(steps, name == asked)):
                self._step(name, job)

    def finish(self) -> None:
        """Let all jobs end."""
        while self.running:
            for name, job in list(self.running.items()):
                self._step(name, job)

    def _step(self, name: str, job: Job) -> None:
        if job.is_done:
            return
        job.done_steps += 1
        try:
            if job.done_steps == job.fails_at:
                raise RefusedError("Trouble in the backend", "jobBackendError", 503)
            next(job.steps)
        except StopIteration:
            job.is_done = True
        except RefusedError as error:
            self._end(job, error)
        except duckdb.Error as error:
            self._end(job, RefusedError(f"{error}"))
        if job.is_done:
            del self.running[name]

    def _end(self, job: Job, error: RefusedError) -> None:
        # what was not committed is lost
        job.error, job.is_done, job.transaction = error, True, None

    def _require_job(self, name: str) -> Job:
        if name not in self.jobs:
            raise RefusedError(f"Not found: Job {name}", "notFound", 404)
        return self.jobs[name]

    def _told(self, job: Job) -> Body:
        status: Body = {"state": "DONE" if job.is_done else "RUNNING"}
        if job.error:
            status |= {"errorResult": job.error.detail, "errors": [job.error.detail]}
        times = {"creationTime": "1", "startTime": "1", **({"endTime": "2"} if job.is_done else {})}
        query = {"numDmlAffectedRows": str(job.affected), "totalBytesBilled": "0"}
        kind = next(each for each in ("query", "copy", "load") if each in job.configuration)
        return {
            "jobReference": job.reference,
            "configuration": {**job.configuration, "jobType": kind.upper()},
            "status": status,
            "statistics": {**times, **({"query": query} if kind == "query" else {})},
        }

    def _results(self, job: Job) -> Answer:
        if job.error:
            raise job.error
        told = {"jobReference": job.reference, "jobComplete": job.is_done}
        if job.is_done:
            rows = job.rows if job.rows is not None else pa.table({})
            told |= {
                "schema": {"fields": _fields(rows.schema)},
                "totalRows": str(rows.num_rows),
                "numDmlAffectedRows": str(job.affected),
                "rows": [
                    {"f": [{"v": _wire(value)} for value in row.values()]}
                    for row in rows.to_pylist()
                ],
            }
        return 200, told

    def _copy(self, job: Job, copied: Body) -> Iterator[None]:
        yield
        source, target = (
            _name(copied.get(each) or copied["sourceTables"][0])
            for each in ("sourceTable", "destinationTable")
        )
        found = self._table(source)
        there = self.stored.get(target)
        if there is not None and copied.get("writeDisposition") != "WRITE_TRUNCATE":
            raise RefusedError(f"Already Exists: Table {target}", "duplicate", 409)
        now = self.now()
        if there is None:
            body = {key: value for key, value in found.body.items() if key != "expirationTime"}
            there = self.stored[target] = Stored(body, now)
        there.versions.append((now, found.rows))
        self.watch({target})

    def _load(self, job: Job, load: Body, data: bytes) -> Iterator[None]:
        yield
        target = _name(load["destinationTable"])
        if target not in self.stored:
            if load.get("createDisposition") == "CREATE_NEVER":
                raise RefusedError(f"Not found: Table {target}", "notFound", 404)
            self.make(target, {"schema": load["schema"]})
        self.append(target, fitted(pq.read_table(io.BytesIO(data)), schema_of(load)))

    # statements

    def _query(self, job: Job, sql: str) -> Iterator[None]:
        """Run the statements of a job, one at a step."""
        for statement in _statements(sql):
            yield
            tree = statement.tree
            if isinstance(tree, sge.Transaction):
                job.transaction = Transaction(self.now())
            elif isinstance(tree, sge.Commit):
                self._commit(job)
            elif isinstance(tree, sge.Rollback):
                job.transaction = None
            elif isinstance(tree, sge.Query):
                job.rows = self._evaluate(statement, tree, job.transaction)
            elif isinstance(tree, (sge.Create, sge.Alter, sge.Drop)):
                if job.transaction:
                    raise RefusedError("DDL is not supported in a transaction")
                self._ddl(statement)
            else:
                yield from self._dml(job, statement)

    def _dml(self, job: Job, statement: Statement) -> Iterator[None]:
        outer = job.transaction
        job.transaction = change = outer or Transaction(self.now())
        name = _target(statement)
        self._table(name)
        if isinstance(statement.tree, sge.Insert):
            rows = self._inserted(statement, name, change)
            change.added.setdefault(name, []).append(rows)
            job.affected = rows.num_rows
        else:
            while self._is_rewritten(name, job):
                if outer:
                    raise RefusedError(f"Transaction is aborted due to concurrent update of {name}")
                # a statement outside of a transaction waits
                yield
                job.transaction = change = Transaction(self.now())
            change.rewritten[name] = self._rewritten(statement, name, change)
            change.added.pop(name, None)
        if outer is None:
            self._commit(job)

    def _is_rewritten(self, name: str, job: Job) -> bool:
        """Tell whether a transaction that is not over rewrites a table, or has done meanwhile."""
        others = [each for each in self.running.values() if each is not job]
        if any(each.transaction and name in each.transaction.rewritten for each in others):
            return True
        start = job.transaction.start if job.transaction else self.now()
        return self.rewrites.get(name, start) > start

    def _inserted(self, statement: Statement, name: str, change: Transaction) -> pa.Table:
        names = [each.name for each in statement.tree.this.expressions]
        source = statement.tree.expression
        if isinstance(source, sge.Values):
            source = sge.select("*").from_(sge.alias_(source.copy(), "given", table=names))
        rows, schema = self._evaluate(statement, source, change), schema_of(self._table(name).body)
        return fitted(rows, schema, names)

    def _rewritten(self, statement: Statement, name: str, change: Transaction) -> pa.Table:
        schema, tree = schema_of(self._table(name).body), statement.tree
        if isinstance(tree, sge.TruncateTable):
            return _empty(schema)
        where = tree.args.get("where")
        met = sge.Coalesce(
            this=where.this.copy() if where else sge.true(), expressions=[sge.false()]
        )
        rows = sge.select().from_(tree.this.copy())
        if isinstance(tree, sge.Delete):
            query = rows.select("*").where(sge.Not(this=met))
        elif isinstance(tree, sge.Update):
            new = {each.this.name: each.expression for each in tree.expressions}
            query = rows.select(
                *(
                    sge.alias_(
                        sge.If(this=met.copy(), true=new[each], false=sge.column(each)), each
                    )
                    if each in new
                    else sge.column(each)
                    for each in schema.names
                )
            )
        else:
            raise NotImplementedError(statement.text)
        return fitted(self._evaluate(statement, query, change), schema)

    def _commit(self, job: Job) -> None:
        change, job.transaction = job.transaction, None
        if change is None:
            raise RefusedError("There is no transaction")
        now = self.now()
        for name in {*change.rewritten, *change.added}:
            base = change.rewritten.get(name)
            if base is not None:
                self.rewrites[name] = now
            rows = [self._table(name).rows if base is None else base, *change.added.get(name, ())]
            self.stored[name].versions.append((now, _together(rows)))
        self.watch({*change.rewritten, *change.added})

    def _ddl(self, statement: Statement) -> None:
        tree, name = statement.tree, _target(statement)
        if isinstance(tree, sge.Create) and tree.kind == "VIEW":
            if name in self.stored and self.stored[name].query is None:
                raise RefusedError(f"{name} is not a view")
            self.make(name, {"view": {"query": tree.expression.sql("bigquery")}})
        elif isinstance(tree, sge.Alter) and isinstance(tree.args["actions"][0], sge.AlterRename):
            new = f"{name.split('.')[0]}.{tree.args['actions'][0].this.name}"
            new = new.replace("RUN", statement.run)
            if new in self.stored:
                raise RefusedError(f"Already Exists: Table {new}", "duplicate", 409)
            self._table(name)
            self.stored[new] = self.stored.pop(name)
            self.watch({name, new})
        elif isinstance(tree, sge.Alter) and tree.find(sge.Property) is not None:
            for option in tree.find_all(sge.Property):
                if option.name != "expiration_timestamp":
                    raise NotImplementedError(statement.text)
                moment = option.args["value"].find(sge.Literal)
                self._table(name).body["expirationTime"] = (
                    _millis(datetime.fromisoformat(moment.name)) if moment else None
                )
        elif isinstance(tree, sge.Drop):
            self._table(name)
            del self.stored[name]
            self.watch({name})
        else:
            raise NotImplementedError(statement.text)

    def _table(self, name: str) -> Stored:
        if name not in self.stored:
            raise RefusedError(f"Not found: Table {name}", "notFound", 404)
        return self.stored[name]

    # queries

    def rows(self, sql: str) -> pa.Table:
        """Return the result of a query in BigQuery's SQL, at once."""
        (statement,) = _statements(sql)
        return self._evaluate(statement, statement.tree)

    def _evaluate(
        self, statement: Statement, query: sge.Expression, change: Transaction | None = None
    ) -> pa.Table:
        """Return the rows of a query: of one moment, or as a transaction sees them.

        A query of the same rows has the same result, so it runs once.
        """
        read = Reading(self, change)
        inputs = read.inputs(statement, query)
        key = (statement.text, query.key, inputs)
        if key in _RESULTS:
            return _RESULTS[key][0]
        sql = read.sql(statement, query)
        found = self._run(sql, read.given)
        if _NOW not in sql:
            _RESULTS[key] = found, list(read.given)
        return found

    def _run(self, sql: str, given: Sequence[pa.Table]) -> pa.Table:
        if _NOW in sql:
            sql = sql.replace(_NOW, self.now().isoformat())
        names = list(map(_registered, given))
        sql = _GIVEN.sub(lambda each: names[int(each[1])], sql)
        found = _CON.execute(sql).to_arrow_table()
        columns = [each.cast(_plain(each.type)) for each in found.columns]
        if len(set(found.column_names)) < len(columns):
            # only an INSERT may have columns without names
            return pa.table(columns, [f"f{number}_" for number in range(len(columns))])
        return pa.table(columns, found.column_names)


_CON = duckdb.connect(config={"threads": 1})
_CON.execute("SET TimeZone = 'UTC'")
_NOW, _GIVEN = "the time now", re.compile(r"\bgiven_(\d+)\b")
# the same rows are always the same table, so each query of them runs once
_REGISTERED: dict[int, tuple[pa.Table, str]] = {}
_FITTED: dict[Any, tuple[pa.Table, pa.Table]] = {}
_RESULTS: dict[Any, tuple[pa.Table, list[pa.Table]]] = {}
_SQL: dict[Any, str] = {}


def _registered(rows: pa.Table) -> str:
    """Return the name by which DuckDB reads these rows."""
    if id(rows) not in _REGISTERED:
        name = f"rows_{len(_REGISTERED)}"
        _CON.register(name, rows)
        _REGISTERED[id(rows)] = rows, name
    return _REGISTERED[id(rows)][1]


@dataclass
class Reading:
    """Finds the rows that a query reads."""

    service: Service
    change: Transaction | None
    given: list[pa.Table] = field(default_factory=list)
    views: list[str] = field(default_factory=list)

    def inputs(self, statement: Statement, query: sge.Expression) -> tuple[Any, ...]:
        """Return what the result depends on, beside the query: versions of tables, and views."""
        found: list[Any] = []
        for table in _tables(query):
            name = statement.name(table)
            stored = self.service._table(name)
            if stored.query is None:
                rows = self._rows(name, statement, table)
                self.given.append(rows)
                found.append(id(rows))
            else:
                (view,) = _statements(stored.query)
                self.views.append(view.text)
                found.append((view.text, self.inputs(view, view.tree)))
        return tuple(found)

    def sql(self, statement: Statement, query: sge.Expression) -> str:
        """Return the query for DuckDB; it reads `given_0`, `given_1` and so on."""
        same = tuple(map(self._number, self.given))
        key = statement.text, query.key, tuple(self.views), same
        if key not in _SQL:
            tree = self.resolved(statement, query.copy())
            for call in list(tree.find_all(sge.FarmFingerprint)):
                # BigQuery's has a sign
                hashed = sge.Anonymous(this="hash", expressions=call.expressions)
                half = sge.BitwiseRightShift(this=hashed, expression=sge.Literal.number(1))
                call.replace(sge.cast(half, "BIGINT", dialect="duckdb"))
            for call in list(tree.find_all(sge.CurrentTimestamp)):
                call.replace(sge.cast(sge.convert(_NOW), "TIMESTAMPTZ", dialect="duckdb"))
            _SQL[key] = tree.sql("duckdb")
        return _SQL[key]

    def _number(self, rows: pa.Table) -> int:
        return next(number for number, each in enumerate(self.given) if each is rows)

    def resolved(self, statement: Statement, query: sge.Expression) -> sge.Expression:
        """Replace each table by its rows in DuckDB, and each view by its query."""
        for table in _tables(query):
            name, alias = statement.name(table), table.alias_or_name
            stored = self.service._table(name)
            if stored.query is None:
                rows = self._rows(name, statement, table)
                given = sge.to_table(f"given_{self._number(rows)}")
                table.replace(sge.alias_(given, alias, table=True))
            else:
                (view,) = _statements(stored.query)
                inner = self.resolved(view, view.tree.copy())
                table.replace(
                    sge.Subquery(this=inner, alias=sge.TableAlias(this=sge.to_identifier(alias)))
                )
        return query

    def _rows(self, name: str, statement: Statement, table: sge.Table) -> pa.Table:
        found, change = self.service._table(name), self.change
        if table.args.get("version") and statement.moment:
            return found.at(statement.moment)
        if change is None:
            return found.rows
        base = change.rewritten.get(name)
        return _together(
            [found.at(change.start) if base is None else base, *change.added.get(name, ())]
        )


def _tables(query: sge.Expression) -> list[sge.Table]:
    return [table for table in query.find_all(sge.Table) if table.db]


def _target(statement: Statement) -> str:
    table = statement.tree.find(sge.Table)
    if table is None:
        raise NotImplementedError(statement.text)
    return statement.name(table)


_JOINED: dict[tuple[int, ...], tuple[list[pa.Table], pa.Table]] = {}


def _together(parts: list[pa.Table]) -> pa.Table:
    """Return all rows of several tables; the same parts are the same table."""
    filled = [each for each in parts if each.num_rows] or parts[:1]
    if len(filled) == 1:
        return filled[0]
    key = tuple(map(id, filled))
    if key not in _JOINED:
        _JOINED[key] = filled, pa.concat_tables(filled)
    return _JOINED[key][1]


_RUN = re.compile(r"\d{8}t\d{6}_[0-9a-f]{8}")
_AS_OF = re.compile(r"AS OF TIMESTAMP '([^']+)'")


@dataclass(frozen=True)
class Statement:
    """A statement; `text` and `tree` have RUN for the name of a build, and no moment."""

    text: str
    tree: sge.Expression
    run: str
    moment: datetime | None

    def name(self, table: sge.Table) -> str:
        """Return `dataset.table` of a table of the tree."""
        return f"{table.db}.{table.name}".replace("RUN", self.run)


def _statements(sql: str) -> list[Statement]:
    """Read the statements of a job. Those of different builds are parsed once."""
    # our scripts have a statement's end at the end of a line alone
    return [made for each in sql.rstrip(";").split(";\n") for made in _statement(each)]


def _statement(sql: str) -> Iterator[Statement]:
    found, moment = _RUN.search(sql), _AS_OF.search(sql)
    # only names of tables may differ, no values
    run = found[0] if found and f"'{found[0]}'" not in sql else "RUN"
    text = _AS_OF.sub("AS OF TIMESTAMP ''", sql.replace(run, "RUN"))
    at = datetime.fromisoformat(moment[1]) if moment else None
    for tree in _parsed(text):
        yield Statement(text, tree, run, at)


@functools.lru_cache(maxsize=2048)
def _parsed(text: str) -> tuple[sge.Expression, ...]:
    return tuple(tree for tree in sqlglot.parse(text, read="bigquery") if tree is not None)


def _dataset(name: str) -> Body:
    return {"datasetReference": {"projectId": PROJECT, "datasetId": name}, "location": "US"}


def _reference(name: str) -> Body:
    dataset, _, table = name.partition(".")
    return {"projectId": PROJECT, "datasetId": dataset, "tableId": table}


def _name(reference: Body) -> str:
    return f"{reference['datasetId']}.{reference['tableId']}"


def _kind(table: Stored) -> str:
    return "TABLE" if table.query is None else "VIEW"


def _millis(moment: datetime) -> str:
    return str((moment - _EPOCH) // timedelta(milliseconds=1))


def schema_of(body: Body) -> pa.Schema:
    """Return the columns that a description of a table has."""
    fields = body.get("schema", {}).get("fields", [])
    return pa.schema([(each["name"], _TYPES[each["type"]]) for each in fields])


def _fields(schema: pa.Schema) -> list[Body]:
    return [{"name": each.name, "type": _FIELDS[each.type], "mode": "NULLABLE"} for each in schema]


def fitted(rows: pa.Table, schema: pa.Schema, names: Sequence[str] = ()) -> pa.Table:
    """Return rows with these columns and types; a column that they lack is NULL.

    `names` are the names of the rows' columns, if theirs are others.
    """
    key = id(rows), tuple(names), schema.to_string()
    if key not in _FITTED:
        named = rows.rename_columns(list(names)) if names else rows
        columns = [
            named[each.name].cast(each.type)
            if each.name in named.column_names
            else pa.nulls(named.num_rows, each.type)
            for each in schema
        ]
        _FITTED[key] = rows, pa.table(columns, schema=schema)
    return _FITTED[key][1]


@functools.cache
def _empty(schema: pa.Schema) -> pa.Table:
    return schema.empty_table()


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type that BigQuery has for a type of DuckDB."""
    if kind in _FIELDS:
        return kind
    if pa.types.is_timestamp(kind):
        return _TYPES["TIMESTAMP"]
    if pa.types.is_decimal(kind) and kind.scale:
        return pa.float64()
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return pa.int64()
    if pa.types.is_null(kind):
        return pa.string()
    raise NotImplementedError(f"no type of BigQuery for {kind}")


def _wire(value: Any) -> str | None:
    """Return a value as a result of a query has it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return str((value - _EPOCH) // timedelta(microseconds=1))
    return str(value)
