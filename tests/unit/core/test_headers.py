"""Whether the first record of a file is its header: in doubt nobody decides it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.headers import header_among


def judged(text: str) -> tuple[bool, str]:
    first, *below = [line.split(",") for line in text.split("\n")]
    verdict = header_among(first, below)
    return verdict.is_header, verdict.because


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("id,name\n1,Ana\n2,Ben", "'id' is no number, as those below it are"),
        ("Province,Lat,1/22/20\nHubei,30.9,444", "'Lat' is no number, as those below it are"),
        ("day,note\n2026-01-02,x", "'day' is no date, as those below it are"),
        ("ok\ntrue\nfalse", "'ok' is no true or false, as those below it are"),
        ("Country,1960,1961,1962\nChad,1,2,2\nMali,3,3,4", "nothing in it is a value"),
        ("shop,0,6,12,18\nBath,a,b,c,d", "nothing in it is a value"),
        (",name\n0,Ana\n1,Ben", "nothing in it is a value"),
        (",name\n1,Ana\n2,Ben", "nothing in it is a value"),
        ("name,city,\nAna,Rome,\nBen,Bonn,", "nothing in it is a value"),
        ("name,city\nAna,Rome", "nothing in it is a value"),
        ("name,city", "nothing in it is a value"),
        ("name,city\nname,Bonn", "nothing in it is a value"),
    ],
)
def test_what_no_record_has_makes_a_header(text: str, because: str) -> None:
    assert judged(text) == (True, because)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa", "'5.1' is a number, as those below it are"),
        ("39, State-gov,77516\n50, Private,83311", "'39' is a number, as those below it are"),
        ("2026-01-02,x\n2026-01-03,y", "'2026-01-02' is a date, as those below it are"),
        ("x,12/1/10 8:26\ny,12/1/10 8:30", "'12/1/10 8:26' is a date, as those below it are"),
        ("x,true\ny,false", "'true' is true or false, as those below it are"),
        ("a,NA,3\nb,5,6", "'3' is a number, as those below it are"),
        ("1,2,3\n4,5,6", "'1' is a number, as those below it are"),
        ("x,1,2,3\ny,4,5,6", "'1' is a number, as those below it are"),
        ("1,2,3", "'1' is a number"),
        ("7,x\na,b", "'7' is a number"),
        ("name,2010\nAna,5", "'2010' is a number, as those below it are"),
        (",x\nq,y", "field 1 is empty, and those below it are not"),
        ("p,x\np,y\ne,x", "'p' and all its other fields stand among the values below them, too"),
        ("id,name\na,b\nid,name", "'id' and all its other fields stand among the values below them, too"),
        (" 1 ,x\n2,y", "' 1 ' is a number, as those below it are"),
    ],
)
def test_what_may_be_a_record_is_no_header_before_it_is_told(text: str, because: str) -> None:
    assert judged(text) == (False, because)


values = {
    "number": st.one_of(
        st.integers(-999, 9999).map(str), st.floats(-1e3, 1e3).map(lambda x: f"{x:.2f}"), st.sampled_from(["1,5", "-.5", "1e3"])
    ),
    "date": st.dates().map(str),
    "truth": st.sampled_from(["true", "False"]),
}


@given(st.data())
def test_a_file_without_a_header_is_told_by_any_column_of_values(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=4))
    count = data.draw(st.integers(1, 5))
    rows = [[data.draw(values[kind]) for kind in kinds] for _ in range(count)]
    texts = data.draw(st.lists(st.text(st.characters(categories=["L"]), min_size=1), min_size=count, max_size=count))
    rows = [[*row, text] for row, text in zip(rows, texts, strict=True)]
    verdict = header_among(rows[0], rows[1:])
    counting = all(text.isdigit() for text in rows[0][:3]) and len(kinds) >= 3
    assert counting or not verdict.is_header
