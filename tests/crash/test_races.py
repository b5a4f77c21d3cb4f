"""Processes that race for one interval, or one chain: one wins each time, the others adopt its work or do theirs again, or are told."""

from __future__ import annotations

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
from racing import COLLECTOR, PROMOTER, RACER, READER, begin, end, race


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
    told = race(RACER, lake, *[["same"] * 25] * processes)
    assert all(each == told[0] for each in told)
    assert {version for _, version, _ in told[0]} == {1}
    check_whole(lake)
    collect_all(lake)
    assert len([file for file in files_in(lake) if "/sums/" in file]) == 2 * 5


@pytest.mark.parametrize("processes", [2, 4])
def test_runs_of_different_code_number_their_versions_without_holes(lake: Place, processes: int) -> None:
    told = race(RACER, lake, *[[f"{who}{n}" for n in range(25)] for who in "abcd"[:processes]])
    check_whole(lake)
    log = log_of(open_lake(lake))
    for interval, versions in log.versions().items():
        by_version = {manifest.version: manifest.content.fingerprint for manifest in log.history(interval)}
        claimed = [(version, code) for mine in told for hour, version, code in mine if hour == str(interval) and version]
        assert sorted(claimed) == sorted(by_version.items()), "each version belongs to the one who was told so"
        assert read(lake, interval) == by_version[versions[-1]]


def test_collections_beside_writers_and_readers_delete_nothing_that_is_kept(lake: Place) -> None:
    """A collection without patience fences writers at work: they start over, or are told that they lost. Readers get the old or the new."""
    collector, reader = begin(COLLECTOR, lake), begin(READER, lake)
    told = race(RACER, lake, *[[f"{who}{n}" for n in range(25)] for who in ("a", "b")])
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
    told = race(PROMOTER, lake, *[[f"{who}{n}" for n in range(8)] for who in "abcd"[:processes]])
    assert told == [["promoted"] * 8] * processes
    check_chain(lake)
    entries = open_lake(lake).chain("shop", "groups").entries()
    assert len({entry.who for entry in entries}) == len(entries) == 8 * processes
    for who in "abcd"[:processes]:
        assert [entry.who for entry in entries if entry.who[0] == who] == [f"{who}{n}" for n in range(8)], "in the order of each"
    collect_all(lake)
    assert champion(lake) == entries[-1].who
