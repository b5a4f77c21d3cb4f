"""A process that uses a cache until it is told to end, or kills itself: it reads what is kept, brings what is not, and checks all it holds.

The files are a function of their number, so that everyone knows what is in them.
"""

from __future__ import annotations

import os
import random
import select
import sys
from hashlib import sha256
from pathlib import Path

from headrace.backends.buckets.cache import Cache, digest_of_file

FILES = 40
LIMIT = 200_000


def content(number: int) -> bytes:
    return random.Random(number).randbytes(1_000 + 400 * number)


def digest(number: int) -> str:
    return sha256(content(number)).hexdigest()


def use(cache: Cache, number: int) -> Path:
    """A file that is handed out, from the cache or as one that was brought. It has its digest."""
    target = cache.place(f"gold/{number}")
    if not target.exists() and not cache.take(digest(number), target):
        aside = cache.aside()
        aside.write_bytes(content(number))
        cache.keep(digest(number), aside)
        aside.replace(target)
    assert digest_of_file(target) == digest(number), f"{number} was handed out damaged"
    return target


def turn(cache: Cache, chance: random.Random, deaths: float) -> None:
    """A lease of some files, which stay as they were to its end."""
    with cache.lease():
        held = {number: use(cache, number) for number in chance.choices(range(FILES), k=6)}
        if chance.random() < deaths:
            os.kill(os.getpid(), 9)
        for number, path in held.items():
            assert digest_of_file(path) == digest(number), f"{number} was taken away or changed while it was leased"


def main() -> None:
    folder, seed, deaths = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    chance, turns = random.Random(seed), 0
    cache = Cache(folder, limit_bytes=LIMIT)
    while turns < 5 or not select.select([sys.stdin], [], [], 0)[0]:
        turn(cache, chance, deaths)
        turns += 1
    cache.close()
    print(turns)


if __name__ == "__main__":
    main()
