"""A bucket for crash tests: the test looks into it directly; its clients are children that go through a proxy, and die when told.

The invariant: a client that was killed is gone before the proxy goes on with the request it was killed at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import obstore
from lake_invariants import what_always_holds
from lake_model import World
from object_misbehaviour import after, before, nth
from object_proxy import ObjectProxy, object_proxy
from object_servers import S3Server

__all__ = ["Bucket", "End", "Forks", "bucket_on"]

PATIENCE_S = "2"


@dataclass(frozen=True)
class End:
    """How a child ended: killed, with an answer, or with an error."""

    is_killed: bool = False
    answer: Any = None
    error: str = ""
    kind: str = ""
    is_transient: bool = False


class Forks:
    """Children that act one after the other, each forked from a process that has all imported."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "forker.py")],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._child = 0
        self._is_begun, self._is_ended = threading.Event(), threading.Event()

    def act(self, act: str, *arguments: str) -> End:
        """A child does an act of lake_work, or `headrace` with a folder and its arguments."""
        assert self._process.stdin
        assert self._process.stdout
        self._is_ended.clear()
        self._process.stdin.write(json.dumps([act, *arguments]) + "\n")
        self._process.stdin.flush()
        self._child = int(self._process.stdout.readline())
        self._is_begun.set()
        end = End(**json.loads(self._process.stdout.readline()))
        self._is_begun.clear()
        self._is_ended.set()
        return end

    def kill(self) -> None:
        """Kill the child, from another thread than that which waits for it, and wait until it is gone."""
        assert self._is_begun.wait(30)
        os.kill(self._child, 9)
        assert self._is_ended.wait(30)

    def close(self) -> None:
        self._process.communicate()


@dataclass
class Bucket:
    """One bucket, seen by the test (`server`) and by its clients (`forks`, through `proxy`)."""

    server: S3Server
    proxy: ObjectProxy
    forks: Forks
    environment: Mapping[str, str]
    _places: list[str] = field(default_factory=list)

    def place(self) -> str:
        """A new prefix for a lake."""
        self._places.append(f"s3://{self.server.bucket}/lake-{len(self._places)}")
        return self._places[-1]

    def count(self, act: str, *arguments: str) -> int:
        """How many requests an undisturbed act makes."""
        self.proxy.reset()
        end = self.forks.act(act, *arguments)
        assert not end.error, end.error
        return len(self.proxy.recorded())

    def kill(self, number: int, when: str, act: str, *arguments: str, look: Callable[[], object] = lambda: None) -> End:
        """An act whose client is killed `before` its n-th request is passed on, or `after` the server has answered it.

        `look` is called then, when what has been asked so far has been done.
        """

        def kill() -> None:
            self.forks.kill()
            look()

        rule = self.proxy.misbehave(nth(number), {"before": before, "after": after}[when](kill))
        end = self.forks.act(act, *arguments)
        self.proxy.settle()
        self.proxy.behave()
        assert end.is_killed == bool(rule.met)
        return end

    def kill_everywhere(
        self,
        requests: int,
        prepared: Callable[[], str],
        act: str,
        *more: str,
        then: Callable[[str], object],
        reader: Callable[[str], object],
    ) -> list[object]:
        """Kill an act before and after each of its requests, each time at a new place, and look at that `then`.

        All that readers saw, from the moment of each kill on, each thing once.
        """
        seen: list[object] = []
        for number in range(1, requests + 1):
            for when in ("before", "after"):
                place = prepared()
                look = partial(_look, reader, place, seen)
                end = self.kill(number, when, act, place, *more, look=look)
                assert end.is_killed, f"there was no request {number}"
                look()
                then(place)
                self.check(place)
        return seen

    def objects(self, place: str) -> dict[str, bytes]:
        """All that is at a place, by key."""
        store, prefix = self.server.store(), place.partition("://")[2].partition("/")[2] + "/"
        keys = [found["path"] for page in obstore.list(store, prefix) for found in page]
        return {key.removeprefix(prefix): bytes(obstore.get(store, key).bytes()) for key in keys}

    def check(self, place: str) -> None:
        """The protocol's list holds for what is at a place."""
        objects = self.objects(place)
        what_always_holds(World(frozenset(objects.items()), frozenset(objects)))


def _look(reader: Callable[[str], object], place: str, seen: list[object]) -> None:
    found = reader(place)
    if found not in seen:
        seen.append(found)


@contextmanager
def bucket_on(server: S3Server, folder: Path) -> Iterator[Bucket]:
    """A new bucket of a server, with a proxy in front of it."""
    server = server.with_bucket()
    with object_proxy(server) as proxy:
        told = {"HEADRACE_CACHE": str(folder / "cache"), "HEADRACE_PATIENCE_S": PATIENCE_S, "HEADRACE_TRACKING": "none"}
        environment = {**server.at(proxy.address).environment, **told}
        forks = Forks(environment)
        try:
            yield Bucket(server, proxy, forks, environment)
        finally:
            forks.close()
