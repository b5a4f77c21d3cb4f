"""Many processes on one cache, some killed, its files damaged by hand: what is handed out is whole, and the folder stays within its limit."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cache_user import FILES, LIMIT, content, digest, use

from headrace.backends.buckets.cache import Cache

pytestmark = pytest.mark.integration

PROCESSES = 4


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {"a flipped bit": flipped, "cut short": lambda data: data[:500], "empty": lambda _: b""}


def start(folder: Path, seed: int, *, deaths: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).parent / "cache_user.py"), str(folder), str(seed), str(deaths)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> int:
    """How many leases it had."""
    out, err = process.communicate("end\n")
    assert process.returncode == 0, err
    return int(out)


def kept(folder: Path) -> list[Path]:
    return list((folder / "objects").glob("*/*"))


def size(folder: Path) -> int:
    total = 0
    for path in kept(folder):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def damage(folder: Path, chance: random.Random) -> int:
    """Put a damaged file in the place of a kept one, as a disk or a person would; how many."""
    found = kept(folder)
    if not found:
        return 0
    path = chance.choice(found)
    other = folder / f"damaged-{os.getpid()}"
    try:
        other.write_bytes(chance.choice([*DAMAGES.values()])(path.read_bytes()))
        path.chmod(0o644)
    except (FileNotFoundError, IndexError):
        return 0
    other.replace(path)
    return 1


def test_processes_that_share_a_cache_get_whole_files_while_it_is_damaged_and_others_are_killed(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    Cache(folder, limit_bytes=LIMIT).close()
    users = [start(folder, seed) for seed in range(PROCESSES)]
    chance, killed, damaged, largest = random.Random(0), 0, 0, 0
    end = time.monotonic() + 8
    seed = 100
    while time.monotonic() < end or killed < 4 or damaged < 50:
        mortal = start(folder, seed, deaths=0.1)
        seed += 1
        while mortal.poll() is None:
            damaged += damage(folder, chance)
            largest = max(largest, size(folder))
        killed += mortal.returncode == -9
        mortal.communicate()
        assert all(user.poll() is None for user in users), [user.communicate() for user in users if user.poll() is not None]
    assert all(finish(user) >= 5 for user in users)
    assert largest < LIMIT * (1 + 0.2 * (PROCESSES + 1)), "no process keeps much before it looks at what the others keep"
    last = Cache(folder, limit_bytes=LIMIT)
    use(last, FILES)  # a new one
    assert size(folder) <= LIMIT
    assert len([*(folder / "use").iterdir()]) == 1, "what killed processes left is swept"
    last.close()
    assert [*(folder / "use").iterdir()] == []


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("is_known", [True, False], ids=["in a process that had verified it", "in a new process"])
def test_a_file_that_was_damaged_in_its_place_is_not_handed_out(tmp_path: Path, how: str, is_known: bool) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=LIMIT)
    with cache.lease():
        use(cache, 1)
    (path,) = kept(tmp_path / "cache")
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(DAMAGES[how](content(1)))
    other = cache if is_known else Cache(tmp_path / "cache", limit_bytes=LIMIT)
    assert not other.take(digest(1), other.place("gold/x"))
    assert not other.place("gold/x").exists()
    assert use(other, 1).read_bytes() == content(1)
