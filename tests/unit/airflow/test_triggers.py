"""What Airflow keeps of a wait: plain values that another machine understands, and no secret. Without Airflow, whose base class is left out."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import Config, read_config
from headrace.core.arrival import Awaited
from headrace.core.connection import Connection
from headrace.core.errors import LakeError
from headrace.core.interval import Interval
from headrace.run.access import access_from_afar, lake_access, plain_access, plain_source_access, plain_way_in, source_access
from headrace.run.connections import Connections

SECRET = "cAnArY-secret"
WAY_IN = Connection("my_aws", "aws", login="AKIAcAnArY", password=SECRET, extra={"aws_session_token": "cAnArY-token"})
LAKE = "s3://shop/lake"
SOURCE = "s3://shop/raw/1.csv"
DAY = Interval.of("2026-01-05", "2026-01-06")
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "endpoint": st.sampled_from(["http://127.0.0.1:9000", "https://s3.example.org"]),
        "region": st.sampled_from(["eu-central-1", "us-east-1"]),
        "encryption": st.sampled_from(["AES256", "aws:kms"]),
        "requester_pays": st.booleans(),
        "cache": st.sampled_from(["/var/cache/headrace", "cache"]),
        "cache_size": st.sampled_from(["1GB", "500MB"]),
        "patience_s": st.integers(1, 600),
    },
)


def config_of(folder: Path, settings: dict[str, Any]) -> Config:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"lake": LAKE, "connection": "my_aws", **settings}.items()]
    (folder / "headrace.toml").write_text("\n".join(["[local]", *lines]))
    return read_config(folder / "shop.py", environment={})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@given(SETTINGS)
def test_how_a_lake_is_reached_from_afar_is_what_the_worker_does_and_no_secret_is_told_of_it(
    folder: Path, settings: dict[str, Any]
) -> None:
    config = config_of(folder, settings)
    told = plain_access(config)
    assert json.loads(json.dumps(told)) == told
    assert "cAnArY" not in json.dumps(told)
    near = lake_access(config, Connections(config, given={"my_aws": WAY_IN.told()}))
    assert access_from_afar(json.loads(json.dumps(told)), WAY_IN) == near


def test_a_machine_elsewhere_has_its_own_cache_unless_the_settings_name_one(folder: Path) -> None:
    assert "cache" not in plain_access(config_of(folder, {}))
    assert plain_access(config_of(folder, {"cache": "here"}))["cache"] == str(folder / "here")


def test_airflows_server_is_told_the_names_by_which_buckets_are_reached(folder: Path) -> None:
    asked = {"endpoint": "http://127.0.0.1:9000", "cache_size": "1GB", "requester_pays": True}
    assert plain_way_in(config_of(folder, asked)) == {"connection": "my_aws", "endpoint": "http://127.0.0.1:9000", "requester_pays": "True"}


@given(SETTINGS)
def test_how_a_source_is_reached_from_afar_is_without_secrets_too(folder: Path, settings: dict[str, Any]) -> None:
    config = config_of(folder, settings)
    told = json.loads(json.dumps(plain_source_access(config, SOURCE, {})))
    assert "cAnArY" not in json.dumps(told)
    reached = source_access(told, WAY_IN)
    assert (reached.connection, reached.endpoint, reached.region) == (WAY_IN, settings.get("endpoint"), settings.get("region"))


# ---------------------------------------------------------------- the triggers


@pytest.fixture
def trigger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A class of ours by its path, over a base class that does nothing: importing Airflow's own costs seconds."""

    class Base:
        def __init__(self, payload: object = None) -> None:
            self.payload = payload

    names = ("airflow", "airflow.triggers", "airflow.triggers.base", "airflow.providers.standard.triggers.hitl", "airflow.sdk")
    for name in (*names, "airflow.providers", "airflow.providers.standard", "airflow.providers.standard.triggers"):
        fake = ModuleType(name)
        vars(fake).update(BaseTrigger=Base, TriggerEvent=Base, HITLTrigger=Base, BaseOperator=Base, Context=Base)
        monkeypatch.setitem(sys.modules, name, fake)
    before = set(sys.modules)

    def found(path: str) -> Any:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    yield found
    for name in set(sys.modules) - before:
        if name.startswith("headrace.airflow."):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("headrace.airflow.trigger.CommitsTrigger", {"missing": [["orders", "2026-01-05T00:00:00+00:00", "2026-01-06T00:00:00+00:00"]]}),
        ("headrace.airflow.question_trigger.QuestionTrigger", {"ti": "1", "model": "line", "number": 2}),
    ],
)
def test_a_trigger_is_made_again_of_what_airflow_keeps_of_it(
    trigger: Callable[[str], Any], folder: Path, path: str, arguments: dict[str, Any]
) -> None:
    access = plain_access(config_of(folder, {"endpoint": "http://127.0.0.1:9000"}))
    known = {"lake": LAKE, "pipeline": "shop", "until": "2026-01-07T00:00:00+00:00", "connection": "my_aws", "access": access}
    kept = json.loads(json.dumps(trigger(path)(**arguments, **known).serialize()))
    assert kept == [path, {**arguments, **known}]
    assert trigger(kept[0])(**kept[1]).serialize() == tuple(kept)


def test_after_a_look_that_failed_the_lake_is_opened_with_the_connection_as_it_is_then(
    trigger: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = trigger("headrace.airflow.trigger.CommitsTrigger")(LAKE, "shop", [["orders", "", ""]], "2999-01-01T00:00:00+00:00", "my_aws")
    module = sys.modules["headrace.airflow.trigger"]
    connections = iter(("an old one", "a new one"))

    async def way_in(_: object) -> str:
        return next(connections)

    def look_with(_: str, connection: str, *__: object) -> Callable[[], int]:
        def look() -> int:
            if connection == "an old one":
                raise LakeError("the server says that the session token has expired (ExpiredToken)")
            return 0

        return look

    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0)
    monkeypatch.setattr(module, "_Look", look_with)
    monkeypatch.setattr(type(waits), "_way_in", way_in)
    assert asyncio.run(anext(waits.run())).payload == {"missing": 0, "error": ""}


def test_what_a_source_waits_for_is_kept_whole(folder: Path) -> None:
    config = config_of(folder, {"endpoint": "http://127.0.0.1:9000"})
    what = Awaited("orders", DAY, "files", SOURCE, "/flows", 60.0, "my_aws", plain_source_access(config, SOURCE, {}))
    assert Awaited.from_json(json.loads(json.dumps(what.as_json()))) == what
