"""Mended records put back: what a new version is made of, what it keeps through every later change, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from labs import going_on, planned, said
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.errors import ConfigurationError, SourceError, TooManyRejectedError
from headrace.core.receipt import Receipt
from headrace.run.mending import export_to_mend, sidecar_of
from headrace.run.quarantined import quarantine_at
from headrace.run.replaying import replay
from headrace.testing import Lab

DAY, NEXT = "2026-05-01", "2026-05-02"


class Sale(BaseModel):
    item: str
    price: float = Field(ge=0)


class AnySale(BaseModel):
    item: str
    price: float | None = None


class StrictSale(BaseModel):
    item: str
    price: float = Field(ge=0, le=100)


FILE = b'item,price\ntea,2.5\ncake,cheap\n"a\nb",3\nwater,-1\nmilk\n'
KEPT = [("tea", 2.5), ("a\nb", 3.0)]
Change = Callable[[bytes], bytes]


class Shop:
    """A source of files, what it is declared as now, and a folder to mend in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab: Lab | None = None

    def put(self, data: bytes = FILE, name: str = f"{DAY}.csv") -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def open(self, contract: type[BaseModel] | None = Sale, location: str = "{start:%Y-%m-%d}.csv", **options: Any) -> Lab:
        own = {name: options.pop(name) for name in ("max_rejected", "missing") if name in options}
        shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
        shop.source("sales", hr.csv(str(self.folder / location), **options), contract=contract, **{"max_rejected": 9, **own})

        @shop.table
        def spending(sales):
            return "select count(*) as n from sales"

        self.lab = Lab(shop) if self.lab is None else going_on(self.lab, shop)
        return self.lab

    def run(self, at: str = DAY, **options: Any) -> Receipt:
        return next(r for r in self.open(**options).run(at) if r.step == "sales")

    def export(self, name: str = "mended.csv", at: str = DAY) -> Path:
        assert self.lab is not None
        path = self.folder / name
        export_to_mend(self.lab.session, "sales", quarantine_at(self.lab.session, "sales", at), path)
        return path

    def replay(self, path: Path, change: Change = bytes) -> Receipt:
        path.write_bytes(change(path.read_bytes()))
        assert self.lab is not None
        return replay(self.lab.session, "sales", path)

    def rows(self, at: str = DAY) -> list[tuple[Any, ...]]:
        assert self.lab is not None
        return [tuple(row.values()) for row in self.lab.read("sales", at)]

    def bad(self, at: str = DAY) -> list[tuple[str, int, bytes]]:
        assert self.lab is not None
        return [(row["file"], row["line"], row["raw"]) for row in self.lab.read("sales.quarantine", at)]

    def manifest(self, at: str = DAY) -> Any:
        assert self.lab is not None
        return self.lab.lake.manifest("shop.sales", at)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def swap(**words: str) -> Change:
    def change(data: bytes) -> bytes:
        for old, new in words.items():
            assert old.encode() in data
            data = data.replace(old.encode(), new.encode())
        return data

    return change


# ---------------------------------------------------------------- out


def test_what_is_exported_is_every_record_as_it_came_under_the_header_and_where_it_is_from(shop: Shop) -> None:
    shop.put()
    shop.run()
    path = shop.export()
    assert path.read_bytes() == b"item,price\ncake,cheap\nwater,-1\nmilk\n"
    told = json.loads(sidecar_of(path).read_text())
    assert (told["source"], told["dataset"], told["version"], told["digest"]) == (
        "shop.sales",
        "shop.sales",
        1,
        shop.manifest().content.digest,
    )
    assert [record[:3] for record in told["records"]] == [[0, 19, 3], [0, 38, 6], [0, 47, 7]]


def test_what_is_there_already_is_not_written_over(shop: Shop) -> None:
    shop.put()
    shop.run()
    path = shop.export()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is there already, and is not written over"):
        shop.export()
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"mended.csv.origin.json` is there already"):
        shop.export()
    assert (before, path.exists()) == (b"item,price\ncake,cheap\nwater,-1\nmilk\n", False)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_record_of_which_the_quarantine_has_the_beginning_is_exported_whole(shop: Shop, is_packed: bool) -> None:
    long = b'"' + b"x\ny" * 40_000 + b'",bad'
    data = b"item,price\n" + b"tea,1\n" * 3 + long + b"\nmilk\n" + long + b"\n"
    shop.put(gzip.compress(data) if is_packed else data, f"{DAY}.csv.gz")
    shop.run(location="{start:%Y-%m-%d}.csv.gz")
    path = shop.export()
    assert path.read_bytes() == b"item,price\n" + long + b"\nmilk\n" + long + b"\n"
    assert shop.replay(path, lambda d: d.replace(b",bad", b",7")).rows_kept == 5


def test_given_names_are_written_first_and_lines_before_them_are_not(shop: Shop) -> None:
    shop.put(b"# a report\ntea;2,5\ncake;cheap\n")
    shop.run(names=["item", "price"], skip=1, delimiter=";", decimal=",")
    path = shop.export()
    assert path.read_bytes() == b"item;price\ncake;cheap\n"
    assert (shop.replay(path, swap(cheap="3,5")).rows_kept, shop.rows()) == (2, [("tea", 2.5), ("cake", 3.5)])


# ---------------------------------------------------------------- back


def test_mended_records_join_those_that_were_kept_and_the_others_stay_in_quarantine(shop: Shop) -> None:
    shop.put()
    shop.run()
    receipt = shop.replay(shop.export(), swap(cheap="4", milk="milk,free"))
    assert (receipt.version, receipt.rows_read, receipt.rows_kept, receipt.rows_quarantined) == (2, 5, 3, 2)
    assert shop.rows() == [*KEPT, ("cake", 4.0)]
    assert shop.bad() == [(f"{DAY}.csv", 6, b"water,-1"), ("mended-1-mended.csv", 4, b"milk,free")]
    lab = shop.lab
    assert lab is not None
    raw = [file.uri.rpartition("/")[2] for file in lab.lake.files("shop.sales.raw", DAY)]
    assert sorted(raw) == [f"{DAY}.csv", "mended-1-mended.csv"]


def test_the_version_says_what_it_was_made_from_by_whom_and_when(shop: Shop) -> None:
    shop.put()
    shop.run()
    first = shop.manifest()
    shop.replay(shop.export(), swap(cheap="4"))
    second = shop.manifest()
    replayed = {"dataset": "shop.sales", "version": 1, "digest": first.content.digest}
    assert second.content.details["replayed_from"] == replayed
    (told,) = second.receipt["origin"]["mended"]
    assert (told["replayed_from"], told["file"], told["records"], told["mended"]) == (replayed, "mended.csv", 3, 1)
    assert {"who", "at", "sha256"} <= set(told)
    assert second.receipt["origin"]["files"] == first.receipt["origin"]["files"]


def test_the_source_is_not_changed_for_the_next_plan_and_what_reads_it_is_made_again(shop: Shop) -> None:
    shop.put()
    lab = shop.open()
    lab.run(DAY)
    shop.replay(shop.export(), swap(cheap="4"))
    assert said(planned(lab, DAY)) == {("sales", DAY): "skip: nothing changed", ("spending", DAY): f"run: `sales` changed ({DAY} v1 -> v2)"}
    lab.run(DAY)
    assert lab.read("spending", DAY) == [{"n": 3}]


def test_the_same_file_twice_changes_nothing_and_one_mended_further_takes_the_place_of_the_first(shop: Shop) -> None:
    shop.put()
    shop.run()
    path = shop.export()
    shop.replay(path, swap(cheap="4"))
    again = shop.replay(path)
    assert (again.state, again.why, shop.manifest().version) == ("cached", "it was replayed before", 2)
    assert shop.replay(path, swap(**{"cake,4": "cake,5", "-1": "1"})).version == 3
    assert shop.rows() == [*KEPT, ("cake", 5.0), ("water", 1.0)]
    assert shop.replay(shop.export("second.csv"), swap(milk="milk,2")).rows_quarantined == 0
    assert shop.rows() == [*KEPT, ("cake", 5.0), ("water", 1.0), ("milk", 2.0)]


def test_a_mended_record_that_is_still_bad_can_be_mended_again(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.replay(shop.export(), swap(cheap="dear"))
    second = shop.export("second.csv")
    assert second.read_bytes() == b"item,price\nwater,-1\nmilk\ncake,dear\n"
    assert shop.replay(second, swap(dear="6")).rows_kept == 3
    third = shop.export("third.csv")
    assert (third.read_bytes(), shop.replay(third, swap(**{"-1": "1", "milk": "milk,2"})).rows_quarantined) == (
        b"item,price\nwater,-1\nmilk\n",
        0,
    )


def test_an_editor_may_write_a_bom_and_other_line_ends(shop: Shop) -> None:
    shop.put()
    shop.run()
    receipt = shop.replay(shop.export(), lambda data: b"\xef\xbb\xbf" + data.replace(b"cheap", b"4").replace(b"\n", b"\r\n"))
    assert (shop.rows(), receipt.rows_quarantined) == ([*KEPT, ("cake", 4.0)], 2)
    assert {file for file, *_ in shop.bad()} == {f"{DAY}.csv"}


def test_a_record_that_was_taken_out_of_the_file_stays_in_quarantine(shop: Shop) -> None:
    shop.put()
    shop.run()
    assert shop.replay(shop.export(), swap(**{"cheap": "4", "milk\n": ""})).rows_quarantined == 2
    assert (shop.rows(), [raw for *_, raw in shop.bad()]) == ([*KEPT, ("cake", 4.0)], [b"water,-1", b"milk"])


# ---------------------------------------------------------------- what changes afterwards


@pytest.mark.parametrize(
    ("contract", "rows", "bad"),
    [
        (AnySale, [*KEPT, ("water", -1.0), ("cake", 400.0)], 1),  # `cheap` alone would be bad; the mended one stands in its place
        (StrictSale, KEPT, 3),
    ],
)
def test_when_the_declaration_changes_the_mended_rows_are_made_again_with_the_others(
    shop: Shop, contract: type[BaseModel], rows: list[object], bad: int
) -> None:
    shop.put()
    shop.run()
    shop.replay(shop.export(), swap(cheap="400"))
    receipt = shop.run(contract=contract)
    assert (receipt.version, receipt.why) == (3, "its declaration changed; read again from the bytes in the lake")
    assert (shop.rows(), receipt.rows_quarantined, receipt.rows_read) == (rows, bad, 5)
    assert shop.manifest().receipt["origin"]["mended"][0]["file"] == "mended.csv"
    assert shop.run(contract=contract).state == "cached"


def test_a_widened_contract_does_not_bring_back_what_was_mended(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.replay(shop.export(), swap(**{"water,-1": "water,1"}))
    shop.run(contract=AnySale)
    assert shop.rows() == [*KEPT, ("water", 1.0)]


def test_another_file_at_the_origin_is_another_story_and_the_receipt_says_so(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.replay(shop.export(), swap(cheap="4"))
    shop.put(b"item,price\ntea,2.5\n")
    receipt = shop.run()
    assert (shop.rows(), receipt.rows_quarantined) == ([("tea", 2.5)], 0)
    assert "1 records that were mended are not any more: their files were replaced by others" in receipt.notes
    assert ("mended" in shop.manifest().receipt["origin"], shop.manifest().content.part("mends")) == (False, None)


def test_of_several_files_a_mend_holds_where_its_file_is_as_it_was(shop: Shop) -> None:
    for name, item in (("a", "ale"), ("b", "beer")):
        shop.put(f"item,price\n{item},1\n{item},x\n".encode(), f"in/{name}.csv")
    shop.run(location="in/*.csv")
    shop.replay(shop.export(), swap(x="2"))
    assert shop.rows() == [("ale", 1.0), ("beer", 1.0), ("ale", 2.0), ("beer", 2.0)]
    shop.put(b"item,price\nbock,1\nbock,y\n", "in/b.csv")
    receipt = shop.run(location="in/*.csv")
    assert (shop.rows(), shop.bad()) == ([("ale", 1.0), ("bock", 1.0), ("ale", 2.0)], [("b.csv", 3, b"bock,y")])
    assert receipt.notes[-1].startswith("1 records that were mended are not any more")


def test_a_snapshot_of_the_next_day_has_what_was_mended_in_the_same_file(shop: Shop) -> None:
    shop.put(name="all.csv")
    shop.run(location="all.csv")
    shop.replay(shop.export(), swap(cheap="4"))
    assert shop.run(NEXT, location="all.csv").state == "copied"
    assert shop.rows(NEXT) == [*KEPT, ("cake", 4.0)]


def test_a_source_that_takes_each_file_once_keeps_what_it_took_and_what_was_mended(shop: Shop) -> None:
    time = datetime.fromisoformat(f"{DAY}T10:00").replace(tzinfo=UTC).timestamp()
    os.utime(shop.put(), (time, time))
    declared: Mapping[str, Any] = {"location": "*-*.csv", "only_new": True}
    shop.run(**declared)
    shop.replay(shop.export(), swap(cheap="4"))
    assert shop.rows() == [*KEPT, ("cake", 4.0)]
    assert shop.run(**declared).state == "cached"
    assert shop.run(NEXT, **declared).rows_read == 0
    assert shop.run(contract=AnySale, **declared).rows_read == 5
    assert ("cake", 4.0) in shop.rows()


def test_options_that_cut_records_in_another_way_are_refused_and_drop_nothing(shop: Shop) -> None:
    shop.put(b'item,price\ntea,2.5\n"x\ncake,cheap\n",3\nmilk\n')
    shop.run()
    shop.replay(shop.export(), swap(milk="milk,1"))
    shop.put(b'item,price\ntea,2.5\n"x\ncake,cheap\n",3\nmilk\n', "kept.csv")
    with pytest.raises(SourceError):
        shop.run(skip=1, names=["price", "item"], delimiter=";")
    assert ("milk", 1.0) in shop.rows()


# ---------------------------------------------------------------- where the source was refused


def test_mending_is_a_way_in_for_a_file_that_was_refused(shop: Shop) -> None:
    shop.put()
    with pytest.raises(TooManyRejectedError):
        shop.run(max_rejected="20%")
    path = shop.export()
    with pytest.raises(TooManyRejectedError, match=r"Nothing was committed\. Mend more of them"):
        shop.replay(path, swap(cheap="4"))
    receipt = shop.replay(path, swap(milk="milk,1"))
    assert (receipt.version, receipt.rows_kept, receipt.rows_quarantined) == (1, 4, 1)
    assert shop.rows() == [*KEPT, ("cake", 4.0), ("milk", 1.0)]
    assert shop.manifest().content.details["replayed_from"]["dataset"] == "shop.sales.refused"
    assert shop.run(max_rejected="20%").state == "cached"


def test_what_was_mended_and_is_refused_by_a_later_contract_is_mended_again(shop: Shop) -> None:
    shop.put()
    shop.run()
    shop.replay(shop.export(), swap(cheap="400", milk="milk,500"))
    with pytest.raises(TooManyRejectedError):
        shop.run(contract=StrictSale, max_rejected=1)
    assert shop.manifest().version == 2
    path = shop.export("second.csv")
    assert path.read_bytes() == b"item,price\nwater,-1\ncake,400\nmilk,500\n"
    assert shop.replay(path, swap(**{"400": "40", "500": "50"})).rows_kept == 4
    assert shop.rows() == [*KEPT, ("cake", 40.0), ("milk", 50.0)]
    assert shop.run(contract=StrictSale, max_rejected=1).state == "cached"


def test_of_many_files_that_were_refused_those_with_rejected_records_are_exported_together(shop: Shop) -> None:
    long = b"x" * 70_000
    for number in range(4):
        shop.put(b"item,price\ntea,1\n%b,bad\n" % long if number % 2 else b"item,price\nale,1\n", f"in/{number}.csv")
    with pytest.raises(TooManyRejectedError):
        shop.run(location="in/*.csv", max_rejected=0)
    path = shop.export()
    assert path.read_bytes() == b"item,price\n" + (long + b",bad\n") * 2
    assert shop.replay(path, swap(bad="2")).rows_kept == 6
    shop.put(b"price,item\n1,ale\n", "in/4.csv")
    shop.put(b"price,item\nbad,ale\n", "in/5.csv")
    with pytest.raises(TooManyRejectedError):
        shop.run(location="in/*.csv", max_rejected=0)
    assert shop.export("one.csv").read_bytes() == b"price,item\nbad,ale\n"


def test_a_file_that_is_another_by_now_is_not_mended_by_what_was_of_the_first(shop: Shop) -> None:
    shop.put()
    with pytest.raises(TooManyRejectedError):
        shop.run(max_rejected=0)
    path = shop.export()
    shop.put(FILE + b"more,1\n")
    with pytest.raises(SourceError, match="is not as it was when its records were exported"):
        shop.replay(path, swap(**{"cheap": "4", "-1": "1", "milk": "milk,2"}))
    assert shop.lab is not None
    assert {one.name: one.intervals for one in shop.lab.lake.ls("shop")} == {"shop.sales": 0, "shop.sales.refused": 1}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data, "No record of .* is another than the one that was exported"),
        (lambda _: b"item,price\nmilk,1\n", "has 1 records, and 3 were exported: nobody can say which one its record 1 mends"),
        (lambda data: data.replace(b"milk\n", b"milk,1\nmilk,2\n"), "has 4 records, and 3 were exported"),
        (lambda data: data.replace(b"cheap", b'"4'), "a quote that never closes"),
        (lambda data: data.replace(b"cheap", b"\xff"), "is not UTF-8"),
        (lambda data: data.replace(b"price", b"prize").replace(b"cheap", b"4"), "lacks 1 of the 2 columns"),
    ],
)
def test_a_mended_file_that_does_not_fit_is_refused_and_nothing_is_committed(shop: Shop, change: Change, problem: str) -> None:
    shop.put()
    shop.run()
    with pytest.raises((SourceError, ConfigurationError), match=problem):
        shop.replay(shop.export(), change)
    assert shop.manifest().version == 1


def test_a_file_without_its_link_or_of_another_source_is_refused(shop: Shop) -> None:
    shop.put()
    shop.run()
    path = shop.export()
    beside = sidecar_of(path)
    told = beside.read_text()
    beside.write_text(told.replace("shop.sales", "shop.other"))
    with pytest.raises(ConfigurationError, match=r"has records of shop.other, and this is shop.sales"):
        shop.replay(path, swap(cheap="4"))
    beside.write_text(told[:-9])
    with pytest.raises(ConfigurationError, match="does not say which records"):
        shop.replay(path)
    beside.unlink()
    with pytest.raises(ConfigurationError, match="keep the two together"):
        shop.replay(path)


def test_records_of_bytes_that_were_replaced_are_refused(shop: Shop) -> None:
    shop.put()
    shop.run()
    path = shop.export()
    shop.put(FILE + b"more\n")
    shop.run()
    with pytest.raises(SourceError, match=r"whose raw files are not those of the interval any more\. Export them again"):
        shop.replay(path, swap(cheap="4"))


def test_a_source_without_a_contract_is_mended_too(shop: Shop) -> None:
    shop.put(b"item,price\ntea,2.5\nmilk\n")
    shop.run(contract=None)
    assert shop.replay(shop.export(), swap(milk="milk,3")).rows_kept == 2
    assert shop.rows() == [("tea", 2.5), ("milk", 3.0)]
