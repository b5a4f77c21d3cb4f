"""Pipelines whose lake lies in a bucket, for a real Airflow: one for each thing that a test asks of it.

`files_of` puts a bucket, an endpoint and folders into them. The invariant: each says `schedule=None`, so that a run is there only when a
test asks for it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["files_of"]


def files_of(bucket: str, *, endpoint: str, folder: Path) -> dict[str, str]:
    """The files, by name, and their settings: profile `prod` reaches the lake, `wrong` has keys that are refused."""
    said = {"BUCKET": bucket, "ENDPOINT": endpoint, "CACHE": str(folder / "cache"), "FOLDER": str(folder)}
    files = {"averages.py": AVERAGES, "late.py": LATE, "ended.py": ENDED, "asked.py": ASKED, "forked.py": FORKED, "telling.py": TELLING}
    files["headrace.toml"] = SETTINGS
    for word, meant in said.items():
        files = {name: text.replace(word, meant) for name, text in files.items()}
    return files


SETTINGS = """
[prod]
lake = "s3://BUCKET/lake"
connection = "my_aws"
endpoint = "ENDPOINT"
cache = "CACHE"

[wrong]
lake = "s3://BUCKET/lake"
connection = "my_wrong"
endpoint = "ENDPOINT"
cache = "CACHE"
"""

AVERAGES = """
import headrace as hr

averages = hr.Pipeline("averages", schedule="@daily", start="2026-01-01")


@averages.table
def values():
    return "select epoch($start::timestamp)::bigint as v"


@averages.table(history={"values": "3d"})
def average(values):
    return "select count(*) as n, avg(v) as mean from values"


dag = hr.airflow_dag(averages, wait="10m", schedule=None)
"""

LATE = """
from pydantic import BaseModel

import headrace as hr

late = hr.Pipeline("late", schedule="@daily", start="2026-01-01")


class Order(BaseModel):
    id: int
    cents: int


late.source("orders", "s3://BUCKET/raw/{start:%Y-%m-%d}.csv", contract=Order, wait="10m")


@late.table
def total(orders):
    return "select count(*) as n, sum(cents) as cents from orders"


dag = hr.airflow_dag(late, schedule=None)
"""

ENDED = '''
import os
from datetime import timedelta
from pathlib import Path

import headrace as hr

ended = hr.Pipeline("ended", schedule="@daily", start="2026-01-01")


@ended.table
def numbers():
    """It says which process works."""
    Path("FOLDER", "worker").write_text(str(os.getpid()))
    return "select range as n from range(1000)"


dag = hr.airflow_dag(ended, schedule=None, steps={"numbers": {"retry_delay": timedelta(seconds=1)}})
'''

ASKED = '''
import headrace as hr

asked = hr.Pipeline("asked", schedule="@daily", start="2026-01-01")


@asked.table(key="x", split=hr.by_key(test=0.3))
def points(day: hr.Interval):
    return [{"x": n, "y": 3.0 * n + day.start.day} for n in range(100)]


@asked.model(points, features=["x"], target="y", gate=hr.at_least("r2", 0.5), approval=True)
def line():
    """A line."""
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


dag = hr.airflow_dag(asked, schedule=None)
'''
FORKED = """
import os
from pathlib import Path

import headrace as hr

forked = hr.Pipeline("forked", schedule="@daily", start="2026-01-01")


@forked.table
def processes():
    found, pid, command = [], os.getpid(), ""
    while "headrace.airflow.keeper" not in command:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(bytes(1), b" ").decode()
        has_threads = "_obstore" in Path(f"/proc/{pid}/maps").read_text()
        found.append({"generation": len(found), "command": command, "has_threads_of_obstore": has_threads})
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


dag = hr.airflow_dag(forked, schedule=None)
"""

TELLING = """
import json
import os

import headrace as hr

telling = hr.Pipeline("telling", schedule="@daily", start="2026-01-01")


@telling.table
def told():
    way_in = json.loads(os.environ["AIRFLOW_CONN_MY_AWS"])
    raise ValueError(f"{way_in['password']} {way_in['extra']}")


denied = hr.Pipeline("denied", schedule="@daily", start="2026-01-01")


@denied.table
def refused():
    return "select 1 as n"


dag = hr.airflow_dag(telling, schedule=None)
other = hr.airflow_dag(denied, profile="wrong", schedule=None)
"""
