"""What `headrace iam` prints is what a pipeline needs: whole processes with the keys of users who have those policies and no other right.

The server refuses what a policy does not allow, and a proxy records what was asked. Then none of it is missing in the policy, and nothing of
the policy was not asked for, but for what only happens when something breaks (`FAILURES_ONLY`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from iam_evaluator import Recorded, missing, superfluous
from object_misbehaviour import always
from object_policies import as_on_aws, asked_in
from object_proxy import ObjectProxy, object_proxy
from object_servers import S3Server, s3_server, why_no

from headrace.core.interval import Interval
from headrace.lake.layout import attempt_folder

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(why_no("versitygw")), reason=why_no("versitygw") or "-"),
]

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
PIPELINE = """
import headrace as hr

bar = hr.Pipeline("bar", schedule="@daily", start="2026-01-01")
bar.source("orders", hr.csv("s3://RAW/in/{start:%Y-%m-%d}.csv", null_words=NULLS), max_rejected=1)
bar.source("rates", hr.csv("s3://RAW/rates/*.csv", null_words=NULLS), max_rejected=1)
bar.source("caps", hr.csv("s3://RAW/given/caps.csv", null_words=NULLS), max_rejected=1)


@bar.table(key="id", split=hr.by_key(test=0.5), publish=True)
def rows(orders, rates, caps):
    return "select id, price * rate as price, price * 2 as paid from orders, rates, caps where id < most"


@bar.table(history={"orders": "2d", "rates": "2d", "caps": "2d"})
def recent(orders, rates, caps):
    return "select count(distinct id) as n from orders where id < (select max(most) from caps) and (select max(rate) from rates) > 1"


@bar.table(layer="gold")
def total(rows, recent, scale: int = 1):
    return "select sum(paid) * $scale as paid, any_value(n) as n from rows, recent"


@bar.model(rows, features=["price"], target="paid")
def line():
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


bar.predict(line, rows, name="guesses", publish=True)
"""
PROFILE = """
[prod]
lake = "s3://LAKE/prod"
tracking = "none"
[prod.publish]
rows = "s3://OTHERS/for/all"
guesses = "s3://LAKE/given"
"""
BAD = "1,2,3\n"
READ = "import sys, headrace as hr; print(hr.open_lake(sys.argv[1]).read(sys.argv[2]).num_rows)"
SERVE = "import sys, headrace as hr; print(hr.open_lake(sys.argv[1]).model(sys.argv[2]).coef_[0])"


@dataclass(frozen=True)
class Said:
    """How a process ended, and what it said."""

    code: int
    text: str


@dataclass
class User:
    """Somebody with a policy: each process of theirs is one on a machine of its own, with nothing cached."""

    folder: Path
    policy: dict[str, Any]
    server: S3Server
    proxy: ObjectProxy
    count: int = 0

    def headrace(self, *words: str) -> Said:
        return self._process("-m", "headrace", *words)

    def python(self, text: str, name: str) -> Said:
        return self._process("-c", text, f"s3://{self.server.bucket}/prod", name)

    def _process(self, *words: str) -> Said:
        self.count += 1
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADRACE_"))}
        cache = str(self.folder / f"cache-{self.server.access_key}-{self.count}")
        environment = {**kept, **self.server.environment, "HEADRACE_CACHE": cache, "HEADRACE_PROFILE": "prod", "NO_COLOR": "1"}
        done = subprocess.run([sys.executable, *words], cwd=self.folder, env=environment, capture_output=True, text=True)
        return Said(done.returncode, done.stdout + done.stderr)

    def denials(self) -> str:
        """What was denied, and whether by the server or for what is not there."""
        passed = (one for one in self.proxy.recorded() if one.status == HTTPStatus.FORBIDDEN)
        return "\n".join(f"{one.method} {one.bucket}/{one.key} {dict(one.query)}: {one.served}, told as {one.status}" for one in passed)

    def check(self, *, does_without: Sequence[Recorded] = (), unused: Sequence[str] = ()) -> None:
        """That all was allowed that was asked for, but for what a process does without, and that all was asked for that is allowed, but for
        what is named.
        """
        asked = [one for passed in self.proxy.recorded() for one in asked_in(passed)]
        assert missing(self.policy, asked) == list(does_without)
        assert superfluous(self.policy, asked) == list(unused)


class World:
    """A server with three buckets: for the lake, for raw files, for what others read."""

    def __init__(self, folder: Path, server: S3Server, stack: ExitStack) -> None:
        self.folder, self.lake, self._stack = folder, server, stack
        self.raw, self.others = server.with_bucket().bucket, server.with_bucket().bucket
        (folder / "headrace.toml").write_text(self._named(PROFILE))
        self.declare("[]")

    def _named(self, text: str) -> str:
        return text.replace("LAKE", self.lake.bucket).replace("RAW", self.raw).replace("OTHERS", self.others)

    def declare(self, nulls: str) -> None:
        """The pipeline, with its sources declared in one way or another."""
        (self.folder / "bar.py").write_text(self._named(PIPELINE).replace("NULLS", nulls))

    def put(self, key: str, text: str, bucket: str = "") -> None:
        self.lake.client().put_object(Bucket=bucket or self.raw, Key=key, Body=text.encode())

    def remove(self, key: str, bucket: str = "") -> None:
        self.lake.client().delete_object(Bucket=bucket or self.raw, Key=key)

    def keys(self, prefix: str, bucket: str = "") -> list[str]:
        found = self.lake.client().list_objects_v2(Bucket=bucket or self.lake.bucket, Prefix=prefix)
        return [one["Key"] for one in found.get("Contents", [])]

    def orphan(self, day: str) -> str:
        """A file of an attempt that never committed."""
        interval = Interval.of(day, f"{day[:-1]}{int(day[-1]) + 1}")
        key = f"prod/{attempt_folder('silver', 'bar', 'rows', interval, 1, 'ab' * 16)}/train-0000.parquet"
        self.put(key, "left behind", self.lake.bucket)
        return key

    @cached_property
    def policies(self) -> dict[str, Any]:
        words = ("iam", "bar.py", "--profile", "prod", "--json")
        done = subprocess.run([sys.executable, "-m", "headrace", *words], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def user(self, name: str, policy: dict[str, Any]) -> User:
        proxy = self._stack.enter_context(object_proxy(self.lake))
        proxy.misbehave(always, as_on_aws(policy), times=None)
        return User(self.folder, policy, self.lake.user(name, policy).at(proxy.address), proxy)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        server = stack.enter_context(s3_server(tmp_path_factory.mktemp("server"), has_long_policies=True))
        yield World(tmp_path_factory.mktemp("work"), server, stack)


@pytest.fixture(scope="module")
def steps(empty: World) -> User:
    """Whoever runs the steps, after every way of running them."""
    user = empty.user("steps", empty.policies["steps"])
    for ran in every_way_of_running(empty, user):
        assert ran.code == 0, f"{ran.text}\n{user.denials()}"
    return user


@pytest.fixture
def world(empty: World, steps: User) -> World:
    """With a lake that has data."""
    assert steps.count
    return empty


def every_way_of_running(world: World, user: User) -> Iterator[Said]:
    """A backfill, decisions of a person, experiments, a day that is refused, and sources that are declared in another way."""
    for day, bad in zip(DAYS, (1, 1, 2), strict=True):
        world.put(f"in/{day}.csv", orders(40, bad=bad))
    put_others(world, bad=1)
    yield user.headrace("backfill", "bar.py", "--to", DAYS[1])
    yield user.headrace("run", "bar.py", "--at", DAYS[1])
    world.remove(f"given/bar/guesses/interval_start={DAYS[1]}/_SUCCESS", world.lake.bucket)  # so they are published again
    yield user.headrace("run", "bar.py", "--at", DAYS[1])
    for decision in ("rollback", "release", "hold", "release"):
        yield user.headrace(decision, "bar.py", "line", "--why", "to see")
    yield user.headrace("promote", "bar.py", "line", "--at", DAYS[1], "--why", "it is good")
    yield from every_experiment(world, user)
    put_others(world, bad=2)
    for words in ([], ["--force", "all"]):
        yield refused(user.headrace("run", "bar.py", "--at", DAYS[2], *words))
    put_others(world, bad=1)
    world.declare('["none"]')
    yield user.headrace("run", "bar.py", "--at", DAYS[1])
    world.put(f"in/{DAYS[1]}.csv", orders(45))
    yield user.headrace("run", "bar.py", "--at", DAYS[1])


def every_experiment(world: World, user: User) -> Iterator[Said]:
    """With all steps, with some, and with a day between that a step reads and that has none yet."""
    yield user.headrace("run", "bar.py", "--at", DAYS[0], "--force", "all")
    yield user.headrace("run", "bar.py", "--at", DAYS[0], "--force", "all", "--set", "total.scale=2")
    yield refused(user.headrace("run", "bar.py", "--at", DAYS[2], "--force", "all"))
    yield user.headrace("run", "bar.py", "--at", DAYS[1], "--force", "guesses", "--set", "total.scale=2")


def put_others(world: World, *, bad: int) -> None:
    world.put("rates/eu.csv", "rate,since\n2,1999\n" + BAD * bad)
    world.put("given/caps.csv", "most,since\n30,1999\n" + BAD * bad)


def orders(count: int, *, bad: int = 1) -> str:
    return "id,price\n" + "".join(f"{n},{n % (count // 5)}.5\n" for n in range(count)) + BAD * bad


def refused(ran: Said) -> Said:
    """A run that ended as it has to, for the rows of its sources."""
    assert ran.code == 1, ran.text
    assert "max_rejected allows 1 records" in ran.text
    assert "denied" not in ran.text
    return Said(0, ran.text)


def test_steps_ask_for_all_that_their_policy_allows_and_for_nothing_else(world: World, steps: User) -> None:
    assert "prod/log/bar/*" not in json.dumps(steps.policy)  # it fits without being widened
    world.remove("given/caps.csv")
    said = steps.headrace("run", "bar.py", "--at", DAYS[1], "--force", "caps", "--only", "caps")
    put_others(world, bad=1)
    assert (said.code, "There is no file at" in said.text) == (1, True), said.text
    # To say more of a file that is missing, its folder is listed, and one of its own name. Who may not see that is told so, and needs no more.
    assert "What else is there can't be listed." in said.text
    refused_to_list = [Recorded("s3:ListBucket", world.raw, prefix=prefix) for prefix in ("given/caps.csv/", "given/")]
    # Nobody was forgotten, so there is a list of that and nothing to read. An experiment's predictions are read by the tables that are made of
    # them, and this pipeline has none.
    lake = f"s3:GetObject arn:aws:s3:::{world.lake.bucket}/prod"
    steps.check(does_without=refused_to_list, unused=[f"{lake}/log/bar/_forgotten/*", f"{lake}/gold/bar/guesses.*"])


def test_a_reader_reads_predictions_by_one_policy_and_no_raw_files(world: World) -> None:
    reader = world.user("reader", world.policies["readers"])
    assert reader.python(READ, "bar.guesses") == Said(0, "30\n")
    assert reader.headrace("files", "bar.py", "guesses").text.count(f"s3://{world.lake.bucket}/prod/gold/bar/guesses/") == 2
    reader.check()
    key = world.keys("prod/bronze/")[0]
    denied(reader, "get_object", Key=key)
    denied(reader, "list_objects_v2", Prefix="prod/bronze/bar/orders/")


def test_an_endpoint_loads_its_champion_by_one_policy_and_reads_no_rows(world: World) -> None:
    endpoint = world.user("endpoint", world.policies["endpoint"])
    assert float(endpoint.python(SERVE, "bar.line").text) == pytest.approx(1.0)
    endpoint.check()
    said = endpoint.python(READ, "bar.rows")
    assert said.code == 1
    assert "access is denied. The permission that is needed: s3:ListBucket" in said.text
    denied(endpoint, "get_object", Key=world.keys("prod/silver/bar/rows/")[0])


def test_a_collector_frees_all_that_is_left_by_one_policy(world: World) -> None:
    collector = world.user("collector", world.policies["collector"])
    orphan = world.orphan("2026-01-05")
    said = collector.headrace("gc", "bar.py", "--keep", "0", "--champions", "1", "--older-than", "0", "--yes")
    assert (said.code, world.keys(orphan)) == (0, []), said.text
    collector.check()
    assert collector.headrace("gc", "bar.py", "--keep", "0", "--champions", "1", "--older-than", "0").text.startswith("Nothing to free.")


def test_who_runs_steps_can_not_delete(world: World) -> None:
    steps = world.user("more-steps", world.policies["steps"])
    orphan = world.orphan("2026-01-06")
    denied(steps, "delete_object", Key=orphan)
    said = steps.headrace("gc", "bar.py", "--older-than", "0", "--yes")
    assert said.code == 1
    assert "s3:ListBucket" in said.text  # not even the names of what is there


def test_a_collection_without_the_right_to_delete_shows_what_it_would_free_and_names_the_right(world: World) -> None:
    parts = [part for part in world.policies["collector"]["Statement"] if part["Action"] != ["s3:DeleteObject"]]
    looker = world.user("looker", {"Version": "2012-10-17", "Statement": parts})
    orphan = world.orphan("2026-01-07")
    assert orphan.removeprefix("prod/").rpartition("/")[0] in looker.headrace("gc", "bar.py", "--older-than", "0").text
    said = looker.headrace("gc", "bar.py", "--older-than", "0", "--yes")
    assert "access is denied. The permission that is needed: s3:DeleteObject" in said.text
    assert world.keys(orphan) == [orphan]


def denied(user: User, call: str, **arguments: str) -> None:
    client = user.server.client()
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        getattr(client, call)(Bucket=user.server.bucket, **arguments)
