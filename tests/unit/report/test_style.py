"""The report's colours: every text can be read on its ground, in light and in dark (WCAG 2.2, 1.4.3: 4.5 to 1)."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

STYLE = files("headrace.report").joinpath("style.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})\b", block)) for block in re.findall(r":root\{([^}]*)\}", STYLE)[:2])
PAIRS = [
    ("ink", "ground"), ("ink", "paper"), ("ink", "faint"), ("soft", "ground"), ("soft", "paper"), ("soft", "faint"), ("accent", "paper"),
    ("good", "paper"), ("bad", "paper"), ("warn", "ground"), ("bad", "ground"), ("good", "good-ground"), ("warn", "warn-ground"), ("bad", "bad-ground"),
]  # fmt: skip


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read_on_its_ground(theme, text, ground):
    assert contrast(theme[text], theme[ground]) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_stand_out_from_the_paper(theme):
    """WCAG 1.4.11 asks 3 to 1 of graphics; the legend, the labels and the shapes say what a paler colour says."""
    marks = [contrast(theme[f"c{index}"], theme["paper"]) for index in range(8)]
    assert min(marks) >= 2
    assert sum(mark >= 3 for mark in marks) >= 5
