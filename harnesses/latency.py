"""Measure the time of commands on BigQuery, with a latency for each job and each call.

python -m harnesses.latency --keep

The emulator runs one statement at a time, and slowly, so its own time says nothing about requests.
Each command runs twice: once on the emulator, which records its answers, and once on a stand-in
that gives the same answers after the latency: 0.2 s a call, and 1.5 s more until a job is done. As
on the service, a new job still runs when BigQuery answers, and the client asks until it is done.

`wall` is the whole time of the command; `requests` is the time with at least one open request,
which no faster machine would save. Both are in whole seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from pipeline.generate import generate
from tests.emulator.server import PROJECT, emulator
from tests.emulator.service import Service, refusing

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "harnesses" / "results" / "latency.json"
WANTED = {"build": 35, "test": 10, "digest": 8, "docs": 4, "show stg_commands": 4}
CALL, JOB = 0.2, 1.5

_RUN = re.compile(r"\d{8}t\d{6}_[0-9a-f]{8}")
_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^'\"]*|\b1\d{12}\b|timeoutMs=\d+")
_PROCESS = re.compile(r"(RUN\d+ \S+) \d+")
"""Who holds a lock."""
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Talk:
    """The answers of one command, by request; a name of a run or job stands for any other."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    jobs: dict[str, str] = field(default_factory=dict)
    """The statement of each job, by its id."""
    runs: list[str] = field(default_factory=list)
    """The names of runs, in the order of their first use."""
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, method: str, target: str, body: bytes) -> str:
        """Return a request without the parts that differ each time."""
        text = f"{target} {body.decode('utf-8', 'replace')}"
        with self.lock:
            self.runs += [run for run in _RUN.findall(text) if run not in self.runs]
            if method == "POST" and body[:1] == b"{":
                content = json.loads(body)
                if "configuration" in content:
                    what = json.dumps(content["configuration"])
                    # the record of a build contains times
                    found = re.search(r"BEGIN TRANSACTION", what)
                    self.jobs[_JOB_ID.findall(text)[0]] = found[0] if found else what
                    text = target + (found[0] if found else what)
            for job in _JOB_ID.findall(text):
                text = text.replace(job, f"<{self.jobs.get(job, '')}>")
            return f"{method} {self.plain(text)}"

    def plain(self, text: str) -> str:
        """Return a text with numbers for the runs' names, and without times."""
        for number, run in enumerate(self.runs):
            text = text.replace(run, f"RUN{number}")
        return _MOMENT.sub("", _PROCESS.sub(r"\1", text))

    def told(self, key: str) -> Answer:
        """Return the next recorded answer to a request."""
        with self.lock:
            known = self.answers.get(key)
            if not known:
                raise KeyError(key)
            self.asked[key] += 1
            return known[min(self.asked[key], len(known)) - 1]


def _running(answer: bytes) -> bytes:
    found = json.loads(answer)
    if found.get("status", {}).get("state") == "DONE":
        found["status"] = {"state": "RUNNING"}
    return json.dumps(found).encode()


def _job_of(target: str) -> str:
    return next(iter(_JOB_ID.findall(target)), "")


def _recording(service: Service, talk: Talk) -> None:
    """Let a proxy record all its answers; in its answers, jobs are still running."""
    plain = service.answer

    def answer(method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        key = talk.key(method, target, body)
        status, more, content = plain(method, target, body, headers)
        if b'"configuration"' in body[:2000] and status == 200 and b'"dryRun": true' not in body:
            content = _running(content)
        text = content.decode("utf-8", "replace")
        for job in set(_JOB_ID.findall(target) + _JOB_ID.findall(body.decode("utf-8", "replace"))):
            text = text.replace(job, "<JOB>")
        for number, run in enumerate(talk.runs):
            text = text.replace(run, f"<RUN{number}>")
        talk.answers[key].append((status, more, text.encode()))
        return status, more, content

    service.answer = answer  # type: ignore[method-assign]


@dataclass
class StandIn:
    """Gives recorded answers, each after its latency."""

    talk: Talk
    done_at: dict[str, float] = field(default_factory=dict)
    spans: list[tuple[float, float]] = field(default_factory=list)
    jobs: int = 0

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Answer a request like the service, and as late."""
        began = time.monotonic()
        key = self.talk.key(method, target, body)
        text = target + body.decode("utf-8", "replace")
        try:
            status, more, content = self.talk.told(key)
        except KeyError:
            click.echo(f"Nobody asked this before: {key}", err=True)
            return 400, {}, b"{}"
        job, until = _job_of(text), began + CALL
        if method == "POST" and b'"configuration"' in body[:2000]:
            self.jobs += 1
            self.done_at[job] = until + JOB
        elif "/queries/" in target:
            until = max(until, self.done_at[job])
        told = content.decode("utf-8", "replace").replace("<JOB>", job)
        for number, run in enumerate(self.talk.runs):
            told = told.replace(f"<RUN{number}>", run)
        content = told.encode()
        if method == "GET" and "/jobs/" in target and until < self.done_at[job]:
            content = _running(content)
        time.sleep(max(0.0, until - time.monotonic()))
        self.spans.append((began, time.monotonic()))
        return status, more, content

    def under_way(self) -> float:
        """Return the time with at least one open request."""
        total, end = 0.0, 0.0
        for began, ended in sorted(self.spans):
            total += max(0.0, ended - max(began, end))
            end = max(end, ended)
        return total


@contextlib.contextmanager
def _serving(stand_in: StandIn) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, more, content = stand_in.answer(self.command, self.path, body)
            self.send_response(status)
            for name, value in more.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = respond  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _typed(url: str, words: list[str]) -> float:
    """Run a command, and return its seconds."""
    backend = [] if words[0] == "load" else ["--backend", "bigquery"]
    where = ["--project", PROJECT, "--dataset", "models", "--api-endpoint", url]
    clock = time.monotonic()
    done = subprocess.run(
        [sys.executable, "cli.py", words[0], *backend, *where, *words[1:]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.monotonic() - clock


@click.command()
@click.option("--keep", is_flag=True, help="Write the figures into harnesses/results.")
@click.option("--only", multiple=True, help="Measure these commands alone.")
def main(keep: bool, only: tuple[str, ...]) -> None:
    """Measure each command."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, emulator() as url, refusing(url) as service:
        made = generate(Path(folder), commands=20, devices=3, days=3, seed=5, format="parquet")
        files = ["--events", str(made.event_files[0]), "--users", str(made.users_file)]
        _typed(service.url, ["load", *files])
        _typed(service.url, ["build", "--quiet"])
        plain = service.answer
        for command in only or WANTED:
            words = command.split()
            if words[0] == "docs":
                words += ["--output", f"{folder}/docs"]
            recorded = Talk()
            _recording(service, recorded)
            _typed(service.url, words)
            service.answer = plain  # type: ignore[method-assign]
            stand_in = StandIn(Talk(answers=recorded.answers))
            with _serving(stand_in) as there:
                wall = _typed(there, words)
            found[command] = {
                "wall": round(wall),
                "requests": round(stand_in.under_way()),
                "wanted": WANTED.get(command),
                "calls": len(stand_in.spans),
                "jobs": stand_in.jobs,
            }
            click.echo(f"{command}: {found[command]}")
    if keep:
        KEPT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
