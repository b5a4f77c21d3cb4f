"""The docs can be found and read: every page is in the index, the README stays short, and pictures stay light."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\]\(([^)#\s]+)")
PICTURE = re.compile(r"(?:src|srcset)=\"([^\"]+)\"|!\[[^\]]*\]\(([^)\s]+)\)")


def test_every_page_is_in_the_index(project: Path) -> None:
    docs = project / "docs"
    linked = {(docs / target).resolve() for target in LINK.findall((docs / "README.md").read_text(encoding="utf-8"))}
    assert sorted(set(docs.rglob("*.md")) - linked - {docs / "README.md"}) == []


def test_every_decision_says_what_was_turned_down(project: Path) -> None:
    for page in (project / "docs" / "decisions").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        missing = [word for word in ("**Decided:**", "**Why", "**What it costs.**", "**What we turned down.**") if word not in text]
        assert missing == [], page.name


def test_the_readme_is_short(project: Path) -> None:
    assert len((project / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_pictures_are_there_and_light(project: Path) -> None:
    pages = [project / "README.md", *(project / "docs").rglob("*.md")]
    shown = {(page.parent / (a or b)).resolve() for page in pages for a, b in PICTURE.findall(page.read_text(encoding="utf-8"))}
    assert shown
    assert {picture.name: picture.stat().st_size for picture in shown if picture.stat().st_size >= 300_000} == {}
    assert sorted(set((project / "docs" / "images").iterdir()) - shown) == []
