"""Flavours are found by name, ours first, and a missing library is told with what to install."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.core.errors import ConfigurationError, MissingLibraryError
from headrace.plugins import flavours, load


def test_flavours_are_listed_without_being_imported() -> None:
    before = set(sys.modules)
    assert {"local", "memory"} <= set(flavours("stores"))
    assert "csv" in flavours("sources")
    assert not {m for m in set(sys.modules) - before if m.startswith("headrace.backends")}


def test_a_flavour_is_a_module_of_its_port() -> None:
    assert load("stores", "memory").__name__ == "headrace.backends.stores.memory"


@pytest.mark.parametrize(
    ("name", "hint"), [("loca", "Did you mean `local`?"), ("__init__", ""), ("../engines/duckdb", ""), ("", ""), ("S3 ", "")]
)
def test_an_unknown_flavour_is_told_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("stores", name)
    assert f"There is no flavour `{name}` of stores. {hint}" in str(caught.value)


def test_a_missing_library_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tape_flavour.py").write_text("import a_library_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    theirs = [SimpleNamespace(name="tape", module="tape_flavour")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: theirs)
    with pytest.raises(MissingLibraryError, match=r"needs `a_library_that_nobody_has`.* Install it with: pip install 'headrace\[tape\]'"):
        load("stores", "tape")


def test_a_third_party_brings_a_flavour_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = [SimpleNamespace(name="tape", module="string")]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: theirs if group == "headrace.stores" else [])
    assert load("stores", "tape").__name__ == "string"
    with pytest.raises(ConfigurationError, match="Did you mean `tape`"):
        load("stores", "tapes")
