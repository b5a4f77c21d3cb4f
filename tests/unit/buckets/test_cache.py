"""The local cache of a bucket's files."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from headrace.backends.buckets.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=1_000)


def kept(cache: Cache, data: bytes) -> str:
    path = cache.aside()
    path.write_bytes(data)
    digest = sha256(data).hexdigest()
    cache.keep(digest, path)
    return digest


def test_a_kept_file_is_given_to_the_next_process(cache: Cache, tmp_path: Path) -> None:
    digest = kept(cache, b"rows")
    cache.close()
    other = Cache(tmp_path / "cache", limit_bytes=1_000)
    target = other.place("gold/a.parquet")
    assert other.take(digest, target)
    assert target.read_bytes() == b"rows"
    assert not other.take("0" * 64, other.place("gold/b.parquet"))


@pytest.mark.parametrize("damage", [b"", b"row", b"rowz"])
def test_a_kept_file_that_was_changed_is_removed_and_not_given(cache: Cache, tmp_path: Path, damage: bytes) -> None:
    digest = kept(cache, b"rows")
    cache.close()
    (tmp_path / "cache" / "objects" / digest[:2] / digest).chmod(0o644)
    (tmp_path / "cache" / "objects" / digest[:2] / digest).write_bytes(damage)
    other = Cache(tmp_path / "cache", limit_bytes=1_000)
    assert not other.take(digest, other.place("gold/a.parquet"))
    assert not other.place("gold/a.parquet").exists()
    kept(other, b"rows")
    assert other.take(digest, other.place("gold/a.parquet"))


def test_what_was_not_used_for_longest_goes_when_there_is_too_much(cache: Cache) -> None:
    digests = [kept(cache, bytes([n]) * 300) for n in range(3)]
    for age, digest in enumerate(digests):
        os.utime(cache._kept(digest), (1_000 + age, 1_000 + age))
    assert cache.take(digests[0], cache.place("used"))  # now it is the newest
    newest = kept(cache, b"new" * 100)
    assert not cache._kept(digests[1]).exists()
    assert cache._kept(digests[0]).exists()
    assert cache._kept(newest).exists()


def test_a_file_larger_than_the_cache_is_not_kept(cache: Cache) -> None:
    digest = kept(cache, b"x" * 2_000)
    assert not cache.take(digest, cache.place("a"))


def test_what_is_in_use_outlives_its_eviction(cache: Cache) -> None:
    digest = kept(cache, b"rows" * 100)
    path = cache.place("a")
    assert cache.take(digest, path)
    for n in range(4):
        kept(cache, bytes([n]) * 900)
    assert not cache._kept(digest).exists()
    assert path.read_bytes() == b"rows" * 100


def test_a_lease_gives_back_what_was_handed_out_within(cache: Cache) -> None:
    before = cache.place("before")
    before.write_bytes(b"1")
    with cache.lease():
        within = cache.place("within/a")
        within.write_bytes(b"2")
        with cache.lease():
            assert cache.place("within/a") != within
    assert not within.exists()
    assert before.exists()


_KILLED = """
import os, sys
from pathlib import Path
from headrace.backends.buckets.cache import Cache
cache = Cache(Path(sys.argv[1]), limit_bytes=1000)
cache.place("gold/a").write_bytes(b"rows")
print(len(list((Path(sys.argv[1]) / "use").iterdir())), flush=True)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_swept_by_the_next_and_a_living_ones_is_not(cache: Cache, tmp_path: Path) -> None:
    mine = cache.place("gold/mine")
    mine.write_bytes(b"mine")
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "cache")], capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
    Cache(tmp_path / "cache", limit_bytes=1_000).close()
    assert [folder.name for folder in (tmp_path / "cache" / "use").iterdir()] == [mine.parents[2].name]
    assert mine.read_bytes() == b"mine"
