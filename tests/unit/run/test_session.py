"""Settings of steps: given by the file or the command, read as the type that was declared, and refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.config import Config, read_config
from headrace.core.errors import ConfigurationError, HeadraceError, UnknownNameError
from headrace.core.step import Source
from headrace.run.session import Session, open_lake_at


def pipeline() -> hr.Pipeline:
    steps = hr.Pipeline("steps", schedule="@hourly", start="2026-01-01")
    steps.source("Given", "given.csv")

    @steps.table
    def made(Given, count=5, share=0.5, is_on=True, word="a", names=["a"], pair=(1, 2), nothing=None):  # noqa: B006
        return "select 1"

    return steps


def session(folder: Path, toml: str = "", overrides: dict[str, Any] | None = None, **environment: str) -> Session:
    (folder / "headrace.toml").write_text(toml)
    config: Config = read_config(folder / "steps.py", environment=environment)
    return Session(pipeline().graph(), config, open_lake_at("memory://"), overrides={"made": overrides} if overrides else {})


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("count", "7", 7),
        ("count", 7, 7),
        ("share", "1", 1.0),
        ("share", 1, 1.0),
        ("share", "2.5e-1", 0.25),
        ("is_on", "no", False),
        ("is_on", "TRUE", True),
        ("is_on", False, False),
        ("word", "7", "7"),
        ("names", '["b", "c"]', ["b", "c"]),
        ("names", [], []),
        ("pair", "[3, 4]", (3, 4)),
        ("pair", [3, 4], (3, 4)),
        ("nothing", "3", 3),
        ("nothing", "text", "text"),
        ("nothing", 3, 3),
    ],
)
def test_a_setting_is_read_as_the_type_of_its_default(tmp_path: Path, name: str, given: object, value: object) -> None:
    found = session(tmp_path, overrides={name: given})
    settled = found.settings(found.graph.step("made"))[name]
    assert settled == value
    assert type(settled) is type(value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("count", "seven"),
        ("count", "7.5"),
        ("count", 7.5),
        ("count", True),
        ("count", "true"),
        ("share", "nan"),
        ("share", "Infinity"),
        ("share", "x"),
        ("is_on", "maybe"),
        ("is_on", 1),
        ("word", 7),
        ("names", "b"),
        ("names", "5"),
        ("pair", "x"),
    ],
)
def test_a_setting_of_another_type_is_refused_at_once(tmp_path: Path, name: str, given: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"`made\.{name}` is of type \w+ \(default .*\), and {given!r} is not"):
        session(tmp_path, overrides={name: given})


def test_the_command_wins_over_the_file_over_the_declaration(tmp_path: Path) -> None:
    found = session(tmp_path, "[local.settings.made]\ncount = 6\nword = 'b'\n", overrides={"count": "7"})
    values = found.settings(found.graph.step("made"))
    assert (values["count"], values["word"], values["share"]) == (7, "b", 0.5)


def test_a_source_lies_where_the_settings_say(tmp_path: Path) -> None:
    found = session(tmp_path, '[local.sources.Given]\nlocation = "{start:%Y-%m-%dT%H}.csv"\n').graph.step("Given")
    assert isinstance(found, Source)
    assert found.options.is_by_interval
    placed = session(tmp_path, HEADRACE_SOURCES_GIVEN="s3://bucket/given.csv")
    source = placed.graph.step("Given")
    assert isinstance(source, Source)
    assert placed.location(source) == "s3://bucket/given.csv"


def test_a_file_that_pipelines_share_may_name_the_steps_of_another(tmp_path: Path) -> None:
    toml = '[local.sources.parcels]\nlocation = "x"\n[local.settings.couriers]\nfastest = 3\n'
    assert session(tmp_path, toml).graph.steps.keys() == session(tmp_path).graph.steps.keys()


@pytest.mark.parametrize("name", ["HEADRACE_LAEK", "HEADRACE_PROFIL", "HEADRACE_TRACKNG"])
def test_a_variable_that_is_all_but_one_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is not known. Did you mean HEADRACE_"):
        session(tmp_path, **{name: "x"})


@pytest.mark.parametrize(
    ("toml", "error", "text"),
    [
        ('[local.sources.Givn]\nlocation = "x"\n', ConfigurationError, "there is no source `Givn`. Did you mean `Given`?"),
        ('[local.sources.made]\nlocation = "x"\n', ConfigurationError, "there is no source `made`"),
        ('[local.sources.Given]\nlocation = "{start}.csv"\n', ConfigurationError, "names a file for every 1d, but the step runs every 1h"),
        ("[local.settings.mad]\ncount = 1\n", UnknownNameError, "headrace.toml names the step `mad`"),
        ("[local.settings.made]\ncont = 1\n", UnknownNameError, "step `made` has no setting `cont`. Did you mean `count`?"),
        ("[local.settings.Given]\nx = 1\n", UnknownNameError, "has no setting `x`. It has none"),
    ],
)
def test_what_the_file_says_of_no_step_is_refused(tmp_path: Path, toml: str, error: type[HeadraceError], text: str) -> None:
    with pytest.raises(error) as caught:
        session(tmp_path, toml)
    assert text in str(caught.value)
