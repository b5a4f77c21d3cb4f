"""Files in a bucket as a source: planned, run, waited for, with the lake in a folder and in a bucket; and how the bucket is reached."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from iam_evaluator import Recorded, missing
from object_proxy import ObjectProxy, object_proxy
from object_servers import S3Server, moto_server, s3_server, why_no

from headrace.config import Config, read_config
from headrace.core.arrival import Awaited
from headrace.core.errors import ConfigurationError, SourceError
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.core.step import Source
from headrace.run import connections, redaction
from headrace.run.access import lake_access
from headrace.run.arrival import awaited, look_from_afar
from headrace.run.backfill import Ran, carry_out
from headrace.run.connections import Connections, find_connection
from headrace.run.observe import Request, make_plan
from headrace.run.permissions import Asked, permissions
from headrace.run.session import Session, open_lake_at

DAYS = [Interval.of(f"2026-01-0{n}", f"2026-01-0{n + 1}") for n in range(1, 5)]
PIPELINE = """
from pydantic import BaseModel
import headrace as hr

class Price(BaseModel):
    item: str
    price: float

shop = hr.Pipeline("shop", schedule="@daily", start={start!r})
shop.source("prices", hr.csv({location!r}, only_new={is_only_new}), contract=Price, retries=0{options})

@shop.table
def dear(prices):
    return "select item from prices where price > 1"
"""


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_providers", [])
    monkeypatch.setattr(redaction, "_known", set())
    for name in [name for name in os.environ if name.startswith(("AWS_", "HEADRACE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(params=["moto", pytest.param("versitygw", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, servers: Callable[..., Any]) -> S3Server:
    if request.param == "versitygw" and why_no("versitygw"):
        pytest.skip(why_no("versitygw"))
    how = s3_server if request.param == "versitygw" else lambda _: moto_server()
    return servers(request.param, how).with_bucket()


@dataclass
class World:
    """A pipeline with one source in a bucket; `lake` is a folder unless told."""

    folder: Path
    server: S3Server
    location: str = "in/{start:%Y-%m-%d}.csv"
    lake: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    start: str = "2026-01-01"
    is_only_new: bool = False

    def put(self, name: str, *rows: str) -> None:
        body = "\n".join(["item,price", *rows, ""]).encode()
        self.server.client().put_object(Bucket=self.server.bucket, Key=f"in/{name}", Body=body)

    def toml(self, text: str) -> None:
        (self.folder / "headrace.toml").write_text(text)

    def config(self) -> Config:
        lake = self.lake or str(self.folder / "lake")
        overrides: dict[str, JSON] = {"lake": lake, "tracking": "none", "cache": str(self.folder / "cache")}
        return read_config(self.folder / "shop.py", environment={}, overrides=overrides)

    def session(self) -> Session:
        from headrace.run.loading import load_pipeline

        told = "".join(f", {name}={value!r}" for name, value in self.options.items())
        (self.folder / "shop.py").write_text(
            PIPELINE.format(
                location=f"s3://{self.server.bucket}/{self.location}", options=told, start=self.start, is_only_new=self.is_only_new
            )
        )
        config = self.config()
        lake = open_lake_at(config.lake_uri, access=lake_access(config, Connections(config)))
        return Session(load_pipeline(str(self.folder / "shop.py")).graph, config, lake, file=self.folder / "shop.py")

    def run(self, *days: Interval) -> Ran:
        return carry_out(self.session(), Request(days or DAYS[:1]), jobs=1)

    def prices(self, day: Interval = DAYS[0]) -> Receipt:
        ran = self.run(day)
        for error in ran.outcome.errors.values():
            raise error
        return next(receipt for receipt in ran.receipts if receipt.step == "prices")

    def error(self) -> BaseException:
        return next(iter(self.run().outcome.errors.values()))

    def plan(self, *days: Interval) -> list[str]:
        plan = make_plan(self.session(), Request(days or DAYS[:1]))
        return [f"{one.action}: {one.reason}" for one in plan.decisions if one.step == "prices"]

    def items(self, day: Interval = DAYS[0]) -> list[str]:
        session = self.session()
        manifest = session.catalog.current("prices", day)
        assert manifest is not None
        from pyarrow import parquet

        return [row["item"] for path in session.lake.read_paths(manifest, "rows") for row in parquet.read_table(path).to_pylist()]

    def origin(self, day: Interval = DAYS[0]) -> dict[str, Any]:
        manifest = self.session().catalog.current("prices", day)
        assert manifest is not None
        return dict(manifest.receipt["origin"])

    def awaited(self) -> Awaited:
        session = self.session()
        step = session.graph.step("prices")
        assert isinstance(step, Source)
        found = awaited(session, step, DAYS[0])
        assert found is not None
        return Awaited.from_json(json.loads(json.dumps(found.as_json())))


@pytest.fixture
def world(tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return World(tmp_path, server)


@pytest.fixture
def stranger(tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> World:
    """The environment has no credentials; a connection has."""
    extra = {"endpoint_url": server.endpoint, "region_name": server.region}
    told = {"conn_type": "aws", "login": server.access_key, "password": server.secret, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", json.dumps(told))
    return World(tmp_path, server)


# ---------------------------------------------------------------- a whole pipeline


def test_a_file_a_day_is_planned_run_and_read(world: World) -> None:
    world.put("2026-01-01.csv", "tea,1.5", "salt,0.5")
    assert world.plan() == ["run: not made yet"]
    receipt = world.prices()
    assert (receipt.state, receipt.rows_kept) == ("made", 2)
    assert world.items() == ["tea", "salt"]
    assert world.plan() == ["skip: nothing changed"]
    assert isinstance(world.run(DAYS[1]).outcome.errors.popitem()[1], SourceError)


def test_with_the_lake_in_the_same_bucket_it_is_the_same(world: World) -> None:
    world.put("2026-01-01.csv", "tea,1.5", "salt,0.5")
    world.prices()
    beside = World(world.folder, world.server, lake=f"s3://{world.server.bucket}/lake")
    assert beside.prices().state == "made"
    assert beside.items() == ["tea", "salt"]
    assert beside.plan() == ["skip: nothing changed"]
    digests = [one.session().catalog.current("prices", DAYS[0]).content.digest for one in (world, beside)]
    assert digests[0] == digests[1]


def test_the_same_bytes_written_again_are_not_landed_again(world: World) -> None:
    world.put("2026-01-01.csv", "tea,1.5")
    world.prices()
    world.put("2026-01-01.csv", "tea,1.5")
    assert world.plan() == ["skip: nothing changed"]
    world.put("2026-01-01.csv", "cocoa,2.5")
    assert world.plan() == ["run: 1 file at the origin is new or changed"]
    assert world.prices().version == 2
    assert world.items() == ["cocoa"]


def test_several_files_land_beside_each_other_and_are_read_in_the_order_of_their_names(world: World) -> None:
    world.location = "in/*.csv"
    for n in range(20):
        world.put(f"{n:02}.csv", f"{n},{n}")
    assert world.prices().rows_kept == 20
    assert world.items() == [str(n) for n in range(20)]


def test_a_bucket_that_is_not_there_is_never_an_interval_without_files(world: World) -> None:
    nowhere = World(world.folder, replace(world.server, bucket="no-such-bucket"), options={"missing": "empty"})
    assert "there is no bucket `no-such-bucket` there" in str(nowhere.error())


# ---------------------------------------------------------------- unchanged bytes are not fetched twice


@pytest.fixture
def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    with object_proxy(world.server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy


def fetched(proxy: ObjectProxy) -> list[str]:
    found = [one.key for one in proxy.recorded() if one.method == "GET" and one.key.startswith("in/")]
    proxy.reset()
    return sorted(found)


def test_of_many_files_only_what_is_new_or_changed_is_fetched(world: World, watched: ObjectProxy) -> None:
    world.location = "in/*.csv"
    for name in ("a", "b", "c", "d"):
        world.put(f"{name}.csv", f"{name},1")
    world.prices()
    assert fetched(watched) == ["in/a.csv", "in/b.csv", "in/c.csv", "in/d.csv"]
    world.put("b.csv", "b2,1")
    world.put("e.csv", "e,1")
    world.server.client().delete_object(Bucket=world.server.bucket, Key="in/d.csv")
    receipt = world.prices()
    assert fetched(watched) == ["in/b.csv", "in/e.csv"]
    assert receipt.why == "its files: 1 new, 1 changed, 1 gone, 2 unchanged and not fetched again"
    assert world.items() == ["a", "b2", "c", "e"]
    told = world.origin()
    assert [told[kind] for kind in ("new", "changed", "unchanged", "gone")] == [1, 1, 2, 1]


def test_a_snapshot_takes_what_is_unchanged_from_the_interval_before(world: World, watched: ObjectProxy) -> None:
    world.location = "in/*.csv"
    world.put("a.csv", "a,1")
    world.put("b.csv", "b,1")
    world.prices(DAYS[0])
    fetched(watched)
    world.put("b.csv", "b2,1")
    world.prices(DAYS[1])
    assert fetched(watched) == ["in/b.csv"]
    assert (world.items(DAYS[0]), world.items(DAYS[1])) == (["a", "b"], ["a", "b2"])


def test_with_the_lake_in_a_bucket_they_are_copied_inside_it(world: World, watched: ObjectProxy) -> None:
    world.location, world.lake = "in/*.csv", f"s3://{world.server.bucket}/lake"
    world.put("a.csv", "a,1")
    world.put("b.csv", "b,1")
    world.prices()
    world.put("b.csv", "b2,1")
    watched.reset()
    world.prices()
    copied = [one.request.headers["x-amz-copy-source"] for one in watched.recorded() if "x-amz-copy-source" in one.request.headers]
    assert [source.rpartition("/")[2] for source in copied] == ["a.csv"]
    assert fetched(watched) == ["in/b.csv"]
    assert world.items() == ["a", "b2"]


def test_a_copied_file_lies_as_a_fetched_one_would(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    world.location = "in/**/*.csv"
    for name in ("a/x.csv", "b/x.csv"):
        world.put(name, f"{name},1", "odd,odd")
    world.options["max_rejected"] = 9
    world.prices()
    world.put("0/x.csv", "zero,1")
    world.prices()
    afresh = World(tmp_path_factory.mktemp("afresh"), world.server, location=world.location, options=world.options)
    afresh.prices()
    both = [one.session().catalog.current("prices", DAYS[0]).content for one in (world, afresh)]
    assert both[0].digest == both[1].digest
    assert both[0].details == both[1].details


def test_forced_all_is_fetched_again(world: World, watched: ObjectProxy) -> None:
    world.location = "in/*.csv"
    world.put("a.csv", "a,1")
    world.prices()
    fetched(watched)
    carry_out(world.session(), Request(DAYS[:1], forced=frozenset({"prices"})), jobs=1)
    assert fetched(watched) == ["in/a.csv"]


# ---------------------------------------------------------------- only what is new


@pytest.mark.parametrize("lake", ["", "lake"])
def test_each_object_is_taken_once_and_an_upload_of_the_same_bytes_is_none(world: World, watched: ObjectProxy, lake: str) -> None:
    today = Interval(midnight := datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0), midnight + timedelta(days=1))
    tomorrow, after = (Interval(today.start + timedelta(days=n), today.end + timedelta(days=n)) for n in (1, 2))
    world.lake = f"s3://{world.server.bucket}/{lake}" if lake else ""
    world.start, world.location, world.is_only_new = f"{midnight:%Y-%m-%d}", "in/**/*.csv", True
    world.put("a.csv", "a,1")
    world.put("deep/b.csv", "b,1")
    assert world.prices(today).why == "2 new"
    world.put("a.csv", "a,1")
    world.put("deep/b.csv", "b2,1")
    world.put("c.csv", "c,1")
    fetched(watched)
    assert world.prices(tomorrow).why == "1 new, 1 changed"
    assert fetched(watched) == ["in/c.csv", "in/deep/b.csv"]
    assert world.prices(after).why == "no new file"
    assert [world.items(day) for day in (today, tomorrow, after)] == [["a", "b"], ["c", "b2"], []]
    carry_out(world.session(), Request([today, tomorrow], forced=frozenset({"prices"})), jobs=1)
    assert fetched(watched) == []


def test_what_came_at_the_end_of_the_interval_or_later_is_left(world: World) -> None:
    yesterday = Interval(
        midnight := datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1), midnight + timedelta(days=1)
    )
    world.start, world.location, world.is_only_new = f"{midnight:%Y-%m-%d}", "in/*.csv", True
    world.put("a.csv", "a,1")
    receipt = world.prices(yesterday)
    assert receipt.why == "no new file, 1 left for the next interval"
    assert "in/a.csv` came at or after" in receipt.notes[1]


# ---------------------------------------------------------------- how the bucket is reached


def test_without_credentials_the_error_says_where_they_were_looked_for(stranger: World) -> None:
    assert "AWS_ACCESS_KEY_ID" in str(stranger.error())


def test_a_source_has_a_connection_of_its_own(stranger: World) -> None:
    stranger.put("2026-01-01.csv", "tea,1.5")
    stranger.toml('[local.sources.prices]\nconnection = "my_aws"\n')
    assert stranger.prices().state == "made"
    assert stranger.plan() == ["skip: nothing changed"]


def test_a_step_in_a_process_of_its_own_is_handed_the_connection(stranger: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger.put("2026-01-01.csv", "tea,1.5")
    stranger.toml('[local.sources.prices]\nconnection = "my_aws"\n')
    stranger.options["timeout"] = "1m"
    told = find_connection("my_aws", asked="the test")
    monkeypatch.delenv("AIRFLOW_CONN_MY_AWS")
    connections.use_provider("an orchestrator", lambda name: told if name == "my_aws" else None)
    assert stranger.prices().state == "made"


def test_the_lakes_connection_is_a_sources_too_where_both_are_in_s3(stranger: World) -> None:
    stranger.put("2026-01-01.csv", "tea,1.5")
    stranger.lake = f"s3://{stranger.server.bucket}/lake"
    stranger.toml('[local]\nconnection = "my_aws"\n')
    assert stranger.prices().state == "made"


def test_the_lakes_connection_is_not_asked_for_a_source_where_the_lake_is_a_folder(stranger: World) -> None:
    stranger.put("2026-01-01.csv", "tea,1.5")
    stranger.toml('[local]\nconnection = "no_such"\n')
    assert "AWS_ACCESS_KEY_ID" in str(stranger.error())


def test_the_profile_says_where_the_server_is_unless_the_source_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("2026-01-01.csv", "tea,1.5")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    world.toml(f'[local]\nendpoint = "{world.server.endpoint}"\nregion = "{world.server.region}"\n')
    assert world.prices().state == "made"
    world.toml(f'[local]\nendpoint = "http://127.0.0.1:1"\n[local.sources.prices]\nendpoint = "{world.server.endpoint}"\n')
    assert world.plan() == ["skip: nothing changed"]


def test_a_connection_of_its_own_knows_better_than_the_profile(stranger: World) -> None:
    stranger.put("2026-01-01.csv", "tea,1.5")
    stranger.toml('[local]\nendpoint = "http://127.0.0.1:1"\nregion = "xx-none-1"\n[local.sources.prices]\nconnection = "my_aws"\n')
    assert stranger.prices().state == "made"


def test_who_pays_is_said_of_a_source(world: World, watched: ObjectProxy) -> None:
    world.put("2026-01-01.csv", "tea,1.5")
    world.toml("[local.sources.prices]\nrequester_pays = true\n")
    world.prices()
    assert {one.request.headers.get("x-amz-request-payer") for one in watched.recorded()} == {"requester"}


def test_a_setting_that_means_nothing_to_a_bucket_is_an_error(world: World) -> None:
    world.toml('[local.sources.prices]\nmax_size = "1GB"\n')
    world.plan()
    error = world.error()
    assert isinstance(error, ConfigurationError)
    assert "`max_size` is set for it, and means nothing to" in str(error)


@pytest.mark.parametrize("location", ["in/{start:%Y-%m-%d}.csv", "in/*.csv", "in/**/*.csv", "in/2026-*/a.csv"])
def test_its_requests_are_those_that_the_policy_of_headrace_iam_allows(world: World, watched: ObjectProxy, location: str) -> None:
    world.location, world.lake, world.options["missing"] = location, f"s3://{world.server.bucket}/lake", "empty"
    for name in ("2026-01-01.csv", "2026-01/a.csv", "empty.csv"):
        world.put(name, "tea,1.5")
    world.run(*DAYS[:2])
    session = world.session()
    (steps, *_) = permissions(session.graph, session.config, Asked())
    assert steps.policy is not None
    asked = [
        Recorded(action, one.bucket, one.key, one.query.get("prefix", one.key if action == "s3:ListBucket" else None))
        for one in watched.recorded()
        for action in one.actions
        if (one.key or one.query.get("prefix", "")).startswith("in/")
    ]
    assert asked
    assert missing(steps.policy.to_json(), asked) == []


# ---------------------------------------------------------------- waiting


@pytest.mark.parametrize("lake", ["", "lake"])
def test_it_is_waited_for_from_afar_by_the_id_of_its_connection(stranger: World, lake: str) -> None:
    stranger.options["wait"] = "1h"
    if lake:
        stranger.lake = f"s3://{stranger.server.bucket}/{lake}"
        stranger.toml('[local]\nconnection = "my_aws"\n')
    else:
        stranger.toml('[local.sources.prices]\nconnection = "my_aws"\nrequester_pays = true\n')
    what = stranger.awaited()
    assert what.connection == "my_aws"
    assert stranger.server.secret not in json.dumps(what.as_json())
    told = find_connection(what.connection, asked="the test")
    assert look_from_afar(what, now=datetime.now(UTC), connection=told).mark is None
    stranger.put("2026-01-01.csv", "tea,1.5")
    assert look_from_afar(what, now=datetime.now(UTC), connection=told).mark is not None
