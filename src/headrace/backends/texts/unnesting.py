"""Records read by the contract of records, and written as rows of their elements.

The invariant: what is counted are records, before and after; how many rows they have is told beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from headrace.backends.texts.room import opened_room
from headrace.core.casts import literal
from headrace.core.contract import Contract
from headrace.core.ports import ReadResult
from headrace.core.unnesting import flat_sql, of_records

__all__ = ["read_unnested"]


def read_unnested(read: Callable[[Contract, Path], ReadResult], contract: Contract, path: str, rows: Path) -> ReadResult:
    """What `read` makes of the records, as `rows`: one for each element of the array at `path`."""
    records = rows.with_name(f".records-{rows.name}")
    try:
        result = read(of_records(contract, path), records)
        with opened_room(rows.parent) as room:
            flat = flat_sql(contract, path, f"read_parquet({literal(str(records))})")
            found = room.connection.execute(f"COPY ({flat}) TO {literal(str(rows))} (FORMAT parquet, COMPRESSION zstd)").fetchall()
    finally:
        records.unlink(missing_ok=True)
    count = int(found[0][0])
    note = f"{count} rows are the elements of `{path}` of {result.rows_kept} records"
    return replace(result, schema=contract.schema, rows_written=count, notes=(*result.notes, note))
