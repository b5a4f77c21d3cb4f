"""What is said of a source beside its location, and times in locations."""

from __future__ import annotations

import pytest

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Grid, Interval
from headrace.core.location import interval_of, resolve
from headrace.core.source_options import CSV_DEFAULTS, JSON_DEFAULTS, csv, json, options_for
from headrace.core.step import SourceOptions


@pytest.mark.parametrize("location", ["a.jsonl", "s3://b/{start:%Y-%m-%d}.ndjson.gz", "https://host/a.JSON?key=1"])
def test_json_lines_are_told_from_the_files_name(location: str) -> None:
    assert options_for(location) == json(location) == SourceOptions("json", location, {})


def test_options_of_json_that_are_defaults_are_no_change_and_one_that_cannot_be_is_an_error() -> None:
    assert json("a.json", encoding="UTF8", null_words=[], timezone="UTC") == SourceOptions("json", "a.json", {})
    assert set(JSON_DEFAULTS) >= set(
        json("a.json", null_words=["-"], date_format="%d", datetime_format="%d", timezone="Asia/Tokyo").options
    )
    assert json("a.json", only_new=True).only_new
    with pytest.raises(ConfigurationError, match=r"json\('a.json'\): encoding='latin-1' is not read yet"):
        json("a.json", encoding="latin-1")


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("a.csv", {}),
        ("s3://b/{start:%Y-%m-%d}.CSV.gz", {}),
        ("a/*.tsv", {"delimiter": "\t"}),
        ("package://p/a.tsv.gz", {"delimiter": "\t"}),
    ],
)
def test_the_format_is_told_from_the_files_name(location: str, options: dict[str, str]) -> None:
    assert options_for(location) == SourceOptions("csv", location, options)


def test_a_name_that_tells_nothing_is_an_error_that_says_what_is_known() -> None:
    with pytest.raises(
        ConfigurationError, match=r"it ends in none of .csv, .csv.gz, .tsv, .tsv.gz, .jsonl, .*. Say it: `hr.csv\('a.dat', delimiter=…\)`"
    ):
        options_for("a.dat")


def test_a_default_that_is_written_out_is_no_change() -> None:
    assert (
        csv("a.csv", delimiter=",", quote='"', escape='"', encoding="UTF8", null_words=[])
        == csv("a.csv")
        == SourceOptions("csv", "a.csv", {})
    )
    assert set(CSV_DEFAULTS) >= set(csv("a.csv", quote=None, names=["a"], skip=1, decimal=",").options)


def test_all_options_that_cannot_be_are_listed_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        csv("a.csv", delimiter="ab", quote="\n", escape="x", encoding="latin-1", decimal=";", skip=-1, names=["a", "a"])
    for word in ("delimiter='ab'", "quote='\\n'", "escape='x'", "encoding='latin-1'", "decimal=';'", "skip=-1", "names has to be"):
        assert word in str(caught.value)


@pytest.mark.parametrize("signs", [{"delimiter": '"'}, {"escape": ","}], ids=str)
def test_signs_have_to_differ(signs: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="delimiter, quote and escape have to differ"):
        csv("a.csv", **signs)


HOURLY = Grid.parse("@hourly")


@pytest.mark.parametrize("location", ["a/{start:%Y/%m/%d}/{start:%H%M}.csv", "a/{end:%Y-%m-%dT%H}.csv", "a/{start:%Y-%j-%H}-{end:%d}.csv"])
def test_an_interval_is_read_back_from_the_location_that_it_gave(location: str) -> None:
    for interval in HOURLY.within(Interval.of("2026-12-30T22", "2027-01-02T03")):
        assert interval_of(location, "/data/" + resolve(location, interval), HOURLY) == interval


def test_a_field_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"`\{strat:%Y\}` in `\{strat:%Y\}.csv` is not known. Did you mean `start`\?"):
        resolve("{strat:%Y}.csv", Interval.of("2026-11-20", "2026-11-21"))
