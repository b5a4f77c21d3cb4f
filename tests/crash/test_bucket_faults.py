"""A server and a network that misbehave: what is asked is done, or ends with an error that says what it was; nothing is lost or half there."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from bucket import Bucket, End
from lake_work import check_chain, check_whole, story
from object_misbehaviour import cut, flip, hold, late, lose_answer, refuse, reset
from object_proxy import Exchange, How
from run_work import DAYS, left, make_folder

pytestmark = pytest.mark.integration

STORIES, RUNS = 40, 8


def flip_a_file(exchange: Exchange) -> None:
    """A byte of a data file is another on its way to the client. (Entries have no digest of their own; TLS protects them.)"""
    is_file = exchange.request.method == "GET" and re.search(r"\.(parquet|skops|csv)$", exchange.request.key)
    (flip() if is_file else Exchange.pass_on)(exchange)


def begin_well(exchange: Exchange) -> None:
    """An answer of 200 that turns out to be an error, as S3 gives it to copies, and at the end of an upload in parts."""
    request = exchange.request
    is_long = "x-amz-copy-source" in request.headers or (request.method == "POST" and "uploadId" in request.query)
    (refuse(200, "InternalError") if is_long else Exchange.pass_on)(exchange)


FAULTS: Mapping[str, Callable[[threading.Event], How]] = {
    "409": lambda _: refuse(409),
    "500": lambda _: refuse(500),
    "503": lambda _: refuse(503),
    "error in a 200": lambda _: begin_well,
    "reset": lambda _: reset,
    "answer lost": lambda _: lose_answer,
    "answer held": lambda _: hold,
    "done when given up": lambda _: late(),
    "done after the end": late,
    "body cut": lambda _: cut,
    "byte flipped": lambda _: flip_a_file,
}


class Schedule:
    """Faults at requests by their number, drawn by a seed."""

    def __init__(self, seed: int, requests: int) -> None:
        chance = random.Random(seed)
        most = chance.choice([1, 2, 4, 8, requests // 3])
        numbers = chance.sample(range(1, requests + 1), most)
        self.faults = {number: chance.choice(list(FAULTS)) for number in sorted(numbers)}
        self.over = threading.Event()
        self._how = {number: FAULTS[fault](self.over) for number, fault in self.faults.items()}

    def __call__(self, exchange: Exchange) -> None:
        self._how.get(exchange.recorded().number, Exchange.pass_on)(exchange)


def under(bucket: Bucket, schedule: Schedule, act: str, *arguments: str) -> End:
    """How an act ends under a schedule. What is late lands after that."""
    bucket.proxy.reset()
    bucket.proxy.misbehave(lambda _: True, schedule, times=None)
    end = bucket.forks.act(act, *arguments)
    schedule.over.set()
    bucket.proxy.settle()
    bucket.proxy.behave()
    return end


def check_error(error: str, place: str) -> None:
    """It names the operation, the key and the place."""
    assert re.search(rf"Could not (put|read|list|copy|delete) `[^`]*` in {re.escape(place)}: ", error), error


def test_under_any_faults_a_lake_ends_as_without_them_or_with_an_error_that_says_where(bucket: Bucket) -> None:
    undisturbed = bucket.place()
    requests = bucket.count("story", undisturbed)
    wanted = bucket.forks.act("story", undisturbed).answer
    assert wanted is not None
    failed = 0
    for seed in range(STORIES):
        place, schedule = bucket.place(), Schedule(seed, requests)
        end = under(bucket, schedule, "story", place)
        told = f"seed {seed}: {schedule.faults}: {end}"
        if end.error:
            failed += 1
            assert end.is_transient, told
            check_error(end.error, place)
        else:
            assert end.answer == wanted, told
        bucket.check(place)
        assert story(place) == wanted, told
        bucket.check(place)
        check_whole(place)
        check_chain(place)
    assert 0 < failed < STORIES


def test_under_any_faults_a_whole_run_ends_as_without_them_or_with_an_error_that_says_where(bucket: Bucket, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    folder = make_folder(tmp_path / "steps", has_model=True)

    def run(lake: str) -> tuple[str, ...]:
        return ("headrace", str(folder), "run", "steps.py", "--no-report", "--at", DAYS[3], "--lake", lake)

    requests = bucket.count(*run(bucket.place()))
    assert bucket.forks.act(*run(str(tmp_path / "lake"))).answer[0] == 0
    wanted = left(str(tmp_path / "lake"))
    failed = 0
    for seed in range(RUNS):
        place, schedule = bucket.place(), Schedule(seed, requests)
        end = under(bucket, schedule, *run(place))
        told = f"seed {seed}: {schedule.faults}: {end}"
        code, said = end.answer
        if code:
            failed += 1
            assert "Traceback" not in said, told
            check_error(" ".join(said.split()), place)
        else:
            assert left(place) == wanted, told
        bucket.check(place)
        code, said = bucket.forks.act(*run(place)).answer
        assert code == 0, f"{told}\n{said}"
        assert left(place) == wanted, told
        bucket.check(place)
    assert failed < RUNS
