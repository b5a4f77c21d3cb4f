"""The same from a lake in S3: the list of files, Redshift's manifest, a published prefix and a Delta table, read back by others' clients."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Said

pytest.importorskip("obstore")
pytest.importorskip("moto")

from object_servers import S3Server, moto_server

Headrace = Callable[..., Said]

SHOP = """\
import headrace as hr

shop = hr.Pipeline("shop", schedule="@daily", start="2026-05-01")


@shop.table(key="customer", split=hr.by_key(test=0.3), publish=True)
def spending(day: hr.Interval):
    return [{"customer": n, "spent": n * day.start.day} for n in range(ROWS)]
"""
FOLDER = "others/shop/spending/interval_start=2026-05-02"


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def bucket(moto: S3Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    server = moto.with_bucket()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    (folder / "shop.py").write_text(SHOP.replace("ROWS", "50"))
    (folder / "headrace.toml").write_text(
        f'[local]\nlake = "s3://{server.bucket}/lake"\n[local.publish]\nspending = "s3://{server.bucket}/others"\n'
    )
    return server


@pytest.fixture
def client(bucket: S3Server, headrace: Headrace) -> Any:
    said = headrace("backfill", "shop.py", "--to", "2026-05-02", "--no-report")
    assert said.code == 0, said.err
    return bucket.client()


def rows_of(client: Any, bucket: str, *keys: str) -> list[tuple[int, int]]:
    tables = [pq.read_table(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]
    return sorted((row["customer"], row["spent"]) for table in tables for row in table.to_pylist())


def wanted(count: int = 50) -> list[tuple[int, int]]:
    return [(n, n * 2) for n in range(count)]


def test_files_and_the_manifest_for_redshift_name_objects_with_their_lengths(headrace: Headrace, bucket: S3Server, client: Any) -> None:
    uris = headrace("files", "shop.py", "spending", "--at", "2026-05-02").out.split()
    keys = [uri.removeprefix(f"s3://{bucket.bucket}/") for uri in uris]
    assert rows_of(client, bucket.bucket, *keys) == wanted()
    told = headrace("files", "shop.py", "spending", "--at", "2026-05-02", "--redshift").document["entries"]
    lengths = [client.head_object(Bucket=bucket.bucket, Key=key)["ContentLength"] for key in keys]
    assert told == [{"url": uri, "mandatory": True, "meta": {"content_length": length}} for uri, length in zip(uris, lengths, strict=True)]


def test_a_prefix_is_published_replaced_and_mended_without_deleting(
    headrace: Headrace, bucket: S3Server, client: Any, folder: Path
) -> None:
    names = ["_SUCCESS", "test-0000.parquet", "train-0000.parquet"]
    listed = client.list_objects_v2(Bucket=bucket.bucket, Prefix=f"{FOLDER}/")["Contents"]
    assert [one["Key"] for one in listed] == [f"{FOLDER}/{name}" for name in names]
    assert rows_of(client, bucket.bucket, *(f"{FOLDER}/{name}" for name in names[1:])) == wanted()
    (folder / "shop.py").write_text(SHOP.replace("ROWS", "20").replace(", split=hr.by_key(test=0.3)", ""))
    assert headrace("run", "shop.py", "--at", "2026-05-02", "--no-report").code == 0
    keys = [one["Key"] for one in client.list_objects_v2(Bucket=bucket.bucket, Prefix=f"{FOLDER}/")["Contents"]]
    assert rows_of(client, bucket.bucket, *keys[1:]) == wanted(20)
    mark = json.loads(client.get_object(Bucket=bucket.bucket, Key=f"{FOLDER}/_SUCCESS")["Body"].read())
    assert (mark["complete"], mark["version"], [file["name"] for file in mark["files"]]) == (True, 2, ["rows-0000.parquet"])
    client.delete_object(Bucket=bucket.bucket, Key=f"{FOLDER}/_SUCCESS")
    said = headrace("run", "shop.py", "--at", "2026-05-02", "--no-report", "--json").receipt("spending")
    assert (said["state"], said["why"]) == ("cached", f"published in s3://{bucket.bucket}/{FOLDER}")


def test_a_delta_table_in_the_bucket_is_read_by_its_own_library(headrace: Headrace, bucket: S3Server, client: Any) -> None:
    deltalake = pytest.importorskip("deltalake")
    uri = f"s3://{bucket.bucket}/delta/spending"
    for count in (2, 0):
        said = headrace("export", "shop.py", "spending", uri, "--json")
        assert said.code == 0, said.err
        assert sum(one["was"] == "written" for one in said.document) == count
    table = deltalake.DeltaTable(uri).to_pyarrow_table(filters=[("spent", "=", 98)])
    assert [(row["customer"], row["interval_start"].day) for row in table.to_pylist()] == [(49, 2)]


def test_a_table_in_the_bucket_is_reached_as_the_lake_is(
    headrace: Headrace, bucket: S3Server, client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("deltalake")
    for name in bucket.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    connection = {"conn_type": "aws", "login": bucket.access_key, "password": bucket.secret, "extra": {"region_name": bucket.region}}
    monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", json.dumps(connection))
    (folder / "headrace.toml").write_text(
        f'[local]\nlake = "s3://{bucket.bucket}/lake"\nconnection = "my_aws"\nendpoint = "{bucket.endpoint}"\n'
    )
    said = headrace("export", "shop.py", "spending", f"s3://{bucket.bucket}/delta/spending", "--json")
    assert said.code == 0, said.err
    assert [one["was"] for one in said.document] == ["written", "written"]


def test_nothing_is_exported_into_the_lake_or_published_there(headrace: Headrace, bucket: S3Server, client: Any, folder: Path) -> None:
    assert headrace("export", "shop.py", "spending", f"s3://{bucket.bucket}/lake/delta").code == 2
    (folder / "headrace.toml").write_text(
        f'[local]\nlake = "s3://{bucket.bucket}/lake"\n[local.publish]\nspending = "s3://{bucket.bucket}/lake/others"\n'
    )
    said = headrace("run", "shop.py", "--at", "2026-05-02", "--no-report")
    assert (said.code, "a lake holds only its own files" in said.err) == (1, True), said.err
