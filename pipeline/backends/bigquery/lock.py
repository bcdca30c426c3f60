"""The lock that lets one build, or one load, into a dataset: a table that only one can create."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.cloud import bigquery

from pipeline.backends.bigquery.errors import told
from pipeline.errors import PipelineError, UsageError

PREFIX = "_pipeline_lock_"
LIFETIME = timedelta(minutes=2)
"""How long a killed program's lock lasts, unless the next program runs on the same machine."""

_RENEWED = LIFETIME / 4


@dataclass(frozen=True)
class Lock:
    """A lock that is held. `since` is BigQuery's time, not that of this machine's clock."""

    since: datetime


@contextlib.contextmanager
def locked(client: bigquery.Client, dataset: str, what: str, run: str) -> Iterator[Lock]:
    """Hold a dataset's lock for `what`, which is `build` or `load`.

    The lock is an empty table that expires; the holder renews it. BigQuery makes a table only
    once, so one of two programs gets it.

    Raises:
        UsageError: another run holds it, or BigQuery can't make the table.
    """
    name = f"{dataset}.{PREFIX}{what}"
    with told():
        table = _acquire(client, name, what, run)
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(client, name, run, over), daemon=True)
    renewing.start()
    try:
        yield Lock(table.modified or table.created)
    finally:
        over.set()
        # a lock that stays now expires
        with contextlib.suppress(PipelineError), told():
            if _holder(client.get_table(name)) == run:
                client.delete_table(name, not_found_ok=True)


def _acquire(client: bigquery.Client, name: str, what: str, run: str) -> bigquery.Table:
    wanted = bigquery.Table(name)
    wanted.description, wanted.expires = _note(run), datetime.now(UTC) + LIFETIME
    while True:
        with contextlib.suppress(Conflict):
            return client.create_table(wanted)
        try:
            held = client.get_table(name)
            # it is ours already if the answer to an earlier request was lost
            if _holder(held) != run and not _is_left(held):
                raise _refusal(held, what)
            held.description, held.expires = wanted.description, wanted.expires
            # BigQuery refuses if another program has changed it since, so only one takes it over
            return client.update_table(held, ["description", "expires"])
        except (NotFound, PreconditionFailed):
            continue  # its holder has just ended, or another program was faster


def _renew(client: bigquery.Client, name: str, run: str, over: threading.Event) -> None:
    while not over.wait(_RENEWED.total_seconds()):
        # the next request makes up for a failed one
        with contextlib.suppress(PipelineError), told():
            held = client.get_table(name)
            if _holder(held) != run:
                return
            held.expires = datetime.now(UTC) + LIFETIME
            client.update_table(held, ["expires"])


def _note(run: str) -> str:
    return f"{run} {socket.gethostname()} {os.getpid()}"


def _holder(held: bigquery.Table) -> str:
    return (held.description or "").partition(" ")[0]


def _is_left(held: bigquery.Table) -> bool:
    """Tell whether the holder is gone: its lock expired, or its process ended on this machine."""
    if held.expires is not None and held.expires <= datetime.now(UTC):
        return True
    _, host, process = (held.description or "").split(" ")
    return host == socket.gethostname() and not _runs(int(process))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(held: bigquery.Table, what: str) -> UsageError:
    run, host, process = (held.description or "").split(" ")
    until = f", at the latest at {held.expires:%H:%M:%S} UTC" if held.expires else ""
    return UsageError(
        f"Another {what} of {held.project}.{held.dataset_id} is running: {run}, process {process}"
        f" on {host}.",
        f"Wait until it ends. If it was killed, its lock {held.table_id} ends by itself{until}.",
    )
