"""Words in texts: found at their places in every spelling, however the text comes in pieces, and nowhere else."""

from __future__ import annotations

import json
import re
from html import escape
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.core.casts import literal
from headrace.core.mentions import Words, pattern_of, places_in

VALUES = ["17850", "anna@a.org", 'say "cleo"', "dóra", "two words", "+49 30", "a"]
SIGNS = st.sampled_from(["\n", "\r\n", "\r", " ", "x", "é", ",", "1", "_", "日", *VALUES])
TEXTS = st.lists(SIGNS, max_size=30).map("".join)


@given(
    text=TEXTS,
    value=st.sampled_from(VALUES),
    sizes=st.lists(st.integers(1, 9), min_size=1),
    encoding=st.sampled_from(["utf-8", "utf-16-le"]),
)
@example(text="a\r\na", value="a", sizes=[2], encoding="utf-8")
@example(text="17850" + "1", value="17850", sizes=[5], encoding="utf-8")
def test_places_are_those_of_the_whole_text_whatever_its_pieces(text: str, value: str, sizes: list[int], encoding: str) -> None:
    pieces, at = [], 0
    while at < len(text):
        pieces.append(text[at : at + sizes[len(pieces) % len(sizes)]])
        at += len(pieces[-1])
    expected = [
        (len(re.findall(r"\r\n|\n|\r", text[:begin])) + 1, len(text[:begin].encode(encoding)))
        for begin in range(len(text))
        if text.startswith(value, begin) and is_word(text, begin, begin + len(value))
    ]
    assert [(place.line, place.offset) for place in places_in(pieces, Words([value]), encoding)] == expected


def is_word(text: str, begin: int, end: int) -> bool:
    """Said in another way than the code that is tested."""
    joined = re.compile(r"\w\w")
    return not any(joined.fullmatch(text[max(0, at - 1) : at + 1]) for at in (begin, end))


@given(before=TEXTS, value=st.sampled_from(VALUES), after=TEXTS)
def test_a_value_is_found_as_every_format_spells_it(before: str, value: str, after: str) -> None:
    words, text = Words([value]), f"{before} {value} {after}"
    for spelt in (
        text,
        json.dumps(text),
        json.dumps(text, ensure_ascii=False),
        quote(text),
        escape(text),
        text.replace('"', '""'),
        repr(text),
    ):
        assert words.are_in(spelt)
        assert words.may_be_in(spelt.encode())
        assert words.may_be_in(spelt.encode("utf-16-le"), "utf-16-le")


@pytest.mark.parametrize("text", [r"so\nanna", "so%20anna", r"so\u0020anna"])
def test_an_escape_before_a_word_is_no_part_of_it(text: str) -> None:
    assert Words(["anna"]).are_in(text)
    assert not Words(["anna"]).are_in(text.replace("\\", "").replace("%", ""))


@given(text=TEXTS, value=st.sampled_from(VALUES))
def test_engines_find_the_same_words(text: str, value: str) -> None:
    sql = " or ".join(f"regexp_matches({literal(text)}, {literal(pattern_of(spelt))})" for spelt in Words([value]).spelt[0])
    assert duckdb.sql(f"select {sql}").fetchall() == [(Words([value]).are_in(text),)]


@given(lines=st.lists(st.sampled_from(["anna", "3", "anna,3", "annabel,3", "x"]), max_size=12), size=st.integers(1, 7))
def test_several_values_are_on_one_line(lines: list[str], size: int) -> None:
    text = "\n".join(lines)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = [place.line for place in places_in(pieces, Words(["anna", "3"]), "utf-8")]
    assert found == [number for number, line in enumerate(lines, 1) if line == "anna,3"]


def test_what_is_told_hides_the_values() -> None:
    assert Words(["anna@a.org"]).hidden("in/anna@a.org.csv and anna%40a.org") == "in/***.csv and ***"
