"""Whole commands on a bucket, killed at requests here and there: run again, they leave what an uninterrupted one leaves in a folder."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket import Bucket
from lake_work import open_lake
from run_work import DAYS, left, make_folder

pytestmark = pytest.mark.integration

RUNS_KILLED, BACKFILLS_KILLED = 10, 5


def drawn(seed: int, requests: int, kills: int) -> Iterator[tuple[int, str]]:
    """Requests over the whole length of a command, each with the moment at which its client is killed."""
    chance = random.Random(seed)
    for number in sorted(chance.sample(range(1, requests + 1), min(kills, requests))):
        yield number, chance.choice(["before", "after"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("sklearn")
    return make_folder(tmp_path / "steps", has_model=True)


def killed_and_run_again(bucket: Bucket, folder: Path, kills: int, *command: str) -> int:
    """Kill a command at requests, at a new place each time, and run it again; how often it was killed."""
    said = bucket.forks.act("headrace", str(folder), *command, "--lake", str(folder / "lake")).answer
    assert said[0] == 0, said[1]
    wanted = left(str(folder / "lake"))
    requests = bucket.count("headrace", str(folder), *command, "--lake", bucket.place())
    done = 0
    for number, when in drawn(1, requests, kills):
        place = bucket.place()
        end = bucket.kill(number, when, "headrace", str(folder), *command, "--lake", place)
        done += end.is_killed
        bucket.check(place)
        code, said = bucket.forks.act("headrace", str(folder), *command, "--lake", place).answer
        assert code == 0, f"killed {when} request {number}: {said}"
        assert left(place) == wanted, f"killed {when} request {number}"
        bucket.check(place)
    return done


def test_a_run_killed_at_requests_and_run_again_leaves_what_an_uninterrupted_one_leaves(bucket: Bucket, folder: Path) -> None:
    assert killed_and_run_again(bucket, folder, RUNS_KILLED, "run", "steps.py", "--no-report", "--at", DAYS[3]) > RUNS_KILLED // 2


def test_a_backfill_killed_at_requests_and_run_again_leaves_what_an_uninterrupted_one_leaves(bucket: Bucket, folder: Path) -> None:
    command = ("backfill", "steps.py", "--no-report", "--to", DAYS[3], "--jobs", "3")
    assert killed_and_run_again(bucket, folder, BACKFILLS_KILLED, *command) > BACKFILLS_KILLED // 2


def test_two_backfills_of_one_range_at_once_make_each_interval_once_and_both_end_well(bucket: Bucket, folder: Path) -> None:
    place = bucket.place()
    command = [sys.executable, "-m", "headrace", "backfill", "steps.py", "--no-report", "--to", DAYS[3], "--jobs", "2"]
    both = [
        subprocess.Popen([*command, "--lake", place], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    said = bucket.forks.act("headrace", str(folder), *command[3:], "--lake", str(folder / "lake")).answer
    assert said[0] == 0, said[1]
    assert left(place) == left(str(folder / "lake"))
    lake = open_lake(place)
    assert {
        versions for name in ("given", "doubled", "summed", "slow", "line") for versions in lake.log("steps", name).versions().values()
    } == {(1,)}
    bucket.check(place)
