"""The proxy in front of object stores passes everything, counts everything, and breaks what it is asked to break, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import obstore
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError, IncompleteReadError, ReadTimeoutError
from object_actions import S3Request
from object_misbehaviour import after, always, before, cut, flip, hide, hold, late, lose_answer, nth, on, refuse, reset
from object_proxy import Exchange, ObjectProxy, object_proxy
from object_servers import S3Server, moto_server, s3_server, why_no
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError
from server_process import ServerProcess

SOON_S = 0.5
NO_RETRIES = {"retry_config": {"max_retries": 0}, "client_options": {"allow_http": True, "timeout": f"{SOON_S * 1000:.0f}ms"}}
ONE, TWO = b"one" * 1000, b"two" * 1000


@pytest.fixture(scope="module", params=["moto", pytest.param("versitygw", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with ExitStack() as stack:
        if request.param == "moto":
            yield stack.enter_context(moto_server())
        elif why_no("versitygw"):
            pytest.skip(why_no("versitygw"))
        else:
            yield stack.enter_context(s3_server(tmp_path_factory.mktemp("versitygw")))


@pytest.fixture
def direct(server: S3Server) -> S3Server:
    """A bucket of the test's own, without a proxy."""
    return server.with_bucket()


@pytest.fixture
def proxy(direct: S3Server) -> Iterator[ObjectProxy]:
    with object_proxy(direct) as proxy:
        yield proxy


@pytest.fixture
def through(direct: S3Server, proxy: ObjectProxy) -> S3Server:
    return direct.at(proxy.address)


def put(server: S3Server, key: str, body: bytes, *, timeout_s: float = 60, **more: Any) -> None:
    server.client(timeout_s=timeout_s).put_object(Bucket=server.bucket, Key=key, Body=body, **more)


def get(server: S3Server, key: str) -> bytes:
    return server.client().get_object(Bucket=server.bucket, Key=key)["Body"].read()


def is_there(server: S3Server, key: str) -> bool:
    found = server.client().list_objects_v2(Bucket=server.bucket, Prefix=key).get("Contents", [])
    return key in [each["Key"] for each in found]


def seen(proxy: ObjectProxy) -> list[tuple[str, str, int, int]]:
    return [(r.method, r.key, r.served, r.status) for r in proxy.recorded()]


# ------------------------------------------------------------ passing and counting


def test_both_clients_get_through_what_they_put_with_the_bytes_counted(through: S3Server, proxy: ObjectProxy) -> None:
    body = os.urandom(3 << 20)
    put(through, "a b/ü+c", body)
    assert bytes(obstore.get(through.store(), "a b/ü+c").bytes()) == body
    sent, got = proxy.recorded()
    assert (sent.method, sent.bucket, sent.key, sent.status, sent.actions) == ("PUT", through.bucket, "a b/ü+c", 200, ("s3:PutObject",))
    assert (got.method, got.key, got.status, got.up, got.down, got.actions) == ("GET", "a b/ü+c", 200, 0, len(body), ("s3:GetObject",))
    assert len(body) <= sent.up <= len(body) + 1000  # in boto3's own framing, if it frames


def test_an_upload_in_parts_is_counted_part_by_part(through: S3Server, proxy: ObjectProxy) -> None:
    body = os.urandom(12 << 20)
    obstore.put(through.store(), "big", body, chunk_size=5 << 20)
    assert bytes(obstore.get(through.store(), "big").bytes()) == body
    *upload, download = proxy.recorded()
    assert sorted((r.method, sorted(r.query)) for r in upload) == [
        ("POST", ["uploadId"]),
        ("POST", ["uploads"]),
        *[("PUT", ["partNumber", "uploadId"])] * 3,
    ]
    assert sum(r.up for r in upload if r.method == "PUT") == download.down == len(body)


def test_deletions_copies_and_misses_tell_what_they_need(through: S3Server, proxy: ObjectProxy) -> None:
    store = through.store()
    obstore.put(store, "a", b"1")
    obstore.copy(store, "a", "b")
    obstore.delete(store, ["a", "b"])
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "a")
    _, copied, deleted, missed = proxy.recorded()
    arn = f"arn:aws:s3:::{through.bucket}"
    assert set(copied.permissions) == {("s3:PutObject", f"{arn}/b"), ("s3:GetObject", f"{arn}/a")}
    assert set(deleted.permissions) == {("s3:DeleteObject", f"{arn}/a"), ("s3:DeleteObject", f"{arn}/b")}
    assert set(missed.permissions) == {("s3:GetObject", f"{arn}/a"), ("s3:ListBucket", arn)}


def test_a_reset_forgets_the_requests_so_far(through: S3Server, proxy: ObjectProxy) -> None:
    put(through, "a", ONE)
    proxy.reset()
    assert proxy.recorded() == []
    put(through, "b", ONE)
    assert [(r.number, r.key) for r in proxy.recorded()] == [(1, "b")]


def test_requests_of_many_threads_are_all_counted_and_none_mixed_up(through: S3Server, proxy: ObjectProxy) -> None:
    client = through.client()

    def work(number: int) -> bool:
        body = str(number).encode() * 500
        client.put_object(Bucket=through.bucket, Key=f"k/{number}", Body=body)
        return client.get_object(Bucket=through.bucket, Key=f"k/{number}")["Body"].read() == body

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(100)))
    assert sorted((r.method, r.key) for r in proxy.recorded()) == sorted((m, f"k/{n}") for n in range(100) for m in ("GET", "PUT"))
    assert sorted(r.number for r in proxy.recorded()) == list(range(1, 201))


def test_a_body_in_chunks_comes_through_whole(direct: S3Server, proxy: ObjectProxy) -> None:
    url = direct.at(proxy.address).client().generate_presigned_url("put_object", Params={"Bucket": direct.bucket, "Key": "a"})
    connection = HTTPConnection("127.0.0.1", int(proxy.address.rpartition(":")[2]))
    for _ in range(2):  # on one connection, so the end of the first body was found
        connection.request("PUT", url.removeprefix(proxy.address), iter([b"x" * 70_000, b"y"]), encode_chunked=True)
        connection.getresponse().read()
    connection.close()
    assert [r.up for r in proxy.recorded()] == [70_001] * 2
    assert {r.served for r in proxy.recorded()} <= {200, 411}  # AWS and some others ask for a length


# ------------------------------------------------------------ misbehaving


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed"), (500, "InternalError"), (503, "SlowDown")]
)
def test_a_refusal_is_an_error_of_s3_and_the_server_never_sees_the_request(
    through: S3Server, direct: S3Server, proxy: ObjectProxy, status: int, code: str
) -> None:
    proxy.misbehave(on("PUT"), refuse(status))
    with pytest.raises(ClientError) as caught:
        put(through, "a", ONE, IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == code
    assert seen(proxy) == [("PUT", "a", 0, status)]
    assert not is_there(direct, "a")
    put(through, "a", ONE)  # once was asked for
    assert get(direct, "a") == ONE


def test_a_refusal_can_begin_well_as_those_of_copies_do(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    put(direct, "a", ONE)
    proxy.misbehave(on("PUT", "b"), refuse(200, "InternalError"))
    with pytest.raises(GenericError):
        obstore.copy(through.store(**NO_RETRIES), "a", "b")
    assert not is_there(direct, "b")


def test_obstore_tries_again_after_a_slow_down_until_there_is_none(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    rule = proxy.misbehave(on("PUT"), refuse(503), times=2)
    obstore.put(through.store(), "a", ONE, use_multipart=False)
    assert [r.status for r in proxy.recorded()] == [503, 503, 200]
    assert len(rule.met) == 2
    assert get(direct, "a") == ONE


def test_a_reset_comes_before_the_server_is_asked(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    proxy.misbehave(always, reset)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(through, "a", ONE)
    assert seen(proxy) == [("PUT", "a", 0, 0)]
    assert not is_there(direct, "a")


def test_a_lost_answer_leaves_the_client_without_knowing_that_its_put_landed(
    through: S3Server, direct: S3Server, proxy: ObjectProxy
) -> None:
    proxy.misbehave(always, lose_answer)
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        put(through, "a", ONE, IfNoneMatch="*")
    assert seen(proxy) == [("PUT", "a", 200, 0)]
    assert get(direct, "a") == ONE


def test_a_client_that_tries_again_after_a_lost_answer_is_told_that_its_own_object_exists(through: S3Server, proxy: ObjectProxy) -> None:
    proxy.misbehave(always, lose_answer)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        through.client(attempts=3).put_object(Bucket=through.bucket, Key="a", Body=ONE, IfNoneMatch="*")
    assert seen(proxy) == [("PUT", "a", 200, 0), ("PUT", "a", 412, 412)]


@pytest.mark.parametrize("client", ["boto3", "obstore"])
def test_a_held_answer_outlasts_the_client_and_its_put_has_landed(
    through: S3Server, direct: S3Server, proxy: ObjectProxy, client: str
) -> None:
    proxy.misbehave(always, hold)
    if client == "boto3":
        with pytest.raises(ReadTimeoutError):
            put(through, "a", ONE, timeout_s=SOON_S)
    else:
        with pytest.raises(GenericError):
            obstore.put(through.store(**NO_RETRIES), "a", ONE, use_multipart=False)
    proxy.settle()
    assert seen(proxy) == [("PUT", "a", 200, 0)]
    assert get(direct, "a") == ONE


def test_a_late_put_lands_after_the_next_one_of_its_client(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    release = threading.Event()
    proxy.misbehave(always, late(release))
    with pytest.raises(ReadTimeoutError):
        put(through, "a", ONE, timeout_s=SOON_S)
    put(through, "a", TWO)
    assert get(direct, "a") == TWO
    release.set()
    proxy.settle()
    assert get(direct, "a") == ONE
    assert seen(proxy) == [("PUT", "a", 200, 0), ("PUT", "a", 200, 200)]


def test_a_late_put_that_is_conditional_finds_the_next_one_there(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    release = threading.Event()
    proxy.misbehave(always, late(release))
    with pytest.raises(ReadTimeoutError):
        put(through, "a", ONE, IfNoneMatch="*", timeout_s=SOON_S)
    put(through, "a", TWO, IfNoneMatch="*")
    release.set()
    proxy.settle()
    assert get(direct, "a") == TWO
    assert seen(proxy)[0] == ("PUT", "a", 412, 0)


def test_a_cut_answer_ends_in_the_middle(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    put(direct, "a", ONE)
    proxy.misbehave(on("GET"), cut)
    body = through.client().get_object(Bucket=through.bucket, Key="a")["Body"]
    with pytest.raises((IncompleteReadError, HTTPClientError)):
        body.read()
    assert proxy.recorded()[0].down == len(ONE) // 2
    assert get(through, "a") == ONE


def test_a_flipped_byte_is_the_only_difference(through: S3Server, direct: S3Server, proxy: ObjectProxy) -> None:
    body = os.urandom(200_000)
    put(direct, "a", body)
    for at in (None, 0, 150_000):
        proxy.misbehave(on("GET"), flip(at))
        got = bytes(obstore.get(through.store(), "a").bytes())
        assert [n for n in range(len(body)) if got[n] != body[n]] == [100_000 if at is None else at]
        assert len(got) == len(body)


def test_what_is_not_there_can_be_hidden_as_s3_hides_it_from_those_who_may_not_list(
    through: S3Server, direct: S3Server, proxy: ObjectProxy
) -> None:
    put(direct, "a", ONE)
    proxy.misbehave(always, hide, times=None)
    assert get(through, "a") == ONE
    with pytest.raises(ClientError) as caught:
        get(through, "b")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    with pytest.raises(PermissionDeniedError):
        obstore.head(through.store(), "b")
    assert [(r.served, r.status) for r in proxy.recorded()] == [(200, 200), (404, 403), (404, 403)]


def test_rules_are_taken_in_order_and_can_be_forgotten(through: S3Server, proxy: ObjectProxy) -> None:
    proxy.misbehave(nth(2), refuse(503))
    proxy.misbehave(always, refuse(500), times=None)
    statuses = []
    for _ in range(4):
        with pytest.raises(ClientError) as caught:
            put(through, "a", ONE)
        statuses.append(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])
    assert statuses == [500, 503, 500, 500]
    proxy.behave()
    put(through, "a", ONE)


def test_a_test_can_write_its_own_misbehaviour(through: S3Server, proxy: ObjectProxy) -> None:
    def twice(exchange: Exchange) -> None:
        exchange.read()
        exchange.forward()
        exchange.pass_on()

    proxy.misbehave(always, twice)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        put(through, "a", ONE, IfNoneMatch="*")


# ------------------------------------------------------------ hooks, and ends


PUTS = """
import boto3, os, sys
from botocore.config import Config
client = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}))
for number in range(10):
    client.put_object(Bucket=sys.argv[1], Key=str(number), Body=b"1")
"""


@pytest.mark.parametrize(("hook", "landed"), [(before, ["0", "1"]), (after, ["0", "1", "2"])])
def test_a_client_can_be_killed_before_or_after_a_request_has_landed(
    through: S3Server, direct: S3Server, proxy: ObjectProxy, hook: Any, landed: list[str]
) -> None:
    environment = {**os.environ, **through.environment}
    process: list[subprocess.Popen[bytes]] = []
    started = threading.Event()

    def kill() -> None:
        assert started.wait(30)
        process[0].kill()
        process[0].wait()

    proxy.misbehave(nth(3), hook(kill))
    process.append(subprocess.Popen([sys.executable, "-c", PUTS, through.bucket], env=environment))
    started.set()
    assert process[0].wait(60) == -9
    proxy.settle()
    assert [each["Key"] for each in direct.client().list_objects_v2(Bucket=direct.bucket)["Contents"]] == landed


def test_a_hook_that_leaves_its_client_alone_changes_nothing(through: S3Server, proxy: ObjectProxy) -> None:
    calls: list[str] = []
    proxy.misbehave(on("PUT"), before(lambda: calls.append("before")))
    proxy.misbehave(on("GET"), after(lambda: calls.append("after")))
    put(through, "a", ONE)
    assert get(through, "a") == ONE
    assert calls == ["before", "after"]


@dataclass(frozen=True)
class Elsewhere:
    """A server of which only the port is known."""

    port: int
    root: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def test_a_server_that_is_gone_is_a_broken_connection() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        with object_proxy(Elsewhere(taken.getsockname()[1])) as proxy:
            server = S3Server(proxy.address, "bucket", "key", "secret", "eu-central-1", ServerProcess(Path(), lambda _: [], {}))
            with pytest.raises((ConnectionClosedError, HTTPClientError)):
                put(server, "a", ONE)
    assert seen(proxy) == [("PUT", "a", 0, 0)]


def test_a_server_that_goes_away_in_the_middle_of_an_answer_breaks_the_connection_of_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_half() -> None:
            with listening.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")

        half = threading.Thread(target=answer_half)
        half.start()
        with object_proxy(Elsewhere(listening.getsockname()[1])) as proxy:
            connection = HTTPConnection("127.0.0.1", int(proxy.address.rpartition(":")[2]), timeout=30)
            connection.request("GET", "/bucket/a")
            with pytest.raises((IncompleteRead, ConnectionError)):
                connection.getresponse().read()
            connection.close()
        half.join()
    assert [(r.served, r.status, r.down) for r in proxy.recorded()] == [(200, 200, 5)]


def test_a_proxy_that_is_left_waits_for_nobody_and_leaves_no_thread(direct: S3Server) -> None:
    others = set(threading.enumerate())
    with object_proxy(direct) as proxy:
        proxy.misbehave(always, late(threading.Event()))
        with pytest.raises(ReadTimeoutError):
            put(direct.at(proxy.address), "a", ONE, timeout_s=SOON_S)
    assert set(threading.enumerate()) == others
    assert not is_there(direct, "a")


def test_what_goes_wrong_in_a_rule_is_raised_when_the_proxy_is_left(direct: S3Server) -> None:
    def wrong(request: S3Request) -> bool:
        raise LookupError(f"no rule for {request.key}")

    with pytest.raises(LookupError, match="no rule for a"), object_proxy(direct) as proxy:  # noqa: PT012
        proxy.misbehave(wrong, reset)
        with pytest.raises((ConnectionClosedError, HTTPClientError)):
            put(direct.at(proxy.address), "a", ONE)


def test_obstore_takes_an_object_that_is_there_for_what_it_is(through: S3Server, proxy: ObjectProxy) -> None:
    obstore.put(through.store(), "a", ONE, mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(through.store(), "a", TWO, mode="create")
    assert [r.status for r in proxy.recorded()] == [200, 412]
