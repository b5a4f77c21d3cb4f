"""Crash tests lose what was not synced by calculation, so the real disk need not be waited for. Their buckets are on real servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket import Bucket, bucket_on
from object_servers import S3Server, moto_server, s3_server, why_no


@pytest.fixture(autouse=True)
def _syncing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that checks who asks, and keeps what it has answered."""
    if why := why_no("versitygw"):
        pytest.skip(why)
    with s3_server(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def quick_server() -> Iterator[S3Server]:
    """A server in memory."""
    with moto_server() as server:
        yield server


@pytest.fixture
def bucket(gateway: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket on the real server; in this process, places in it are reached directly."""
    with bucket_on(gateway, tmp_path) as bucket:
        _reach(bucket, tmp_path, monkeypatch)
        yield bucket


@pytest.fixture
def quick_bucket(quick_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """The same on the server in memory."""
    with bucket_on(quick_server, tmp_path) as bucket:
        _reach(bucket, tmp_path, monkeypatch)
        yield bucket


def _reach(bucket: Bucket, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"HEADRACE_CACHE": str(folder / "own"), "HEADRACE_PATIENCE_S": "60"}
    for name, value in {**bucket.environment, **bucket.server.environment, **own}.items():
        monkeypatch.setenv(name, value)
