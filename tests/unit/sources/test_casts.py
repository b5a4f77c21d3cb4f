"""The table of casts, text by text against pydantic's own lax mode."""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args
from uuid import UUID

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from headrace.core.casts import DIFFERENCES, RULES, cast_sql, page
from headrace.core.contract import ContractField, ValueType

PYTHON: dict[ValueType, TypeAdapter[Any]] = {
    "str": TypeAdapter(str),
    "int": TypeAdapter(int),
    "float": TypeAdapter(float),
    "bool": TypeAdapter(bool),
    "Decimal": TypeAdapter(Decimal),
    "date": TypeAdapter(dt.date),
    "datetime": TypeAdapter(dt.datetime),
    "time": TypeAdapter(dt.time),
    "timedelta": TypeAdapter(dt.timedelta),
    "UUID": TypeAdapter(UUID),
}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
TEXTS = [ast.literal_eval(line) for line in (Path(__file__).parent / "nasty_texts.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def ours(connection: duckdb.DuckDBPyConnection, type_: ValueType, texts: Sequence[str], **options: Any) -> list[object]:
    cast = cast_sql("t", ContractField("x", "x", type_), options)
    shown = f"epoch_us({cast})" if type_ == "datetime" else cast
    connection.execute("CREATE OR REPLACE TEMP TABLE texts AS SELECT unnest(range(len($1))) AS n, unnest($1::VARCHAR[]) AS t", [texts])
    return [told(value) for (value,) in connection.execute(f"SELECT {shown} FROM texts ORDER BY n").fetchall()]


def pydantics(type_: ValueType, text: str) -> object:
    try:
        return told(PYTHON[type_].validate_python(text))
    except ValidationError:
        return None


def told(value: Any) -> object:
    """A value in a form in which equal ones are equal: NaN by name, times in microseconds of UTC."""
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return (aware - _EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    if isinstance(value, UUID):
        return str(value)
    return "NaN" if value != value else value


def is_declared(type_: ValueType, text: str, theirs: object, mine: object) -> bool:
    """Whether a difference is of a kind that DIFFERENCES tells of."""
    if mine is not None:
        return False
    if type_ == "int":
        if re.match(r"\s*([+]?[0_]+-|[+-]?0[0_]*__)", text):
            return True
        return isinstance(theirs, int) and not -(2**63) <= theirs < 2**63
    if type_ in ("date", "datetime"):
        return pydantics("float", text) is not None or (isinstance(theirs, int) and not -62135596800 <= theirs / 1e6 < 253402300800)
    if type_ == "Decimal":
        assert isinstance(theirs, Decimal)
        is_wide = abs(theirs) >= 10**29 or theirs != round(theirs, 9) if abs(theirs) < 10**40 else True
        return is_wide or not text.isascii()
    if type_ == "time":
        return isinstance(theirs, dt.time) and theirs.tzinfo is not None
    if type_ == "timedelta":
        parts = re.findall(r"[YMWD]|T|[HMS]", text.partition("T")[0]) + [
            part.lower() for part in re.findall(r"[HMS]", text.partition("T")[2])
        ]
        assert isinstance(theirs, int)
        if re.search(r":\d\d[.,]\d{6,}\D", text):
            return True
        is_odd = "P" in text and ("Y" in parts or "M" in parts or parts != sorted(set(parts), key="WDThms".find))
        return is_odd or not -(2**63) <= theirs < 2**63
    return False


@pytest.mark.parametrize("type_", get_args(ValueType))
def test_each_nasty_text_is_taken_or_refused_as_pydantic_does(connection: duckdb.DuckDBPyConnection, type_: ValueType) -> None:
    for text, mine in zip(TEXTS, ours(connection, type_, TEXTS), strict=True):
        theirs = pydantics(type_, text)
        assert mine == theirs or is_declared(type_, text, theirs, mine), f"{type_} of {text!r}: pydantic {theirs!r}, headrace {mine!r}"


_SIGNS = st.text(st.sampled_from("0123456789+-._eE ,:TZtinfaxy/\u2212\u0661\u00a0"), max_size=12)
_NUMBERS = st.from_regex(r"\A[ \t]?[+-]?[0-9_]{0,20}(\.[0-9_]{0,12})?([eE][+-]?[0-9]{1,3})?[ \n]?\Z")
_TIMES = st.from_regex(
    r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]([Tt _][0-2][0-9]:[0-5][0-9](:[0-6][0-9]([.,][0-9]{0,9})?)?([zZ]|[+-][0-2][0-9]:?[0-6][0-9])?)?\Z"
)


_CLOCKS = st.from_regex(r"\A[0-2]?[0-9]:[0-6][0-9](:[0-6][0-9]([.,][0-9]{0,9})?)?([zZ]|[+-][0-2][0-9]:?[0-6][0-9])?\Z")
_AMOUNTS = r"[0-9]{1,3}([.,][0-9]{0,8})?"
_DURATIONS = st.from_regex(
    rf"\A[+-]?(P({_AMOUNTS}[YMWD]){{0,3}}(T({_AMOUNTS}[HMS]){{0,3}})?|([0-9]{{1,9}} ?([dD]|days?|DAYS?),? ?)?([0-9]{{1,3}}:[0-9]{{2}}(:[0-6][0-9]([.,][0-9]{{0,9}})?)?)?)\Z"
)
_HEX = st.text("0123456789abcdefAF", min_size=3, max_size=12)
_UUIDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda uuid: uuid.hex),
    st.tuples(st.sampled_from(["", "{", "urn:uuid:", "URN:uuid:", " "]), st.uuids(), st.sampled_from(["", "}", "0", "\n"])).map(
        lambda parts: "".join(map(str, parts))
    ),
    st.lists(_HEX, min_size=1, max_size=6).map("-".join),
)


@pytest.mark.parametrize("type_", get_args(ValueType))
@given(texts=st.lists(st.one_of(_SIGNS, _NUMBERS, _TIMES, _CLOCKS, _DURATIONS, _UUIDS), min_size=20, max_size=80))
def test_any_text_is_taken_or_refused_as_pydantic_does(connection: duckdb.DuckDBPyConnection, type_: ValueType, texts: list[str]) -> None:
    for text, mine in zip(texts, ours(connection, type_, texts), strict=True):
        theirs = pydantics(type_, text)
        assert mine == theirs or is_declared(type_, text, theirs, mine), f"{type_} of {text!r}: pydantic {theirs!r}, headrace {mine!r}"


@given(numbers=st.lists(st.floats(), min_size=20, max_size=50))
def test_every_float_comes_back_as_it_was(connection: duckdb.DuckDBPyConnection, numbers: list[float]) -> None:
    assert ours(connection, "float", list(map(repr, numbers))) == [told(number) for number in numbers]


def test_decimals_of_a_contracts_own_digits_are_as_pydantic_has_them(connection: duckdb.DuckDBPyConnection) -> None:
    theirs = TypeAdapter(Annotated[Decimal, Field(max_digits=4, decimal_places=2)])
    cast = cast_sql("t", ContractField("x", "x", "Decimal", max_digits=4, decimal_places=2), {})
    for text in "1.10 1.100 1.101 12.34 123.4 123 99.99 100 0.001 1e2 1e1 0099.99 1.1e1 100e-2 0.0000 1000e-2 -0.00 99.999 .5 5. 0e9 1230e-3".split():
        try:
            expected = theirs.validate_python(text)
        except ValidationError:
            expected = None
        assert connection.execute(f"SELECT {cast} FROM (SELECT $1 AS t)", [text]).fetchall() == [(expected,)], text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.type)
def test_the_published_rules_hold(connection: duckdb.DuckDBPyConnection, rule: Any) -> None:
    texts = [text for text, _ in rule.examples]
    expected = [told(eval(value, {"datetime": dt, "Decimal": Decimal, "UUID": UUID, "inf": float("inf")})) for _, value in rule.examples]
    assert ours(connection, rule.type, texts) == expected
    assert ours(connection, rule.type, rule.refused) == [None] * len(rule.refused)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda d: d.why[:40])
def test_the_published_differences_are_real(connection: duckdb.DuckDBPyConnection, difference: Any) -> None:
    for type_ in difference.types:
        for text, mine in zip(difference.texts, ours(connection, type_, difference.texts), strict=True):
            assert pydantics(type_, text) is not None, f"pydantic refuses {text!r} too"
            assert mine in (None, "NaN")


def test_the_page_of_casts_is_the_code() -> None:
    path = Path(__file__).parents[3] / "docs/reference/casts.md"
    assert path.read_text(encoding="utf-8") == page(), (
        "write it again: python -c 'from headrace.core.casts import page; print(page(), end=\"\")' > docs/reference/casts.md"
    )


@pytest.mark.parametrize(
    ("type_", "options", "text", "expected"),
    [
        ("float", {"decimal": ","}, "1,5", 1.5),
        ("float", {"decimal": ","}, "1.5", None),
        ("int", {"decimal": ","}, "17850,0", 17850),
        ("Decimal", {"decimal": ","}, "2,50", Decimal("2.5")),
        ("int", {"thousands": ","}, "-1,234,567", -1234567),
        ("int", {"thousands": ","}, "12,34,567", 1234567),
        ("int", {"thousands": ","}, "1234567", 1234567),
        ("int", {"thousands": ","}, "1,23", None),
        ("int", {"thousands": ","}, "1,2345", None),
        ("int", {"thousands": ","}, ",123", None),
        ("float", {"thousands": ","}, " 1,234.5", 1234.5),
        ("float", {"thousands": ","}, "1,234,5", None),
        ("float", {"thousands": ","}, "1.234,567", None),
        ("float", {"thousands": ".", "decimal": ","}, "1.234,5", 1234.5),
        ("float", {"thousands": ".", "decimal": ","}, "1.5", None),
        ("float", {"thousands": " ", "decimal": ","}, "12 345,5", 12345.5),
        ("float", {"thousands": "'"}, "1'234.5", 1234.5),
        ("Decimal", {"thousands": "\u202f", "decimal": ","}, "1\u202f234,50", Decimal("1234.5")),
        ("date", {"date_format": "%m/%d/%y"}, "12/1/10", dt.date(2010, 12, 1)),
        ("date", {"date_format": "%m/%d/%y"}, "2010-12-01", None),
        ("datetime", {"datetime_format": "%m/%d/%y %H:%M"}, "12/1/10 8:26", told(dt.datetime(2010, 12, 1, 8, 26))),
        ("datetime", {"datetime_format": "%Y-%m-%d %H:%M %z"}, "2010-12-01 08:26 +0200", told(dt.datetime(2010, 12, 1, 6, 26))),
        ("datetime", {"timezone": "Europe/London"}, "2010-07-01 08:26:00", told(dt.datetime(2010, 7, 1, 7, 26))),
        ("datetime", {"timezone": "Europe/London"}, "2010-07-01T08:26Z", told(dt.datetime(2010, 7, 1, 8, 26))),
        ("datetime", {"timezone": "Europe/London"}, "2010-07-01", told(dt.datetime(2010, 6, 30, 23))),
    ],
)
def test_options_change_what_text_is_taken(
    connection: duckdb.DuckDBPyConnection, type_: ValueType, options: dict[str, str], text: str, expected: object
) -> None:
    assert ours(connection, type_, [text], **options) == [expected]
