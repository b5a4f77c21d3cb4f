"""What only the local store does: refusals by name of the file system, links and copies, errors, Apple's fsync."""

from __future__ import annotations

import errno
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from headrace.backends.stores import local
from headrace.backends.stores.local import LocalStore
from headrace.core.errors import LakeError, TransientError


class Os:
    """`os`, with some functions replaced."""

    def __init__(self, **replaced: Any) -> None:
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def failing(number: int) -> Any:
    def fail(*_args: Any, **_more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return local.open(f"file://{tmp_path}/lake")


def put(store: LocalStore, key: str, data: bytes = b"rows") -> Path:
    path = store.stage(key)
    path.write_bytes(data)
    store.publish([key])
    return path


def test_opening_and_listing_make_nothing(store: LocalStore, tmp_path: Path) -> None:
    assert list(store.keys("")) == []
    assert list(tmp_path.iterdir()) == []
    assert store.uri == f"{tmp_path}/lake"


def test_a_file_system_without_hard_links_is_refused_by_name(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "os", Os(link=failing(errno.EPERM)))
    with pytest.raises(
        LakeError, match=r"lies on a file system of type .+, which refused a hard link .* Put the lake on another file system"
    ):
        store.create("headrace.json", b"{}")
    assert list(store.keys("")) == []


@pytest.mark.skipif(not Path("/proc/self/mounts").exists(), reason="only Linux lists its mounts there")
def test_the_type_of_a_file_system_is_found_or_said_to_be_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local._file_system("/proc/self") == "proc"
    monkeypatch.setattr(local, "os", Os(open=failing(errno.ENOENT)))
    assert local._file_system(str(tmp_path)) == "unknown to us"


def test_a_copy_is_a_link_and_where_links_end_a_copy_of_bytes(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put(store, "gold/a/old/file", b"rows" * 500_000)
    store.copy("gold/a/old/file", "gold/a/linked/file")
    monkeypatch.setattr(local, "os", Os(link=failing(errno.EMLINK)))
    store.copy("gold/a/old/file", "gold/a/copied/file")
    store.publish(["gold/a/linked/file", "gold/a/copied/file"])
    assert old.stat().st_nlink == 2
    assert store.path("gold/a/copied/file").stat().st_nlink == 1
    assert store.get("gold/a/copied/file") == store.get("gold/a/linked/file") == b"rows" * 500_000


def test_a_loser_leaves_nothing_aside(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("log/a", b"first")
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    assert store.create("log/a", b"second") is False
    assert list((tmp_path / "lake" / ".aside").iterdir()) == []


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, TransientError), (errno.ESTALE, TransientError), (errno.ENOSPC, LakeError)])
def test_an_error_of_the_disk_says_what_was_attempted_and_if_it_may_pass(
    number: int, kind: type[Exception], store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("log/a", b"x")
    put(store, "gold/a/file")
    said = f"in the lake .*lake: {os.strerror(number)}"
    monkeypatch.setattr(local, "os", Os(open=failing(number), link=failing(number), unlink=failing(number), mkdir=failing(number)))
    for act, what in (
        (lambda: store.create("log/b", b"x"), "write `log/b`"),
        (lambda: store.get("log/a"), "read `log/a`"),
        (lambda: store.stage("gold/b/file"), "make the folder of `gold/b/file`"),
        (lambda: store.publish(["gold/a/file"]), "sync `gold/a/file`"),
        (lambda: store.confirm(["log/a"]), "sync the folder of `log/a`"),
        (lambda: store.copy("gold/a/file", "gold/a/other"), "copy `gold/a/file`"),
        (lambda: store.delete("gold/a/file"), "delete `gold/a/file`"),
    ):
        with pytest.raises(kind, match=f"Could not {what} {said}"):
            act()


def test_a_folder_that_is_collected_while_it_is_synced_is_a_key_error(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "gold/a/b/file")
    sync = local._sync

    def collected(path: str) -> None:
        sync(path)
        store.delete("gold/a/b/file")

    monkeypatch.setattr(local, "_sync", collected)
    with pytest.raises(KeyError, match="gold/a/b"):
        store.publish(["gold/a/b/file"])


def test_deleting_the_last_file_of_a_folder_removes_that_folder_and_no_other(store: LocalStore, tmp_path: Path) -> None:
    put(store, "gold/a/b/one")
    put(store, "gold/a/b/two")
    store.delete("gold/a/b/one")
    assert (tmp_path / "lake/gold/a/b").is_dir()
    store.delete("gold/a/b/two")
    assert not (tmp_path / "lake/gold/a/b").exists()
    assert (tmp_path / "lake/gold/a").is_dir()
    put(store, "gold/a/b/one")
    assert store.get("gold/a/b/one") == b"rows"


def test_a_folder_above_the_lake_that_may_not_be_read_is_left_alone(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = local._sync

    def guarded(path: str) -> None:
        if not path.startswith(f"{tmp_path}/lake"):
            raise PermissionError(errno.EACCES, "no", path)
        sync(path)

    monkeypatch.setattr(local, "_sync", guarded)
    assert store.create("log/a", b"x")
    with pytest.raises(PermissionError):
        local._sync_folder("/", must=True)


def test_listings_climb_nowhere_and_skip_what_is_hidden(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("x")
    store.create("log/a", b"x")
    (tmp_path / "lake/log/.hidden").write_text("x")
    assert list(store.keys("")) == ["log/a"]
    for prefix in ("../", "log/../../", "/", "//", "./", "log//", ".aside/", f"{tmp_path}/"):
        assert list(store.keys(prefix)) == list(store.list(prefix)) == []


def test_on_a_mac_the_drives_cache_is_flushed_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flushed: list[Any] = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(local, "fcntl", types.SimpleNamespace(F_FULLFSYNC=51, fcntl=lambda *args: flushed.append(args)), raising=False)
    monkeypatch.setattr(local, "os", Os(fsync=lambda fd: flushed.append(fd)))
    local._flush(7)
    assert flushed == [(7, 51)]
    monkeypatch.setattr(local.fcntl, "fcntl", failing(errno.ENOTSUP))
    local._flush(8)
    assert flushed == [(7, 51), 8]
