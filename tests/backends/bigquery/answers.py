"""A server that answers like BigQuery, and records its requests."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]


def refusal(status: int, reason: str, message: str = "because") -> Answer:
    """An error in BigQuery's form."""
    details = [{"reason": reason, "message": message, "domain": "global"}]
    return status, {"error": {"code": status, "message": message, "errors": details}}


def dataset(name: str = "models") -> Answer:
    """A dataset in Europe."""
    return 200, {
        "datasetReference": {"projectId": "project", "datasetId": name},
        "location": "EU",
    }


def job(kind: str = "query", **statistics: Any) -> Answer:
    """A job that is done, a query without rows."""
    return 200, {
        "jobReference": {"projectId": "project", "jobId": "job", "location": "EU"},
        "configuration": {kind: {"query": ""}, "jobType": kind.upper()},
        "status": {"state": "DONE"},
        "statistics": {"creationTime": "1", "startTime": "1", "endTime": "2", "query": statistics},
        "jobComplete": True,
        "totalRows": "0",
        "schema": {"fields": []},
    }


class Server:
    """The answers to a method and the end of a path, in turn; the last one repeats."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}

    def answer(self, method: str, end: str, *answers: Answer) -> None:
        self._answers[method, end] = list(answers)

    def bodies(self, method: str, end: str) -> list[dict[str, Any]]:
        return [body for how, path, body in self.asked if how == method and path.endswith(end)]

    def take(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        self.asked.append((method, path, body))
        for (how, end), answers in self._answers.items():
            if how == method and path.endswith(end):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return refusal(404, "notFound", f"Not found: {method} {path}")


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, content = server.take(self.command, self.path.partition("?")[0], body)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)
