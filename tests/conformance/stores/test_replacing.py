"""What every store must do besides, as a shelf: objects are replaced, and a reader sees the old one or the new one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest


@pytest.mark.parametrize("is_file", [False, True], ids=["bytes", "file"])
def test_an_object_is_put_and_replaced(store, tmp_path: Path, is_file: bool) -> None:
    for number, data in enumerate((b"first", b"", b"the third is longer" * 100_000)):
        given = tmp_path / f"given {number}"
        given.write_bytes(data)
        store.replace("shop/sums/_SUCCESS", given if is_file else data)
        assert store.get("shop/sums/_SUCCESS") == data
        assert given.read_bytes() == data
    assert list(store.keys("")) == ["shop/sums/_SUCCESS"]


def test_what_was_put_from_a_file_does_not_change_with_it(store, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_bytes(b"as it was")
    store.replace("a/b", given)
    with given.open("r+b") as file:
        file.write(b"changed")
    assert store.get("a/b") == b"as it was"


def test_a_reader_never_sees_part_of_a_replaced_object(store) -> None:
    versions = [bytes([65 + n]) * (200_000 + n * 50_000) for n in range(8)]
    store.replace("a/b", versions[0])
    seen, is_over = set(), threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            seen.add(store.get("a/b"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for data in versions:
        store.replace("a/b", data)
    is_over.set()
    watcher.join()
    assert seen
    assert seen <= set(versions)


@pytest.mark.parametrize("key", ["", "/a", "../a", "a/../b", ".hidden"])
def test_a_key_that_climbs_or_hides_is_refused(store, key: str) -> None:
    with pytest.raises(ValueError):
        store.replace(key, b"")
