"""Kill -9 before and after every request to a bucket: readers see the old or the new, a rerun ends as if nothing had been."""

from __future__ import annotations

import pytest
from bucket import Bucket
from lake_work import (
    HOUR,
    Place,
    champion,
    check_chain,
    check_whole,
    collect_all,
    commit,
    commit_large,
    files_in,
    log_of,
    make_input,
    make_model,
    make_upstream,
    open_lake,
    promote,
    read,
    read_large,
    take,
    taken,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("old", [None, "old"], ids=["into an empty bucket", "over an older version"])
def test_a_commit_killed_at_any_request_leaves_the_old_or_the_new_and_a_rerun_ends_the_same(old: str | None, bucket: Bucket) -> None:
    def prepared() -> str:
        place = bucket.place()
        if old:
            make_input(place)
            commit(place, old)
        return place

    undisturbed = prepared()
    requests = bucket.count("commit", undisturbed, "new")
    wanted = log_of(open_lake(undisturbed)).current(HOUR)
    assert requests >= 7

    def then(place: Place) -> None:
        again = commit(place, "new")
        assert (again.content.digest, again.version) == (wanted.content.digest, wanted.version)
        assert read(place) == "new"
        check_whole(place)
        collect_all(place)
        assert read(place) == "new"
        assert len([file for file in files_in(place) if "/sums/" in file]) == 2, "a collection leaves only what the current version names"

    assert set(bucket.kill_everywhere(requests, prepared, "commit", "new", then=then, reader=read)) == {old, "new"}


def test_several_files_and_an_upload_in_parts_killed_at_any_request_leave_nothing_partial(bucket: Bucket) -> None:
    requests = bucket.count("commit_large", bucket.place(), "new")
    assert requests >= 10

    def then(place: Place) -> None:
        assert commit_large(place, "new").version == 1
        assert read_large(place) == "new"
        collect_all(place)
        assert read_large(place) == "new"

    seen = bucket.kill_everywhere(requests, bucket.place, "commit_large", "new", then=then, reader=read_large)
    assert set(seen) == {None, "new"}


def test_a_promotion_killed_at_any_request_is_made_or_not_and_made_once_by_a_rerun(bucket: Bucket) -> None:
    def prepared() -> str:
        place = bucket.place()
        make_model(place, "first")
        promote(place, "first")
        make_model(place, "second")
        return place

    requests = bucket.count("promote", prepared(), "second")
    assert requests >= 7

    def then(place: Place) -> None:
        assert promote(place, "second") == "promoted"
        assert champion(place) == "second"
        assert len(open_lake(place).chain("shop", "groups").entries()) == 2
        check_chain(place)
        collect_all(place)
        assert champion(place) == "second"

    assert set(bucket.kill_everywhere(requests, prepared, "promote", "second", then=then, reader=champion)) == {"first", "second"}


def test_a_collection_killed_at_any_request_deletes_nothing_kept_and_is_finished_by_the_next(bucket: Bucket) -> None:
    def prepared() -> str:
        place = bucket.place()
        for code in ("first", "second", "third"):
            commit(place, code)
        log = log_of(open_lake(place))
        attempt = log.attempt(HOUR)
        attempt.file("rows", layer="gold").write_bytes(b"of a writer that was killed")
        key = attempt.part("rows", "gold").files[0].key
        lake = open_lake(place)
        lake.store.stage(key).write_bytes(b"of a writer that was killed")
        lake.store.publish([key])
        return place

    undisturbed = prepared()
    assert len(files_in(undisturbed)) == 7
    requests = bucket.count("collect_all", undisturbed)
    assert len(files_in(undisturbed)) == 2

    def then(place: Place) -> None:
        collect_all(place)
        assert len(files_in(place)) == 2
        check_whole(place)

    assert bucket.kill_everywhere(requests, prepared, "collect_all", then=then, reader=read) == ["third"]


def test_taking_another_pipelines_rows_killed_at_any_request_leaves_the_old_or_the_new(bucket: Bucket) -> None:
    def prepared() -> str:
        place = bucket.place()
        make_upstream(place, "yesterday")
        take(place)
        make_upstream(place, "today")
        return place

    def reader(place: Place) -> tuple[bytes, ...]:
        return tuple(taken(place) or ())

    undisturbed = prepared()
    old, requests = reader(undisturbed), bucket.count("take", undisturbed)
    new = reader(undisturbed)

    def then(place: Place) -> None:
        take(place)
        collect_all(place)
        assert reader(place) == new

    assert set(bucket.kill_everywhere(requests, prepared, "take", then=then, reader=reader)) == {old, new}
