"""Records that hold a key are found in the files of every format, by digests alone, and taken out: the others are as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from headrace.core.contract_models import contract_of
from headrace.core.forgetting import ErasableFormat, Forgotten, forgotten_key
from headrace.core.ports import Landed
from headrace.core.records import Record

if TYPE_CHECKING:
    from conftest import Bench

HEADER = ("Who", "What", "Count")


class Note(BaseModel):
    who: str = Field(alias="Who")
    what: str | None = Field(alias="What")
    count: int | None = Field(alias="Count")


def forgetting(*values: dict[str, str]) -> Forgotten:
    return Forgotten("salt", tuple(forgotten_key({(name, f"_{name}"): text for name, text in one.items()}, "salt") for one in values))


def held(
    bench: Bench, file: Landed, forgotten: Forgotten, *, has_contract: bool = True, also: frozenset[int] = frozenset()
) -> list[Record]:
    assert isinstance(bench.format, ErasableFormat)
    contract = contract_of(Note) if has_contract else None
    return list(bench.format.holding(file, contract=contract, options=bench.options, forgotten=forgotten, also=also))


def without(bench: Bench, file: Landed, records: list[Record]) -> Landed:
    assert isinstance(bench.format, ErasableFormat)
    options, target = bench.options, bench.folder / "without"
    bench.format.erase(file, target, options=options, records=records)
    data = target.read_bytes()
    target.unlink()
    own = bench.land(data, name="rest")
    assert bench.options == options
    return own


@pytest.mark.parametrize("has_contract", [True, False])
def test_the_records_of_a_key_are_found_and_the_file_without_them_holds_the_others(bench: Bench, has_contract: bool) -> None:
    rows = [("anna", "tea", "1"), ("ben", "cake", "2"), ("anna", "jam", "3"), ("annabel", "anna", "4")]
    file = bench.land(bench.case.data([HEADER, *rows]))
    found = held(bench, file, forgetting({"Who": "anna"}), has_contract=has_contract)
    assert [record.raw for record in found] == [bench.case.record(HEADER, rows[n]) for n in (0, 2)]
    rest = without(bench, file, found)
    assert rest.records == 2
    assert bench.read([rest], Note).rows == [("ben", "cake", 2), ("annabel", "anna", 4)]
    assert held(bench, rest, forgetting({"Who": "anna"})) == []


def test_a_key_of_several_columns_is_held_by_records_that_hold_all(bench: Bench) -> None:
    rows = [("anna", "tea", "1"), ("anna", "jam", "2"), ("ben", "tea", "3")]
    file = bench.land(bench.case.data([HEADER, *rows]))
    assert [r.raw for r in held(bench, file, forgetting({"Who": "anna", "What": "tea"}))] == [bench.case.record(HEADER, rows[0])]
    assert held(bench, file, forgetting({"Who": "anna", "Where": "here"})) == []


@pytest.mark.parametrize("text", ["17850", "17850.0", "0017850"])
def test_a_number_is_found_however_it_is_written_where_the_contract_says_that_it_is_one(bench: Bench, text: str) -> None:
    file = bench.land(bench.case.data([HEADER, ("anna", "tea", text), ("ben", "17850", "17"), ("cleo", "jam", "178501")]))
    found = held(bench, file, forgetting({"Count": "17850"}))
    assert [record.raw for record in found] == [bench.case.record(HEADER, ("anna", "tea", text))]


def test_a_text_that_only_looks_like_the_number_is_another_persons(bench: Bench) -> None:
    file = bench.land(bench.case.data([HEADER, ("007", "tea", "1"), ("7", "jam", "1")]))
    assert [r.raw for r in held(bench, file, forgetting({"Who": "7"}))] == [bench.case.record(HEADER, ("7", "jam", "1"))]


def test_a_record_that_nobody_can_split_is_found_by_the_value_as_a_word(bench: Bench) -> None:
    if isinstance(bench.case.broken, str) and "jar" not in bench.case.broken:
        pytest.skip("a record that can't be read has no text of its own here")
    file = bench.land(bench.case.data([HEADER, ("anna", "tea", "1")], broken=bench.case.broken))
    found = held(bench, file, forgetting({"Who": "jar"}))
    assert len(found) == 1
    assert without(bench, file, found).records == 1
    assert held(bench, file, forgetting({"Who": "ja"})) == []


def test_of_a_file_in_which_every_record_is_taken_out_a_file_without_records_is_left(bench: Bench) -> None:
    file = bench.land(bench.case.data([HEADER, ("anna", "tea", "1"), ("anna", "jam", "2")]))
    rest = without(bench, file, held(bench, file, forgetting({"Who": "anna"})))
    assert rest.records == 0
    assert bench.read([rest], Note).rows == []


@given(
    who=st.lists(st.sampled_from(["a", "b", "c", "a\tb", 'a "quoted"', "é", "two\nlines"]), min_size=1, max_size=30), gone=st.integers(0)
)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_left_is_what_a_file_without_them_would_have_had(bench: Bench, who: list[str], gone: int) -> None:
    if bench.case.flavour == "logs":
        who = [name.replace('"', "'").replace("\n", " ") for name in who]
    rows = [(name, f"number {n}", str(n)) for n, name in enumerate(who)]
    person = who[gone % len(who)]
    file = bench.land(bench.case.data([HEADER, *rows]))
    records = held(bench, file, forgetting({"Who": person}))
    assert len(records) == who.count(person)
    rest = without(bench, file, records)
    expected = [(name, what, int(n)) for name, what, n in rows if name != person]
    assert bench.read([rest], Note).rows == expected
    if expected and bench.case.flavour in ("csv", "json", "logs"):
        own = [row for row in rows if row[0] != person]
        assert bench.case.unpacked(rest.path.read_bytes()) == bench.case.unpacked(bench.case.data([HEADER, *own]))
