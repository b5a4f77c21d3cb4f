"""`headrace quarantine`, `--export` and `headrace replay`: what people see of the records that were not kept, and how they mend them."""

from __future__ import annotations

import json
import shlex
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
    said = shown(headrace, "--sample", "3").out
    assert "2026-05-01.csv:3 (byte 16, 2026-05-01): kwh: '3,1' is not a number" in said
    assert "refused" in said
    assert "\x1b" not in shown(headrace).out


def test_samples_show_each_reason_once_before_they_show_any_again(headrace: Headrace, folder: Path) -> None:
    bad = [f"{meter},n{meter}\n" for meter in range(30)] + ["7,1,1\n"] + [f"{meter},-{meter}\n" for meter in range(1, 40)]
    good = [f"{meter},{meter}.5\n" for meter in range(100)]
    (folder / "readings" / "2026-05-01.csv").write_text("meter,kwh\n" + "".join(bad + good))
    assert run(headrace).code == 0
    assert [one["line"] for one in shown(headrace, "--json").document["samples"]] == [2, 3, 4, 32, 33]
    assert [one["line"] for one in shown(headrace, "--json", "--sample", "2").document["samples"]] == [2, 33]
    assert [one["line"] for one in shown(headrace, "--json", "--sample", "70").document["samples"]] == list(range(2, 72))


@pytest.mark.parametrize("more", [(), ("--lake", "my lake"), ("--profile", "other")])
def test_what_a_run_says_to_type_shows_the_records(
    headrace: Headrace, folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    (folder / "headrace.toml").write_text('[other]\nlake = "other"\n')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    said = headrace("run", "../meters.py", "--at", "2026-05-01", "--no-report", *more)
    assert said.code == 0, said.err
    (line,) = [one for one in (said.out + said.err).splitlines() if "see them:" in one]
    typed = shlex.split(line.partition("see them: ")[2])
    assert typed[:2] == ["headrace", "quarantine"]
    assert headrace(*typed[1:], "--json").document["quarantined"] == 1


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
        (["usage"], 2, "`usage` is a table: only a source reads files, and has a quarantine."),
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


# ---------------------------------------------------------------- mending


def test_records_are_exported_mended_and_replayed_and_what_reads_them_runs_again(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    said = shown(headrace, "--at", "2026-05-01", "--export", "mended.csv")
    assert (said.code, "headrace replay meters.py readings mended.csv" in said.out) == (0, True), said.err
    path = folder / "mended.csv"
    path.write_bytes(path.read_bytes().replace(b"3,1", b"3.1"))
    receipt = headrace("replay", "meters.py", "readings", "mended.csv", "--at", "2026-05-01", "--json").document
    assert (receipt["version"], receipt["rows_kept"], receipt["rows_quarantined"]) == (2, 3, 0)
    assert "it was replayed before" in headrace("replay", "meters.py", "readings", "mended.csv").out
    assert {r["step"]: r["state"] for r in run(headrace).document["receipts"]} == {"readings": "cached", "usage": "made"}


def test_a_replay_is_told_of_as_lineage_whether_it_succeeds_or_not(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    shown(headrace, "--at", "2026-05-01", "--export", "mended.csv")
    path = folder / "mended.csv"
    exported = path.read_bytes()
    (folder / "headrace.toml").write_text('[local]\nlineage = "file:lineage.jsonl"\n')
    assert headrace("replay", "meters.py", "readings", "mended.csv").code == 2  # it is as it was exported
    path.write_bytes(exported.replace(b"3,1", b"3.1"))
    assert headrace("replay", "meters.py", "readings", "mended.csv").code == 0
    made = hr.open_lake(str(folder / "lake")).manifest("meters.readings", at="2026-05-01")
    events = [json.loads(line) for line in (folder / "lineage.jsonl").read_text().splitlines()]
    assert [(one["eventType"], one["job"]["name"]) for one in events] == [
        ("START", "meters"),
        ("START", "meters.readings"),
        ("FAIL", "meters.readings"),
        ("FAIL", "meters"),
        ("START", "meters"),
        ("START", "meters.readings"),
        ("COMPLETE", "meters.readings"),
        ("COMPLETE", "meters"),
    ]
    assert [one["facets"]["version"]["datasetVersion"] for one in events[6]["outputs"]] == [made.content.digest]


def test_what_was_refused_is_exported_mended_and_replayed_as_the_first_version(headrace: Headrace, folder: Path) -> None:
    run(headrace, "2026-05-02")
    assert shown(headrace, "--export", "mended.csv", "--json").document["records"] == 3
    path = folder / "mended.csv"
    assert path.read_bytes() == b'meter,kwh\n2,"3,1"\n3,4.0,\x1b[2J\n4,-1\n'
    path.write_bytes(b'meter,kwh\n2,"3.1"\n3,4.0\n4,-1\n')
    assert headrace("replay", "meters.py", "readings", "mended.csv", "--json").document["version"] == 1
    assert run(headrace, "2026-05-02").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["replay", "meters.py", "readings", "mended.csv"], 2, "mended.csv.origin.json` is not there"),
        (["quarantine", "meters.py", "readings", "--export", "meters.py"], 2, "is there already, and is not written over"),
        (["quarantine", "meters.py", "readings", "--export", "no/folder/x.csv"], 2, "can't be written"),
    ],
)
def test_what_can_not_be_mended_is_told(headrace: Headrace, arguments: list[str], code: int, text: str) -> None:
    run(headrace)
    said = headrace(*arguments)
    assert (said.code, text in said.err) == (code, True), said.err


def test_several_intervals_and_another_time_than_the_files_are_asked_about(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    run(headrace, "2026-05-02")
    said = shown(headrace, "--export", "mended.csv")
    assert (said.code, "2 intervals of `readings` have records in quarantine" in said.err) == (2, True)
    shown(headrace, "--export", "mended.csv", "--at", "2026-05-01")
    said = headrace("replay", "meters.py", "readings", "mended.csv", "--at", "2026-05-02")
    assert (said.code, "has records of 2026-05-01, and --at says 2026-05-02" in said.err) == (2, True)
