"""What says the value outside of the key's column is told with its place, before and after, and bounded; nothing else of it is written anywhere."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from pydantic import BaseModel, Field
from shops import ANNA, DAY, Shop

import headrace as hr
from headrace.run.forgetting import forget, outlook
from headrace.run.forgotten import record_of
from headrace.run.holding import wanted_of
from headrace.run.mentions import Mentions

WHO = ANNA.decode()


class Noted(BaseModel):
    who: str = Field(alias="Who")
    price: float = Field(alias="Price", ge=0)
    note: str | None = Field(alias="Note")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def said(found: Mentions | None) -> dict[tuple[str, str, str], int]:
    assert found is not None
    return {(one.dataset.removeprefix("shop."), one.part, one.column): one.count for one in found.found}


def places(found: Mentions | None, part: str = "raw") -> Sequence[str]:
    assert found is not None
    return [place for one in found.found if one.part == part for place in one.places]


def test_comments_and_lines_that_are_passed_over_are_told_before_and_after(shop: Shop) -> None:
    pipeline = shop.pipeline(skip=1, comment="#")
    shop.put(b"of anna@a.org\nWho,Price\n# anna@a.org paid\nanna@a.org,1\nben,2\n# xanna@a.org\n")
    shop.run(pipeline=pipeline)
    seen = shop.look(pipeline).mentions
    assert places(seen) == [f"{DAY} v1 `{DAY}.csv` line 1 (byte 3)", f"{DAY} v1 `{DAY}.csv` line 3 (byte 26)"]
    done = shop.forget(pipeline)
    assert not done.left
    assert said(done.mentions) == {("sales", "raw", ""): 2}
    assert [place.replace("v2", "v1") for place in places(done.mentions)] == places(seen)
    record = record_of(shop.session().lake, "shop")
    assert record is not None
    assert (record.entries[0].state, record.entries[0].mentions) == ("done", 2)
    assert said(shop.look(pipeline).mentions) == {("sales", "raw", ""): 2}


def test_a_note_is_told_by_its_column_in_rows_in_quarantine_and_in_what_is_made_of_it(shop: Shop) -> None:
    pipeline = shop.pipeline(Noted)

    @pipeline.table
    def notes(sales):
        return "select note as remark, price from sales where note is not null"

    shop.put(b"Who,Price,Note\nanna@a.org,1,me\nben,2,anna@a.org called\nben,cheap,with anna@a.org\ncleo,3,hannah\n")
    shop.run(pipeline=pipeline)
    own = {("sales", "raw", ""): 2, ("sales", "rows", "note"): 1, ("sales", "quarantine", ""): 1}
    assert said(shop.look(pipeline).mentions) == own
    done = shop.forget(pipeline)
    assert said(done.mentions) == {**own, ("notes", "rows", "remark"): 1}
    assert places(done.mentions, "quarantine") == [f"{DAY} v2 `{DAY}.csv` line 3"]
    assert shop.forget(pipeline, note="anna@a.org called").made
    assert said(shop.look(pipeline).mentions) == {("sales", "raw", ""): 1, ("sales", "quarantine", ""): 1}


def test_other_files_in_an_archive_their_names_and_its_comment_are_looked_into(shop: Shop) -> None:
    packed, inner = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.txt", "1")
        archive.writestr("b.txt", "2")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sales.csv", b"Who,Price\nben,1\nanna@a.org,2\n")
        archive.writestr("read.me", "mail to\nanna@a.org.")
        archive.writestr("wide.txt", "\ufeffanna@a.org".encode("utf-16-le"))
        archive.writestr("of anna@a.org.txt", "nothing")
        archive.writestr("more.zip", inner.getvalue())
        archive.comment = b"for anna@a.org"
    pipeline = shop.pipeline(location="{start:%Y-%m-%d}.zip", member="sales.csv")
    shop.put(packed.getvalue(), f"{DAY}.zip")
    shop.run(pipeline=pipeline)
    seen = shop.look(pipeline).mentions
    assert said(seen) == {("sales", "raw", ""): 4}
    assert places(seen) == [
        f"{DAY} v1 `{DAY}.zip` the comment of its archive",
        f"{DAY} v1 `{DAY}.zip` line 2 (byte 8), in `read.me` in its archive",
        f"{DAY} v1 `{DAY}.zip` line 1 (byte 2), in `wide.txt` in its archive",
    ]
    assert seen is not None
    assert len(seen.unsearched) == 1
    assert "`more.zip` in its archive can't be looked into" in seen.unsearched[0]
    done = shop.forget(pipeline)
    assert said(done.mentions) == {("sales", "raw", ""): 4}


def test_lists_and_nested_values_are_searched_in_json_and_in_rows(shop: Shop) -> None:
    class Item(BaseModel):
        of: str

    class Order(BaseModel):
        who: str
        friends: list[str]
        items: list[Item]

    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("sales", hr.json(str(shop.folder / "in" / "{start:%Y-%m-%d}.jsonl")), contract=Order)
    rows = [
        {"who": WHO, "friends": [], "items": []},
        {"who": "ben", "friends": [WHO], "items": []},
        {"who": "cleo", "friends": ["ben"], "items": [{"of": WHO}]},
        {"who": "dora", "friends": [f"x{WHO}"], "items": [], "more": {"deep": [WHO]}},
    ]
    shop.put("".join(json.dumps(row) + "\n" for row in rows).encode(), f"{DAY}.jsonl")
    shop.run(pipeline=pipeline)
    expected = {("sales", "raw", ""): 3, ("sales", "rows", "friends"): 1, ("sales", "rows", "items"): 1}
    assert said(shop.look(pipeline).mentions) == expected
    assert said(shop.forget(pipeline).mentions) == expected


def test_a_number_in_another_column_is_told_and_can_be_forgotten_by_that_column(shop: Shop) -> None:
    pipeline = hr.Pipeline("shop", schedule="@daily", start=DAY)
    pipeline.source("sales", hr.parquet(str(shop.folder / "in" / "{start:%Y-%m-%d}.parquet")))
    table = pa.table({"customer": [17850, 2, 3, 4], "buyer": [1, 17850, 3, 17851], "price": [1.0, 2.0, 17850.5, 178.5]})
    parquet.write_table(table, shop.put(b"", f"{DAY}.parquet"))
    shop.run(pipeline=pipeline)
    done = shop.forget(pipeline, customer="17850")
    assert said(done.mentions) == {("sales", "raw", ""): 2, ("sales", "rows", "buyer"): 1}
    assert said(shop.forget(pipeline, buyer="17850").mentions) == {("sales", "raw", ""): 1}


def test_the_name_of_a_file_stays_in_the_log_and_is_not_told_as_it_is(shop: Shop) -> None:
    pipeline = shop.pipeline(location="*.csv")
    shop.put(b"Who,Price\nben,1\n", f"{WHO}.csv")
    shop.put(b"# anna@a.org\nWho,Price\nben,1\n", f"of {WHO}.csv")
    pipeline = shop.pipeline(location="*.csv", comment="#")
    shop.run(pipeline=pipeline)
    seen = shop.look(pipeline).mentions
    assert seen is not None
    assert any(text.startswith("shop.sales: 1 entry of its log, in ") and "`name`" in text for text in seen.told)
    assert places(seen) == [f"{DAY} v1 `of ***.csv` line 1 (byte 2)"]
    assert WHO not in repr(seen)


def test_what_is_everywhere_is_counted_to_a_bound_and_a_few_places_are_told(shop: Shop) -> None:
    shop.put(b"Who,Price\n" + b"ben,5\n" * 3000 + b"5,1\n")
    shop.run()
    seen = shop.look(who="5").mentions
    assert seen is not None
    (raw,) = [one for one in seen.found if one.part == "raw"]
    assert (raw.count, raw.is_more, len(raw.places)) == (1000, True, 3)
    assert said(seen)["sales", "rows", "price"] == 3000


def test_files_of_equal_bytes_are_counted_once_and_versions_each(shop: Shop) -> None:
    pipeline = shop.pipeline(location="*.csv", comment="#")
    shop.put(b"# anna@a.org\nWho,Price\nben,1\n", "a.csv")
    for price in (b"1", b"2"):
        shop.put(b"Who,Price\ncleo," + price + b"\n", "b.csv")
        shop.run(pipeline=pipeline)
    found = shop.look(pipeline).mentions
    assert found is not None
    assert [(one.part, one.count, one.versions) for one in found.found] == [("raw", 1, 2)]


def test_a_key_of_several_columns_is_told_where_one_line_or_row_has_all_of_it(shop: Shop) -> None:
    pipeline = shop.pipeline(Noted, comment="#")
    shop.put(b"# anna@a.org\n# anna@a.org 7\nWho,Price,Note\nanna@a.org,7,\nben,7,anna@a.org\nben,2,anna@a.org\n")
    shop.run(pipeline=pipeline)
    done = shop.forget(pipeline, who=WHO, price="7")
    assert said(done.mentions) == {("sales", "raw", ""): 2, ("sales", "rows", "note"): 1, ("sales", "rows", "price"): 1}


def test_a_key_is_looked_for_alone_where_that_is_asked_for(shop: Shop) -> None:
    shop.put(b"Who,Price\nanna@a.org,1\nben,2\n")
    shop.run()
    session = shop.session()
    wanted = wanted_of(session, {"who": WHO})
    assert outlook(session, wanted, is_key_only=True).mentions is None
    done = forget(session, wanted, is_key_only=True)
    assert (done.mentions, done.left) == (None, [])
    record = record_of(session.lake, "shop")
    assert record is not None
    assert record.entries[0].mentions is None


def test_nothing_is_told_where_nothing_says_it(shop: Shop) -> None:
    shop.put()
    shop.run()
    assert shop.look().mentions == Mentions()
    assert shop.forget().mentions == Mentions()
    assert shop.look(who="nobody").mentions == Mentions()
