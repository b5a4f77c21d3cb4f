"""The object stores that other tests stand on keep their promises: who may come in, one winner for one key, and what was put stays."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from object_servers import AzureServer, GcsServer, S3Server, azure_server, gcs_server, moto_server, s3_server, why_no
from obstore.exceptions import AlreadyExistsError, BaseError

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
THREADS, ROUNDS = 16, 30
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PROGRAMS = {"s3": "versitygw", "azure": "azurite", "gcs": "fake-gcs-server"}


def need(program: str) -> None:
    if why_no(program):
        pytest.skip(why_no(program))


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    need("versitygw")
    with s3_server(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    need("azurite")
    with azure_server(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    need("fake-gcs-server")
    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(params=["moto", *PROGRAMS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "moto":
        with moto_server() as server:
            yield server
        return
    yield request.getfixturevalue(request.param).with_bucket()


def code_of(call: Any, **arguments: Any) -> str:
    """The code of the error that a call of boto3 ends with; empty if it ends well."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


# ------------------------------------------------------------ every one of them


def test_objects_are_put_read_listed_copied_and_deleted(server: Any) -> None:
    store, body = server.store(), os.urandom(11 << 20)
    obstore.put(store, "big", body, chunk_size=5 << 20)
    obstore.put(store, "a b/ü+c", b"small")
    obstore.copy(store, "a b/ü+c", "copy")
    assert bytes(obstore.get(store, "big").bytes()) == body
    assert bytes(obstore.get_range(store, "big", start=5_000_000, length=100)) == body[5_000_000:5_000_100]
    assert obstore.head(store, "big")["size"] == len(body)
    assert sorted(each["path"] for page in obstore.list(store) for each in page) == ["a b/ü+c", "big", "copy"]
    obstore.delete(store, ["big", "copy"])
    assert [each["path"] for page in obstore.list(store) for each in page] == ["a b/ü+c"]
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "big")


def test_a_listing_of_more_than_a_page_is_whole_and_can_start_anywhere(server: Any) -> None:
    store, keys = server.store(), [f"k/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: obstore.put(store, key, b"1"), keys))
    assert sorted(each["path"] for page in obstore.list(store, "k") for each in page) == keys
    if not isinstance(server, AzureServer):  # Azurite lists from the beginning whatever it is asked
        assert sorted(each["path"] for page in obstore.list(store, "k", offset="k/1049") for each in page) == keys[1050:]
    assert obstore.list_with_delimiter(store)["common_prefixes"] == ["k"]


def test_of_many_creations_of_one_key_exactly_one_wins_each_time(server: Any) -> None:
    store, barrier = server.store(), threading.Barrier(THREADS)

    def create(number: int) -> list[bool]:
        won = []
        for each in range(ROUNDS):
            barrier.wait()
            try:
                obstore.put(store, f"{each}", f"{number:03}".encode() * 100, mode="create")
                won.append(True)
            except AlreadyExistsError:
                won.append(False)
        return won

    with ThreadPoolExecutor(THREADS) as pool:
        won = list(pool.map(create, range(THREADS)))
    for each in range(ROUNDS):
        (winner,) = [number for number in range(THREADS) if won[number][each]]
        assert bytes(obstore.get(store, f"{each}").bytes()) == f"{winner:03}".encode() * 100


def test_clients_that_read_the_environment_find_the_server(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    kinds = {S3Server: obstore.store.S3Store, AzureServer: obstore.store.AzureStore, GcsServer: obstore.store.GCSStore}
    obstore.put(kinds[type(server)](server.bucket), "a", b"1")
    if isinstance(server, S3Server):
        import boto3

        assert boto3.session.Session().client("s3").get_object(Bucket=server.bucket, Key="a")["Body"].read() == b"1"
    assert bytes(obstore.get(server.store(), "a").bytes()) == b"1"


def test_no_secret_is_in_what_a_server_is_printed_as(server: Any) -> None:
    assert not server.secret or server.secret not in repr(server)


# ------------------------------------------------------------ S3 with real authentication


def test_a_create_by_boto3_has_one_winner_too(s3: S3Server) -> None:
    there, barrier = s3.with_bucket(), threading.Barrier(THREADS)
    client = there.client()

    def create(number: int) -> list[str]:
        told = []
        for each in range(ROUNDS):
            barrier.wait()
            told.append(code_of(client.put_object, Bucket=there.bucket, Key=f"{each}", Body=str(number).encode(), IfNoneMatch="*"))
        return told

    with ThreadPoolExecutor(THREADS) as pool:
        told = list(pool.map(create, range(THREADS)))
    for each in range(ROUNDS):
        (winner,) = [number for number in range(THREADS) if not told[number][each]]
        assert client.get_object(Bucket=there.bucket, Key=f"{each}")["Body"].read() == str(winner).encode()
        assert {told[n][each] for n in range(THREADS)} <= {"", "PreconditionFailed", "ConditionalRequestConflict"}


def test_a_wrong_secret_is_refused_and_an_unknown_key(s3: S3Server) -> None:
    wrong, unknown = replace(s3, secret="wrong"), replace(s3, access_key="nobody")
    assert code_of(wrong.client().put_object, Bucket=s3.bucket, Key="a", Body=b"1") == "SignatureDoesNotMatch"
    assert code_of(unknown.client().put_object, Bucket=s3.bucket, Key="a", Body=b"1") == "InvalidAccessKeyId"
    with pytest.raises(BaseError, match="403"):
        obstore.put(wrong.store(), "a", b"1")
    assert code_of(s3.client().get_object, Bucket=s3.bucket, Key="a") == "NoSuchKey"


@pytest.mark.parametrize(("age_s", "status"), [(0, 200), (7200, 403)])
def test_a_signed_address_opens_the_object_until_it_expires(s3: S3Server, monkeypatch: pytest.MonkeyPatch, age_s: int, status: int) -> None:
    client = s3.client()
    client.put_object(Bucket=s3.bucket, Key="signed", Body=b"1")
    at(monkeypatch, age_s)
    url = client.generate_presigned_url("get_object", Params={"Bucket": s3.bucket, "Key": "signed"}, ExpiresIn=3600)
    assert status_of(url) == status
    assert status_of(url.replace("/signed?", "/tampered?")) == 403


def test_a_request_that_was_signed_long_ago_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 7200)
    assert code_of(s3.client().put_object, Bucket=s3.bucket, Key="old", Body=b"1") == "RequestTimeTooSkewed"


def test_a_body_that_is_not_the_signed_one_is_refused(s3: S3Server) -> None:
    client = s3.client(s3={"addressing_style": "path", "payload_signing_enabled": True}, request_checksum_calculation="when_required")

    def tamper(request: Any, **_: Any) -> None:
        request.body = b"2"

    client.meta.events.register("before-send.s3.PutObject", tamper)
    assert code_of(client.put_object, Bucket=s3.bucket, Key="tampered", Body=b"1") == "XAmzContentSHA256Mismatch"
    assert code_of(s3.client().get_object, Bucket=s3.bucket, Key="tampered") == "NoSuchKey"


def at(monkeypatch: pytest.MonkeyPatch, age_s: int) -> None:
    """From now on, boto3 signs as of so long ago."""
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda: dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=age_s)
    )


def status_of(url: str) -> int:
    try:
        with _DIRECT.open(url, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


# ------------------------------------------------------------ S3 with users


def policy(*parts: tuple[list[str], str], when: Any = None) -> dict[str, Any]:
    more = {"Condition": when} if when else {}
    statements = [{"Effect": "Allow", "Action": actions, "Resource": resource, **more} for actions, resource in parts]
    return {"Version": "2012-10-17", "Statement": statements}


def test_a_user_may_do_what_a_policy_says_and_nothing_else(s3: S3Server) -> None:
    there = s3.with_bucket()
    arn = f"arn:aws:s3:::{there.bucket}"
    writer = there.user("writer", policy((["s3:PutObject", "s3:GetObject"], f"{arn}/lake/*")))
    reader = there.user("reader", policy((["s3:GetObject"], f"{arn}/lake/*"), (["s3:ListBucket"], arn)))
    where = {"Bucket": there.bucket, "Key": "lake/a"}
    assert code_of(writer.client().put_object, **where, Body=b"1", IfNoneMatch="*") == ""
    assert code_of(writer.client().put_object, Bucket=there.bucket, Key="elsewhere", Body=b"1") == "AccessDenied"
    assert code_of(writer.client().delete_object, **where) == "AccessDenied"
    assert code_of(writer.client().list_objects_v2, Bucket=there.bucket) == "AccessDenied"
    assert reader.client().get_object(**where)["Body"].read() == b"1"
    assert code_of(reader.client().list_objects_v2, Bucket=there.bucket) == ""
    assert code_of(reader.client().put_object, **where, Body=b"2") == "AccessDenied"


def test_a_user_may_list_under_a_prefix_only(s3: S3Server) -> None:
    there = s3.with_bucket()
    allowed = policy((["s3:ListBucket"], f"arn:aws:s3:::{there.bucket}"), when={"StringLike": {"s3:prefix": "lake/*"}})
    client = there.user("lister", allowed).client()
    assert code_of(client.list_objects_v2, Bucket=there.bucket, Prefix="lake/manifests/") == ""
    assert code_of(client.list_objects_v2, Bucket=there.bucket, Prefix="other/") == "AccessDenied"
    assert code_of(client.list_objects_v2, Bucket=there.bucket) == "AccessDenied"


def test_a_policy_can_be_changed_while_the_server_runs(s3: S3Server) -> None:
    there = s3.with_bucket()
    arn = f"arn:aws:s3:::{there.bucket}"
    user = there.user("changed", policy((["s3:PutObject"], f"{arn}/*")))
    there.attach("changed", policy((["s3:GetObject", "s3:DeleteObject"], f"{arn}/*")))
    assert code_of(user.client().put_object, Bucket=there.bucket, Key="a", Body=b"1") == "AccessDenied"
    there.client().put_object(Bucket=there.bucket, Key="a", Body=b"1")
    assert code_of(user.client().delete_object, Bucket=there.bucket, Key="a") == ""


def test_a_deletion_of_many_is_allowed_or_denied_key_by_key(s3: S3Server) -> None:
    there = s3.with_bucket()
    user = there.user("collector", policy((["s3:DeleteObject"], f"arn:aws:s3:::{there.bucket}/old/*")))
    for key in ("old/a", "new/a"):
        there.client().put_object(Bucket=there.bucket, Key=key, Body=b"1")
    told = user.client().delete_objects(Bucket=there.bucket, Delete={"Objects": [{"Key": "old/a"}, {"Key": "new/a"}]})
    assert [each["Key"] for each in told["Deleted"]] == ["old/a"]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("new/a", "AccessDenied")]


# ------------------------------------------------------------ S3 that is killed


def test_what_was_acknowledged_survives_a_kill_and_a_start(tmp_path: Path) -> None:
    need("versitygw")
    with s3_server(tmp_path) as server:
        put: dict[str, bytes] = {}
        client, is_killed = server.client(timeout_s=20), threading.Event()

        def write(writer: int) -> None:
            number = 0
            while not is_killed.is_set():
                key, body = f"{writer}/{number}", os.urandom(100_000)
                try:
                    client.put_object(Bucket=server.bucket, Key=key, Body=body, IfNoneMatch="*")
                except (BotoCoreError, ClientError):
                    return
                put[key] = body
                number += 1

        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, writer) for writer in range(4)]
            deadline = time.monotonic() + 60
            while len(put) < 40:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            server.process.kill()
            is_killed.set()
            for writer in writers:
                writer.result()
        server.process.start()
        there = [each["Key"] for each in server.client().list_objects_v2(Bucket=server.bucket)["Contents"]]
        assert len(put) >= 40
        assert set(put) <= set(there)
        for key in there:
            body = server.client().get_object(Bucket=server.bucket, Key=key)["Body"].read()
            assert body == put[key] if key in put else len(body) == 100_000


# ------------------------------------------------------------ Azure


def test_azure_refuses_a_wrong_key(azure: AzureServer) -> None:
    wrong = replace(azure, secret=base64.b64encode(b"wrong" * 12).decode())
    with pytest.raises(BaseError, match="403"):
        obstore.put(wrong.store(), "a", b"1")


# ------------------------------------------------------------ ends


KEEP = """
import json, sys, time
from pathlib import Path
from object_servers import *
folder = Path(sys.argv[2])
with {"s3": s3_server, "azure": azure_server, "gcs": gcs_server, "moto": lambda _: moto_server()}[sys.argv[1]](folder) as server:
    print(json.dumps([server.process.pid, server.process.port]), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("kind", ["moto", *PROGRAMS])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_when_that_of_the_tests_is_killed_or_interrupted(tmp_path: Path, kind: str, sign: signal.Signals) -> None:
    if kind != "moto":
        need(PROGRAMS[kind])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", KEEP, kind, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as tests:
        assert tests.stdout is not None
        pid, _port = json.loads(tests.stdout.readline())
        assert is_alive(pid)
        os.killpg(tests.pid, sign)  # as a terminal does it: to all of the session that has not made its own
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"{kind} outlives the process that started it"
        time.sleep(0.05)


def test_no_process_is_left_when_the_with_is_left_by_an_error(tmp_path: Path) -> None:
    need("versitygw")
    with ExitStack() as stack, pytest.raises(ZeroDivisionError):  # noqa: PT012
        server = stack.enter_context(s3_server(tmp_path))
        assert is_alive(server.process.pid)
        stack.enter_context(_failing())
    assert not is_alive(server.process.pid)


class _failing:
    def __enter__(self) -> None:
        raise ZeroDivisionError

    def __exit__(self, *_: object) -> None: ...


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
