"""What real commands ask of a real server, request by request: a recording proxy stands between.

How costs grow with the number of intervals is counted at the store's port (tests/unit/run/test_requests.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from object_proxy import ObjectProxy, object_proxy
from object_servers import S3Server, moto_server

PIPELINE = """
import headrace as hr

sums = hr.Pipeline("sums", schedule="@hourly", start="2026-01-01")


@sums.table
def numbers():
    return [{"n": 1}]


@sums.table(history={"numbers": "3h"})
def total(numbers):
    return "select sum(n) as n from numbers"
"""
FIRST, LAST = "2026-01-05T00", "2026-01-05T02"


class Bucket:
    """A lake in a bucket behind the proxy, and a folder with the pipeline."""

    def __init__(self, folder: Path, proxy: ObjectProxy, server: S3Server) -> None:
        self.folder, self.proxy = folder, proxy
        (folder / "sums.py").write_text(PIPELINE)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HEADRACE_"))}
        lake = {"HEADRACE_LAKE": f"s3://{server.bucket}/lake", "HEADRACE_CACHE": str(folder / "cache"), "HEADRACE_TRACKING": "none"}
        self.environment = {**kept, **server.environment, **lake, "NO_COLOR": "1"}

    def asked(self, *words: str) -> Counter[str]:
        """How many requests of each kind a command makes."""
        self.proxy.reset()
        command = [sys.executable, "-m", "headrace", *words]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return Counter(_kind(request.method, request.query, request.status) for request in self.proxy.recorded())


def _kind(method: str, query: object, status: int) -> str:
    named = (
        "list" if "list-type" in str(query) else {"GET": "get", "PUT": "put", "HEAD": "head", "POST": "post", "DELETE": "delete"}[method]
    )
    return named if status < 400 else f"{named} {status}"


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    with moto_server() as server, object_proxy(server) as proxy:
        made = Bucket(tmp_path, proxy, server.at(proxy.address))
        made.asked("backfill", "sums.py", "--from", FIRST, "--to", LAST, "--no-report")
        yield made


@pytest.mark.integration
def test_a_run_that_changes_nothing_asks_for_little(bucket: Bucket) -> None:
    words = ("run", "sums.py", "--at", LAST, "--only", "total", "--no-report")
    bucket.asked(*words)  # notes in the run's record that it was about this step alone
    asked = bucket.asked(*words)
    # The lake's own record; a listing and a manifest of the step; a listing of its input; the same two of the run's record.
    assert asked == {"get": 3, "list": 3}


@pytest.mark.integration
def test_a_commit_is_its_files_and_one_put_and_no_file_is_fetched_that_was_made_here(bucket: Bucket) -> None:
    asked = bucket.asked("run", "sums.py", "--at", "2026-01-05T03", "--no-report")
    # Both steps equal those of the hour before, so each file is copied where it lies. Two manifests and the run's record.
    assert asked["put"] == 2 + 2 + 1
    assert asked["delete"] == asked["post"] == asked["head"] == 0
    assert sum(asked.values()) <= 24, asked


@pytest.mark.integration
def test_a_backfill_that_stands_lists_months_and_not_intervals(bucket: Bucket) -> None:
    asked = bucket.asked("backfill", "sums.py", "--from", FIRST, "--to", LAST, "--no-report")
    assert asked["list"] == 3  # of each step's log, and of the run records
    assert set(asked) == {"get", "list"}


@pytest.mark.integration
def test_a_collection_lists_and_deletes_in_bulk(bucket: Bucket) -> None:
    for n in (2, 3, 4):
        (bucket.folder / "sums.py").write_text(PIPELINE.replace('"n": 1', f'"n": {n}'))
        bucket.asked("run", "sums.py", "--at", LAST, "--no-report")
    asked = bucket.asked("gc", "sums.py", "--keep", "0", "--older-than", "0", "--yes")
    assert asked["post"] == 1  # six files
    assert asked["put"] == asked["delete"] == 0
