"""A server and a network that misbehave: what is asked is done, or ends with an error that says what it was; nothing is lost or half there."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from bucket import Bucket, End
from lake_work import check_chain, check_whole, commit, log_of, make_input, open_lake, read, story
from object_misbehaviour import cut, do_and_refuse, flip, flip_up, hold, late, lose_answer, refuse, reset
from object_proxy import Exchange, How
from racing import COLLECTOR, RACER, begin, end, race
from run_work import DAYS, left, make_folder

from headrace.backends.buckets.client import TRIES

pytestmark = pytest.mark.integration

STORIES, RACES, RUNS = 24, 3, 6
STEPS_AT_ONCE, STEP_TRIES = 4, 3


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
    "done, and 500": lambda _: do_and_refuse(500),
    "error in a 200": lambda _: begin_well,
    "reset": lambda _: reset,
    "answer lost": lambda _: lose_answer,
    "answer held": lambda _: hold,
    "done when given up": lambda _: late(),
    "done after the end": late,
    "body cut": lambda _: cut,
    "byte flipped on its way here": lambda _: flip_a_file,
    "byte flipped on its way there": lambda _: flip_up,
}


class Schedule:
    """Faults at requests by their number, drawn by a seed."""

    def __init__(self, seed: int, requests: int, *, most: int = 0) -> None:
        chance = random.Random(seed)
        most = most or chance.choice([1, 2, 4, 8, requests // 3])
        numbers = chance.sample(range(1, requests + 1), most)
        self.faults = {number: chance.choice(list(FAULTS)) for number in sorted(numbers)}
        self.met = 0
        self.over = threading.Event()
        self._how = {number: FAULTS[fault](self.over) for number, fault in self.faults.items()}

    def __call__(self, exchange: Exchange) -> None:
        how = self._how.get(exchange.recorded().number)
        self.met += how is not None
        (how or Exchange.pass_on)(exchange)


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


@pytest.mark.parametrize("seed", range(RACES))
def test_under_any_faults_writers_that_race_beside_a_collection_own_the_versions_that_they_were_told(seed: int, bucket: Bucket) -> None:
    place, schedule = bucket.place(), Schedule(seed, 400, most=60)
    make_input(place)
    bucket.proxy.misbehave(lambda _: True, schedule, times=None)
    collector = begin(COLLECTOR, place)
    told = race(RACER, place, *[[f"{who}{n}" for n in range(15)] for who in "ab"], environment=bucket.environment)
    end(collector)
    schedule.over.set()
    bucket.proxy.settle()
    assert schedule.met > 20
    bucket.check(place)
    check_whole(place)
    log = log_of(open_lake(place))
    for hour, version, code, *errors in (each for mine in told for each in mine):
        (interval,) = [found for found in log.versions() if str(found) == hour]
        if version:
            assert log.manifest(interval, version).content.fingerprint == code
        for error in errors:
            check_error(error, place)
    for interval in log.versions():
        assert commit(place, "last", interval).content.fingerprint == read(place, interval) == "last"
    bucket.check(place)


@pytest.mark.parametrize("passing", [0, 40], ids=["from the start", "from its middle on"])
def test_a_run_against_a_server_that_is_busy_for_ever_ends_and_asks_a_bounded_number_of_times(
    passing: int, bucket: Bucket, tmp_path: Path
) -> None:
    folder, place = make_folder(tmp_path / "steps"), bucket.place()
    bucket.proxy.reset()
    bucket.proxy.misbehave(lambda _: True, Exchange.pass_on, times=passing)
    bucket.proxy.misbehave(lambda _: True, refuse(503), times=None)
    begun = time.monotonic()
    code, said = bucket.forks.act("headrace", str(folder), "run", "steps.py", "--no-report", "--at", DAYS[3], "--lake", place).answer
    assert code in (1, 3), said
    assert "SlowDown" in said
    check_error(" ".join(said.split()), place)
    assert len(bucket.proxy.recorded()) <= passing + STEPS_AT_ONCE * STEP_TRIES * 2 * TRIES  # an entry is put, and looked for
    assert time.monotonic() - begun < 60


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
        assert end.answer, told
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
