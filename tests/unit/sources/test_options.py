"""What is said of a source beside its location, and times in locations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Grid, Interval
from headrace.core.location import interval_of, resolve
from headrace.core.source_options import CSV_DEFAULTS, JSON_DEFAULTS, LOGS_DEFAULTS, csv, json, logs, options_for, parquet
from headrace.core.step import SourceOptions


@pytest.mark.parametrize(
    "location", ["a.jsonl", "s3://b/{start:%Y-%m-%d}.ndjson.gz", "https://host/a.JSON?key=1", "a.jsonl.zst", "a.json.zip"]
)
def test_json_lines_are_told_from_the_files_name(location: str) -> None:
    assert options_for(location) == json(location) == SourceOptions("json", location, {})


def test_options_of_json_that_are_defaults_are_no_change_and_one_that_cannot_be_is_an_error() -> None:
    assert json("a.json", encoding="AUTO", null_words=[], timezone="UTC") == SourceOptions("json", "a.json", {})
    assert json("a.json", only_new=True).only_new
    with pytest.raises(
        ConfigurationError, match=r"json\('a.json'\): encoding='ebcdic' is not read, .*; member='' .*; max_ratio=1 has to be"
    ):
        json("a.json", encoding="ebcdic", member="", max_ratio=1)


def test_options_are_called_the_same_in_every_format_of_texts_and_mean_the_same() -> None:
    shared: dict[str, Any] = {
        "comment": "#",
        "encoding": "cp1252",
        "null_words": ("n/a",),
        "date_format": "%d",
        "datetime_format": "%d",
        "timezone": "Asia/Tokyo",
        "member": "*.txt",
        "max_ratio": 9,
    }
    assert [dict(of("a.txt", **shared).options) for of in (csv, json, logs)] == [shared] * 3
    assert set(JSON_DEFAULTS) == {"unnest", *shared}
    assert set(LOGS_DEFAULTS) == {"pattern", "skip", *shared}
    with pytest.raises(ConfigurationError, match=r"json\('a.json'\): unnest='a\[0\]' has to be a key or a path of keys"):
        json("a.json", unnest="a[0]")
    with pytest.raises(ConfigurationError, match=r"logs\('a.log'\): encoding='ebcdic' is not read, .*; skip=-1 has to be"):
        logs("a.log", encoding="ebcdic", skip=-1)


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("a.csv", {}),
        ("s3://b/{start:%Y-%m-%d}.CSV.gz", {}),
        ("a/*.tsv", {"delimiter": "\t"}),
        ("package://p/a.tsv.gz", {"delimiter": "\t"}),
        ("a.csv.bz2", {}),
        ("a.csv.XZ", {}),
        ("https://host/a.tsv.zst?download=1", {"delimiter": "\t"}),
        ("a.csv.zip", {}),
    ],
)
def test_the_format_is_told_from_the_files_name(location: str, options: dict[str, str]) -> None:
    assert options_for(location) == SourceOptions("csv", location, options)


def test_a_name_that_tells_nothing_is_an_error_that_says_what_is_known() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"it ends in none of .csv, .tsv, .jsonl, .ndjson, .json \(perhaps with .gz, .bz2, .xz, .zst or .zip behind it\), .parquet, .pq, .avro. "
        r"Say it: `hr.csv\('a.dat', delimiter=…\)`, or hr.json or hr.logs",
    ):
        options_for("a.dat")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"header": "yes"}, "header='yes' has to be True, False or 'auto'"),
        ({"header": 1}, "header=1 has to be True, False or 'auto'"),
        ({"header": True, "names": ["a"]}, "header=True and names= are two headers"),
        (
            {"quote": "auto", "delimiter": "'"},
            "quote='auto' finds the quotes \" and ', and one of them is the delimiter, escape or comment",
        ),
    ],
)
def test_a_header_and_quotes_that_cannot_be_are_an_error(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        csv("a.csv", **said)
    assert problem in str(refused.value)


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert (
        csv("a.csv", delimiter=",", quote='"', escape='"', encoding="AUTO", null_words=[])
        == csv("a.csv")
        == SourceOptions("csv", "a.csv", {})
    )
    assert set(CSV_DEFAULTS) >= set(csv("a.csv", quote=None, names=["a"], skip=1, decimal=",").options)


def test_all_options_that_cannot_be_are_listed_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        csv(
            "a.csv",
            delimiter="ab",
            quote="\n",
            escape="x",
            encoding="ebcdic",
            decimal=";",
            skip=-1,
            names=["a", "a"],
            member="",
            max_ratio=1,
        )
    for word in (
        "delimiter='ab'",
        "quote='\\n'",
        "escape='x'",
        "encoding='ebcdic'",
        "decimal=';'",
        "skip=-1",
        "names has to be",
        "member=''",
        "max_ratio=1",
    ):
        assert word in str(caught.value)


@pytest.mark.parametrize("signs", [{"delimiter": '"'}, {"escape": ","}], ids=str)
def test_signs_have_to_differ(signs: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="delimiter, quote, escape and comment have to differ"):
        csv("a.csv", **signs)


HOURLY = Grid.parse("@hourly")


@pytest.mark.parametrize("location", ["a/{start:%Y/%m/%d}/{start:%H%M}.csv", "a/{end:%Y-%m-%dT%H}.csv", "a/{start:%Y-%j-%H}-{end:%d}.csv"])
def test_an_interval_is_read_back_from_the_location_that_it_gave(location: str) -> None:
    for interval in HOURLY.within(Interval.of("2026-12-30T22", "2027-01-02T03")):
        assert interval_of(location, "/data/" + resolve(location, interval), HOURLY) == interval


def test_a_field_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"`\{strat:%Y\}` in `\{strat:%Y\}.csv` is not known. Did you mean `start`\?"):
        resolve("{strat:%Y}.csv", Interval.of("2026-11-20", "2026-11-21"))


@pytest.mark.parametrize(
    ("location", "meant"), [("in/", "in/**/*"), ("s3://shop/{start:%Y}/", "s3://shop/{start:%Y}/**/*"), ("in/a.csv", "in/a.csv")]
)
def test_a_location_that_ends_in_a_slash_is_about_all_files_below(location: str, meant: str) -> None:
    assert csv(location).location == meant
    assert replace(csv("a.csv"), location=location).location == meant


def test_parquet_is_told_by_its_name_and_keeps_only_what_is_not_its_default() -> None:
    assert [options_for(f"in/a{suffix}").format for suffix in (".parquet", ".PQ")] == ["parquet", "parquet"]
    said = parquet("in/*.parquet", null_words=["", "NA"], decimal=",", timezone="UTC", only_new=True)
    assert (said.format, dict(said.options), said.only_new) == ("parquet", {"null_words": ("", "NA"), "decimal": ","}, True)
    with pytest.raises(ConfigurationError, match=r'parquet\(\'a.parquet\'\): decimal=\';\' has to be "." or ","'):
        parquet("a.parquet", decimal=";")
