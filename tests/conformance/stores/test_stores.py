"""What every store must do, whatever it is made of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.backends import stores
from headrace.core.manifest import FileEntry
from headrace.core.store import Store

BAD_KEYS = ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".hidden", "a/.hidden/b", "a\\b", "a\nb", "a\0b", "x" * 1000]


def put(store: Store, key: str, data: bytes) -> None:
    store.stage(key).write_bytes(data)
    store.publish([key])


def test_every_flavour_has_a_case() -> None:
    flavours = {path.stem for folder in stores.__path__ for path in Path(folder).glob("*.py")} - {"__init__"}
    assert flavours == {path.stem for path in (Path(__file__).parent / "cases").glob("*.py")}


def test_what_was_created_is_got(store: Store) -> None:
    assert store.create("log/a/b/entry", b"first") is True
    assert store.get("log/a/b/entry") == b"first"


def test_a_second_create_is_refused_and_changes_nothing(store: Store) -> None:
    assert store.create("a/b", b"first")
    assert store.create("a/b", b"second") is False
    assert store.create("a/b", b"first") is False
    assert store.get("a/b") == b"first"


def test_an_empty_and_a_large_object_are_kept_whole(store: Store) -> None:
    large = bytes(range(256)) * 20_000
    assert store.create("empty", b"")
    assert store.create("large", large)
    assert store.get("empty") == b""
    assert store.get("large") == large


@pytest.mark.parametrize("ask", ["get", "path"])
def test_what_is_not_there_is_a_key_error(store: Store, ask: str) -> None:
    store.create("log/a/entry", b"x")
    for key in ("nothing", "log/a", "log/a/entry/below", "log/nothing"):
        with pytest.raises(KeyError):
            getattr(store, ask)(key)


def test_copying_or_publishing_what_is_not_there_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError):
        store.copy("nothing", "target")
    with pytest.raises(KeyError):
        store.publish(["nothing"])


def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    store.delete("gold/a/nothing")
    put(store, "gold/a/b/file", b"x")
    store.delete("gold/a/b/file")
    store.delete("gold/a/b/file")
    assert list(store.keys("")) == []


def test_staged_bytes_are_read_by_their_key_once_published(store: Store) -> None:
    path = store.stage("gold/a/b/file.parquet")
    assert path.parent.is_dir()
    path.write_bytes(b"rows")
    store.publish(["gold/a/b/file.parquet"])
    assert store.get("gold/a/b/file.parquet") == b"rows"
    assert store.path("gold/a/b/file.parquet").read_bytes() == b"rows"


def test_a_file_of_which_no_copy_is_kept_is_read_all_the_same(store: Store, case: Any, tmp_path: Path) -> None:
    store.stage("gold/a/b/file").write_bytes(b"rows")
    store.publish(["gold/a/b/file"])
    other = case.fresh(tmp_path) if case.is_shared_by_processes else store
    entry, digest = FileEntry("gold/a/b/file", sha256(b"rows").hexdigest(), 4), sha256(b"rows").hexdigest()
    other.paths([entry])
    for one in (store, other):
        one.drop([digest, sha256(b"never seen").hexdigest()])
    (path,) = other.paths([entry])
    assert path.read_bytes() == b"rows"


def test_a_file_that_goes_and_comes_in_parts_is_whole_and_counted_whole(store: Store, case: Any, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 33 + b"and a little more"
    store.stage("gold/a/b/large").write_bytes(data)
    store.publish(["gold/a/b/large"])
    other = case.fresh(tmp_path) if case.is_shared_by_processes else store
    (path,) = other.paths([FileEntry("gold/a/b/large", sha256(data).hexdigest(), len(data))])
    assert path.read_bytes() == data
    if store.traffic is not None:
        assert (store.traffic.bytes_up, other.traffic.bytes_down) == (len(data), len(data))
        assert store.traffic.requests == 2 + 5  # begun, parts of 8 MiB, ended
        assert other.traffic.requests == 2  # parts of 32 MiB


def test_what_is_not_there_has_cost_a_request_too(store: Store) -> None:
    if store.traffic is None:
        pytest.skip("has no network")
    with pytest.raises(KeyError):
        store.get("nothing")
    list(store.keys("log/"))
    assert store.traffic.requests == 2
    assert (store.traffic.bytes_up, store.traffic.bytes_down) == (0, 0)


def test_publishing_twice_is_fine(store: Store) -> None:
    put(store, "gold/a/file", b"rows")
    store.publish(["gold/a/file"])
    assert store.get("gold/a/file") == b"rows"


def test_a_copy_outlives_its_source(store: Store) -> None:
    put(store, "gold/a/old/file", b"rows")
    store.copy("gold/a/old/file", "gold/a/new/file")
    store.publish(["gold/a/new/file"])
    store.delete("gold/a/old/file")
    assert store.path("gold/a/new/file").read_bytes() == b"rows"
    assert list(store.keys("gold/")) == ["gold/a/new/file"]


def test_a_created_object_can_be_opened_as_a_file(store: Store) -> None:
    store.create("log/a", b"entry")
    assert store.path("log/a").read_bytes() == b"entry"


def test_confirming_what_is_there_is_fine_twice(store: Store) -> None:
    store.create("log/a/b", b"entry")
    store.confirm(["log/a/b"])
    store.confirm(["log/a/b", "log/a/b"])
    store.confirm([])


def test_a_listing_has_sizes(store: Store) -> None:
    store.create("a/1", b"x")
    store.create("a/2", b"xyz")
    assert [(listed.key, listed.size_bytes) for listed in store.list("a/")] == [("a/1", 1), ("a/2", 3)]


def test_a_listing_of_nothing_is_empty(store: Store) -> None:
    assert list(store.list("")) == []
    store.create("log/a", b"x")
    for prefix in ("nothing/", "/", "./", "../", "log//", "log/a/"):
        assert list(store.keys(prefix)) == []


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_climbs_or_hides_is_refused(store: Store, key: str) -> None:
    for ask in (store.get, store.path, store.stage, store.delete):
        with pytest.raises(ValueError):
            ask(key)
    with pytest.raises(ValueError):
        store.create(key, b"")
    with pytest.raises(ValueError):
        store.copy(key, "b")
    assert list(store.keys("")) == []


segments = st.text("ab.-0_~é", min_size=1, max_size=3).filter(lambda text: not text.startswith("."))
trees = st.sets(st.lists(segments, min_size=1, max_size=4).map("/".join), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, st.data())
def test_listings_are_in_the_order_of_keys_from_any_prefix_and_start(
    case: Any, tmp_path_factory: pytest.TempPathFactory, tree, data
) -> None:
    keys = {key for key in tree if not any(other.startswith(f"{key}/") for other in tree)}
    store = case.fresh(tmp_path_factory.mktemp("store"))
    for key in keys:
        assert store.create(key, b"")
    known = sorted(keys) or ["a"]
    prefix = data.draw(st.sampled_from(known)).ljust(1)[: data.draw(st.integers(0, 8))]
    after = data.draw(st.sampled_from(["", *known, *(f"{key[:-1]}" for key in known), "a0", "~"]))
    assert list(store.keys(prefix, start_after=after)) == [key for key in sorted(keys) if key.startswith(prefix) and key > after]
    assert [listed.key for listed in store.list(prefix, start_after=after)] == list(store.keys(prefix, start_after=after))


def test_of_sixteen_threads_that_create_one_key_one_wins(store: Store) -> None:
    for round_number in range(25):
        key = f"log/a/b/{round_number}"
        gate = threading.Barrier(16)

        def race(n: int, key: str = key, gate: threading.Barrier = gate) -> int | None:
            gate.wait()
            return n if store.create(key, b"%d" % n) else None

        with ThreadPoolExecutor(16) as pool:
            winners = [n for n in pool.map(race, range(16)) if n is not None]
        assert len(winners) == 1
        assert store.get(key) == b"%d" % winners[0]


def test_a_reader_never_sees_part_of_a_created_object(store: Store) -> None:
    whole = b"whole" * 100_000
    seen = []

    def watch() -> None:
        while len(seen) < 50:
            try:
                seen.append(store.get("log/entry"))
            except KeyError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    store.create("log/entry", whole)
    watcher.join()
    assert set(seen) == {whole}


_RACER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("stores", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["stores"] = module
spec.loader.exec_module(module)
store = module.opened(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print([n for n in range(200) if store.create(f"log/a/{n % 7}/{n}", sys.argv[3].encode())])
"""


def test_of_four_processes_that_create_the_same_keys_one_wins_each(case: Any, tmp_path: Path) -> None:
    if not case.is_shared_by_processes:
        pytest.skip("a store of one process")
    command = [sys.executable, "-c", _RACER, str(Path(__file__).parent / "conftest.py"), case.told(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    racers = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) for n in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [eval(racer.communicate()[0]) for racer in racers]  # a list of numbers that we printed
    assert sorted(n for numbers in won for n in numbers) == list(range(200))
    store = case.fresh(tmp_path)
    for racer, numbers in enumerate(won):
        assert {store.get(f"log/a/{n % 7}/{n}") for n in numbers} <= {str(racer).encode()}
