"""Settings: which of several places wins, what each remembers, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import Config, masked, read_config
from headrace.core.errors import ConfigurationError


def config(
    folder: Path, toml: str = "", *, profile: str | None = None, overrides: dict[str, str] | None = None, **environment: str
) -> Config:
    if toml:
        (folder / "headrace.toml").write_text(toml, encoding="utf-8")
    return read_config(folder / "shop.py", environment=environment, profile=profile, overrides=overrides or {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def refused(folder: Path, toml: str = "", **options: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config(folder, toml, **options)
    return str(caught.value)


# ---------------------------------------------------------------- who wins


def test_the_command_line_wins_over_the_environment_over_the_profile_over_the_default(folder: Path) -> None:
    toml = '[local]\nmemory = "1GB"\njobs = 2\nthreads = 2\n'
    found = config(folder, toml, overrides={"memory": "3GB"}, HEADRACE_MEMORY="2GB", HEADRACE_JOBS="3")
    assert {n: (v.value, v.origin) for n, v in found.values.items() if n in ("memory", "jobs", "threads", "engine")} == {
        "memory": ("3GB", "command line"),
        "jobs": ("3", "HEADRACE_JOBS"),
        "threads": (2, f"{folder / 'headrace.toml'}, [local]"),
        "engine": ("duckdb", "default"),
    }
    assert found.number("jobs") == 3


def test_a_profile_is_named_by_the_command_line_or_else_by_the_environment(folder: Path) -> None:
    toml = "[local]\njobs = 1\n[prod]\njobs = 9\n[test]\njobs = 5\n"
    assert config(folder, toml).number("jobs") == 1
    assert config(folder, toml, HEADRACE_PROFILE="prod").number("jobs") == 9
    assert config(folder, toml, profile="test", HEADRACE_PROFILE="prod").number("jobs") == 5


def test_the_file_is_found_above_the_pipeline_up_to_the_root_of_its_repository(folder: Path) -> None:
    (folder / "headrace.toml").write_text("[local]\njobs = 7\n")
    (folder / "deep" / "er").mkdir(parents=True)
    assert config(folder / "deep" / "er").number("jobs") == 7
    (folder / "deep" / ".git").mkdir()
    assert config(folder / "deep" / "er").number("jobs") is None


def test_a_relative_lake_lies_beside_the_file_that_names_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert config(folder).lake_uri == str(folder / "lake")
    assert config(folder, '[local]\nlake = "data"').lake_uri == str(folder / "data")
    assert config(folder, '[local]\nlake = "~/data"').lake_uri == str(folder / "home" / "data")
    assert config(folder, HEADRACE_LAKE="data").lake_uri == str(here / "data")
    assert config(folder, overrides={"lake": "data"}).lake_uri == str(here / "data")
    assert config(folder, overrides={"lake": "memory://"}).lake_uri == "memory://"


def test_a_source_is_placed_by_the_environment_before_the_file_whatever_its_case(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    toml = '[local.sources.Trips]\nlocation = "a.csv"\n'
    assert config(folder, toml).locations["Trips"].value == "a.csv"
    found = config(folder, toml, HEADRACE_SOURCES_TRIPS="b.csv", HEADRACE_SOURCES_ZONES="s3://b/c.csv").locations
    assert {n: (v.value, v.origin) for n, v in found.items()} == {
        "Trips": (str(folder / "b.csv"), "HEADRACE_SOURCES_TRIPS"),
        "zones": ("s3://b/c.csv", "HEADRACE_SOURCES_ZONES"),
    }


def test_an_empty_variable_says_nothing(folder: Path) -> None:
    assert config(folder, HEADRACE_LAKE="", HEADRACE_PROFILE="").values["lake"].origin == "default"


def test_settings_of_steps_come_by_step_and_name(folder: Path) -> None:
    assert config(folder, "[local.settings.groups]\nclusters = 6\n").settings == {"groups": {"clusters": 6}}


def test_columns_to_mask_are_a_list_or_text_with_commas(folder: Path) -> None:
    assert config(folder, '[local]\nmask = ["a", "b"]').names("mask") == ("a", "b")
    assert config(folder, HEADRACE_MASK="a, b,").names("mask") == ("a", "b")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("[local]\nlakes = 'x'", "there is no setting `lakes`. Did you mean `lake`?"),
        ("lake = 'x'", "`lake` stands outside a profile. Settings belong under one, such as [local]."),
        ("[local", "can't be read as TOML"),
        ("[local]\njobs = 0", "`jobs` must be a whole number above 0, got 0 from"),
        ("[local]\njobs = true", "`jobs` must be a whole number above 0, got True from"),
        ("[local]\nthreads = 1.5", "`threads` must be a whole number above 0"),
        ("[local.sources.trips]\nlocations = 'x'", "sources.trips has no setting `locations`. Did you mean `location`?"),
        ("[local.sources.trips]", "sources.trips is a section, with location = "),
        ("[local.sources]\ntrips = 'x'", "sources.trips is a section, with location = "),
        ("[local.sources.trips]\nlocation = 5", "sources.trips.location is a text between quotes"),
        ("[local.sources.trips]\nconnection = ''", "sources.trips.connection is a text between quotes"),
        ("[local.sources.trips]\nmax_size = '20 gigs'", "sources.trips.max_size: '20 gigs' is not a size"),
        ("[local]\nsettings = 5", "settings are given a step at a time"),
        ("[local.settings]\nclusters = 5", "settings are given a step at a time"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(folder: Path, toml: str, text: str) -> None:
    told = refused(folder, toml)
    assert text in told
    assert str(folder / "headrace.toml") in told


def test_an_unknown_profile_is_told_with_the_nearest_or_where_to_write_it(folder: Path) -> None:
    assert "there is no headrace.toml beside the pipeline file or in a folder above it. Write one with [prod]." in refused(
        folder, profile="prod"
    )
    assert "has no profile `prd`. Did you mean `prod`?" in refused(folder, "[prod]\njobs = 1", profile="prd")
    assert "has no profile `prd`. Did you mean `prod`?" in refused(folder, "[prod]\njobs = 1", HEADRACE_PROFILE="prd")


def test_the_local_profile_need_not_be_written(folder: Path) -> None:
    assert config(folder, "[prod]\njobs = 1", profile="local").number("jobs") is None


def test_a_wrong_variable_is_refused_by_its_name(folder: Path) -> None:
    assert refused(folder, HEADRACE_JOBS="many") == "`jobs` must be a whole number above 0, got 'many' from HEADRACE_JOBS."


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@host/db", "postgresql://***@host/db"),
        ("postgresql://me:hun@ter2@host/db", "postgresql://***@host/db"),
        ("postgresql://me:hun/ter2@host/db", "postgresql://***@host/db"),
        ("https://token@host/x", "https://***@host/x"),
        ("https://host/x?X-Amz-Signature=abc&v=1", "https://host/x?X-Amz-Signature=***&v=1"),
        ("https://host/x?sv=1&sig=abc", "https://host/x?sv=1&sig=***"),
        ("AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY=***"),
        ("Server=h;Pwd=abc", "Server=h;Pwd=***"),
        ("s3://bucket/mail@example.org.csv", "s3://bucket/mail@example.org.csv"),
        ("/home/me@work/lake", "/home/me@work/lake"),
    ],
)
def test_a_secret_is_masked_and_nothing_else(text: str, shown: str) -> None:
    assert masked(text) == shown


_word = st.text("abcXYZ09!$*-_.~", min_size=8)


@given(_word, st.sampled_from(["", "@", "/", ":"]), _word)
def test_a_password_is_never_shown_whatever_is_in_it(before: str, sign: str, after: str) -> None:
    password = f"q{before}{sign}{after}q"
    shown = masked(f"postgresql://me:{password}@host/db?x=1")
    assert shown == "postgresql://***@host/db?x=1"


def test_a_configuration_shows_no_secret_of_its_values(folder: Path) -> None:
    found = config(folder, '[local]\ntracking_uri = "https://me:hunter2@host/"', HEADRACE_LAKE="s3://key:hunter2@bucket/x")
    assert "hunter2" not in repr(found)
    assert "https://***@host/" in repr(found)


@pytest.mark.parametrize(
    ("lake", "meant"),
    [("s3:/shop/lake", "s3://shop/lake"), ("s3:shop", "s3://shop"), ("GS:/a", "GS://a"), ("file:/tmp/lake", "file:///tmp/lake")],
)
@pytest.mark.parametrize("how", ["variable", "toml", "option"])
def test_an_address_with_a_slash_too_few_is_not_taken_for_a_folder(tmp_path: Path, lake: str, meant: str, how: str) -> None:
    (tmp_path / "headrace.toml").write_text(f'[local]\nlake = "{lake}"\n' if how == "toml" else "[local]\n")
    with pytest.raises(ConfigurationError, match=f"Did you mean {meant}\\?"):
        read_config(
            tmp_path / "p.py",
            environment={"HEADRACE_LAKE": lake} if how == "variable" else {},
            overrides={"lake": lake} if how == "option" else {},
        )
