"""`headrace forget`: what people see of a key, what is left of it in a folder and in a bucket, and what programs read."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Said
from pyarrow import parquet

import headrace as hr
from headrace.backends.buckets.cache import Cache
from headrace.run.session import open_lake_at

Headrace = Callable[..., Said]

TILL = """\
from pydantic import BaseModel, Field

import headrace as hr

till = hr.Pipeline("till", schedule="@daily", start="2026-05-01")


class Receipt(BaseModel):
    customer: str = Field(alias="Customer")
    amount: float


till.source("receipts", "till/{start:%Y-%m-%d}.csv.gz", contract=Receipt, max_rejected=0.5)


@till.table(key="customer", publish=True)
def spending(receipts):
    return "select customer, sum(amount) as spent from receipts group by customer"
"""
DAYS = ("2026-05-01", "2026-05-02")
KEY = "customer=anna@a.org"


@pytest.fixture(autouse=True)
def _till(folder: Path) -> None:
    (folder / "till.py").write_text(TILL)
    (folder / "till").mkdir()
    for day in DAYS:
        text = f"Customer,amount\nanna@a.org,2\nben,{day[-1]}\nanna@a.org,oops\ncleo,1\n"
        (folder / "till" / f"{day}.csv.gz").write_bytes(gzip.compress(text.encode()))


def backfilled(headrace: Headrace) -> None:
    said = headrace("backfill", "till.py", "--to", DAYS[1], "--no-report")
    assert said.code == 0, said.err


def test_what_holds_a_key_is_shown_and_only_yes_changes_something(headrace: Headrace, folder: Path) -> None:
    backfilled(headrace)
    said = headrace("forget", "till.py", "--key", KEY)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines() if "2026-05-02" in line] == [
        ["till.receipts", "2026-05-02", "v1", "quarantine", "1"],
        ["till.receipts", "2026-05-02", "v1", "raw", "2"],
        ["till.receipts", "2026-05-02", "v1", "rows", "1"],
        ["till.spending", "2026-05-02", "v1", "rows", "1"],
    ]
    assert "Nothing was changed." in said.out
    said = headrace("forget", "till.py", "--key", KEY, "--yes")
    assert said.code == 0, said.err
    assert "forgotten: 4 versions made without the key, 4 versions collected" in said.out
    assert "`receipts` are as they were" in said.out
    assert headrace("forget", "till.py", "--key", KEY).out == f"Nothing in {folder / 'lake'} of `till` holds {KEY}.\n"
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 0


def test_programs_get_one_document(headrace: Headrace) -> None:
    backfilled(headrace)
    looked = headrace("forget", "till.py", "--key", KEY, "--json").document
    assert (len(looked["held"]), looked["forgotten"], "collected" in looked) == (8, False, False)
    assert looked["held"][0] == {
        "dataset": "till.receipts",
        "interval": DAYS[0],
        "version": 1,
        "part": "quarantine",
        "count": 1,
        "current": True,
    }
    done = headrace("forget", "till.py", "--key", KEY, "--yes", "--json").document
    assert (done["forgotten"], len(done["made"]), len(done["collected"]), done["left"]) == (True, 4, 4, [])
    (entry,) = headrace("forget", "till.py", "--list", "--json").document
    assert (entry["state"], entry["key"][0]["names"], len(entry["found"])) == ("done", ["Customer", "customer"], 4)
    assert "anna" not in str(entry)


@pytest.mark.parametrize("words", [(), ("--key", "customer"), ("--key", "customer="), ("--key", "a=1", "--key", "a=2")])
def test_a_key_that_is_none_is_a_usage_error(headrace: Headrace, words: tuple[str, ...]) -> None:
    backfilled(headrace)
    assert headrace("forget", "till.py", *words).code == 2


def test_what_could_not_be_made_again_is_said_with_code_1_and_the_same_command_goes_on(headrace: Headrace, folder: Path) -> None:
    backfilled(headrace)
    (folder / "till.py").write_text(TILL.replace('return "select', 'raise ValueError("not now")\n    return "select'))
    said = headrace("forget", "till.py", "--key", KEY, "--yes")
    assert said.code == 1
    assert "left: " in said.out
    assert "not now" in said.out
    assert headrace("forget", "till.py", "--list").out.split()[-4:-3] == ["begun"]
    (folder / "till.py").write_text(TILL)
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 0
    assert headrace("forget", "till.py", "--list").out.split()[-4:-3] == ["done"]


def test_nobody_was_forgotten_is_said(headrace: Headrace) -> None:
    backfilled(headrace)
    assert headrace("forget", "till.py", "--list").out == "Nobody was forgotten.\n"


def test_every_version_that_is_made_without_the_key_is_told_of_as_lineage(headrace: Headrace, folder: Path) -> None:
    backfilled(headrace)
    (folder / "headrace.toml").write_text('[local]\nlineage = "file:lineage.jsonl"\n')
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 0
    text = (folder / "lineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert Counter((one["job"]["name"], one["eventType"]) for one in events if one["job"]["name"] != "till") == {
        (f"till.{step}", kind): len(DAYS) for step in ("receipts", "spending") for kind in ("START", "COMPLETE")
    }
    lake = hr.open_lake(str(folder / "lake"))
    told = {version["datasetVersion"] for one in events for out in one["outputs"] if (version := out["facets"].get("version"))}
    assert {lake.manifest(f"till.{step}", day).content.digest for step in ("receipts", "spending") for day in DAYS} <= told
    assert "anna" not in text


# ---------------------------------------------------------------- where the value stands besides

NOTED = TILL.replace("    amount: float\n", "    amount: float\n    note: str | None = None\n")


def with_notes(folder: Path, headrace: Headrace) -> None:
    (folder / "till.py").write_text(NOTED)
    text = "Customer,amount,note\nanna@a.org,2,\nben,1,anna@a.org called\n5,5,5\n"
    (folder / "till" / f"{DAYS[0]}.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert headrace("run", "till.py", "--at", DAYS[0], "--no-report").code == 0


def test_where_the_value_stands_besides_is_shown_before_and_left_with_code_1_after(headrace: Headrace, folder: Path) -> None:
    with_notes(folder, headrace)
    said = headrace("forget", "till.py", "--key", KEY)
    assert said.code == 0
    assert f"till.receipts, part `rows`, column `note`: 1 in 1 version: {DAYS[0]} v1 row 2\n" in said.out
    assert "called" not in said.out
    done = headrace("forget", "till.py", "--key", KEY, "--yes")
    assert done.code == 1
    assert f"  left: till.receipts, part `raw`: 1 in 1 version: {DAYS[0]} v2 `{DAYS[0]}.csv.gz` line 2 (byte 27)\n" in done.out
    assert "--key COLUMN=VALUE" in done.out
    assert "headrace clear " in done.out
    assert headrace("forget", "till.py", "--list").out.split()[-4:-3] == ["done"]
    again = headrace("forget", "till.py", "--key", KEY)
    assert "Nothing in " in again.out
    assert "part `rows`, column `note`" in again.out
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 1
    assert headrace("forget", "till.py", "--key", KEY, "--yes", "--key-only").code == 0


def test_what_is_advised_takes_the_places_out(headrace: Headrace, folder: Path) -> None:
    with_notes(folder, headrace)
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 1
    mended = "Customer,amount,note\nben,1,somebody called\n5,5,5\n"
    (folder / "till" / f"{DAYS[0]}.csv.gz").write_bytes(gzip.compress(mended.encode()))
    assert headrace("run", "till.py", "--at", DAYS[0], "--no-report").code == 0
    assert headrace("gc", "till.py", "--keep", "0", "--older-than", "0", "--yes").code == 0
    said = headrace("forget", "till.py", "--key", KEY)
    assert said.out == f"Nothing in {folder / 'lake'} of `till` holds {KEY}.\n"


def test_an_interval_that_is_taken_out_says_it_no_more(headrace: Headrace, folder: Path) -> None:
    with_notes(folder, headrace)
    assert headrace("forget", "till.py", "--key", KEY, "--yes").code == 1
    assert headrace("clear", "till.py", "receipts", "--at", DAYS[0]).code == 0
    assert headrace("forget", "till.py", "--key", KEY, "--json").document["mentions"]
    assert headrace("gc", "till.py", "--keep", "0", "--older-than", "0", "--yes").code == 0
    assert headrace("forget", "till.py", "--key", KEY, "--json").document["mentions"] == []


def test_places_are_read_by_programs(headrace: Headrace, folder: Path) -> None:
    with_notes(folder, headrace)
    document = headrace("forget", "till.py", "--key", KEY, "--json").document
    assert document["mentions"][1] == {
        "dataset": "till.receipts",
        "part": "rows",
        "column": "note",
        "count": 1,
        "more": False,
        "versions": 1,
        "places": [f"{DAYS[0]} v1 row 2"],
    }
    assert (document["mentions_unsearched"], document["mentions_in_log"]) == ([], [])
    assert "mentions" not in headrace("forget", "till.py", "--key", KEY, "--key-only", "--json").document


# ---------------------------------------------------------------- in a bucket


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    from object_servers import moto_server

    with moto_server() as server:
        yield server


def test_of_a_lake_in_a_bucket_nothing_is_left_there_nor_in_this_machines_cache_nor_where_rows_are_published(
    headrace: Headrace, folder: Path, moto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = with_lake_in_bucket(folder, moto, monkeypatch)
    backfilled(headrace)
    client = server.client()

    def everything() -> list[bytes]:
        listed = client.list_objects_v2(Bucket=server.bucket)["Contents"]
        there = [client.get_object(Bucket=server.bucket, Key=one["Key"])["Body"].read() for one in listed]
        return [*there, *(path.read_bytes() for path in (folder / "cache").rglob("*") if path.is_file())]

    assert any(map(tells, everything()))
    said = headrace("forget", "till.py", "--key", KEY, "--yes")
    assert said.code == 0, said.out + said.err
    assert [data[:40] for data in everything() if tells(data)] == []
    lake = open_lake_at(f"s3://{server.bucket}/lake", read_only=True)
    assert lake.log("till", "receipts").versions(None).keys() == lake.log("till", "spending").versions(None).keys()


def test_no_command_has_a_file_of_the_lake_for_itself_longer_than_it_reads_it(
    headrace: Headrace, folder: Path, moto: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_lake_in_bucket(folder, moto, monkeypatch)
    alive: list[Cache] = []
    occupied = Cache.__init__

    def begin(self: Cache, where: Path, *, limit_bytes: int) -> None:
        occupied(self, where, limit_bytes=limit_bytes)
        alive.append(self)  # else it gives all back where nobody refers to it any more, which is no promise

    monkeypatch.setattr(Cache, "__init__", begin)
    for words in (
        ("backfill", "till.py", "--to", DAYS[1]),
        ("trace", "till.py", "spending", "--key", "customer=ben"),
        ("quarantine", "till.py", "receipts"),
        ("quarantine", "till.py", "receipts", "--at", DAYS[0], "--export", "mend.csv"),
        ("contract", "till.py", "receipts"),
        ("forget", "till.py", "--key", KEY),
        ("forget", "till.py", "--key", KEY, "--yes"),
        ("forget", "till.py", "--key", KEY),  # which asks for files that are gone
    ):
        said = headrace(*words)
        assert said.code == 0, said.err
        used = [path for path in (folder / "cache" / "headrace" / "use").rglob("*") if path.is_file() and path.name != "lock"]
        assert (words, used) == (words, [])
    assert len(alive) >= 7


def with_lake_in_bucket(folder: Path, moto: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    server = moto.with_bucket()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    (folder / "headrace.toml").write_text(
        f'[local]\nlake = "s3://{server.bucket}/lake"\n[local.publish]\nspending = "s3://{server.bucket}/others"\n'
    )
    return server


def tells(data: bytes) -> bool:
    if data.startswith(b"PAR1"):
        data = repr(parquet.read_table(io.BytesIO(data)).to_pylist()).encode()
    return b"anna@a.org" in (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)
