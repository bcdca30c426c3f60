"""Google's own engine evaluates the statements that a build sent to the emulator."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
from google.cloud import bigquery

Query = Callable[[str, Mapping[str, pa.Table]], pa.Table]
"""Evaluates a SELECT of some tables: `googlesql.query`."""


@dataclass
class Compared:
    """The number of statements of each kind, and those with other rows than on the emulator."""

    statements: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    differing: list[str] = field(default_factory=list)

    def expect(self, sql: str, found: pa.Table, other: pa.Table) -> None:
        """Compare the rows of a statement."""
        self.rows += found.num_rows
        if _values(found) != _values(other):
            self.differing.append(sql)


def compared(
    client: bigquery.Client,
    dataset: str,
    sent: Iterable[str],
    publishing: Iterable[str],
    run: Query,
) -> Compared:
    """Evaluate each statement of a build just before it publishes.

    `publishing` are the statements that it is about to send. An INSERT into a table of the build
    has to select the rows that the table has, a SELECT those that the emulator selects, and a
    DELETE has to delete the rows that the emulator would.
    """

    def rows(query: str) -> pa.Table:
        return client.query(query).to_arrow(create_bqstorage_client=False)

    tables = {
        f"{dataset}.{each.table_id}": rows(f"SELECT * FROM {_quoted(dataset, each.table_id)}")
        for each in client.list_tables(dataset)
    }
    found = Compared()
    lines = [line for sql in sent for line in sql.rstrip(";").split(";\n")]
    for sql in [*lines, *publishing]:
        # the raw tables have not changed since
        text = re.sub(r" FOR SYSTEM_TIME AS OF TIMESTAMP '[^']*'", "", sql)
        first, _, rest = text.partition("\n")
        kind = first.split()[0]
        if kind == "INSERT":
            made, target = run(rest, tables), f"{dataset}.{first.split('`')[5]}"
            if "_building_" in target:
                found.expect(sql, made, tables[target])
        elif kind == "DELETE":
            matching = f"SELECT *{first.removeprefix('DELETE')}\n{rest}"
            found.expect(sql, _scalars(run(matching, tables)), _scalars(rows(matching)))
        elif "ERROR(" in text:
            run(text.replace("ERROR(", "LENGTH("), tables)
        elif kind in ("SELECT", "WITH"):
            made = run(text, tables)
            # the emulator's FARM_FINGERPRINT is another one; distinct ones are as many
            if "BIT_XOR(" not in text:
                found.expect(sql, made, rows(text))
        elif kind != "TRUNCATE":
            raise NotImplementedError(sql)
        found.statements[kind] += 1
    return found


def _quoted(dataset: str, table: str) -> str:
    project, _, name = dataset.rpartition(".")
    return f"`{project}`.`{name}`.`{table}`"


def _scalars(rows: pa.Table) -> pa.Table:
    """Return all columns but arrays: the emulator tells an empty one in another way."""
    return rows.select([each.name for each in rows.schema if not pa.types.is_list(each.type)])


def _values(rows: pa.Table) -> Counter[str]:
    return Counter(repr(list(row.values())) for row in rows.to_pylist())
