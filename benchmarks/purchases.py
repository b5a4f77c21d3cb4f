"""Purchases and users for the benchmark of reading: made by a seed, the same each time; and the scripts that headrace is held against.

A bad purchase has one value that its column can't take, of five kinds: a word or a fraction for a whole number, a number below its bound, a
word for a price, and no time. What is expected of every row is therefore known apart from any reader.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

DENSITIES = {"0.1 %": 1000, "10 %": 10, "100 %": 1}  # by one purchase in how many is bad

_BAD = "CASE WHEN hash(i * 3) % {every} = 0 THEN 1 + hash(i * 5) % 5 ELSE 0 END"
_PURCHASES = """
    SELECT i AS id, (hash(i) % {users})::BIGINT AS user_id, 'item-' || (hash(i * 7) % 5000) AS item,
           CASE bad WHEN 1 THEN 'many' WHEN 2 THEN '1.5' WHEN 3 THEN '-3' ELSE (hash(i * 11) % 9 + 1)::VARCHAR END AS quantity,
           CASE bad WHEN 4 THEN 'free' ELSE printf('%.2f', (hash(i * 13) % 20000) / 100.0) END AS price,
           CASE bad WHEN 5 THEN 'yesterday'
                ELSE strftime(TIMESTAMP '2026-01-01' + to_seconds((hash(i * 17) % 31000000)::BIGINT), '%Y-%m-%dT%H:%M:%S') END AS bought_at
    FROM (SELECT i, {bad} AS bad FROM range({rows}) t(i))
"""


def write_purchases(path: Path, rows: int, every: int, users: int) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        made = _PURCHASES.format(rows=rows, users=users, bad=_BAD.format(every=every))
        connection.execute(f"COPY ({made}) TO '{path}' (HEADER, DELIMITER ',')")


def write_users(path: Path, users: int) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        made = "SELECT i AS user_id, 'country-' || (hash(i * 19) % 40) AS country, (DATE '2020-01-01' + (hash(i * 23) % 2000)::INTEGER) AS joined"
        connection.execute(f"COPY ({made} FROM range({users}) t(i)) TO '{path}' (HEADER, DELIMITER ',')")


def bad_rows(rows: int, every: int) -> int:
    found = duckdb.execute(
        f"SELECT count(*) FROM (SELECT {_BAD.format(every=every)} AS bad FROM range({rows}) t(i)) WHERE bad > 0"
    ).fetchall()
    return int(found[0][0])


FEATURES = """
    select user_id, any_value(country) as country, count(*) as orders, sum(quantity) as pieces, sum(quantity * price) as spent,
           max(price) as dearest, count(distinct item) as items, max(bought_at) as last_at
    from purchases join users using (user_id) group by user_id
"""

PIPELINE = f'''
from datetime import date, datetime

from pydantic import BaseModel, Field

import headrace as hr

bench = hr.Pipeline("bench")


class Purchase(BaseModel):
    id: int
    user_id: int
    item: str
    quantity: int = Field(ge=1)
    price: float = Field(ge=0)
    bought_at: datetime


class User(BaseModel):
    user_id: int
    country: str
    joined: date


bench.source("purchases", "purchases.csv", contract=Purchase, max_rejected=1.0)
bench.source("users", "users.csv", contract=User)


@bench.table(key="user_id", split=hr.by_key(test=0.2))
def features(purchases, users):
    return """{FEATURES}"""
'''

# What an expert writes who wants to lose nothing: all columns as texts, in the file's order, so that the number of a row is its line; each cast
# tried, and whole numbers held against their text, for DuckDB takes 1.5 for 2. The raw bytes are kept, with their digest; lines are counted on
# the way, and rows and quarantine checked against that.
# One pass, into a table that keeps the line only of what is bad; no order is kept where none is needed.
_INGEST = """
import hashlib

import duckdb

con = duckdb.connect()
con.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")


def land(file):
    lines, digest = 0, hashlib.sha256()
    with open(file, "rb") as source, open(file + ".raw", "wb") as raw:
        while chunk := source.read(1024 * 1024):
            raw.write(chunk)
            digest.update(chunk)
            lines += chunk.count(b"\\n")
    with open(file + ".sha256", "w") as out:
        out.write(digest.hexdigest())
    return lines


def ingest(file, table, columns, checks):
    casts = {"BIGINT": "CASE WHEN CAST(TRY_CAST({c} AS BIGINT) AS VARCHAR) = {c} THEN TRY_CAST({c} AS BIGINT) END", "VARCHAR": "{c}",
             "TIMESTAMPTZ": "TRY_CAST({c} AS TIMESTAMP)"}
    values = ", ".join(casts.get(type_, "TRY_CAST({c} AS " + type_ + ")").format(c=c) + f" AS v_{c}" for c, type_ in columns.items())
    names = ", ".join(f"'{c}': 'VARCHAR'" for c in columns)
    scan = (f"read_csv('{file}', header = true, auto_detect = false, delim = ',', quote = '\\"', escape = '\\"', columns = {{{names}}}, "
            "parallel = false, nullstr = '')")
    reasons = [f"CASE WHEN v_{c} IS NULL THEN '{c}: ' || coalesce({c}, 'missing') END" for c in columns]
    reasons += [f"CASE WHEN NOT v_{c} {check} THEN '{c}: ' || {c} || ' is not {check}' END" for c, check in checks.items()]
    bad = " OR ".join([f"v_{c} IS NULL" for c in columns] + [f"NOT coalesce(v_{c} {check}, true)" for c, check in checks.items()])
    raw = " || ',' || ".join(f"coalesce({c}, '')" for c in columns)
    kept = ", ".join(f"v_{c}" for c in columns)
    con.execute(f'''
        CREATE TEMP TABLE {table}_read AS
        SELECT {kept}, line, CASE WHEN bad THEN {raw} END AS raw, CASE WHEN bad THEN concat_ws('; ', {', '.join(reasons)}) END AS reasons
        FROM (SELECT *, {bad} AS bad FROM (SELECT *, {values} FROM (SELECT row_number() OVER () + 1 AS line, * FROM {scan})))
    ''')
    finished = ", ".join(f"v_{c}{'::TIMESTAMPTZ' if type_ == 'TIMESTAMPTZ' else ''} AS {c}" for c, type_ in columns.items())
    rows = con.execute(f"COPY (SELECT {finished} FROM {table}_read WHERE raw IS NULL) TO '{table}.parquet' (COMPRESSION zstd)").fetchall()[0][0]
    rejected = con.execute(
        f"COPY (SELECT line, raw, reasons FROM {table}_read WHERE raw IS NOT NULL) TO '{table}.rejected.parquet' (COMPRESSION zstd)"
    ).fetchall()[0][0]
    con.execute(f"DROP TABLE {table}_read")
    assert rows + rejected == land(file) - 1, (rows, rejected)


ingest("purchases.csv", "purchases", {"id": "BIGINT", "user_id": "BIGINT", "item": "VARCHAR", "quantity": "BIGINT", "price": "DOUBLE",
                                      "bought_at": "TIMESTAMPTZ"}, {"quantity": ">= 1", "price": ">= 0"})
"""

INGEST = _INGEST

WHOLE = f'''{_INGEST}
ingest("users.csv", "users", {{"user_id": "BIGINT", "country": "VARCHAR", "joined": "DATE"}}, {{}})
con.execute("""
    CREATE VIEW purchases AS FROM 'purchases.parquet';
    CREATE VIEW users AS FROM 'users.parquet';
    CREATE TEMP TABLE features AS {FEATURES};
""")
side = "substr(md5(CAST(user_id AS VARCHAR)), 1, 8) < '33333333'"
con.execute(f"COPY (SELECT * FROM features WHERE {{side}} ORDER BY user_id) TO 'test.parquet' (COMPRESSION zstd)")
con.execute(f"COPY (SELECT * FROM features WHERE NOT {{side}} ORDER BY user_id) TO 'train.parquet' (COMPRESSION zstd)")
'''

# What readers make of the same file as their users write it: typed, and set to go on where a value can't be read, as far as they can be.
READERS = {
    "DuckDB, ignore_errors": """
import duckdb
duckdb.execute('''COPY (FROM read_csv('purchases.csv', header = true, ignore_errors = true, columns = {'id': 'BIGINT', 'user_id': 'BIGINT',
    'item': 'VARCHAR', 'quantity': 'BIGINT', 'price': 'DOUBLE', 'bought_at': 'TIMESTAMP'})) TO 'rows.parquet' (COMPRESSION zstd)''')
""",
    "Polars, ignore_errors": """
import polars as pl
types = {"id": pl.Int64, "user_id": pl.Int64, "item": pl.String, "quantity": pl.Int64, "price": pl.Float64, "bought_at": pl.Datetime}
pl.scan_csv("purchases.csv", schema=types, ignore_errors=True).sink_parquet("rows.parquet")
""",
    "pandas": """
import pandas as pd
rows = pd.read_csv("purchases.csv")
for column in ("quantity", "price"):
    rows[column] = pd.to_numeric(rows[column], errors="coerce")
rows["bought_at"] = pd.to_datetime(rows["bought_at"], errors="coerce")
rows.to_parquet("rows.parquet", compression="zstd")
""",
    "PyArrow": """
import pyarrow as pa, pyarrow.csv as csv, pyarrow.parquet as pq
types = {"id": pa.int64(), "user_id": pa.int64(), "item": pa.string(), "quantity": pa.int64(), "price": pa.float64(), "bought_at": pa.timestamp("s")}
with csv.open_csv("purchases.csv", convert_options=csv.ConvertOptions(column_types=types)) as batches, \\
     pq.ParquetWriter("rows.parquet", batches.schema, compression="zstd") as out:
    for batch in batches:
        out.write_batch(batch)
""",
}
