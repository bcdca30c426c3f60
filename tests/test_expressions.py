from __future__ import annotations

import os
import subprocess
import sys

import ibis
import pytest

from pipeline.backends.duckdb.order import row_order
from pipeline.catalog import load
from pipeline.expressions import declared_table, expression

COMPILE = """
from pipeline.catalog import load
from pipeline.expressions import model_sql
print([model_sql(load(), name, {engine!r}) for name in load().models])
"""


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_a_models_sql_is_the_same_text_in_every_process(engine):
    def compiled(hash_seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", COMPILE.format(engine=engine)],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert compiled(hash_seed=1) == compiled(hash_seed=2)


T = ibis.table({"id": "string", "day": "date"}, name="t")
U = ibis.table({"id": "string", "day": "date", "note": "string"}, name="u")


@pytest.mark.parametrize(
    ("rows", "column", "origin"),
    [
        (T, "day", ("t", "day")),
        (T.filter(T.day.notnull()).select(date=T.day), "date", ("t", "day")),
        (T.left_join(U, "id").select("id", "day", "note"), "day", ("t", "day")),
        (T.left_join(U, "id").select("id", "day", "note"), "note", None),
        (T.mutate(day=T.day + ibis.interval(days=1)), "day", None),
        (T.group_by("day").agg(number=T.count()), "day", None),
        (T.union(T), "day", None),
        (T.distinct(), "day", None),
        (T.mutate(n=ibis.row_number().over(group_by="id")), "day", None),
    ],
)
def test_rows_come_in_the_order_of_a_table_only_where_they_are_its_rows(rows, column, origin):
    assert row_order(rows, column) == origin


def test_command_readings_come_in_the_order_of_command_statuses():
    made = load().models["fct_command_readings"]
    rows = expression(made, lambda upstream: declared_table(load(), upstream))

    assert row_order(rows, made.partition_by) == ("fct_command_statuses", "command_date")
