"""Words are found in the files of every format, in any column, outside of records, and nowhere in records that are left aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headrace.core.contract_models import contract_of
from headrace.core.forgetting import ErasableFormat, Forgotten, forgotten_key
from headrace.core.mentions import Place, SearchingFormat, Stretch, Unseen, Words
from headrace.core.ports import Landed

if TYPE_CHECKING:
    from conftest import Bench

HEADER = ("Who", "What", "Count")


class Note(BaseModel):
    who: str = Field(alias="Who")
    what: str | None = Field(alias="What")
    count: int | None = Field(alias="Count")


def said(bench: Bench, file: Landed, *values: str, besides: Sequence[Stretch] = ()) -> list[Place | Unseen]:
    assert isinstance(bench.format, SearchingFormat)
    return list(bench.format.mentions(file, Words(values), options=bench.options, besides=besides))


def held(bench: Bench, file: Landed, who: str) -> list[Stretch]:
    assert isinstance(bench.format, ErasableFormat)
    forgotten = Forgotten("salt", (forgotten_key({("Who", "_Who"): who}, "salt"),))
    found = bench.format.holding(file, contract=contract_of(Note), options=bench.options, forgotten=forgotten)
    return [Stretch(record.line, record.offset, len(record.raw)) for record in found]


def test_a_word_is_found_with_its_place_in_any_column_but_not_in_records_that_are_left_aside(bench: Bench) -> None:
    rows = [("anna", "anna", "1"), ("ben", "tea for anna", "2"), ("hannah", "annas", "3"), ("cleo", "anna", "4")]
    data = bench.case.data([HEADER, *rows])
    file = bench.land(data)
    found = said(bench, file, "anna", besides=held(bench, file, "anna"))
    places = [bench.case.place(data, bench.case.record(HEADER, rows[n])) for n in (1, 3)]
    assert [one.line for one in found if isinstance(one, Place)] == [line for line, _ in places]
    assert all(isinstance(one, Place) and one.offset >= offset for one, (_, offset) in zip(found, places, strict=True))
    assert len(said(bench, file, "anna")) > len(found)
    assert said(bench, file, "ann") == []


def test_several_words_are_found_where_a_record_has_all(bench: Bench) -> None:
    rows = [("ben", "anna", "1"), ("ben", "tea", "2"), ("cleo", "anna", "3")]
    data = bench.case.data([HEADER, *rows])
    found = said(bench, bench.land(data), "anna", "ben")
    assert [one.line for one in found if isinstance(one, Place)] == [bench.case.place(data, bench.case.record(HEADER, rows[0]))[0]]


def test_a_record_that_nobody_can_split_is_searched_too(bench: Bench) -> None:
    if isinstance(bench.case.broken, str) and "jar" not in bench.case.broken:
        pytest.skip("a record that can't be read has no text of its own here")
    assert len(said(bench, bench.land(bench.case.data([HEADER, ("anna", "tea", "1")], broken=bench.case.broken)), "jar")) == 1


@given(
    texts=st.lists(st.sampled_from(["a", "b", "see a", "a\tb", 'a "quoted"', "é", "xa1", "1"]), min_size=1, max_size=40),
    word=st.sampled_from(["a", "b", "é"]),
)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_that_says_a_word_is_found_and_no_other(bench: Bench, texts: list[str], word: str) -> None:
    if bench.case.flavour == "logs":
        texts = [text.replace('"', "'") for text in texts]
    file = bench.land(bench.case.data([HEADER, *(("who", text, str(n + 100)) for n, text in enumerate(texts))]))
    lines = [record.line for record in bench.format.records(file.path, bench.options)]
    expected = {line for line, text in zip(lines, texts, strict=True) if word in text.replace('"', " ").replace("'", " ").split()}
    assert {one.line for one in said(bench, file, word) if isinstance(one, Place)} == expected
