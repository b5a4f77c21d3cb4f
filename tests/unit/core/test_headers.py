"""Whether the first record of a file is its header: in doubt nobody decides it."""

from __future__ import annotations

import csv
from pathlib import Path

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


ROWS = 40
DISTRICTS = [f"AK-{n},{n % 7 - 3}.{n % 10},{n % 5 + 10}.5" for n in range(ROWS)]
LEANS = [f"AK-{n},R+{n % 7 + 1}.{n % 10}" for n in range(ROWS)]
ANSWERS = [
    f"{'Yes' if n % 2 else 'No'},{('good', 'bad', 'neither')[n % 3]},{('good', 'bad')[n % 2]},{('18-29', '30-44')[n % 2]}"
    for n in range(ROWS)
]


@pytest.mark.parametrize(
    ("first", "below"),
    [
        ("district,2016,2018", DISTRICTS),  # years over shares
        ("district,2021", LEANS),  # a year over texts
        ("Have you seen it?,What of it?,,Age", ANSWERS),
        (",What of it?,,", ANSWERS),
        ("region,2020-01-22,2020-01-23", [f"R{n},{n},{n + 1}" for n in range(ROWS)]),  # days over counts
        ("city,2016,2017", [f"{'Rome' if n % 2 else 'Bonn'},{250_000 + n},{260_000 + n}" for n in range(ROWS)]),
    ],
)
def test_names_that_are_numbers_or_empty_are_names_where_no_record_below_is_like_that(first: str, below: list[str]) -> None:
    assert judged("\n".join([first, *below])) == (True, "nothing in it is a value")
    assert not judged("\n".join([first, *below[:2]]))[0]  # too few to tell


@pytest.mark.parametrize(
    ("first", "below"),
    [
        ("AL-1,2016,2018", [f"AK-{n},{2000 + n},{1990 + n}" for n in range(ROWS)]),  # they are years below, too
        ("AL-1,12.5,9.5", DISTRICTS),
        ("Yes,,,30-44", ANSWERS),
        ("Perhaps,,good,30-44", ANSWERS),
        (",,,", ANSWERS),
        ("x,2020-01-22,7", [f"R{n},2020-01-{n % 28 + 1:02},{n}" for n in range(ROWS)]),
        ("total,2016,9", [f"{name}{n},{n},{n}" for n in range(ROWS) for name in ("a", "b")]),
        ("C536379,D,2010-12-01,7", [f"5363{n},{n + 22700},2010-12-01,{n}" for n in range(ROWS)]),  # the first is a cancelled invoice
    ],
)
def test_a_record_that_is_somewhat_odd_is_still_a_record(first: str, below: list[str]) -> None:
    assert not judged("\n".join([first, *below]))[0]


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


@pytest.mark.data
def test_in_real_files_the_header_is_one_and_no_record_is(shared_data: Path) -> None:
    days = sorted((shared_data / "online_retail_by_day").glob("*.csv"))[:5]
    for path in [*days, shared_data / "petrol" / "petrol_consumption.csv", shared_data / "wine" / "wine-quality.csv"]:
        with path.open(encoding="utf-8", newline="") as file:
            header, *records = list(csv.reader(file))[:700]
        assert header_among(header, records[:200]).is_header, path.name
        taken = [n for n in range(len(records) - 1) if header_among(records[n], records[n + 1 : n + 201]).is_header]
        assert not taken, (path.name, records[taken[0]])
