"""Columns of JSON texts that a contract takes apart: each distinct text is put into its shape once, for SQL to cast.

The invariant: a row has a shape, or its text is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import duckdb

from headrace.core.contract import ContractField
from headrace.core.nested_casts import raw_type
from headrace.core.shapes import shape_of

__all__ = ["put_shapes"]

_BATCH = 10_000


def put_shapes(execute: Callable[..., duckdb.DuckDBPyConnection], table: str, n: int, field: ContractField) -> None:
    """Fill the column `s` of a field with the shapes of the texts `t`. The table stays in the order of its `n`."""
    execute(f"CREATE OR REPLACE TEMP TABLE seen AS SELECT DISTINCT t{n} AS v FROM {table} WHERE t{n} IS NOT NULL")
    execute("CREATE OR REPLACE TEMP TABLE shape (v VARCHAR, s VARCHAR)")
    texts = (text for (text,) in execute("SELECT v FROM seen").fetchall())
    while batch := list(islice(texts, _BATCH)):
        execute("INSERT INTO shape SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[])", [batch, [shape_of(text, field) for text in batch]])
    shaped = f"SELECT v, CAST(CAST(s AS JSON) AS {raw_type(field)}) AS s FROM shape"
    execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {table}.* REPLACE (o.s AS s{n}) "
        f"FROM {table} LEFT JOIN ({shaped}) AS o ON {table}.t{n} = o.v ORDER BY n"
    )
