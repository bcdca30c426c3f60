"""A stand-in for the service's refusals: a proxy that the emulator answers through.

The emulator accepts more than BigQuery does, so a test through it alone proves little. This proxy
refuses what Google's documentation says the service refuses, keeps what the emulator forgets
(expiry, policy tags, etags, layouts given in DDL), and records every request. `Service.rules` names
each refusal.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import sqlglot
import sqlglot.expressions as sge

PARTITIONS_A_JOB = 4_000
TABLES_A_TRANSACTION = 100

_TABLE = re.compile(r".*/projects/([^/]+)/datasets/([^/]+)/tables(?:/([^/?]+))?$")
_DATASET = re.compile(r".*/projects/([^/]+)/datasets/([^/]+)$")
_JOB = re.compile(r".*/projects/[^/]+/(?:jobs|queries)/([^/]+)(/cancel)?$")
_FORGOTTEN = (
    *("expirationTime", "defaultCollation", "requirePartitionFilter", "timePartitioning"),
    *("clustering", "schema"),
)
"""The properties of a table that the emulator does not keep, or not all of them."""
_PARTITION = {
    "DAY": "TIMESTAMP_TRUNC({}, DAY)",
    "MONTH": "TIMESTAMP_TRUNC({}, MONTH)",
}

Name = tuple[str, str]
"""A dataset and a table of it."""


class RefusedError(Exception):
    """The service refuses a request."""

    def __init__(self, message: str, reason: str = "invalidQuery", status: int = 400) -> None:
        super().__init__(message)
        details = [{"reason": reason, "message": message, "domain": "global"}]
        self.answer = status, {"error": {"code": status, "message": message, "errors": details}}


@dataclass(frozen=True)
class Asked:
    """A request, its JSON body, and the status of the answer."""

    at: float
    method: str
    path: str
    body: dict[str, Any]
    status: int

    @property
    def sql(self) -> str:
        """The statement of a query job, empty for any other request."""
        return self.body.get("configuration", {}).get("query", {}).get("query", "")


@dataclass
class Service:
    """An emulator with the service's refusals, and a record of its requests."""

    emulator: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tables: dict[Name, dict[str, Any]] = field(default_factory=dict)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    """Texts of jobs to refuse once each for a temporary reason, with that reason."""
    stuck: str | None = None
    """A text of statements that run until they are cancelled."""
    running: dict[str, bytes] = field(default_factory=dict)
    """What is told of the jobs that run until they are cancelled."""
    cancelled: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def statements(self) -> list[str]:
        """Return the statements of all query jobs so far, in order."""
        return [asked.sql for asked in self.asked if asked.sql]

    def jobs(self) -> list[dict[str, Any]]:
        """Return the bodies of all jobs so far, in order."""
        return [asked.body for asked in self.asked if "configuration" in asked.body]

    # requests to the emulator

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask the emulator."""
        connection = http.client.HTTPConnection(urlsplit(self.emulator).netloc, timeout=600)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the emulator in JSON."""
        text = json.dumps(body).encode() if body is not None else b""
        _, _, answer = self.send(method, path, text, {"Content-Type": "application/json"})
        return json.loads(answer or b"{}")

    def run(self, project: str, sql: str) -> list[list[Any]]:
        """Return the rows of a query that the emulator runs."""
        body = {"query": sql, "useLegacySql": False}
        found = self.json("POST", f"/bigquery/v2/projects/{project}/queries", body)
        assert "errors" not in found, found
        assert "error" not in found, (sql, found)
        return [[cell["v"] for cell in row["f"]] for row in found.get("rows", [])]

    # tables, as the service knows them

    def table(self, project: str, name: Name) -> dict[str, Any] | None:
        """Return a table as the service would describe it."""
        path = f"/bigquery/v2/projects/{project}/datasets/{name[0]}/tables/{name[1]}"
        status, _, answer = self.send("GET", path)
        if status != 200:
            return None
        found = json.loads(answer)
        kept = self.tables.get(name, {})
        expires = kept.get("expirationTime")
        if expires and int(expires) <= time.time() * 1000:
            self.send("DELETE", path)
            self.tables.pop(name, None)
            return None
        return {**found, **{key: value for key, value in kept.items() if value is not None}}

    def policies(self, project: str, name: Name) -> list[str]:
        """Return the names of a table's row access policies."""
        path = f"/bigquery/v2/projects/{project}/datasets/{name[0]}/tables/{name[1]}"
        found = self.json("GET", f"{path}/rowAccessPolicies").get("rowAccessPolicies", [])
        return [policy["rowAccessPolicyReference"]["policyId"] for policy in found]

    def describe(self, name: Name, body: dict[str, Any], *, new: bool) -> None:
        """Keep the parts of a table's description that the emulator forgets."""
        kept = {} if new else self.tables.setdefault(name, {})
        kept.update({key: body[key] for key in _FORGOTTEN if key in body})
        self.tables[name] = kept

    # a request

    def answer(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer a request as the service would."""
        path = target.partition("?")[0]
        is_json = body[:1] == b"{"
        content = json.loads(body) if is_json else {}
        at = time.time()
        try:
            status, more, answer = self._answered(method, target, path, content, body, headers)
        except RefusedError as error:
            status, found = error.answer
            more, answer = {"Content-Type": "application/json"}, json.dumps(found).encode()
        self.asked.append(Asked(at, method, target, content, status))
        return status, more, answer

    def _answered(
        self,
        method: str,
        target: str,
        path: str,
        content: dict[str, Any],
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, dict[str, str], bytes]:
        if (job := _JOB.match(path)) and method == "POST" and job[2]:
            self.cancelled.add(job[1])
        if job and job[1] in self.cancelled and method == "GET":
            raise RefusedError(
                "Job execution was cancelled: User requested cancellation", "stopped", 499
            )
        if job and job[1] in self.running and method == "GET":
            time.sleep(0.1)
            return 200, {"Content-Type": "application/json"}, self.running[job[1]]
        if "configuration" in content and "/upload/" not in path:
            return self._job(target, content, headers)
        if found := _TABLE.match(path):
            return self._of_table(method, target, found, content, headers)
        if (found := _DATASET.match(path)) and method in ("PATCH", "PUT"):
            self.datasets.setdefault(found[2], {}).update(content)
        return self._forward(method, target, body, headers)

    def _forward(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        status, more, answer = self.send(method, target, body, headers)
        if location := more.get("location"):
            more["location"] = location.replace(self.emulator, self.url)
        return status, more, answer

    def _of_table(
        self,
        method: str,
        target: str,
        path: re.Match[str],
        content: dict[str, Any],
        headers: dict[str, str],
    ) -> tuple[int, dict[str, str], bytes]:
        with self.lock:
            project, dataset, table = path.groups()
            if method == "POST":
                table = content["tableReference"]["tableId"]
                self.table(project, (dataset, table))  # drops an expired one
            there = self.table(project, (dataset, table)) if table else None
            if method in ("PATCH", "PUT"):
                if there and headers.get("If-Match") not in (None, there["etag"]):
                    raise RefusedError("Precondition check failed.", "conditionNotMet", 412)
                self._require_same_layout_in_patch(there, content)
            if method == "GET" and table:
                if there is None:
                    raise RefusedError(
                        f"Not found: Table {project}:{dataset}.{table}", "notFound", 404
                    )
                return 200, {"Content-Type": "application/json"}, json.dumps(there).encode()
            if method == "DELETE" and there and there["type"] == "VIEW":
                # the emulator drops tables alone
                self.run(project, f"DROP VIEW `{project}`.`{dataset}`.`{table}`")
                self.tables.pop((dataset, table), None)
                return 204, {}, b""
            if method == "POST" and "view" in content:
                return self._made_view(project, (dataset, table), content)
            plain = {k: v for k, v in content.items() if k != "expirationTime"}
            text = json.dumps(plain).encode() if content else b""
            kept = {key: value for key, value in headers.items() if key != "Content-Length"}
            status, more, answer = self.send(method, target, text, kept)
            name = (dataset, table)
            if status < 300 and method == "POST":
                self.describe(name, content, new=True)
            elif status < 300 and method in ("PATCH", "PUT"):
                self.describe(name, content, new=False)
            elif method == "DELETE":
                self.tables.pop(name, None)
            changed = status == 200 and method in ("POST", "PATCH", "PUT")
            # a table that expires at once was made all the same
            if changed and (made := self.table(project, name)):
                answer = json.dumps(made).encode()
            if status == 200 and method == "GET":
                answer = self._listed(project, dataset, answer)
            return status, more, answer

    def _made_view(
        self, project: str, name: Name, content: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        """Make a view with its columns, which the emulator does in a statement alone."""
        query = content["view"]["query"]
        sql = f"CREATE VIEW `{project}`.`{name[0]}`.`{name[1]}` AS {query}"
        body = {"query": sql, "useLegacySql": False}
        found = self.json("POST", f"/bigquery/v2/projects/{project}/queries", body)
        if "error" in found:
            raise RefusedError(found["error"]["message"])
        self.describe(name, {k: v for k, v in content.items() if k != "schema"}, new=True)
        made = json.dumps(self.table(project, name)).encode()
        return 200, {"Content-Type": "application/json"}, made

    def _listed(self, project: str, dataset: str, answer: bytes) -> bytes:
        found = json.loads(answer)
        names = {item["tableReference"]["tableId"] for item in found["tables"]}
        gone = {
            name
            for name in names
            if self.tables.get((dataset, name), {}).get("expirationTime")
            and self.table(project, (dataset, name)) is None
        }
        found["tables"] = [
            item for item in found["tables"] if item["tableReference"]["tableId"] not in gone
        ]
        return json.dumps(found).encode()

    def _require_same_layout_in_patch(
        self, there: dict[str, Any] | None, content: dict[str, Any]
    ) -> None:
        before = (there or {}).get("timePartitioning") or {}
        after = content.get("timePartitioning")
        if after and (before.get("field"), before.get("type")) != (
            after.get("field"),
            after.get("type"),
        ):
            raise RefusedError("Cannot change partitioning spec of a table.", "invalid")

    # jobs

    def _job(
        self, target: str, content: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        configuration = content["configuration"]
        text = json.dumps(configuration)
        for fault in list(self.faults):
            if fault[0] in text:
                self.faults.remove(fault)
                raise RefusedError(f"Trouble: {fault[1]}", fault[1], 503)
        project = content["jobReference"]["projectId"]
        body = json.dumps(content).encode()
        if copied := configuration.get("copy"):
            with self.lock:
                return self._copy(project, target, copied, body, headers)
        if (query := configuration.get("query")) is None:
            return self._forward("POST", target, body, headers)
        sql = query["query"]
        if self.stuck and self.stuck in sql:
            return self._running(content)
        for statement in _statements(sql):
            self._require_filters(project, statement)
            self._require_still_sources(project, statement)
        self._require_plain_transaction(sql)
        renamed: set[Name] = set()
        for statement in _statements(sql):
            if statement.find(sge.AlterRename):
                renamed.add((statement.this.db, statement.this.name))
            self._require_replaceable(project, statement, renamed)
        if query.get("destinationTable") and "$" in query["destinationTable"]["tableId"]:
            raise RefusedError("a partition decorator is not for this pipeline")
        if translated := self._translated(project, sql):
            sent = copy.deepcopy(content)
            sent["configuration"]["query"]["query"] = translated
            body = json.dumps(sent).encode()
        status, more, answer = self._forward("POST", target, body, headers)
        if status == 200 and not configuration.get("dryRun"):
            for statement in _statements(sql):
                self._after(project, statement)
        return status, more, answer

    def _running(self, content: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        found = {
            "jobComplete": False,
            "jobReference": {**content["jobReference"], "location": "US"},
            "configuration": {**content["configuration"], "jobType": "QUERY"},
            "status": {"state": "RUNNING"},
            "statistics": {"creationTime": "1", "startTime": "1"},
        }
        answer = json.dumps(found).encode()
        self.running[content["jobReference"]["jobId"]] = answer
        return 200, {"Content-Type": "application/json"}, answer

    def _require_filters(self, project: str, statement: sge.Expression) -> None:
        """Refuse a query without a partition filter on a table that requires one."""
        target = _target(statement)
        for table in statement.find_all(sge.Table):
            if table is target or not table.db:
                continue
            kept = self.tables.get((table.db, table.name), {})
            partition = (kept.get("timePartitioning") or {}).get("field")
            required = kept.get("requirePartitionFilter") or (
                kept.get("timePartitioning") or {}
            ).get("requirePartitionFilter")
            if not required:
                continue
            select = table.find_ancestor(sge.Select)
            where = select.args.get("where") if select else None
            named = {column.name for column in where.find_all(sge.Column)} if where else set()
            if partition not in named:
                raise RefusedError(
                    f"Cannot query over table '{project}.{table.db}.{table.name}' without a filter"
                    f" over column(s) '{partition}' that can be used for partition elimination"
                )

    def _require_still_sources(self, project: str, statement: sge.Expression) -> None:
        """Refuse to read the past of a view: only a table has one."""
        for table in statement.find_all(sge.Table):
            if table.args.get("version") is None:
                continue
            found = self.table(project, (table.db, table.name))
            if found and found["type"] != "TABLE":
                raise RefusedError(f"FOR SYSTEM_TIME AS OF is not supported for a {found['type']}")

    def _require_plain_transaction(self, sql: str) -> None:
        """Refuse a transaction with more than queries and DML, or on more than 100 tables."""
        inside, touched = False, set()
        for tree in _statements(sql):
            text = tree.sql("bigquery").upper()
            if isinstance(tree, sge.Transaction):
                inside = True
            elif isinstance(tree, (sge.Commit, sge.Rollback)):
                inside = False
            elif inside:
                permanent = isinstance(tree, (sge.Create, sge.Drop, sge.Alter))
                if permanent and " TEMP" not in text:
                    raise RefusedError(f"{text.split('(')[0]} is not supported in a transaction")
                touched |= {table.sql() for table in tree.find_all(sge.Table)}
        if len(touched) > TABLES_A_TRANSACTION:
            raise RefusedError("A transaction can change at most 100 tables")

    def _require_replaceable(
        self, project: str, statement: sge.Expression, renamed: set[Name]
    ) -> None:
        """Refuse to replace a table of another layout, if it is not `renamed` by then."""
        if not isinstance(statement, sge.Create) or not statement.args.get("replace"):
            return
        table = _target(statement)
        if (table.db, table.name) in renamed:
            return
        there = self.table(project, (table.db, table.name))
        if there is None:
            return
        if there["type"] != statement.kind:
            raise RefusedError(f"{table.db}.{table.name} is not a {statement.kind}", "invalid")
        if statement.kind == "TABLE" and _layout(there) != _layout(_of_create(statement)):
            raise RefusedError(
                "Cannot replace a table with a different partitioning spec. Instead, DROP the"
                " table, and then recreate it."
            )

    def _copy(
        self,
        project: str,
        target: str,
        copied: dict[str, Any],
        body: bytes,
        headers: dict[str, str],
    ) -> tuple[int, dict[str, str], bytes]:
        """Copy onto a table only with the same layout; remove the table's policies."""
        source = copied.get("sourceTable") or copied["sourceTables"][0]
        to = copied["destinationTable"]
        names = [(each["datasetId"], each["tableId"]) for each in (source, to)]
        made, there = (self.table(project, name) for name in names)
        if made and there and _layout(made) != _layout(there):
            raise RefusedError(
                "Incompatible table partitioning specification. Destination table exists with"
                f" partitioning specification {_layout(there)}, but transfer target partitioning"
                f" specification is {_layout(made)}. Please retry after updating either the"
                " destination table or the transfer partitioning specification.",
                "invalid",
            )
        status, more, answer = self._forward("POST", target, body, headers)
        if status == 200 and copied.get("writeDisposition") != "WRITE_APPEND":
            full = f"`{project}`.`{names[1][0]}`.`{names[1][1]}`"
            for policy in self.policies(project, names[1]):
                self.run(project, f"DROP ROW ACCESS POLICY {policy} ON {full}")
            kept = {
                key: value
                for key, value in self.tables.get(names[0], {}).items()
                if key != "expirationTime"
            }
            if there is not None:
                kept = _without_tags(kept)
            self.tables[names[1]] = kept
        return status, more, answer

    def _translated(self, project: str, sql: str) -> str | None:
        """Rewrite a statement that the emulator can't run like the service.

        Its catalog misses a rename, so it gets a copy and a drop. It can't truncate a table with
        row access policies.
        """
        moved = False

        def moving(found: re.Match[str]) -> str:
            nonlocal moved
            moved = True
            old, new = found[1], found[2].strip("`")
            place, _, name = old.replace("`", "").rpartition(".")
            dataset = place.rpartition(".")[2]
            self.tables[dataset, new] = {
                **{
                    key: value
                    for key, value in (self.table(project, (dataset, name)) or {}).items()
                    if key in _FORGOTTEN
                },
                **self.tables.pop((dataset, name), {}),
            }
            full = f"`{place.replace('.', '`.`')}`.`{new}`"
            return f"CREATE TABLE {full} AS SELECT * FROM {old}; DROP TABLE {old}"

        def emptying(found: re.Match[str]) -> str:
            nonlocal moved
            dataset, name = found[1].replace("`", "").split(".")[-2:]
            if not self.policies(project, (dataset, name)):
                return found[0]
            moved = True
            return f"DELETE FROM {found[1]} WHERE TRUE"

        found = re.sub(r"ALTER TABLE (\S+) RENAME TO (`?\w+`?)", moving, sql)
        found = re.sub(r"TRUNCATE TABLE ([^\s;]+)", emptying, found)
        return found if moved else None

    def _after(self, project: str, statement: sge.Expression) -> None:
        """After a statement that wrote, count its partitions; drop expired ones."""
        if isinstance(statement, sge.Create) and statement.kind == "TABLE":
            table = _target(statement)
            self.tables[table.db, table.name] = _of_create(statement)
        if not isinstance(statement, (sge.Create, sge.Insert)):
            return
        table = _target(statement)
        found = self.table(project, (table.db, table.name)) or {}
        layout = found.get("timePartitioning") or {}
        if not layout.get("field"):
            return
        full = f"`{project}`.`{table.db}`.`{table.name}`"
        column = f"`{layout['field']}`"
        if isinstance(statement, sge.Create) or statement.expression:
            self._count_partitions(project, statement, full, column, layout["type"])
        default = self.datasets.get(table.db, {}).get("defaultPartitionExpirationMs")
        if expiration := layout.get("expirationMs") or default:
            oldest = time.time() - int(expiration) / 1000
            if oldest > 0:
                day = time.strftime("%Y-%m-%d", time.gmtime(oldest))
                self.run(project, f"DELETE FROM {full} WHERE DATE({column}) < DATE '{day}'")

    def _count_partitions(
        self, project: str, statement: sge.Expression, full: str, column: str, unit: str
    ) -> None:
        part = _PARTITION[unit].format(f"TIMESTAMP({column})")
        ((count,),) = self.run(project, f"SELECT COUNT(DISTINCT {part}) FROM {full}")
        if int(count) > PARTITIONS_A_JOB and isinstance(statement, sge.Insert):
            # some of the partitions were there before
            rows = statement.expression.sql("bigquery")
            try:
                ((count,),) = self.run(project, f"SELECT COUNT(DISTINCT {part}) FROM ({rows}) AS w")
            except AssertionError:
                return  # the query reads the table that it filled
        if int(count) > PARTITIONS_A_JOB:
            if isinstance(statement, sge.Create):
                self.run(project, f"DROP TABLE {full}")
            else:
                self.run(project, f"TRUNCATE TABLE {full}")
            raise RefusedError(
                f"Too many partitions produced by query, allowed {PARTITIONS_A_JOB}, query produces"
                f" at least {PARTITIONS_A_JOB + 1} partitions"
            )


@functools.lru_cache(maxsize=32)
def _statements(sql: str) -> tuple[sge.Expression, ...]:
    try:
        trees = sqlglot.parse(sql, read="bigquery")
    except sqlglot.errors.ParseError as error:
        raise RefusedError(f"Syntax error: {error}") from error
    return tuple(tree for tree in trees if tree is not None)


def _target(statement: sge.Expression) -> sge.Table | None:
    if isinstance(statement, (sge.Create, sge.Insert)):
        return statement.this.find(sge.Table) if statement.this else None
    if isinstance(statement, (sge.Drop, sge.Alter)):
        return statement.this
    if isinstance(statement, sge.TruncateTable):
        return statement.expressions[0]
    return None


def _layout(table: dict[str, Any]) -> tuple[Any, ...]:
    partition = table.get("timePartitioning") or {}
    clusters = (table.get("clustering") or {}).get("fields") or []
    return partition.get("type"), partition.get("field"), *clusters


def _of_create(statement: sge.Create) -> dict[str, Any]:
    """The layout in a CREATE TABLE; the emulator loses some of it."""
    found: dict[str, Any] = {}
    if partition := statement.find(sge.PartitionedByProperty):
        unit = partition.find(sge.Var)
        found["timePartitioning"] = {
            "type": unit.name if unit else "DAY",
            "field": partition.find(sge.Identifier).name,
        }
    if cluster := statement.find(sge.Cluster):
        found["clustering"] = {"fields": [each.name for each in cluster.expressions]}
    for option in statement.find_all(sge.Property):
        name = option.name.lower()
        if name == "partition_expiration_days" and "timePartitioning" in found:
            days = float(option.args["value"].name)
            found["timePartitioning"]["expirationMs"] = str(int(days * 86_400_000))
    return found


def _without_tags(kept: dict[str, Any]) -> dict[str, Any]:
    fields = kept.get("schema", {}).get("fields", [])
    bare = [{key: value for key, value in each.items() if key != "policyTags"} for each in fields]
    return {**kept, "schema": {"fields": bare}} if fields else kept


@contextlib.contextmanager
def refusing(emulator: str) -> Iterator[Service]:
    """Run the proxy in front of an emulator, on a free port of this machine."""
    service = Service(emulator)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "connection", "accept-encoding", "content-length")
            }
            status, more, answer = service.answer(self.command, self.path, body, headers)
            self.send_response(status)
            for name, value in more.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # the client was killed in the middle of an answer

    http_server = Server(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{http_server.server_address[1]}"
    try:
        yield service
    finally:
        http_server.shutdown()
        http_server.server_close()
        thread.join(10)
