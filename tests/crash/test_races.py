"""Processes that race for one interval, or one chain: one wins each time, the others adopt its work or do theirs again, or are told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from bucket import Bucket
from lake_work import (
    HOUR,
    Place,
    champion,
    check_chain,
    check_whole,
    collect_all,
    files_in,
    log_of,
    make_input,
    make_model,
    open_lake,
    read,
)

_BEGUN = """
import json, select, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import lake_work
from headrace.core.errors import LostRaceError, NotReadyError
from headrace.core.interval import Interval
place = sys.argv[2] if "://" in sys.argv[2] else Path(sys.argv[2])
more = sys.argv[3:]
print("ready", flush=True)
def is_over():
    return bool(select.select([sys.stdin], [], [], 0)[0])
"""
_RACER = """
sys.stdin.readline()
told = []
for n, code in enumerate(more):
    hour = Interval.of(f"2026-11-20T{8 + n // 5:02d}", f"2026-11-20T{9 + n // 5:02d}")
    try:
        made = lake_work.commit(place, code, hour)
        told.append([str(hour), made.version, made.content.fingerprint])
    except LostRaceError:
        told.append([str(hour), 0, code])
print(json.dumps(told))
"""
_PROMOTER = """
sys.stdin.readline()
print(json.dumps([lake_work.promote(place, who) for who in more]))
"""
_COLLECTOR = """
done = 0
while not is_over():
    lake_work.collect_all(place)
    done += 1
print(done)
"""
_READER = """
done = 0
while not is_over():
    for hour in range(8, 13):
        try:
            lake_work.read(place, Interval.of(f"2026-11-20T{hour:02d}", f"2026-11-20T{hour + 1:02d}"))
        except NotReadyError:
            continue
        done += 1
print(done)
"""

Process = subprocess.Popen[str]


def begin(script: str, place: Place, *more: str) -> Process:
    command = [sys.executable, "-c", _BEGUN + script, str(Path(__file__).parent), str(place), *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def end(*processes: Process) -> list[str]:
    """Tell those that go on until they are told to end; what they said. An error of one fails the test, when all have ended."""
    said = [process.communicate("stop\n") for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [err for _, err in said]
    return [out for out, _ in said]


def race(script: str, place: Place, *tasks: Sequence[str]) -> list[list[list[object]]]:
    racers = [begin(script, place, *mine) for mine in tasks]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [json.loads(said) for said in end(*racers)]


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.integration)])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        place: Place = tmp_path / "lake"
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        place = bucket.place()
    make_input(place)
    return place


@pytest.mark.parametrize("processes", [2, 4])
def test_of_runs_of_the_same_one_wins_and_the_others_adopt_it(lake: Place, processes: int) -> None:
    told = race(_RACER, lake, *[["same"] * 25] * processes)
    assert all(each == told[0] for each in told)
    assert {version for _, version, _ in told[0]} == {1}
    check_whole(lake)
    collect_all(lake)
    assert len([file for file in files_in(lake) if "/sums/" in file]) == 2 * 5


@pytest.mark.parametrize("processes", [2, 4])
def test_runs_of_different_code_number_their_versions_without_holes(lake: Place, processes: int) -> None:
    told = race(_RACER, lake, *[[f"{who}{n}" for n in range(25)] for who in "abcd"[:processes]])
    check_whole(lake)
    log = log_of(open_lake(lake))
    for interval, versions in log.versions().items():
        by_version = {manifest.version: manifest.content.fingerprint for manifest in log.history(interval)}
        claimed = [(version, code) for mine in told for hour, version, code in mine if hour == str(interval) and version]
        assert sorted(claimed) == sorted(by_version.items()), "each version belongs to the one who was told so"
        assert read(lake, interval) == by_version[versions[-1]]


def test_collections_beside_writers_and_readers_delete_nothing_that_is_kept(lake: Place) -> None:
    """A collection without patience fences writers at work: they start over, or are told that they lost. Readers get the old or the new."""
    collector, reader = begin(_COLLECTOR, lake), begin(_READER, lake)
    told = race(_RACER, lake, *[[f"{who}{n}" for n in range(25)] for who in ("a", "b")])
    assert all(int(done) > 0 for done in end(collector, reader))
    check_whole(lake)
    log = log_of(open_lake(lake))
    for interval in log.versions():
        current = log.current(interval)
        assert current is None or read(lake, interval) == current.content.fingerprint
    won = {(hour, version): code for mine in told for hour, version, code in mine if version}
    for (hour, version), code in won.items():
        interval = next(interval for interval in log.versions() if str(interval) == hour)
        assert isinstance(version, int)
        assert log.manifest(interval, version).content.fingerprint == code


@pytest.mark.parametrize("processes", [2, 4])
def test_promotions_at_once_are_judged_one_after_the_other_and_none_is_lost(lake: Place, processes: int) -> None:
    make_model(lake, "model", HOUR)
    told = race(_PROMOTER, lake, *[[f"{who}{n}" for n in range(8)] for who in "abcd"[:processes]])
    assert told == [["promoted"] * 8] * processes
    check_chain(lake)
    entries = open_lake(lake).chain("shop", "groups").entries()
    assert len({entry.who for entry in entries}) == len(entries) == 8 * processes
    for who in "abcd"[:processes]:
        assert [entry.who for entry in entries if entry.who[0] == who] == [f"{who}{n}" for n in range(8)], "in the order of each"
    collect_all(lake)
    assert champion(lake) == entries[-1].who
