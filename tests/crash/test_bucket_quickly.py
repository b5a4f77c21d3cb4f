"""The quick one of the tests on buckets: a commit, killed at each of its requests to a server in memory."""

from __future__ import annotations

from bucket import Bucket
from lake_work import HOUR, commit, log_of, open_lake, read


def test_a_commit_killed_at_any_request_leaves_all_or_nothing_and_a_rerun_ends_the_same(quick_bucket: Bucket) -> None:
    undisturbed = quick_bucket.place()
    requests = quick_bucket.count("commit", undisturbed, "new")
    wanted = log_of(open_lake(undisturbed)).current(HOUR).content.digest

    def then(place: str) -> None:
        again = commit(place, "new")
        assert (again.content.digest, again.version) == (wanted, 1)
        assert read(place) == "new"

    seen = quick_bucket.kill_everywhere(requests, quick_bucket.place, "commit", "new", then=then, reader=read)
    assert seen == [None, "new"]
