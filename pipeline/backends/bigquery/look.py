"""Looks through a raw table once, as it was at a moment: for the record, and for what is new."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import google.cloud.bigquery as bigquery

from pipeline.arrow_values import dicts_of
from pipeline.backends.bigquery import load_days
from pipeline.backends.bigquery.sources import has_load_times, name_of, raw_table
from pipeline.backends.bigquery.statements import DIALECT, as_of
from pipeline.backends.bigquery.tables import Dataset
from pipeline.dialect import key_hash, total
from pipeline.results import SourceRead
from pipeline.sources import EVENTS, Source
from pipeline.sql import to_query

_31_BITS = 2**31 - 1


def through(
    dataset: Dataset,
    source: Source,
    found: bigquery.Table,
    moment: datetime,
    run: str,
    watermark: datetime | None = None,
) -> tuple[SourceRead, Sequence[load_days.LoadDay]]:
    """Count a raw table's rows by one job; return the record of the source, and its load days.

    The record of the events has the rows of each load day, and any other record a text that
    changes with the rows. The latter reads all columns of the source that the table has.

    Raises:
        EngineError: BigQuery can't read the table.
    """
    is_by_day = source.name == EVENTS and has_load_times(source, found)
    there = {field.name.casefold() for field in found.schema}
    columns = {name for name in source.schema if name.casefold() in there}
    raw = raw_table(dataset.con, source, found, {load_days.STAMP} if is_by_day else columns)
    if is_by_day:
        expr = load_days.counting(raw, watermark)
    elif source.name == EVENTS:
        expr = raw.aggregate(rows=raw.count())
    else:
        each = raw.select(hash=key_hash(*(raw[name] for name in raw.columns)))
        # copies cancel out in the one, and not in the other
        hashes = {"xor": each.hash.bit_xor(), "sum": total(each.hash & _31_BITS)}
        expr = each.aggregate(rows=each.count(), **hashes)
    sql = as_of(to_query(expr, "bigquery"), {found.table_id}, moment).sql(DIALECT, pretty=True)
    answer = dataset.jobs.rows(sql, model=source.name, run=run)
    inputs = (name_of(found),)
    if not is_by_day:
        (counted,) = dicts_of(answer)
        version = "-".join(map(str, counted.values())) if len(counted) > 1 else ""
        return SourceRead(inputs, int(counted["rows"]), version=version), ()
    days = load_days.load_days(answer)
    newest = max((each.newest for each in days if each.newest), default=None)
    rows = sum(each.rows for each in days)
    counts = {each.name: each.rows for each in sorted(days, key=lambda each: each.name)}
    return SourceRead(inputs, rows, days=counts, watermark=newest), days
