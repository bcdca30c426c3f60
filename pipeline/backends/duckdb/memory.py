"""The memory of a build: DuckDB's, and that of the process around it."""

from __future__ import annotations

from ibis.backends.duckdb import Backend as IbisDuckDB

_SIZES = {"BYTES": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_PROCESS = 250_000_000
"""The bytes of Python, its libraries and the buffers that DuckDB does not count."""


def limit_of(con: IbisDuckDB) -> int:
    """Return the bytes of memory that DuckDB may take."""
    row = con.con.execute("SELECT current_setting('memory_limit')").fetchone()
    number, unit = str(row[0] if row else "1 GiB").split()
    return int(float(number) * _SIZES[unit.upper()])


def leave_room(con: IbisDuckDB) -> None:
    """Lower DuckDB's limit, so the whole process keeps to the one that the user gave.

    The process gets a quarter of a small limit.
    """
    given = limit_of(con)
    con.raw_sql(f"SET memory_limit = '{given - min(_PROCESS, given // 4)}B'")
