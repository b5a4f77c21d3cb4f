"""The quarantine's columns, the same for every format of source: a row for each record that was not kept.

`line` is the physical line on which the record starts, from 1; `raw` its bytes as they came. What fills it is a source's format.
"""

from __future__ import annotations

from headrace.core.ports import Column, Schema

__all__ = ["QUARANTINE"]

QUARANTINE: Schema = (
    Column("file", "VARCHAR"),
    Column("line", "BIGINT"),
    Column("columns", "VARCHAR[]"),
    Column("reasons", "VARCHAR[]"),
    Column("raw", "BLOB"),
)
