"""Files in a bucket of S3 as raw files: found by key and by pattern, opened as they were found, and what is said when they can't be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from object_misbehaviour import cut, hide, on, refuse
from object_proxy import ObjectProxy, object_proxy
from object_servers import S3Server, moto_server, s3_server, why_no

from headrace.backends.buckets.pattern import matcher
from headrace.backends.origins import local, s3
from headrace.core.access import Access
from headrace.core.errors import SourceError, TransientError
from headrace.core.ports import Origin

LARGE = bytes(range(256)) * 24_000  # 6 MB


@pytest.fixture(scope="session")
def served(servers: Callable[..., Any]) -> Callable[[str], S3Server]:
    return lambda name: servers(name, s3_server if name == "versitygw" else lambda _: moto_server())


@pytest.fixture(params=["moto", pytest.param("versitygw", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, served: Callable[[str], S3Server]) -> S3Server:
    if request.param == "versitygw" and why_no("versitygw"):
        pytest.skip(why_no("versitygw"))
    return served(request.param).with_bucket()


@pytest.fixture
def proxy(server: S3Server) -> Iterator[ObjectProxy]:
    with object_proxy(server) as found:
        yield found


def origin(server: S3Server, **settings: Any) -> Origin:
    return s3.open(access=Access(environment=server.environment, **settings))


def put(server: S3Server, key: str, data: bytes = b"id\n1\n") -> None:
    server.client().put_object(Bucket=server.bucket, Key=key, Body=data)


def at(server: S3Server, key: str) -> str:
    return f"s3://{server.bucket}/{key}"


def keys(server: S3Server, pattern: str) -> list[str]:
    return [file.uri.removeprefix(at(server, "")) for file in origin(server).find(at(server, pattern))]


def read(origin: Origin, location: str) -> bytes:
    (file,) = origin.find(location)
    with origin.open(file) as opened:
        return opened.read()


# ---------------------------------------------------------------- finding


def test_a_key_is_looked_at_by_one_request(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "in/a.csv", b"id\n1\n")
    (file,) = origin(server.at(proxy.address)).find(at(server, "in/a.csv"))
    assert (file.uri, file.name, file.size_bytes) == (at(server, "in/a.csv"), "a.csv", 5)
    assert file.modified_at is not None
    assert [(one.method, one.key) for one in proxy.recorded()] == [("HEAD", "in/a.csv")]


def test_a_key_and_a_pattern_tell_the_same_of_a_file(server: S3Server) -> None:
    put(server, "in/a.csv")
    (by_key,), (by_pattern,) = origin(server).find(at(server, "in/a.csv")), origin(server).find(at(server, "in/*"))
    assert (by_key.uri, by_key.mark, by_key.size_bytes) == (by_pattern.uri, by_pattern.mark, by_pattern.size_bytes)


def test_the_same_bytes_written_again_are_the_same_file_and_others_are_not(server: S3Server) -> None:
    put(server, "a.csv", b"1")
    (first,) = origin(server).find(at(server, "a.csv"))
    put(server, "a.csv", b"1")
    (again,) = origin(server).find(at(server, "a.csv"))
    put(server, "a.csv", b"2")
    (other,) = origin(server).find(at(server, "a.csv"))
    assert first.mark == again.mark != other.mark


def test_a_pattern_lists_no_more_than_what_begins_like_it(server: S3Server, proxy: ObjectProxy) -> None:
    for key in ("in/2026-01-01.csv", "in/2026-01-02.csv", "in/2025-01-01.csv", "other/2026-01-01.csv", "in/deep/2026-01-01.csv"):
        put(server, key)
    assert keys(server.at(proxy.address), "in/2026-*.csv") == ["in/2026-01-01.csv", "in/2026-01-02.csv"]
    (listing,) = proxy.recorded()
    assert listing.actions == ("s3:ListBucket",)
    assert (listing.query["prefix"], listing.query["start-after"]) == ("in/", "in/2026,")


def test_a_pattern_of_a_folders_own_files_does_not_list_what_lies_deeper(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "in/a.csv")
    for n in range(3):
        put(server, f"in/archive/{n}.csv")
    assert keys(server.at(proxy.address), "in/*.csv") == ["in/a.csv"]
    (listing,) = proxy.recorded()
    assert (listing.query["prefix"], listing.query["delimiter"]) == ("in/", "/")


def test_more_files_than_a_page_are_all_found(server: S3Server) -> None:
    client = server.client()
    for n in range(1005):
        client.put_object(Bucket=server.bucket, Key=f"many/{n:04}.csv", Body=b"")
    put(server, "many/1005.csv", b"x")
    assert [file.uri for file in origin(server).find(at(server, "many/*5.csv"))][-1] == at(server, "many/1005.csv")
    assert len(keys(server, "many/1*.csv")) == 6


def test_a_folders_mark_is_no_file(server: S3Server) -> None:
    put(server, "in/done/", b"")
    put(server, "in/empty.csv", b"")
    put(server, "in/a.csv")
    assert keys(server, "in/*") == ["in/a.csv", "in/empty.csv"]


def test_a_name_that_looks_like_a_pattern_is_found_as_it_is(server: S3Server) -> None:
    put(server, "in/a[1].csv")
    put(server, "in/a1.csv")
    assert keys(server, "in/a[1].csv") == ["in/a[1].csv"]
    assert keys(server, "in/a[12].csv") == ["in/a1.csv"]


@pytest.mark.parametrize("name", ["a b.csv", "ü#%20+&=.csv", "what?.csv", "~a,b;c@d.csv"])
def test_names_with_signs_in_them_are_found_and_read(server: S3Server, name: str) -> None:
    put(server, f"in/{name}", b"1")
    (file,) = origin(server).find(at(server, "in/*"))
    assert (file.uri, file.name) == (at(server, f"in/{name}"), name)
    with origin(server).open(file) as opened:
        assert opened.read() == b"1"


def test_what_is_not_there_is_not_found(server: S3Server) -> None:
    put(server, "in/a.csv")
    assert keys(server, "in/b.csv") == []
    assert keys(server, "none/*.csv") == []


@pytest.mark.parametrize("key", ["in/", "in", ""])
def test_a_folder_is_no_file(server: S3Server, key: str) -> None:
    put(server, "in/a.csv")
    with pytest.raises(SourceError, match=r"is a folder\. Name its files, such as `s3://.*\*\.csv`"):
        origin(server).find(at(server, key))


@pytest.mark.parametrize("key", ["a.csv", "in/*.csv", "in/2026*"])
def test_a_bucket_that_is_not_there_is_no_empty_one(server: S3Server, key: str) -> None:
    with pytest.raises(SourceError, match="there is no bucket `none-such` there"):
        origin(server).find(f"s3://none-such/{key}")


NAMES = st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip("."))
TREES = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), max_size=12, unique=True)
PATTERNS = st.lists(
    st.one_of(NAMES, st.text("ab.*?", min_size=1, max_size=3), st.sampled_from(["*", "**", "[ab]*", "[!a]", "[", "*.b"])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=TREES, pattern=PATTERNS.map("/".join).filter(lambda text: not set(text.split("/")) & {".", ".."}))
def test_a_pattern_names_what_it_names_in_a_folder(tmp_path_factory: pytest.TempPathFactory, tree: list[str], pattern: str) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for key in tree:
        path = folder / key
        if not any(parent.is_file() for parent in path.parents if parent != folder) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    there = sorted((path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()), key=lambda key: key.split("/"))
    if (folder / pattern).is_dir():
        return
    expected = [Path(file.uri).relative_to(folder).as_posix() for file in local.open(folder).find(pattern)]
    assert ([pattern] if pattern in there else [key for key in there if matcher(pattern)(key)]) == expected


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=TREES, pattern=PATTERNS.map("/".join))
def test_a_pattern_finds_in_a_bucket_what_it_finds_in_a_folder(
    served: Callable[[str], S3Server], tmp_path_factory: pytest.TempPathFactory, tree: list[str], pattern: str
) -> None:
    bucket, folder = served("moto").with_bucket(), tmp_path_factory.mktemp("tree")
    for key in tree:
        path = folder / key
        if not any(parent.is_file() for parent in path.parents if parent != folder) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
            put(bucket, key, b"x")
    try:
        expected = [Path(file.uri).relative_to(folder).as_posix() for file in local.open(folder).find(pattern)]
    except SourceError:
        return
    if not set(pattern.split("/")) & {".", ".."}:
        assert keys(bucket, pattern) == expected


# ---------------------------------------------------------------- opening


def test_bytes_come_whole_and_in_pieces(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "a.csv", LARGE)
    reached = origin(server.at(proxy.address))
    (file,) = reached.find(at(server, "a.csv"))
    with reached.open(file) as opened:
        assert b"".join(iter(lambda: opened.read(100_001), b"")) == LARGE
    assert [one.method for one in proxy.recorded()] == ["HEAD", "GET"]


@pytest.mark.parametrize("times", [1, 3])
def test_a_transfer_that_breaks_off_is_taken_up_where_it_ended(server: S3Server, proxy: ObjectProxy, times: int) -> None:
    put(server, "a.csv", LARGE)
    broken = proxy.misbehave(on("GET"), cut, times=times)
    assert read(origin(server.at(proxy.address)), at(server, "a.csv")) == LARGE
    assert len(broken.met) == times
    sent = [one.down for one in proxy.recorded() if one.method == "GET"]
    assert sum(sent) < len(LARGE) + times * 1_500_000, "what had come is not fetched again"


def test_a_transfer_that_always_breaks_off_is_given_up_and_may_be_tried_again(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "a.csv", LARGE)
    proxy.misbehave(on("GET"), cut, times=None)
    with pytest.raises(TransientError, match=r"Could not read `a\.csv` in s3://"):
        read(origin(server.at(proxy.address)), at(server, "a.csv"))
    assert len(proxy.recorded()) < 100


def test_an_object_that_changed_between_find_and_open_is_not_read(server: S3Server) -> None:
    put(server, "a.csv", b"old")
    (file,) = origin(server).find(at(server, "a.csv"))
    put(server, "a.csv", b"new")
    with pytest.raises(TransientError, match=r"a\.csv` changed since it was found: it is still being written"):
        origin(server).open(file)


def test_an_object_that_is_gone_since_it_was_found_says_so(server: S3Server) -> None:
    put(server, "a.csv")
    (file,) = origin(server).find(at(server, "a.csv"))
    server.client().delete_object(Bucket=server.bucket, Key="a.csv")
    with pytest.raises(TransientError, match=r"a\.csv` was removed since it was found"):
        origin(server).open(file)


def test_an_object_that_changes_while_it_is_read_is_not_read_on(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "a.csv", LARGE)
    reached = origin(server.at(proxy.address))
    (file,) = reached.find(at(server, "a.csv"))

    def cut_then_change(exchange: Any) -> None:
        cut(exchange)
        put(server, "a.csv", LARGE[::-1])

    proxy.misbehave(on("GET"), cut_then_change)
    with pytest.raises(TransientError, match="changed since it was found"), reached.open(file) as opened:
        opened.read()


# ---------------------------------------------------------------- what a server refuses


def test_a_request_that_is_denied_names_the_permission(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "in/a.csv")
    reached = origin(server.at(proxy.address))
    (file,) = reached.find(at(server, "in/a.csv"))
    proxy.misbehave(lambda _: True, refuse(403), times=None)
    with pytest.raises(SourceError, match=r"Could not read `in/a\.csv` in s3://.*needed: s3:GetObject\..*Without s3:ListBucket"):
        reached.find(at(server, "in/a.csv"))
    with pytest.raises(SourceError, match=r"Could not list `in/` in s3://.*needed: s3:ListBucket"):
        reached.find(at(server, "in/*.csv"))
    with pytest.raises(SourceError, match=r"Could not read `in/a\.csv` in s3://.*needed: s3:GetObject"):
        reached.open(file)


def test_what_is_not_there_is_not_found_by_those_who_may_list_a_part_of_the_bucket(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "in/b.csv")
    reached = origin(server.at(proxy.address))
    proxy.misbehave(on("HEAD"), hide, times=None)
    assert reached.find(at(server, "in/a.csv")) == ()
    assert [one.uri for one in reached.find(at(server, "in/b.csv"))] == [at(server, "in/b.csv")]
    proxy.misbehave(on("GET"), refuse(403), times=None)
    with pytest.raises(SourceError, match=r"Could not read `in/a\.csv`"):
        reached.find(at(server, "in/a.csv"))


@pytest.mark.integration
def test_a_user_without_the_right_is_told_which(served: Callable[[str], S3Server]) -> None:
    if why_no("versitygw"):
        pytest.skip(why_no("versitygw"))
    server = served("versitygw").with_bucket()
    put(server, "in/a.csv")
    resources = [f"arn:aws:s3:::{server.bucket}", f"arn:aws:s3:::{server.bucket}/*"]
    reader = server.user("reader", {"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": resources}]})
    assert read(origin(reader), at(server, "in/a.csv")) == b"id\n1\n"
    with pytest.raises(SourceError, match="needed: s3:ListBucket"):
        origin(reader).find(at(server, "in/*.csv"))
    lister = server.user("lister", {"Statement": [{"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": resources}]})
    with pytest.raises(SourceError, match=r"needed: s3:GetObject\."):
        origin(lister).find(at(server, "in/a.csv"))
    assert json.dumps(keys(lister, "in/*")) == '["in/a.csv"]'


def test_who_pays_is_said_with_each_request(server: S3Server, proxy: ObjectProxy) -> None:
    put(server, "in/a.csv")
    payer = origin(server.at(proxy.address), requester_pays=True)
    assert read(payer, at(server, "in/*.csv")) == b"id\n1\n"
    assert [one.request.headers.get("x-amz-request-payer") for one in proxy.recorded()] == ["requester", "requester"]
