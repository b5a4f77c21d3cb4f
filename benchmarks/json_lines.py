"""JSON Lines to typed rows and a quarantine, beside readers and scripts as their users write them, with what each loses.

    python benchmarks/json_lines.py [--rows 1000000] [--rounds 2] [--folder /tmp/…]

One purchase in a thousand is bad, in one of five ways: a fraction for a whole number, a number below its bound, a word for a price, a key that stands
twice, a line that was cut off. Each has a reference, a number of 18 digits that is kept as it is written.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
from measuring import HEADRACE, Usage, measured, print_table

EVERY = 1000  # by one purchase in how many is bad

PIPELINE = """
from datetime import datetime

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
    reference: str


bench.source("purchases", "FILE", contract=Purchase, max_rejected=1.0)
"""

_TYPES = (
    "{'id': 'BIGINT', 'user_id': 'BIGINT', 'item': 'VARCHAR', 'quantity': 'BIGINT', 'price': 'DOUBLE', 'bought_at': 'TIMESTAMP', "
    "'reference': 'VARCHAR'}"
)
READERS = {
    "DuckDB, read_json with ignore_errors": f"""
import duckdb
duckdb.execute('''COPY (FROM read_json('purchases.jsonl', format = 'newline_delimited', ignore_errors = true, columns = {_TYPES}))
    TO 'rows.parquet' (COMPRESSION zstd)''')
""",
    "Polars, ignore_errors": """
import polars as pl
types = {"id": pl.Int64, "user_id": pl.Int64, "item": pl.String, "quantity": pl.Int64, "price": pl.Float64, "bought_at": pl.String, "reference": pl.String}
rows = pl.scan_ndjson("purchases.jsonl", schema=types, ignore_errors=True)
rows.with_columns(pl.col("bought_at").str.to_datetime(strict=False)).sink_parquet("rows.parquet")
""",
    "pandas": """
import pandas as pd
pd.read_json("purchases.jsonl", lines=True).to_parquet("rows.parquet", compression="zstd")
""",
    "a script of json, pydantic and PyArrow": """
import json
from datetime import datetime
import pyarrow as pa, pyarrow.parquet as pq
from pydantic import BaseModel, Field, TypeAdapter

class Number(str):
    pass

def once(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found

class Purchase(BaseModel):
    id: int
    user_id: int
    item: str
    quantity: int = Field(ge=1)
    price: float = Field(ge=0)
    bought_at: datetime
    reference: str

load = json.JSONDecoder(parse_float=Number, parse_int=Number, object_pairs_hook=once).decode
rows, rejected = [], []
schema = pa.schema([("id", pa.int64()), ("user_id", pa.int64()), ("item", pa.string()), ("quantity", pa.int64()), ("price", pa.float64()),
                    ("bought_at", pa.timestamp("us")), ("reference", pa.string())])
with open("purchases.jsonl", "rb") as file, pq.ParquetWriter("rows.parquet", schema, compression="zstd") as out:
    for number, line in enumerate(file, 1):
        try:
            rows.append(vars(Purchase.model_validate(load(line.decode()))))
        except ValueError as error:
            rejected.append({"line": number, "raw": line, "reason": str(error)})
        if len(rows) == 50_000:
            out.write_batch(pa.RecordBatch.from_pylist(rows, schema))
            rows = []
    out.write_batch(pa.RecordBatch.from_pylist(rows, schema))
pq.write_table(pa.Table.from_pylist(rejected), "rejected.parquet")
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made, which are deleted afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=options.folder) as name:
        folder = Path(name)
        write_purchases(folder, options.rows)
        size = (folder / "purchases.jsonl").stat().st_size / 1e6
        lines = [
            ours(folder, "headrace", "purchases.jsonl", options.rows, options.rounds),
            ours(folder, "headrace, one array", "array.json", options.rows, options.rounds),
            *(theirs(folder, reader, script, options.rows, options.rounds) for reader, script in READERS.items()),
        ]
    told = f"{options.rows:,} purchases ({size:,.0f} MB), the best of {options.rounds}"
    print_table(f"JSON Lines: {told}", ["reader", "CPU s", "wall s", "peak MB", "what it loses"], lines)


def write_purchases(folder: Path, rows: int) -> None:
    """As lines, and as an array, which has no lines that were cut off."""
    with (folder / "purchases.jsonl").open("w") as lines, (folder / "array.json").open("w") as array:
        for n in range(rows):
            bad = 1 + n // EVERY % 5 if n % EVERY == 0 else 0
            line = purchase(n, bad)
            lines.write((line[:-20] if bad == 5 else line) + "\n")
            array.write(("[" if n == 0 else ",\n ") + line)
        array.write("]\n")


def purchase(n: int, bad: int) -> str:
    quantity = "1.5" if bad == 1 else "-3" if bad == 2 else str(n * 11 % 9 + 1)
    price = '"free"' if bad == 3 else f"{n * 13 % 20000 / 100:.2f}"
    twice = ', "quantity": 7' if bad == 4 else ""
    at = f"2026-{n * 17 % 12 + 1:02}-{n * 19 % 28 + 1:02}T{n * 23 % 24:02}:{n * 29 % 60:02}:{n * 31 % 60:02}"
    return (
        f'{{"id": {n}, "user_id": {n * 7919 % 1_000_000}, "item": "item-{n * 7 % 5000}", "quantity": {quantity}, "price": {price}, '
        f'"bought_at": "{at}", "reference": 1{n:015}.50{twice}}}'
    )


def ours(folder: Path, name: str, file: str, rows: int, rounds: int) -> list[object]:
    (folder / "pipeline.py").write_text(PIPELINE.replace("FILE", file))
    used: list[Usage] = []
    for _ in range(rounds):
        shutil.rmtree(folder / "lake", ignore_errors=True)
        command = (HEADRACE, "run", "pipeline.py", "--no-report", "--lake", str(folder / "lake"))
        used.append(measured(*command, cwd=folder, environment={"HEADRACE_TRACKING": "none"}))
    return line_of(name, used, f"{folder}/lake/silver/bench/purchases/**/rows-*.parquet", rows, is_array=file.startswith("array"))


def theirs(folder: Path, name: str, script: str, rows: int, rounds: int) -> list[object]:
    failed = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    if failed.returncode:
        return [name, "", "", "", f"the whole file: {failed.stderr.strip().splitlines()[-1][:80]}"]
    return line_of(name, [measured(sys.executable, "-c", script, cwd=folder) for _ in range(rounds)], f"{folder}/rows.parquet", rows)


def line_of(name: str, used: list[Usage], path: str, rows: int, *, is_array: bool = False) -> list[object]:
    best = min(used, key=lambda usage: usage.cpu_s)
    return [name, f"{best.cpu_s:.2f}", f"{best.wall_s:.1f}", f"{best.peak_mb:.0f}", loss(path, rows, is_array=is_array)]


def loss(path: str, rows: int, *, is_array: bool) -> str:
    """What is wrong in the rows that a reader made: sound purchases that are gone or have other digits, and bad ones that are among them."""
    bad = f"id % {EVERY} = 0" + (f" AND id // {EVERY} % 5 <> 4" if is_array else "")
    good, changed, taken = duckdb.execute(
        f"SELECT count(*) FILTER (NOT ({bad})), count(*) FILTER (NOT ({bad}) AND reference::VARCHAR <> '1' || lpad(id::VARCHAR, 15, '0') || '.50'), "
        f"count(*) FILTER ({bad} OR id IS NULL) FROM '{path}'"
    ).fetchall()[0]
    wrong = sum(1 for n in range(0, rows, EVERY) if not (is_array and n // EVERY % 5 == 4))
    gone = rows - wrong - good
    told = [f"{gone:,} sound purchases gone" if gone else "", f"{changed:,} references with other digits" if changed else ""]
    told += [f"{taken:,} of {wrong:,} bad ones taken for sound" if taken else ""]
    return ", ".join(one for one in told if one) or "nothing"


if __name__ == "__main__":
    main()
