"""A key taken out of a lake: what is found, what is made again without it, what is left, and that nobody comes back."""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from labs import going_on
from pyarrow import parquet
from pydantic import BaseModel, Field, field_validator
from shops import ANNA, DAY, FILE, NEXT, Sale, Shop

import headrace as hr
from headrace.core.errors import TooManyRejectedError, UnknownNameError
from headrace.core.interval import parse_time
from headrace.run import collecting
from headrace.run.backfill import carry_out, experiment_of
from headrace.run.forgetting import Outlook, forget
from headrace.run.forgotten import record_of
from headrace.run.holding import wanted_of
from headrace.run.mending import export_to_mend
from headrace.run.observe import Request
from headrace.run.quarantined import quarantine_at
from headrace.run.replaying import replay
from headrace.testing import Lab


class AnySale(BaseModel):
    who: str = Field(alias="Who")
    price: float | None = Field(alias="Price")


REST = b'Who,Price\nben,3\n"cleo\nx",oops\nben,-1\nben,4\n'


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def found(seen: Outlook) -> dict[tuple[str, str, int], int]:
    return {(one.slot.dataset, one.part, one.slot.version): one.count for one in seen.holding.holders}


# ---------------------------------------------------------------- looking


def test_every_version_that_holds_the_key_is_found_and_what_was_made_of_it_and_nothing_is_changed(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.put(FILE + b"anna@a.org,9\n")
    shop.run()
    before = sorted((path, path.read_bytes()) for path in (shop.folder / "lake").rglob("*") if path.is_file())
    seen = shop.look()
    old = {("sales", "rows", 1): 1, ("sales", "raw", 1): 3, ("sales", "quarantine", 1): 2, ("spending", "rows", 1): 1}
    new = {("sales", "rows", 2): 2, ("sales", "raw", 2): 4, ("sales", "quarantine", 2): 2, ("spending", "rows", 2): 1}
    assert found(seen) == {**old, **new}
    assert {(slot.dataset, slot.version) for slot in seen.derived.slots} - {(name, n) for name, _, n in found(seen)} == {
        ("totals", 1),
        ("totals", 2),
    }
    assert [(one.slot.dataset, one.part) for one in seen.holding.holders if one.is_current and one.slot.version == 1] == []
    assert sorted((path, path.read_bytes()) for path in (shop.folder / "lake").rglob("*") if path.is_file()) == before


def test_the_key_is_named_by_the_datasets_column_or_by_the_files(shop: Shop) -> None:
    shop.put()
    shop.run()
    assert found(shop.look(Who="ben")) == found(shop.look(who="ben")) != {}
    assert shop.look(Whom="ben").is_nothing
    assert shop.look(who="be").is_nothing


def test_a_key_of_several_columns_is_that_of_records_that_hold_all(shop: Shop) -> None:
    shop.put(b"Who,Price\nben,3\nben,4\n")
    shop.run()
    done = shop.forget(who="ben", price="3")
    assert not done.left
    assert shop.rows("sales") == [("ben", 4.0)]
    assert shop.raw() == [b"Who,Price\nben,4\n"]


# ---------------------------------------------------------------- forgetting


def test_no_file_of_the_lake_holds_the_value_and_all_else_is_as_it_was(shop: Shop) -> None:
    origin = shop.put()
    shop.run()
    shop.put(FILE.replace(b"ben,4", b"ben,5"))
    shop.run()
    shop.put()
    shop.run()
    done = shop.forget()
    assert not done.left
    assert shop.raw() == [REST]
    assert shop.rows("sales") == [("ben", 3.0), ("ben", 4.0)]
    assert [row["raw"] for row in hr.open_lake(shop.folder / "lake").read("shop.sales.quarantine", DAY).to_pylist()] == [
        b'"cleo\nx",oops',
        b"ben,-1",
    ]
    assert shop.rows("spending") == [("ben", 7.0)]
    assert shop.rows("totals") == [(7.0,)]
    assert shop.telling() == []
    assert origin.read_bytes() == FILE
    assert shop.forget().outlook.is_nothing
    assert all(receipt.state == "cached" for receipt in shop.run().values())


def test_what_was_done_is_written_down_without_the_value(shop: Shop) -> None:
    shop.put()
    shop.run()
    done = shop.forget()
    record = record_of(shop.session().lake, "shop")
    assert record is not None
    (entry,) = record.entries
    assert (entry.state, entry.who, entry.columns, entry.asked_at <= entry.ended_at) == ("done", "test", "Who", True)
    assert {(slot.dataset, slot.version) for slot in entry.found} == {("sales", 1), ("spending", 1)}
    assert {(slot.dataset, slot.version) for slot in entry.made} == {("sales", 2), ("spending", 2), ("totals", 2)}
    assert {(slot.dataset, slot.version) for slot in entry.collected} == {("sales", 1), ("spending", 1), ("totals", 1)}
    assert (entry.made, entry.collected) == (done.made, done.collected)
    shop.forget(who="ben")
    again = record_of(shop.session().lake, "shop")
    assert again is not None
    assert [one.state for one in again.entries] == ["done", "done"]
    assert again.salt == record.salt


@pytest.mark.parametrize("change", ["declaration", "same bytes", "other bytes", "forced"])
def test_nobody_comes_back_when_the_interval_is_made_again(shop: Shop, change: str) -> None:
    shop.put()
    shop.run()
    shop.forget()
    pipeline = shop.pipeline(AnySale if change == "declaration" else Sale)
    if change in ("same bytes", "other bytes"):
        shop.put(FILE + (b"dora,1\n" if change == "other bytes" else b""))
    receipts = shop.run(pipeline=pipeline, forced=frozenset(["sales"] if change == "forced" else []))
    assert shop.telling() == []
    more = {"declaration": [("ben", -1.0)], "other bytes": [("dora", 1.0)]}
    expected = sorted([("ben", 3.0), ("ben", 4.0), *more.get(change, [])])
    assert shop.rows("sales") == expected
    notes = receipts["sales", DAY].notes
    assert ("3 records of forgotten keys were left out" in notes) == (change != "declaration")


def test_what_comes_in_a_later_interval_is_left_out_counted_and_said(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.forget()
    shop.put(b"Who,Price\nanna@a.org,1\nben,2\n", f"{NEXT}.csv")
    receipt = shop.run(NEXT)["sales", NEXT]
    assert (receipt.rows_read, receipt.rows_kept, receipt.rows_quarantined) == (1, 1, 0)
    assert receipt.notes == ("1 record of a forgotten key was left out",)
    assert hr.open_lake(shop.folder / "lake").manifest("shop.sales", NEXT).receipt["origin"]["forgotten"] == 1
    assert shop.raw(NEXT) == [b"Who,Price\nben,2\n"]
    assert shop.telling() == []


def test_an_interval_of_nobody_else_is_left_without_records_and_one_with_more_bad_records_than_allowed_is_kept(shop: Shop) -> None:
    shop.put(b"Who,Price\nanna@a.org,1\n")
    shop.run()
    shop.put(b"Who,Price\nanna@a.org,1\nben,x\n", f"{NEXT}.csv")
    strict = shop.pipeline(max_rejected=0.5)
    shop.run(NEXT, pipeline=strict)
    done = shop.forget(strict)
    assert not done.left
    assert (shop.rows("sales"), shop.rows("sales", NEXT)) == ([], [])
    assert shop.telling() == []


# ---------------------------------------------------------------- what has been mended, refused, tried, taken once


def test_mended_records_go_with_those_that_they_mend_and_others_stay_mended(shop: Shop) -> None:
    shop.put()
    shop.run()
    mended = shop.folder / "mended.csv"
    session = shop.session()
    export_to_mend(session, "sales", quarantine_at(session, "sales", DAY), mended)
    text = mended.read_bytes()
    for bad, good in ((b"anna@a.org,cheap", b"anna@a.org,8"), (b'"cleo\nx",oops', b"cleo,6"), (b"anna@a.org,1,2,3", b"hannah,7")):
        assert bad in text
        text = text.replace(bad, good)
    mended.write_bytes(text)
    replay(session, "sales", mended)
    shop.run()
    assert ("hannah", 7.0) in shop.rows("sales")
    done = shop.forget()
    assert not done.left
    expected = [("ben", 3.0), ("ben", 4.0), ("cleo", 6.0)]
    assert shop.rows("sales") == expected
    assert (shop.telling(), shop.telling(b"hannah")) == ([], [])
    shop.run(pipeline=shop.pipeline(AnySale))
    assert shop.rows("sales") == [("ben", -1.0), *expected]
    assert shop.forget().outlook.is_nothing


def test_records_that_were_mended_into_the_key_go_too(shop: Shop) -> None:
    shop.put(b"Who,Price\nben,3\nx,oops\n")
    shop.run()
    mended, session = shop.folder / "mended.csv", shop.session()
    export_to_mend(session, "sales", quarantine_at(session, "sales", DAY), mended)
    mended.write_bytes(b"Who,Price\nanna@a.org,8\n")
    replay(session, "sales", mended)
    shop.forget()
    assert shop.rows("sales") == [("ben", 3.0)]
    assert shop.raw()[0] == b"Who,Price\nben,3\n"
    assert shop.telling() == []


def test_what_a_refused_run_kept_is_made_again_without_it_or_cleared(shop: Shop) -> None:
    strict = shop.pipeline(max_rejected=0)
    shop.put()
    with pytest.raises(TooManyRejectedError):
        shop.run(pipeline=strict)
    shop.put(b"Who,Price\nanna@a.org,x\n", f"{NEXT}.csv")
    with pytest.raises(TooManyRejectedError):
        shop.run(NEXT, pipeline=strict)
    assert [(one.slot.dataset, one.part, one.count) for one in shop.look(strict).holding.holders] == [
        ("sales.refused", "quarantine", 2),
        ("sales.refused", "quarantine", 1),
    ]
    done = shop.forget(strict)
    assert not done.left
    session = shop.session(strict)
    left = [row["raw"] for row in hr.open_lake(shop.folder / "lake").read("shop.sales.refused.quarantine", DAY).to_pylist()]
    assert left == [b'"cleo\nx",oops', b"ben,-1"]
    current = session.lake.log("shop", "sales.refused").current(session.graph.grid.at(parse_time(NEXT)))
    assert current is not None
    assert current.kind == "cleared"
    assert shop.telling() == []


def test_an_experiment_and_what_no_step_makes_any_more_count_as_not_made(shop: Shop) -> None:
    shop.put()
    shop.run()
    session = experiment_of(shop.session(), frozenset(["spending"]))
    carry_out(session, Request([session.graph.first], forced=frozenset(["spending"])), jobs=1)
    smaller = hr.Pipeline("shop", schedule="@daily", start=DAY)
    smaller.source("sales", str(shop.folder / "in" / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected=9)
    done = shop.forget(smaller)
    assert not done.left
    assert shop.telling() == []
    for name in ("spending", "totals", "spending.experiment"):
        with pytest.raises(UnknownNameError, match="cleared"):
            shop.rows(name)


def test_a_source_that_takes_each_file_once_keeps_what_it_took_and_takes_it_without_the_key(shop: Shop) -> None:
    pipeline = shop.pipeline(location="*.csv", only_new=True)
    for day, name, data in ((DAY, "a.csv", FILE), (NEXT, "b.csv", b"Who,Price\nanna@a.org,1\ndora,1\n")):
        written = parse_time(day).timestamp() + 3600
        os.utime(shop.put(data, name), (written, written))
    shop.run(DAY, pipeline=pipeline)
    assert not shop.forget(pipeline).left
    shop.run(DAY, NEXT, pipeline=pipeline)
    assert (shop.rows("sales"), shop.rows("sales", NEXT)) == ([("ben", 3.0), ("ben", 4.0)], [("dora", 1.0)])
    again = shop.pipeline(AnySale, location="*.csv", only_new=True)
    shop.run(DAY, NEXT, pipeline=again)
    assert shop.rows("sales", NEXT) == [("dora", 1.0)]
    assert shop.telling() == []


def test_a_pipeline_that_reads_the_rows_is_said_to_hold_them(shop: Shop) -> None:
    shop.put()
    shop.run()
    office = hr.Pipeline("office", schedule="@daily", start=DAY)
    office.source("spending", hr.dataset("shop.spending"))

    @office.table
    def copies(spending):
        return "select * from spending"

    shop.run(pipeline=office)
    done = shop.forget()
    assert [text.partition(" was made")[0] for text in done.left] == ["office.copies 2026-05-01 v1", "office.spending 2026-05-01 v1"]
    shop.run(pipeline=office)
    assert not shop.forget(office).left
    assert not shop.forget().left
    assert shop.telling() == []


def test_a_step_that_fails_is_left_and_the_same_call_goes_on_when_it_is_mended(shop: Shop) -> None:
    shop.put()
    shop.run()
    broken = shop.pipeline()

    @broken.table
    def strict(sales):
        if sales:
            raise ValueError("not today")

    whole = shop.pipeline()

    @whole.table(name="strict")
    def mended(sales):
        return "select * from sales"

    shop.run(pipeline=whole)
    failed = shop.forget(broken)
    assert any("not today" in text for text in failed.left)
    assert any("strict" in path for path in shop.telling())
    record = record_of(shop.session().lake, "shop")
    assert record is not None
    assert record.entries[0].state == "begun"
    assert not shop.forget(whole).left
    assert shop.telling() == []


def test_reports_that_tell_the_value_are_deleted(shop: Shop) -> None:
    shop.put()
    shop.run()
    store = shop.session().lake.store
    store.replace("reports/shop/a.html", b"<p>anna@a.org</p>")
    store.replace("reports/shop/b.html", b"<p>joanna@a.org</p>")
    assert shop.forget().reports == ("reports/shop/a.html",)
    assert list(store.keys("reports/")) == ["reports/shop/b.html"]


# ---------------------------------------------------------------- files of every kind


def zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", data)
        archive.writestr("readme.txt", b"about it")
    return packed.getvalue()


def unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("readme.txt") == b"about it"
        return archive.read("a.csv")


WAYS: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes], Mapping[str, Any]]] = {
    "gz": (gzip.compress, gzip.decompress, {}),
    "zip": (zipped, unzipped, {"member": "a.csv"}),
    "utf-16": (lambda data: data.decode().encode("utf-16"), bytes, {}),
    "cp1252": (lambda data: data.replace(b"ben", b"b\xe9n"), bytes, {"encoding": "cp1252"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_files_that_are_packed_or_in_another_encoding_are_so_without_it(shop: Shop, way: str) -> None:
    pack, unpack, options = WAYS[way]
    pipeline = shop.pipeline(**options)
    shop.put(pack(FILE))
    shop.run(pipeline=pipeline)
    done = shop.forget(pipeline)
    assert not done.left
    assert unpack(shop.raw()[0]) == unpack(pack(REST))
    assert shop.telling() == shop.telling("anna@a.org".encode("utf-16-le")) == []


def test_parquet_files_are_written_again_without_the_rows(shop: Shop) -> None:
    table = pa.table({"Who": ["anna@a.org", "ben", None], "Price": [1.0, 2.0, 3.0], "other": [1, 2, 3]})
    path = shop.put(b"", f"{DAY}.parquet")
    parquet.write_table(table, path)
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("sales", hr.parquet(str(shop.folder / "in" / "{start:%Y-%m-%d}.parquet")), contract=Sale, max_rejected=9)
    shop.run(pipeline=pipeline)
    done = shop.forget(pipeline)
    assert not done.left
    assert parquet.read_table(io.BytesIO(shop.raw()[0])).equals(table.slice(1))
    assert shop.telling() == []


def test_in_a_lake_of_memory_it_is_the_same(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.put()
    lab = Lab(shop.pipeline())
    lab.run(DAY)
    done = forget(lab.session, wanted_of(lab.session, {"who": ANNA.decode()}))
    assert not done.left
    assert sorted(row["who"] for row in lab.read("sales", DAY)) == ["ben", "ben"]
    assert going_on(lab, shop.pipeline()).run(DAY)[0].state == "cached"


# ---------------------------------------------------------------- models


def learning(folder: Path) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", str(folder / "in" / "{start:%Y-%m-%d}.csv"), contract=Sale, max_rejected=9)

    @shop.table(key="who", split=hr.by_key(test=0.3))
    def people(sales):
        return "select who, sum(price) as spent, count(*) as n from sales group by who"

    @shop.model(people, features=["spent"], target="n", gate=hr.at_least("r2", -9))
    def line():
        from sklearn.linear_model import LinearRegression

        return LinearRegression()

    shop.predict(line, people, name="guesses")
    return shop


def test_models_are_trained_again_and_judged_and_predictions_are_made_by_them(shop: Shop) -> None:
    pytest.importorskip("sklearn")
    rows = "".join(f"person {n},{n * 7 % 13}\n" * (n % 3 + 1) for n in range(60))
    shop.put(f"Who,Price\nanna@a.org,900\n{rows}".encode())
    pipeline = learning(shop.folder)
    shop.run(pipeline=pipeline)
    seen = shop.look(pipeline)
    assert {slot.dataset for slot in seen.derived.slots} == {"sales", "people", "line", "guesses"}
    done = shop.forget(pipeline)
    assert not done.left
    assert shop.telling() == []
    chain = shop.session(pipeline).lake.chain("shop", "line")
    champion = chain.champion()
    assert champion is not None
    assert (champion.version, champion.number) == (2, 2)
    assert len(shop.rows("guesses")) == 60
    assert {slot.dataset for slot in done.collected} == {"sales", "people", "line", "guesses"}
    assert all(receipt.state == "cached" for receipt in shop.run(pipeline=pipeline).values())


def refused_beside_another(shop: Shop) -> hr.Pipeline:
    """A run whose record tells of an error that quotes records."""
    pipeline = shop.pipeline(max_rejected=0)

    @pipeline.table
    def today():
        return "select 1 as one"

    shop.put()
    with pytest.raises(TooManyRejectedError, match=ANNA.decode()):
        shop.run(pipeline=pipeline)
    return pipeline


def test_the_record_of_a_run_quotes_no_record_of_a_file(shop: Shop) -> None:
    pipeline = refused_beside_another(shop)
    assert "_runs" in str(shop.session().lake.datasets("shop"))
    assert [path for path in shop.telling() if "/log/" in f"/{path}"] == []
    assert shop.look(pipeline).holding.told == []


def test_an_entry_of_the_log_that_quotes_the_value_is_said_to_stay(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.run.record._told", lambda receipt: {"error": receipt.error})
    pipeline = refused_beside_another(shop)
    said = ["shop._runs [2026-05-01, 2026-05-02) v1 quotes it in what it says of an error"]
    assert shop.look(pipeline).holding.told == said
    assert not shop.forget(pipeline).left
    assert shop.look(pipeline).holding.told == said


# ---------------------------------------------------------------- what the files say in another way than the rows


class Lowered(BaseModel):
    who: str = Field(alias="Who")
    price: float = Field(alias="Price")

    @field_validator("who")
    @classmethod
    def _lowered(cls, value: str) -> str:
        return value.lower()


class Shifted(BaseModel):
    who: int = Field(alias="Who")
    price: float = Field(alias="Price")

    @field_validator("who")
    @classmethod
    def _shifted(cls, value: int) -> int:
        return value + 1000


def test_a_value_that_a_validator_makes_of_another_text_is_found_by_it(shop: Shop) -> None:
    pipeline = shop.pipeline(Lowered)
    shop.put(b"Who,Price\nAnna@A.org,1\nben,2\n")
    shop.run(pipeline=pipeline)
    assert not shop.forget(pipeline).left
    assert shop.raw() == [b"Who,Price\nben,2\n"]
    shop.put(b"Who,Price\nANNA@A.ORG,1\nben,3\n")
    shop.run(pipeline=pipeline)
    assert shop.rows("sales") == [("ben", 3.0)]


def test_what_is_made_again_and_holds_the_key_all_the_same_is_left_and_said(shop: Shop) -> None:
    pipeline = shop.pipeline(Shifted)
    shop.put(b"Who,Price\n1,1\n2,2\n")
    shop.run(pipeline=pipeline)
    done = shop.forget(pipeline, who="1001")
    assert any("shop.sales 2026-05-01 v2 holds the key in 1 of part `rows`" in text for text in done.left)
    record = record_of(shop.session().lake, "shop")
    assert record is not None
    assert record.entries[0].state == "begun"


def test_what_a_run_that_knew_of_nobody_commits_meanwhile_is_left_and_the_same_command_finds_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.put()
    shop.run()
    shop.put(name=f"{NEXT}.csv")

    def meanwhile(*_: object) -> None:
        with monkeypatch.context() as before:
            before.setattr(collecting, "forgetting_of", lambda *_: None)
            shop.run(NEXT)

    session = shop.session()
    done = forget(session, wanted_of(session, {"who": ANNA.decode()}), watch=meanwhile)
    assert done.left == [
        "shop.sales 2026-05-02 v1 holds the key: a run that was at work meanwhile committed it",
        "shop.spending 2026-05-02 v1 holds the key: a run that was at work meanwhile committed it",
    ]
    assert not shop.forget().left
    assert not shop.telling()


def test_numbers_with_signs_that_group_them_are_found(shop: Shop) -> None:
    class Numbered(BaseModel):
        who: int = Field(alias="Who")
        price: float = Field(alias="Price")

    pipeline = shop.pipeline(Numbered, thousands=".", decimal=",", delimiter=";")
    shop.put(b"Who;Price\n17.850;1,5\n17850;2\n1.785;3\n")
    shop.run(pipeline=pipeline)
    assert not shop.forget(pipeline, who="17850").left
    assert shop.raw() == [b"Who;Price\n1.785;3\n"]


def test_a_source_without_contract_is_made_again_by_the_columns_that_are_recorded(shop: Shop) -> None:
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("sales", str(shop.folder / "in" / "{start:%Y-%m-%d}.csv"))
    shop.put(b"who,price,n\nanna@a.org,1,x\nben,2,3\n")
    shop.run(pipeline=pipeline)
    assert not shop.forget(pipeline).left
    assert shop.rows("sales") == [("ben", 2, "3")]
    assert shop.telling() == []


def test_a_source_that_refers_to_one_that_held_the_key_is_read_again(shop: Shop) -> None:
    class Customer(BaseModel):
        who: str

    class Order(BaseModel):
        number: int
        who: str

    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    customers = pipeline.source("customers", str(shop.folder / "in" / "c.csv"), contract=Customer)
    pipeline.source("orders", str(shop.folder / "in" / "o.csv"), contract=Order, references={"who": customers}, max_rejected=9)
    shop.put(b"who\nanna@a.org\nben\n", "c.csv")
    shop.put(b"number,who\n1,anna@a.org\n2,ben\n3,cleo\n", "o.csv")
    shop.run(pipeline=pipeline)
    assert not shop.forget(pipeline).left
    assert (shop.rows("customers"), shop.rows("orders")) == ([("ben",)], [(2, "ben")])
    assert shop.telling() == []
    lake = hr.open_lake(shop.folder / "lake")
    assert [ref.versions_of() for ref in lake.manifest("shop.orders", DAY).content.inputs] == [
        {lake.manifest("shop.customers", DAY).interval: 2}
    ]


ELEMENTS = ['{"who": "anna@a.org",\n "price": 1}', '{"who": "ben", "price": 2}', '{"who": "cleo", "price": 3}']


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0,), (0, 0)])
@pytest.mark.parametrize("between", [",", " ,\n  "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_of_a_file_that_is_one_array_the_elements_go_with_their_commas(
    shop: Shop, order: tuple[int, ...], between: str, encoding: str
) -> None:
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("sales", hr.json(str(shop.folder / "in" / "{start:%Y-%m-%d}.json")), contract=Element)
    shop.put(f"[ {between.join(ELEMENTS[n] for n in order)}\n]\n".encode(encoding), f"{DAY}.json")
    shop.run(pipeline=pipeline)
    assert not shop.forget(pipeline).left
    (left,) = shop.raw()
    assert [one["who"] for one in json.loads(left.decode(encoding))] == [["", "ben", "cleo"][n] for n in order if n]
    assert [who for who, _ in shop.rows("sales")] == sorted(["", "ben", "cleo"][n] for n in order if n)


class Element(BaseModel):
    who: str
    price: float
