"""What headrace says went to a bucket is what a proxy on the way has seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import headrace
from object_proxy import object_proxy
from object_servers import moto_server

pytestmark = pytest.mark.integration

PIPELINE = """
import headrace as hr

sums = hr.Pipeline("sums", schedule="@hourly", start="2026-01-01")


@sums.table
def numbers(when: hr.Interval):
    return f"select range as n, {when.start.hour} as hour from range(100000)"


@sums.table(history={"numbers": "3h"})
def total(numbers):
    return "select sum(n) as n from numbers"
"""


def test_requests_and_bytes_that_are_told_are_those_that_came_by(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(PIPELINE)
    with moto_server() as server, object_proxy(server) as proxy:
        env = {
            **server.at(proxy.address).environment,
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HEADRACE_LAKE": f"s3://{server.bucket}/lake",
        }
        for command in (("backfill", "--from", "2026-01-05T00", "--to", "2026-01-05T02"), ("run", "--at", "2026-01-05T03")):
            for _ in range(2):
                proxy.reset()
                said = headrace(command[0], "sums.py", *command[1:], "--json", cwd=tmp_path, env=env)
                assert said.code == 0, said.err
                came_by = proxy.recorded()
                told = said.document["traffic"]
                assert told["requests"] == len(came_by)
                assert told["bytes_up"] == sum(request.up for request in came_by)
                assert told["bytes_down"] <= sum(request.down for request in came_by)  # listings come on top


def test_the_summary_ends_with_them_and_of_a_folder_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(PIPELINE)
    with moto_server() as server:
        env = {**server.environment, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        lake = f"s3://{server.bucket}/lake"
        said = headrace("run", "sums.py", "--at", "2026-01-05T03", "--lake", lake, cwd=tmp_path, env=env)
    last = said.out.splitlines()[-1]
    assert last.startswith(f"{lake}  ")
    assert " requests, " in last
    local = headrace("run", "sums.py", "--at", "2026-01-05T03", "--json", cwd=tmp_path)
    assert "traffic" not in local.document
