"""Processes that race for one interval: one wins each version, the others adopt its work or do theirs again, or are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lake_work import check_whole, collect_all, files_in, log_of, make_input, open_lake, read

_RACER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from headrace.core.errors import LostRaceError
from headrace.core.interval import Interval
from lake_work import commit
folder, codes = Path(sys.argv[2]), sys.argv[3:]
print("ready", flush=True)
sys.stdin.readline()
told = []
for n, code in enumerate(codes):
    hour = Interval.of(f"2026-11-20T{8 + n // 5:02d}", f"2026-11-20T{9 + n // 5:02d}")
    try:
        made = commit(folder, code, hour)
        told.append([str(hour), made.version, made.content.fingerprint])
    except LostRaceError:
        told.append([str(hour), 0, code])
print(json.dumps(told))
"""


def race(folder: Path, *codes: list[str]) -> list[list[tuple[str, int, str]]]:
    command = [sys.executable, "-c", _RACER, str(Path(__file__).parent), str(folder)]
    racers = [subprocess.Popen([*command, *mine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for mine in codes]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [json.loads(racer.communicate()[0]) for racer in racers]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    make_input(tmp_path / "lake")
    return tmp_path / "lake"


def test_of_runs_of_the_same_one_wins_and_the_others_adopt_it(lake: Path) -> None:
    told = race(lake, *[["same"] * 50] * 3)
    assert told[0] == told[1] == told[2]
    assert {version for _, version, _ in told[0]} == {1}
    check_whole(lake)
    collect_all(lake)
    assert len([file for file in files_in(lake) if "/sums/" in file]) == 2 * 10


def test_runs_of_different_code_number_their_versions_without_holes(lake: Path) -> None:
    told = race(lake, *[[f"{who}{n}" for n in range(25)] for who in ("a", "b")])
    check_whole(lake)
    log = log_of(open_lake(lake))
    for interval, versions in log.versions().items():
        by_version = {manifest.version: manifest.content.fingerprint for manifest in log.history(interval)}
        claimed = [(version, code) for mine in told for hour, version, code in mine if hour == str(interval) and version]
        assert sorted(claimed) == sorted(by_version.items()), "each version belongs to the one who was told so"
        assert read(lake, interval) == by_version[versions[-1]]


def test_collections_beside_writers_delete_nothing_that_is_kept(lake: Path) -> None:
    """A collection without patience fences writers at work: they start over, or are told that they lost."""
    collector = subprocess.Popen(
        [sys.executable, "-c", _COLLECTOR, str(Path(__file__).parent), str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    told = race(lake, *[[f"{who}{n}" for n in range(25)] for who in ("a", "b")])
    collections, _ = collector.communicate("stop\n")
    assert int(collections) > 0
    check_whole(lake)
    log = log_of(open_lake(lake))
    for interval in log.versions():
        current = log.current(interval)
        assert current is None or read(lake, interval) == current.content.fingerprint
    won = {(hour, version): code for mine in told for hour, version, code in mine if version}
    for (hour, version), code in won.items():
        interval = next(interval for interval in log.versions() if str(interval) == hour)
        assert log.manifest(interval, version).content.fingerprint == code


_COLLECTOR = """
import select, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lake_work import collect_all
done = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    collect_all(Path(sys.argv[2]))
    done += 1
print(done)
"""
