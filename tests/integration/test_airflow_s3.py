"""The same file on a real Airflow with its lake in a bucket, which only Airflow's connection opens: no variable of AWS is set there.

versitygw checks signatures and permissions: the connection's user may not delete. Every request of Airflow passes a proxy that counts.
One server for the whole module; each test has pipelines of its own in it, so that they may come in any order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow_server import Airflow, airflow_server, server_environment, until
from approval_flow import respond, wait_until_asked
from bucket_pipelines import files_of
from canaries import MARK, leaks_in, leaks_under, rows_of
from object_proxy import Exchange, ObjectProxy, object_proxy
from object_servers import S3Server, s3_server, why_no

import headrace as hr
from headrace.lake.chain import Decision
from headrace.run.session import open_lake_at

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_no("versitygw")), reason=why_no("versitygw")),
]

KEY, SECRET, TOKEN = f"AKIA{MARK}ONE", f"{MARK}-two/plus+and=more", f"{MARK}-three/token+=="
APPROVAL = "asked.line.approval"
ALLOWED = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


@dataclass(frozen=True)
class Bucket:
    """Where all of this lies: seen as its owner does, and the proxy by which Airflow comes."""

    s3: S3Server
    proxy: ObjectProxy
    folder: Path

    @property
    def lake(self) -> str:
        return f"s3://{self.s3.bucket}/lake"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    folder = tmp_path_factory.mktemp("bucket")
    with s3_server(folder) as s3, object_proxy(s3) as proxy:
        objects = {"Effect": "Allow", "Action": list(ALLOWED), "Resource": f"arn:aws:s3:::{s3.bucket}/*"}
        listing = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{s3.bucket}"}
        s3.user(KEY, {"Version": "2012-10-17", "Statement": [objects, listing]}, SECRET)
        yield Bucket(s3, proxy, folder)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, bucket: Bucket) -> Iterator[Airflow]:
    folder = tmp_path_factory.mktemp("airflow")
    files = files_of(bucket.s3.bucket, endpoint=bucket.proxy.address, folder=folder)
    extra = {"region_name": bucket.s3.region, "some_token": TOKEN}  # one that is used is refused by versitygw, which gives none
    connection = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
    wrong = {**connection, "extra": {**extra, "aws_session_token": TOKEN}}
    # What Airflow keeps of triggers is encrypted, unless there is no key: so that what it holds can be looked at.
    settings = {"AIRFLOW_CONN_MY_AWS": json.dumps(connection), "AIRFLOW__CORE__FERNET_KEY": ""}
    settings["AIRFLOW_CONN_MY_WRONG"] = json.dumps(wrong)
    with pytest.MonkeyPatch.context() as surroundings:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            surroundings.delenv(name)
        with airflow_server(folder, files, "--profile", "prod", environment=settings) as started:
            assert not [name for name in server_environment(started) if name.startswith("AWS_")]
            yield started
            assert leaks(started, bucket) == []  # of all tests, in whatever order they came


@pytest.fixture
def by_owner(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, and those that it starts, reach the bucket as its owner, by the usual variables."""
    for name, value in bucket.s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADRACE_CACHE", str(bucket.folder / "cache"))


def headrace(*arguments: object, lake: object) -> str:
    """`headrace` itself, from a shell that knows nothing of Airflow."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "HEADRACE_"))}
    command = [sys.executable, "-m", "headrace", *map(str, arguments), "--lake", str(lake)]
    environment = kept | {"HEADRACE_TRACKING": "none", "NO_COLOR": "1", "HEADRACE_CACHE": os.environ["HEADRACE_CACHE"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def at(day: int) -> dict[str, str]:
    return {"at": f"2026-01-{day:02}"}


def holds(lake: object, dataset: str, at: str) -> tuple[int, str, Counter[tuple[Any, ...]]]:
    """What an interval of a dataset holds: its version, its fingerprint and its rows."""
    opened = hr.open_lake(str(lake))
    manifest = opened.manifest(dataset, at=at)
    rows = Counter(tuple(row.values()) for row in opened.read(dataset, at=at).to_pylist())
    return manifest.version, manifest.content.fingerprint, rows


def decisions(bucket: Bucket) -> list[Decision]:
    """The model's chain, oldest first."""
    return open_lake_at(bucket.lake, read_only=True).chain("asked", "line").entries()


def leaks(airflow: Airflow, bucket: Bucket) -> list[str]:
    """Where a secret, or a key, is in files and tables: Airflow's logs, its database with XComs, rendered fields and DAGs, and the lake."""
    return [*leaks_under(airflow.folder), *leaks_under(bucket.folder / "objects")]


def triggers_of(airflow: Airflow) -> list[bytes]:
    """What Airflow's database holds of the triggers that wait now."""
    return [row for name, row in rows_of(airflow.home / "airflow.db") if name == "trigger"]


# ---------------------------------------------------------------- runs, and waits


@pytest.mark.usefixtures("by_owner")
def test_a_step_waits_for_its_past_in_the_bucket_without_a_worker_and_goes_on_when_it_is_made_from_outside(
    airflow: Airflow, bucket: Bucket, tmp_path: Path
) -> None:
    run = airflow.trigger("averages", conf=at(5))
    airflow.wait_for("averages", run, "average", "deferred")
    waiting = until(lambda: [row for row in triggers_of(airflow) if b"CommitsTrigger" in row and b"my_aws" in row], "its trigger", 30)
    assert not leaks_in("trigger", b"".join(waiting))
    headrace(
        "backfill", airflow.pipelines / "averages.py", "--from", "2026-01-03", "--to", "2026-01-04", "--only", "values", lake=bucket.lake
    )
    assert airflow.wait("averages", run) == "success", airflow.story("averages", run)
    headrace("run", airflow.pipelines / "averages.py", "--at", "2026-01-05", "--no-report", lake=tmp_path / "lake")
    for step in ("values", "average"):
        assert holds(bucket.lake, f"averages.{step}", "2026-01-05") == holds(tmp_path / "lake", f"averages.{step}", "2026-01-05")


@pytest.mark.usefixtures("by_owner")
def test_a_file_in_the_bucket_is_waited_for_and_the_next_task_reads_from_the_cache_what_the_first_one_made(
    airflow: Airflow, bucket: Bucket, tmp_path: Path
) -> None:
    bucket.proxy.settle()
    before = len(bucket.proxy.recorded())
    run = airflow.trigger("late", conf=at(2))
    airflow.wait_for("late", run, "orders", "deferred")
    waiting = until(lambda: [row for row in triggers_of(airflow) if b"ArrivalTrigger" in row and b"my_aws" in row], "its trigger", 30)
    assert not leaks_in("trigger", b"".join(waiting))
    rows = "".join(f"{n},{n * 37 % 500}\n" for n in range(50))
    bucket.s3.client().put_object(Bucket=bucket.s3.bucket, Key="raw/2026-01-02.csv", Body=("id,cents\n" + rows).encode())
    assert airflow.wait("late", run) == "success", airflow.story("late", run)
    headrace("run", airflow.pipelines / "late.py", "--at", "2026-01-02", "--no-report", lake=tmp_path / "lake")
    for step in ("orders", "total"):
        assert holds(bucket.lake, f"late.{step}", "2026-01-02") == holds(tmp_path / "lake", f"late.{step}", "2026-01-02")
    made = [r for r in bucket.proxy.recorded()[before:] if re.search(r"/late/.*\.parquet$", r.key)]
    assert len([r for r in made if r.method == "PUT"]) == 2, made
    assert [r for r in made if r.method == "GET"] == []


@pytest.mark.usefixtures("by_owner")
def test_a_task_that_is_killed_while_it_commits_is_tried_again_and_leaves_one_result(airflow: Airflow, bucket: Bucket) -> None:
    def kill(exchange: Exchange) -> None:
        """Its file arrives, and nobody is there any more who could write the entry."""
        exchange.read()
        os.kill(int((airflow.folder / "worker").read_text()), signal.SIGKILL)
        with suppress(OSError):
            exchange.pass_on()

    rule = bucket.proxy.misbehave(
        lambda request: request.method == "PUT" and "/numbers/" in request.key and request.key.endswith("parquet"), kill
    )
    run = airflow.trigger("ended", conf=at(3))
    assert airflow.wait("ended", run) == "success", airflow.story("ended", run)
    assert len(rule.met) == 1
    assert airflow.tasks("ended", run)["numbers"]["try_number"] == 2
    version, _, rows = holds(bucket.lake, "ended.numbers", "2026-01-03")
    assert (version, sum(rows.values())) == (1, 1000)


# ---------------------------------------------------------------- people


@pytest.mark.usefixtures("by_owner")
def test_a_question_is_closed_by_a_newer_challenger_from_outside_and_answered_through_the_api(airflow: Airflow, bucket: Bucket) -> None:
    airflow.run("asked", conf=at(1))
    first = until(lambda: airflow.runs(APPROVAL), "a question", 60)[0]["dag_run_id"]
    airflow.wait_for(APPROVAL, first, "question", "deferred")
    headrace("run", airflow.pipelines / "asked.py", "--at", "2026-01-02", "--no-report", lake=bucket.lake)
    assert airflow.wait(APPROVAL, first) == "success", airflow.story(APPROVAL, first)
    assert airflow.states(APPROVAL, first) == {"question": "skipped", "decision": "skipped"}
    assert "the newer challenger of 2026-01-02 v1 superseded it" in airflow.log(APPROVAL, first, "question")

    second = airflow.trigger(APPROVAL)
    wait_until_asked(airflow, second, APPROVAL)
    waiting = [row for row in triggers_of(airflow) if b"QuestionTrigger" in row and b"my_aws" in row]
    assert waiting
    assert not leaks_in("trigger", b"".join(waiting))
    respond(airflow, second, "Approve", "it fits", APPROVAL)
    assert airflow.wait(APPROVAL, second) == "success", airflow.story(APPROVAL, second)
    promoted = decisions(bucket)[-1]
    assert (promoted.kind, promoted.by_hand, promoted.model.label, promoted.why) == ("promote", True, "2026-01-02", "it fits")


@pytest.mark.usefixtures("by_owner")
def test_the_report_opens_from_airflows_page(airflow: Airflow, bucket: Bucket) -> None:
    day = "2026-01-12"
    headrace("backfill", airflow.pipelines / "averages.py", "--from", "2026-01-10", "--to", day, "--only", "values", lake=bucket.lake)
    run = airflow.run("averages", conf={"at": day})
    told = airflow.told("averages", run, "run-record")
    assert told["report"].startswith(bucket.lake)
    button = airflow.ask("GET", f"dags/averages/dagRuns/{run}/taskInstances/run-record/links")["extra_links"]["Report"]
    shown = airflow.page(button)
    assert "<h1" in shown
    assert day in shown
    assert not list((airflow.folder / "cache").rglob("*.html"))


# ---------------------------------------------------------------- what is left


@pytest.mark.usefixtures("by_owner")
def test_no_process_that_tasks_are_forked_from_has_opened_the_lake(airflow: Airflow, bucket: Bucket) -> None:
    """obstore has threads of its own, which a forked process has not: who has loaded it must not be forked from."""
    airflow.run("forked", conf=at(1))
    table = hr.open_lake(bucket.lake).read("forked.processes", at="2026-01-01")
    rows = sorted(table.to_pylist(), key=lambda row: row["generation"])
    assert any("scheduler" in row["command"] for row in rows[1:]), rows
    assert [row["has_threads_of_obstore"] for row in rows] == [True, *(False for _ in rows[1:])], rows
    parsing = [pid for pid in airflow.processes() if b"dag-processor" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert parsing
    assert [pid for pid in parsing if "_obstore" in Path(f"/proc/{pid}/maps").read_text()] == []


def test_no_secret_is_in_what_airflow_or_the_lake_keeps(airflow: Airflow, bucket: Bucket) -> None:
    """Also when a function's error tells of them, and when the server refuses them. (What it prints, Airflow masks in the log only.)"""
    runs = {dag: airflow.trigger(dag, conf=at(1)) for dag in ("telling", "denied")}
    for dag, run in runs.items():
        assert airflow.wait(dag, run) == "failed"
    log = airflow.log("telling", runs["telling"], "told")
    assert "raised ValueError: ***" in log
    denied = airflow.log("denied", runs["denied"], "refused")
    assert "the server does not accept the session token (InvalidToken)" in denied
    assert "Traceback" not in denied
    assert airflow.tasks("denied", runs["denied"])["refused"]["try_number"] == 1
    assert leaks(airflow, bucket) == []
    assert airflow.errors == []
    assert airflow.warnings == []
