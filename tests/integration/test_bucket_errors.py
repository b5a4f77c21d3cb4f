"""What a person is told when a bucket does not do what it was asked: exactly, against a server that checks who asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from object_misbehaviour import always, cut, do_and_refuse, flip, flip_up, hold, lose_answer, on, refuse, reset
from object_proxy import How, ObjectProxy, object_proxy
from object_servers import S3Server, s3_server, why_no

from headrace.backends.buckets.client import TRIES
from headrace.backends.buckets.opening import open_store
from headrace.backends.buckets.store import BucketStore
from headrace.core.access import Access
from headrace.core.errors import DamageError, LakeError, TransientError
from headrace.core.manifest import FileEntry
from headrace.lake.entry import put_entry

pytestmark = pytest.mark.integration

LARGE = 9 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if why := why_no("versitygw"):
        pytest.skip(why)
    with s3_server(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture
def open_at(tmp_path: Path) -> Callable[..., BucketStore]:
    """A lake's store as a user of a server reaches it, with little patience."""

    def open_at(server: S3Server, **more: Any) -> BucketStore:
        access = Access(environment=server.environment, cache=tmp_path / "cache", **{"patience_s": 3, **more})
        return open_store(f"s3://{server.bucket}/lake", access)

    return open_at


@pytest.fixture
def proxy(server: S3Server) -> Iterator[ObjectProxy]:
    with object_proxy(server) as proxy:
        yield proxy


def publish(store: BucketStore, key: str, size: int) -> None:
    store.stage(key).write_bytes(b"x" * size)
    store.publish([key])


ACTS: dict[str, Callable[[BucketStore], object]] = {
    "create": lambda store: store.create("log/a", b"1"),
    "replace": lambda store: store.replace("log/a", b"1"),
    "publish": lambda store: publish(store, "gold/a", 10),
    "publish in parts": lambda store: publish(store, "gold/a", LARGE),
    "get": lambda store: store.get("log/a"),
    "path": lambda store: store.path("log/a"),
    "list": lambda store: list(store.keys("log/")),
    "copy": lambda store: store.copy("log/a", "log/b"),
    "delete": lambda store: store.delete("log/a", "log/b"),
}
OPERATIONS = {
    "create": "put `log/a`",
    "replace": "put `log/a`",
    "publish": "put `gold/a`",
    "publish in parts": "put `gold/a`",
    "get": "read `log/a`",
    "path": "read `log/a`",
    "list": "list `log/`",
    "copy": "copy `log/a`",
    "delete": "delete `log/a`",
}
PERMISSIONS = {
    **dict.fromkeys(("create", "replace", "publish", "publish in parts"), "s3:PutObject."),
    **dict.fromkeys(("get", "path"), "s3:GetObject. Without s3:ListBucket on the bucket S3 also says so of what is not there."),
    "list": "s3:ListBucket.",
    "copy": "s3:GetObject and s3:PutObject.",
    "delete": "s3:DeleteObject.",
}


def lasting(store: BucketStore, act: str) -> str:
    with pytest.raises(LakeError) as caught:
        ACTS[act](store)
    return str(caught.value)


@pytest.mark.parametrize("act", ACTS)
def test_a_denial_says_what_was_denied_where_and_which_permission_is_missing(act: str, server: S3Server, open_at: Any) -> None:
    bucket = server.with_bucket()
    policy = {"Statement": [{"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": f"arn:aws:s3:::{bucket.bucket}"}]}
    nobody = bucket.user(f"nobody-{act.replace(' ', '-')}", policy)
    assert lasting(open_at(nobody), act) == (
        f"Could not {OPERATIONS[act]} in s3://{bucket.bucket}/lake: access is denied. The permission that is needed: {PERMISSIONS[act]} "
        "See: headrace iam FILE --profile …"
    )


@pytest.mark.parametrize("act", ACTS)
def test_a_bucket_that_is_not_there_is_said_so_of_every_operation(act: str, server: S3Server, open_at: Any) -> None:
    assert lasting(open_at(replace(server, bucket="no-such-bucket")), act) == (
        f"Could not {OPERATIONS[act]} in s3://no-such-bucket/lake: there is no bucket `no-such-bucket` there. Make it, or mend its name."
    )


@pytest.mark.parametrize("act", ACTS)
def test_a_wrong_region_is_said_with_the_right_one(act: str, server: S3Server, open_at: Any) -> None:
    assert lasting(open_at(server, region="us-west-2"), act) == (
        f"Could not {OPERATIONS[act]} in s3://{server.bucket}/lake: the bucket is in another region than the one that was asked. "
        'Set region = "eu-central-1". (AuthorizationHeaderMalformed: The authorization header is malformed; '
        'the region "us-west-2" is wrong; expecting "eu-central-1")'
    )


@pytest.mark.parametrize("act", ACTS)
def test_a_wrong_secret_is_said_without_it(act: str, server: S3Server, open_at: Any) -> None:
    assert lasting(open_at(replace(server, secret="not-the-secret")), act) == (
        f"Could not {OPERATIONS[act]} in s3://{server.bucket}/lake: the server does not accept the secret key (SignatureDoesNotMatch). "
        "The keys came from the settings that `headrace doctor` shows."
    )


def test_an_unknown_key_is_said(server: S3Server, open_at: Any) -> None:
    assert lasting(open_at(replace(server, access_key="AKIANOBODY")), "get") == (
        f"Could not read `log/a` in s3://{server.bucket}/lake: the server does not know the access key (InvalidAccessKeyId). "
        "The keys came from the settings that `headrace doctor` shows."
    )


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (
            400,
            "ExpiredToken",
            "the server says that the session token has expired (ExpiredToken). The keys came from the settings that `headrace doctor` shows.",
        ),
        (403, "RequestTimeTooSkewed", "the server says that this machine's clock is wrong (RequestTimeTooSkewed). Set the clock."),
        (
            301,
            "PermanentRedirect",
            (
                "the bucket is in another region than the one that was asked. Set `region`. (Received redirect without LOCATION, "
                "this normally indicates an incorrectly configured region)"
            ),
        ),
        (400, "InvalidArgument", "InvalidArgument: the proxy says so."),
        (501, "NotImplemented", "NotImplemented: the proxy says so."),
    ],
)
def test_what_stays_so_is_asked_once_and_said(
    act: str, status: int, code: str, words: str, server: S3Server, proxy: ObjectProxy, open_at: Any
) -> None:
    proxy.misbehave(always, refuse(status, code), times=None)
    assert lasting(open_at(server.at(proxy.address)), act) == f"Could not {OPERATIONS[act]} in s3://{server.bucket}/lake: {words}"
    assert len(proxy.recorded()) <= (TRIES if status == 501 else 1)  # the library asks again after any error of a server


# ------------------------------------------------------------ what may pass


WORDS = {
    "busy": (refuse(503), "SlowDown: the proxy says so"),
    "failing": (refuse(500), "InternalError: the proxy says so"),
    "in conflict": (refuse(409), "ConditionalRequestConflict: the proxy says so"),
    "impatient": (refuse(400), "RequestTimeout: the proxy says so"),
    "resetting": (reset, "the connection broke"),
    "silent": (hold, "the server did not answer in time"),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", WORDS)
def test_a_server_that_does_not_recover_is_asked_a_bounded_number_of_times_and_said(
    how: str, act: str, server: S3Server, proxy: ObjectProxy, open_at: Any
) -> None:
    misbehaviour, words = WORDS[how]
    proxy.misbehave(always, misbehaviour, times=None)
    begun = time.monotonic()
    if act == "create" and how == "in conflict":
        assert open_at(server.at(proxy.address)).create("log/a", b"1") is False  # maybe another's: whoever asked looks
        return
    with pytest.raises(TransientError) as caught:
        ACTS[act](open_at(server.at(proxy.address), patience_s=1 if how == "silent" else 3))
    assert len(proxy.recorded()) <= 3 * TRIES
    assert time.monotonic() - begun < 30
    done = "" if OPERATIONS[act].startswith(("read", "list")) else " What was asked may have been done all the same."
    assert str(caught.value) == f"Could not {OPERATIONS[act]} in s3://{server.bucket}/lake: {words}.{done} Run again."


@pytest.mark.parametrize("how", WORDS)
def test_an_entry_is_put_a_bounded_number_of_times(how: str, server: S3Server, proxy: ObjectProxy, open_at: Any) -> None:
    proxy.misbehave(always, WORDS[how][0], times=None)
    with pytest.raises(TransientError, match=rf"`log/a`.* in s3://{server.bucket}/lake"):
        put_entry(open_at(server.at(proxy.address), patience_s=1 if how == "silent" else 3), "log/a", b"1")
    assert len(proxy.recorded()) <= 2 * 3 * TRIES


@pytest.mark.parametrize("how", [lose_answer, hold, do_and_refuse(500), do_and_refuse(503)], ids=["lost", "held", "500", "503"])
def test_an_entry_whose_first_try_landed_without_an_answer_is_found_to_be_our_own(
    how: How, server: S3Server, proxy: ObjectProxy, open_at: Any
) -> None:
    mine = server.with_bucket()
    store = open_at(mine.at(proxy.address))
    proxy.misbehave(on("PUT"), how)
    assert put_entry(store, "log/a", b"mine") is None
    proxy.misbehave(on("PUT", "log/b"), how)
    open_at(mine).create("log/b", b"theirs")
    assert put_entry(store, "log/b", b"mine") == b"theirs"


@pytest.mark.parametrize("act", ["get", "path", "list", "copy", "delete", "replace", "publish in parts"])
def test_an_answer_that_is_cut_in_the_middle_is_asked_for_again(act: str, server: S3Server, proxy: ObjectProxy, open_at: Any) -> None:
    mine = server.with_bucket()
    store = open_at(mine.at(proxy.address))
    store.replace("log/a", b"1" * 5_000)
    proxy.misbehave(always, cut, times=2)
    done = ACTS[act](store)
    if act == "get":
        assert done == b"1" * 5_000
    if act == "list":
        assert done == ["log/a"]
    if act == "path":
        assert Path(str(done)).read_bytes() == b"1" * 5_000


@pytest.mark.parametrize("how", [cut, flip(), flip(0)], ids=["cut", "changed", "changed at its start"])
def test_a_file_that_comes_damaged_is_fetched_again_and_never_served(how: How, server: S3Server, proxy: ObjectProxy, open_at: Any) -> None:
    mine = server.with_bucket()
    data = b"rows of an hour" * 9_000
    open_at(mine).replace("gold/a.parquet", data)
    file = FileEntry("gold/a.parquet", sha256(data).hexdigest(), len(data))
    store = open_at(mine.at(proxy.address))
    damaged = proxy.misbehave(on("GET"), how, times=None)
    with pytest.raises((DamageError, TransientError), match=f"`gold/a.parquet` in s3://{mine.bucket}/lake"):
        store.paths([file])
    assert 2 <= len(damaged.met) <= 3 * TRIES
    proxy.behave()
    proxy.misbehave(on("GET"), how)
    (path,) = store.paths([file])
    assert path.read_bytes() == data
    proxy.misbehave(always, refuse(503), times=None)
    with open_at(mine.at(proxy.address)).lease():
        assert store.paths([file])[0].read_bytes() == data, "from the cache"


def test_nothing_at_the_address_and_no_such_name_are_told_apart(server: S3Server, open_at: Any) -> None:
    for endpoint, words in [
        ("http://127.0.0.1:9", "nothing listens at the server's address; see `endpoint`"),
        ("http://no-such-server.invalid", "the name of the server is not known; see `endpoint` and `region`"),
        (server.endpoint.replace("http", "https"), "the server does not speak https; see `endpoint`"),
    ]:
        with pytest.raises(TransientError) as caught:
            open_at(server.at(endpoint)).get("log/a")
        assert str(caught.value) == f"Could not read `log/a` in s3://{server.bucket}/lake: {words}. Run again."


@pytest.mark.parametrize("act", ["replace", "publish", "publish in parts"])
def test_bytes_that_were_changed_on_their_way_are_refused_by_the_server_and_sent_again(
    act: str, server: S3Server, proxy: ObjectProxy, open_at: Any
) -> None:
    changed = proxy.misbehave(on("PUT"), flip_up)
    store = open_at(server.with_bucket().at(proxy.address))
    ACTS[act](store)
    assert len(changed.met) == 1
    assert {"replace": lambda: store.get("log/a") == b"1"}.get(act, lambda: set(store.get("gold/a")) == {ord("x")})()


# ------------------------------------------------------------ uploads in parts


def unfinished(server: S3Server) -> int:
    return len(server.client().list_multipart_uploads(Bucket=server.bucket).get("Uploads", []))


def test_the_end_of_an_upload_whose_answer_was_lost_is_found_by_a_second_upload(server: S3Server, proxy: ObjectProxy, open_at: Any) -> None:
    mine = server.with_bucket()
    store = open_at(mine.at(proxy.address))
    ends = proxy.misbehave(on("POST", query="uploadId"), lose_answer)
    publish(store, "gold/a", LARGE)
    assert len(ends.met) == 1
    assert store.get("gold/a") == b"x" * LARGE
    assert unfinished(mine) == 0


def test_an_upload_that_fails_half_way_leaves_no_object(server: S3Server, proxy: ObjectProxy, open_at: Any) -> None:
    mine = server.with_bucket()
    store = open_at(mine.at(proxy.address))
    proxy.misbehave(lambda request: request.query.get("partNumber") == "2", refuse(503), times=None)
    with pytest.raises(TransientError, match="Could not put `gold/a`"):
        publish(store, "gold/a", LARGE)
    assert [*store.keys("gold/")] == []
    proxy.behave()
    publish(store, "gold/a", LARGE)
    assert store.get("gold/a") == b"x" * LARGE
