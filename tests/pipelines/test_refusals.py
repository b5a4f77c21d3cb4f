"""Every refusal through the command itself: what is said, that nothing of it is data, and that the file is untouched.

The table is what issue and docs promise, a line each: a file's name, its bytes, and what has to be in the message.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from commands import Said
from pyarrow import parquet

import headrace as hr
from headrace.core.errors import HeadraceError

Headrace = Callable[..., Said]

PIPELINE = """\
from pydantic import BaseModel

import headrace as hr

shop = hr.Pipeline("shop")


class Sale(BaseModel):
    id: int
    name: str
    price: float


shop.source("sales", {location!r}{contract})
"""
GOOD = b"id,name,price\n" + b"".join(b"%d,n%d,%d.5\n" % (n, n, n) for n in range(1, 201))
FOREIGN = "id,name,price\n1,Zoë,2\n2,Renée,3\n"


def zipped(*members: tuple[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return held.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(("a.csv", GOOD)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def zstd(data: bytes) -> bytes:
    held = pa.BufferOutputStream()
    with pa.CompressedOutputStream(held, "zstd") as stream:
        stream.write(data)
    return held.getvalue().to_pybytes()


def parquet_file() -> bytes:
    held = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": [1], "name": ["a"], "price": [1.5]}), held)
    return held.getvalue().to_pybytes()


def database() -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE sale (id)")
        return connection.serialize()


def spoilt(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF, data[at + 1] ^ 0xFF]) + data[at + 2 :]


REFUSED: list[tuple[str, bytes, str]] = [
    # nothing in it
    ("empty.csv", b"", "is empty: it has no bytes, not even a header"),
    ("empty.csv.gz", gzip.compress(b""), "is empty: it has no bytes, not even a header"),
    ("blank.csv", b"\n\r\n\n", "has only blank lines: there is no header"),
    # a header that can't be
    ("twice.csv", b"id,name,id\n1,a,2\n", "has the column `id` more than once"),
    ("unnamed.csv", b",,\n1,a,2\n", "names no column"),
    ("headless.csv", b"1,a,2\n2,b,3\n", "may be a record, and no header"),
    ("excel.csv", b"sep=;\nid;name;price\n1;a;2\n", 'delimiter=";", skip=1'),
    ("wide.csv", b",".join(b"c%d" % n for n in range(10_001)) + b"\n", "has 10001 columns, and 10000 is the most"),
    ("long.csv", b"id," + b"n" * 100_000 + b"\n1,2\n", "has a name of 100000 characters"),
    # something else under its name
    ("page.csv", b"<!DOCTYPE html><html><body>404</body></html>", "is HTML or XML under another name"),
    ("data.csv", b'<?xml version="1.0"?><a/>', "is HTML or XML under another name"),
    ("array.csv", b'[\n {"id": 1}\n]', "first bytes are those of JSON"),
    ("lines.csv", b'{"id": 1}\n{"id": 2}\n', "read it with hr.json(…)"),
    ("paper.csv", b"%PDF-1.4\n%\xe2\xe3", "a PDF document"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0", "a picture (PNG)"),
    ("book.csv", zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")), "is an Excel workbook"),
    ("old.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 64, "Save its sheet as CSV"),
    ("base.csv", database(), "a SQLite database"),
    ("table.csv", parquet_file(), "Read it with hr.parquet(…)"),
    ("pointer.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "`git lfs pull`"),
    ("text.parquet", GOOD, "is not a Parquet file"),
    ("text.avro", GOOD, "is not an Avro file"),
    ("text.jsonl", GOOD, "A table of texts is read with hr.csv(…)"),
    ("page.jsonl", b"<html></html>", "is HTML or XML under another name"),
    ("cut.parquet", parquet_file()[:-20], "was cut short"),
    # bytes that no text has
    ("nul.csv", b"id,name,price\n1,a\0b,2\n", "has a NUL byte at byte 17 (line 2)"),
    ("late.csv", GOOD * 100 + b"9,\0,1\n", f"has a NUL byte at byte {100 * len(GOOD) + 2} (line 20101)"),
    # packed files
    ("cut.csv.gz", gzip.compress(GOOD)[:-10], "is a gzip file that was cut short"),
    ("bad.csv.gz", spoilt(gzip.compress(GOOD), 40), "is a gzip file that can't be unpacked"),
    ("more.csv.gz", gzip.compress(GOOD) + b"more", "is a gzip file that can't be unpacked"),
    ("again.csv.gz", gzip.compress(gzip.compress(GOOD)), "It was packed twice"),
    ("bomb.csv.gz", gzip.compress(b"id\n" + b"1\n" * 50_000_000, 6), "unfolds to more than 200 times its size"),
    ("cut.csv.bz2", bz2.compress(GOOD)[:-10], "is a bzip2 file that was cut short"),
    ("bad.csv.bz2", spoilt(bz2.compress(GOOD), 40), "is a bzip2 file that can't be unpacked"),
    ("more.csv.bz2", bz2.compress(GOOD) + b"more", "is a bzip2 file that can't be unpacked"),
    ("cut.csv.xz", lzma.compress(GOOD)[:-10], "is an xz file that was cut short"),
    ("bad.csv.xz", spoilt(lzma.compress(GOOD), 60), "is an xz file that can't be unpacked"),
    ("cut.csv.zst", zstd(GOOD)[:-10], "is a zstd file that was cut short"),
    ("more.csv.zst", zstd(GOOD) + b"more", "is a zstd file that can't be unpacked"),
    ("cut.csv.zip", zipped(("a.csv", GOOD))[:-10], "is a zip archive that was cut short"),
    ("bad.csv.zip", spoilt(zipped(("a.csv", GOOD)), 60), "is a zip archive that can't be unpacked"),
    ("more.csv.zip", zipped(("a.csv", GOOD)) * 2, "bytes stand behind its end"),
    ("locked.csv.zip", encrypted(), "is encrypted"),
    ("two.csv.zip", zipped(("read me.txt", b"hi"), ("a.csv", GOOD)), "member='a.csv'"),
    ("none.csv.zip", zipped(), "without a file in it"),
    ("nested.csv.zip", zipped(("in.zip", zipped(("a.csv", GOOD)))), "It was packed twice"),
    # encodings
    ("west.csv", FOREIGN.encode("cp1252"), "is not UTF-8: invalid continuation byte (0xeb) at byte 18 (line 2)"),
    ("mixed.csv", FOREIGN.encode() + "3,café,1\n".encode("cp1252"), "two encodings are mixed"),
    ("half.csv", (FOREIGN + "3,é").encode()[:-1], "cut short in the middle of a character"),
    ("little.csv", FOREIGN.encode("utf-16-le"), 'encoding="utf-16-le"'),
    ("big.csv", FOREIGN.encode("utf-16-be"), 'encoding="utf-16-be"'),
    ("odd.csv", FOREIGN.encode("utf-16")[:-1], "stands for no character (truncated data)"),
    ("four.csv", FOREIGN.encode("utf-32"), "UTF-32"),
    # records
    ("open.csv", b'id,name,price\n1,a,2\n2,"b,3\n3,c,4\n', "has a quote that never closes: it opens on line 3"),
    ("endless.csv", b"id,name,price\n" + b"x" * (40 << 20), "has a record longer than 16 MiB, which begins on line 2"),
    ("ragged.csv", b"id,name,price\n1,a\n2,b,3,4\n3,c,5\n", "record has 2 fields, the header has 3"),
    ("stray.csv", b'id,name,price\n1,"a"b,2\n2,b,3\n', "text after a closing quote in field 2"),
    ("spent.csv", b"id,name,price\n1,a,2\n<html>502 Bad Gateway</html>\n", "spent.csv:3: <html>502 Bad Gateway</html>"),
]  # fmt: skip
WITH_CONTRACT: list[tuple[str, bytes, str]] = [
    ("other.csv", b"ID,nmae,price\n1,a,2\n", "Did you mean `nmae`?"),
    ("semicolons.csv", b"id;name;price\n1;a;2\n", 'delimiter=";"'),
    ("preamble.csv", b"# by the till\nid,name,price\n1,a,2\n", "line 2 has all of them: it is the header"),
    ("words.csv", b"id,name,price\none,a,2\ntwo,b,3\n", "id: is not an integer"),
]
TAKEN: list[tuple[str, bytes, int, int]] = [
    ("header.csv", b"id,name,price\n", 0, 0),
    ("good.csv", GOOD, 200, 0),
    ("joined.csv.gz", gzip.compress(GOOD) + gzip.compress(b"201,z,1\n"), 201, 0),
    ("joined.csv.xz", lzma.compress(GOOD) + lzma.compress(b"201,z,1\n"), 201, 0),
    ("path.csv.zip", zipped(("../../etc/sales.csv", GOOD)), 200, 0),
    ("marks.csv", b"\xef\xbb\xbf" * 2 + GOOD, 200, 0),
    ("sixteen.csv", FOREIGN.encode("utf-16"), 2, 0),
    ("returns.csv", GOOD.replace(b"\n", b"\r"), 200, 0),
    ("ends.csv", GOOD.replace(b"\n", b"\r\n", 50), 200, 0),
    ("lines.csv", GOOD + b"\n\n201,a\xe2\x80\xa8b\x0b,1\n\n\n", 201, 0),
    ("few.csv", GOOD + b"201,a\n,,\n", 200, 2),
    ("stop.csv", GOOD + b"\x1a", 200, 1),
]  # fmt: skip


def declared(folder: Path, name: str, data: bytes, *, contract: bool) -> Path:
    (folder / name).write_bytes(data)
    (folder / "shop.py").write_text(PIPELINE.format(location=name, contract=", contract=Sale" if contract else ""))
    return folder / name


def run(headrace: Headrace, *more: str) -> Said:
    return headrace("run", "shop.py", "--at", "2026-11-20", "--no-report", *more)


def is_data(folder: Path) -> bool:
    return any("refused" not in part.as_posix() for part in folder.glob("lake/**/*.parquet"))


def check_refused(folder: Path, headrace: Headrace, case: tuple[str, bytes, str], *, contract: bool) -> None:
    name, data, said = case
    path = declared(folder, name, data, contract=contract)
    before = path.stat()
    told = run(headrace, "--lake", "lake")
    assert told.code == 1
    text = " ".join(told.err.split())
    assert said in text
    assert "`sales` [2026-11-20, 2026-11-21)" in text
    assert not any(word in text for word in ("Traceback", "duckdb.", "Exception", "pyarrow."))
    after = path.stat()
    assert path.read_bytes() == data
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)
    assert not is_data(folder)
    with pytest.raises(HeadraceError):
        hr.open_lake(folder / "lake").read("shop.sales")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_a_file_that_is_not_what_it_claims_to_be_is_refused_and_nothing_of_it_is_data(
    folder: Path, headrace: Headrace, case: tuple[str, bytes, str]
) -> None:
    check_refused(folder, headrace, case, contract=False)


@pytest.mark.parametrize("case", WITH_CONTRACT, ids=lambda case: case[0])
def test_a_file_that_does_not_keep_its_contract_is_refused(folder: Path, headrace: Headrace, case: tuple[str, bytes, str]) -> None:
    check_refused(folder, headrace, case, contract=True)


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case[0])
def test_a_file_that_is_odd_and_sound_is_taken_whole(folder: Path, headrace: Headrace, case: tuple[str, bytes, int, int]) -> None:
    name, data, rows, quarantined = case
    declared(folder, name, data, contract=True)
    told = run(headrace, "--json")
    assert told.code == 0, told.err
    receipt = told.receipt("sales")
    assert (receipt["rows_kept"], receipt["rows_quarantined"]) == (rows, quarantined)


def test_from_python_it_is_the_same_error(folder: Path) -> None:
    (folder / "page.csv").write_bytes(b"<html>404</html>")
    shop = hr.Pipeline("shop")
    shop.source("sales", str(folder / "page.csv"))
    with pytest.raises(HeadraceError, match="is HTML or XML under another name"):
        shop.run("2026-11-20")


def test_a_path_that_names_nothing_tells_what_lies_near(folder: Path, headrace: Headrace) -> None:
    declared(folder, "sales.csv", GOOD, contract=True).rename(folder / "salse.csv")
    said = run(headrace)
    assert (said.code, "`salse.csv`" in said.err) == (1, True)


def test_where_nothing_is_normal_the_commit_says_so(folder: Path, headrace: Headrace) -> None:
    (folder / "shop.py").write_text(PIPELINE.format(location="none.csv", contract=', contract=Sale, missing="empty"'))
    assert run(headrace, "--json", "--lake", "lake").receipt("sales")["rows_kept"] == 0
    lake = hr.open_lake(folder / "lake")
    assert lake.read("shop.sales").num_rows == 0
    assert lake.manifest("shop.sales").content.details["missing"] is True


WRITER = """\
import sys, time
with open(sys.argv[1], "ab", buffering=0) as file:
    print("begun", flush=True)
    while True:
        file.write(b"9,z,9.5\\n")
"""


def test_a_file_that_is_still_written_is_not_taken(folder: Path, headrace: Headrace) -> None:
    path = declared(folder, "sales.csv", GOOD * 500, contract=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout
        writer.stdout.readline()
        said = run(headrace, "--lake", "lake")
    finally:
        writer.kill()
        writer.communicate()
    assert said.code != 0
    assert "it is still being written. Run again later" in " ".join(said.err.split())
    assert not is_data(folder)
