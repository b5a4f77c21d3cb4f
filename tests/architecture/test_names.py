"""What is public is documented, and what is documented is public."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import headrace

HEADING = re.compile(r"^#{2,3} .*?`(?:hr\.|headrace\.)?([A-Za-z_]\w*)")


def documented(page: Path) -> set[str]:
    lines = page.read_text(encoding="utf-8").splitlines()
    return {found.group(1) for line in lines if (found := HEADING.match(line))}


def test_every_public_name_has_a_heading_in_the_reference(project: Path) -> None:
    assert documented(project / "docs" / "reference" / "api.md") == {*headrace.__all__, "airflow"}  # `airflow.asset` lives there only


def test_every_public_name_can_be_loaded_and_is_told_by_dir() -> None:
    assert {name: getattr(headrace, name) for name in headrace.__all__}
    assert set(headrace.__all__) <= set(dir(headrace))
    assert sorted(headrace.__all__) == headrace.__all__


def test_the_version_is_told_once() -> None:
    assert headrace.__version__ == version("headrace")
