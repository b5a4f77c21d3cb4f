"""Opening a lake to read from: what a notebook says, and what it is told when something is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import headrace as hr
from headrace.core.errors import ConfigurationError

TOML = """
[local]
lake = "made"

[prod]
lake = "s3://acme-lake/prod"
connection = "my_aws"
"""


@pytest.fixture(autouse=True)
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with settings, on a machine without credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "HEADRACE_", "AIRFLOW_CONN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "headrace.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(lake: str) -> None:
    notes = hr.Pipeline("notes", start="2026-05-01")

    @notes.table
    def words() -> str:
        return "select 1 as n"

    notes.run("2026-05-01", lake=lake)


def test_without_an_address_it_is_the_lake_of_the_settings(notebook: Path) -> None:
    make("made")
    assert hr.open_lake().read("notes.words").num_rows == 1
    assert hr.open_lake().uri == str(notebook / "made")


def test_a_folder_needs_no_settings_and_an_address_goes_before_them(notebook: Path) -> None:
    make("other")
    (notebook / "headrace.toml").write_text("[local]\nlak = 1\n")
    assert hr.open_lake("other").read("notes.words").num_rows == 1


def test_a_profile_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"has no profile `prof`. Did you mean `prod`"):
        hr.open_lake("s3://acme-lake/prod", profile="prof")


@pytest.mark.parametrize("given", [{"profile": "prod"}, {"uri": "s3://acme-lake/prod", "connection": "my_aws"}])
def test_a_connection_that_is_not_there_is_an_error_that_says_what_to_set(given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"no connection `my_aws`(.|\n)*AIRFLOW_CONN_MY_AWS"):
        hr.open_lake(**given)


def test_without_credentials_the_error_says_where_they_were_looked_for_and_what_to_set() -> None:
    with pytest.raises(
        ConfigurationError, match=r"No credentials for s3://acme-lake/prod were found. Looked at: .* open_lake\(uri, profile="
    ):
        hr.open_lake("s3://acme-lake/prod")
