"""The quarantine's columns, the same for every format of source: a row for each record that was not kept.

`line` is the physical line on which the record starts, from 1, and `byte_offset` where, from 0, in the file without its compression; `raw`
are its bytes as they came, the first MOST_RAW_BYTES of `raw_size`. What fills it is a source's format. The invariant: a record that is cut
says so, by a `raw_size` above the length of `raw`.
"""

from __future__ import annotations

from headrace.core.ports import Column, Schema

__all__ = ["MOST_RAW_BYTES", "QUARANTINE"]

MOST_RAW_BYTES = 64 * 1024

QUARANTINE: Schema = (
    Column("file", "VARCHAR", nullable=False),
    Column("line", "BIGINT", nullable=False),
    Column("byte_offset", "BIGINT", nullable=False),
    Column("columns", "VARCHAR[]", nullable=False),
    Column("reasons", "VARCHAR[]", nullable=False),
    Column("raw", "BLOB", nullable=False),
    Column("raw_size", "BIGINT", nullable=False),
)
