"""`headrace quarantine`, `--export` and `headrace replay`: what people see of the records that were not kept, and how they mend them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Said

import headrace as hr

Headrace = Callable[..., Said]

METERS = """\
from pydantic import BaseModel, Field

import headrace as hr

meters = hr.Pipeline("meters", schedule="@daily", start="2026-05-01")


class Reading(BaseModel):
    meter: int
    kwh: float = Field(ge=0)


meters.source("readings", "readings/{start:%Y-%m-%d}.csv", contract=Reading, max_rejected="50%")


@meters.table(key="meter")
def usage(readings):
    return "select meter, sum(kwh) as kwh from readings group by meter"
"""
FIRST = b'meter,kwh\n1,2.5\n2,"3,1"\n3,4.0\n'
SECOND = b'meter,kwh\n1,2.5\n2,"3,1"\n3,4.0,\x1b[2J\n4,-1\n'


@pytest.fixture(autouse=True)
def _meters(folder: Path) -> None:
    (folder / "meters.py").write_text(METERS)
    (folder / "readings").mkdir()
    (folder / "readings" / "2026-05-01.csv").write_bytes(FIRST)
    (folder / "readings" / "2026-05-02.csv").write_bytes(SECOND)


def run(headrace: Headrace, day: str = "2026-05-01") -> Said:
    return headrace("run", "meters.py", "--at", day, "--no-report", "--json")


def shown(headrace: Headrace, *more: str, env: dict[str, str] | None = None) -> Said:
    return headrace("quarantine", "meters.py", "readings", *more, **({"env": env} if env else {}))


# ---------------------------------------------------------------- showing


def test_the_quarantine_is_shown_by_reason_and_file_with_samples_and_says_what_was_refused(headrace: Headrace) -> None:
    assert (run(headrace).code, run(headrace, "2026-05-02").code) == (0, 1)
    found = shown(headrace, "--json").document
    assert found["quarantined"] == 4
    assert found["reasons"] == {"kwh: is not a number": 2, "kwh: is below 0 (ge=0)": 1, "record has 3 fields, the header has 2": 1}
    assert [(one["interval"], one["dataset"], one["refused"], one["files"]) for one in found["intervals"]] == [
        ("2026-05-01", "meters.readings", False, {"2026-05-01.csv": 1}),
        ("2026-05-02", "meters.readings.refused", True, {"2026-05-02.csv": 3}),
    ]
    assert [(one["line"], one["offset"], one["raw"]) for one in found["samples"]] == [
        (3, 16, '2,"3,1"'),
        (3, 16, '2,"3,1"'),
        (4, 24, "3,4.0,\\x1b[2J"),
        (5, 35, "4,-1"),
    ]
    said = shown(headrace, "--sample", "2").out
    assert "2026-05-01.csv:3 (byte 16, 2026-05-01): kwh: '3,1' is not a number" in said
    assert "refused" in said
    assert "\x1b" not in shown(headrace).out


def test_a_range_is_shown_alone_and_a_source_that_was_made_again_is_no_longer_refused(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    run(headrace, "2026-05-02")
    assert shown(headrace, "--at", "2026-05-01", "--json").document["quarantined"] == 1
    assert shown(headrace, "--from", "2026-05-02", "--json").document["quarantined"] == 3
    (folder / "readings" / "2026-05-02.csv").write_bytes(FIRST + b"4,1\n")
    assert run(headrace, "2026-05-02").code == 0
    (one,) = shown(headrace, "--at", "2026-05-02", "--json").document["intervals"]
    assert (one["refused"], one["quarantined"]) == (False, 1)


def test_a_masked_column_keeps_every_record_and_its_reasons_out_of_sight(headrace: Headrace, monkeypatch: pytest.MonkeyPatch) -> None:
    run(headrace)
    monkeypatch.setenv("HEADRACE_MASK", "kwh")
    found = shown(headrace, "--json").document
    assert (found["masked"], found["samples"][0]["raw"]) == (["kwh"], None)
    assert "3,1" not in shown(headrace).out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["usage"], 2, "`usage` is a table: only a source has a quarantine."),
        (["readings", "--at", "2026-05-04"], 3, "has read no file at 2026-05-04"),
        (["readins"], 3, "readings"),
    ],
)
def test_what_has_no_quarantine_is_told(headrace: Headrace, arguments: list[str], code: int, text: str) -> None:
    run(headrace)
    said = headrace("quarantine", "meters.py", *arguments)
    assert (said.code, text in said.err) == (code, True), said.err


def test_a_source_without_a_bad_record_says_so(headrace: Headrace, folder: Path) -> None:
    (folder / "readings" / "2026-05-01.csv").write_bytes(b"meter,kwh\n1,2.5\n")
    run(headrace)
    assert shown(headrace).out == "No record of meters.readings is in quarantine.\n"
    assert hr.open_lake(folder / "lake").manifest("meters.readings").content.part("quarantine") is None
