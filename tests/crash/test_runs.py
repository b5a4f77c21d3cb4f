"""Whole commands, interrupted and killed at any instant: run again, they leave what an uninterrupted one leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from run_work import DAYS, left, make_folder

from headrace.run.session import open_lake_at


def start(folder: Path, command: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "headrace", command, "steps.py", "--no-report", *arguments],
        cwd=folder,
        env={**environment, "HEADRACE_TRACKING": "none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out + err


def killed_and_run_again(folder: Path, seed: int, kills: int, *command: str) -> None:
    chance = random.Random(seed)
    for _ in range(kills):
        process = start(folder, *command)
        time.sleep(chance.uniform(0.2, 1.6))
        process.kill()
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0)
    code, said = finish(start(folder, *command))
    assert code == 0, said


def test_a_run_killed_at_any_instant_and_run_again_leaves_what_an_uninterrupted_one_leaves(tmp_path: Path) -> None:
    whole, broken = make_folder(tmp_path / "whole"), make_folder(tmp_path / "broken")
    assert finish(start(whole, "run", "--at", DAYS[3]))[0] == 0
    killed_and_run_again(broken, 1, 2, "run", "--at", DAYS[3])
    assert left(str(broken / "lake")) == left(str(whole / "lake"))


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_a_backfill_killed_again_and_again_leaves_what_an_uninterrupted_one_leaves(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("sklearn")
    whole, broken = make_folder(tmp_path / "whole", has_model=True), make_folder(tmp_path / "broken", has_model=True)
    command = ["backfill", "--to", DAYS[-1], "--jobs", "3"]
    assert finish(start(whole, *command))[0] == 0
    killed_and_run_again(broken, seed, 6, *command)
    assert left(str(broken / "lake")) == left(str(whole / "lake"))
    assert left(str(whole / "lake"))["decided"] == [("promote", day) for day in DAYS]


def test_two_commands_at_once_make_each_interval_once_and_both_end_well(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "both")
    both = [start(folder, "run", "--at", DAYS[3]) for _ in range(2)]
    assert [finish(process)[0] for process in both] == [0, 0]
    lake = open_lake_at(str(folder / "lake"), read_only=True)
    versions = {n: set(lake.log("steps", n).versions(None).values()) for n in ("given", "doubled", "summed", "slow")}
    assert versions == {key: {(1,)} for key in versions}


def interrupted(folder: Path, jobs: str, signals: Sequence[int]) -> tuple[int, str]:
    (folder / "wait").touch()
    (folder / "started").unlink(missing_ok=True)
    process = start(folder, "run", "--at", DAYS[0], "--jobs", jobs)
    while not (folder / "started").exists():
        assert process.poll() is None, finish(process)
        time.sleep(0.02)
    for one in signals:
        process.send_signal(one)
    ended = finish(process)
    (folder / "wait").unlink()
    return ended


def test_ctrl_c_ends_with_130_and_leaves_nothing_partial_and_a_run_again_goes_on(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "stopped")
    code, said = interrupted(folder, "1", [signal.SIGINT])
    assert (code, "interrupted: what was committed stays; run again to go on." in said) == (130, True), said
    lake = open_lake_at(str(folder / "lake"), read_only=True)
    assert len(lake.log("steps", "doubled").versions(None)) == 1
    assert lake.log("steps", "slow").versions(None) == {}
    code, said = finish(start(folder, "run", "--at", DAYS[0], "--json"))
    assert (code, '"state": "cached"' in said, '"state": "made"' in said) == (0, True, True)


def test_ctrl_c_lets_steps_that_run_in_parallel_end_and_starts_no_more(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "stopped")
    code, said = interrupted(folder, "2", [signal.SIGINT])
    assert code == 130, said
    assert len(open_lake_at(str(folder / "lake"), read_only=True).log("steps", "slow").versions(None)) == 1
