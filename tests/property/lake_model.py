"""Every interleaving of actors that run the lake's own code over a store that is a value.

An actor is a function of a store. It is deterministic, so what it does next is a function of the answers it has had: to find its
next request it is run again with those answers, and stopped at the first request that has none. A state is then the store's
value and each actor's answers, and a search over states visits every interleaving of requests, with crashes, lost answers and late
puts, each once. Nothing of the protocol is written here a second time; only the store is.

Two kinds of store:
    bucket    a put is there and durable at once; its answer may be lost, or it may land long after an error was answered
    disk      staged files are seen before they are whole; an entry is seen before it is durable (`link`, then `sync`)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

from headrace.core.errors import TransientError
from headrace.core.store import Listed

PARTIAL = b"(not whole yet)"


class Request(NamedTuple):
    name: str
    key: str = ""
    data: Any = None

    def __str__(self) -> str:
        return f"{self.name} {self.key}"


class World(NamedTuple):
    """The store's value, what is on its way to it, and how much may still go wrong."""

    objects: frozenset[tuple[str, bytes]]
    durable: frozenset[str] = frozenset()
    late: frozenset[tuple[str, bytes]] = frozenset()
    faults: int = 0
    crashes: int = 0


class Answer(NamedTuple):
    value: Any = None
    error: type[Exception] | None = None


class Violation(AssertionError):
    """Something that always holds did not."""


@dataclass(frozen=True)
class Scenario:
    """Who acts on which store, and what may go wrong."""

    actors: Mapping[str, Callable[[ModelStore], Any]]
    world: World
    is_disk: bool = False
    quiet: Callable[[Request], bool] = lambda _: False
    judge: Callable[[World, Mapping[str, Any]], None] = lambda _world, _outcomes: None
    at_rest: Callable[[World], None] = lambda _: None
    expected: tuple[type[Exception], ...] = (TransientError,)


# ---------------------------------------------------------------- the store that asks


class _Paused(BaseException):
    """The actor's next request has no answer yet."""


class _Bytes:
    """A local path, as far as the lake uses one."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.st_size = len(data)

    def write_bytes(self, data: bytes) -> None:
        self.data, self.st_size = data, len(data)

    def read_bytes(self) -> bytes:
        return self.data

    def stat(self) -> _Bytes:
        return self

    def open(self, _mode: str) -> BytesIO:
        return BytesIO(self.data)


class ModelStore:
    """The store port, answered from a list; the first request beyond it stops the actor."""

    uri = "model:"
    concurrency = 1
    traffic = None

    def __init__(self, answers: Sequence[Answer], *, is_disk: bool) -> None:
        self._answers, self._is_disk = iter(answers), is_disk
        self._staged: dict[str, _Bytes] = {}
        self.asked: Request | None = None

    def _ask(self, name: str, key: str = "", data: Any = None) -> Any:
        answer = next(self._answers, None)
        if answer is None:
            self.asked = Request(name, key, data)
            raise _Paused
        if answer.error:
            raise answer.error(key)
        return answer.value

    def create(self, key: str, data: bytes) -> bool:
        created = self._ask("link", key, data)
        if created and self._is_disk:
            self._ask("sync", key)
        return bool(created)

    def get(self, key: str) -> bytes:
        return self._ask("get", key)

    def keys(self, prefix: str, *, start_after: str = "") -> Iterator[str]:
        return (key for key in self._ask("list", prefix) if key > start_after)

    def list(self, prefix: str, *, start_after: str = "") -> Iterator[Listed]:
        return (Listed(key, 1) for key in self.keys(prefix, start_after=start_after))

    def stage(self, key: str) -> Any:
        if key not in self._staged:
            if self._is_disk:
                self._ask("put", key, PARTIAL)
            self._staged[key] = _Bytes()
        return self._staged[key]

    def publish(self, keys: Sequence[str], *, digests: Any = None) -> None:
        for key in keys:
            if key in self._staged:
                self._ask("publish", key, self._staged[key].data)
            elif self._is_disk:
                self._ask("publish", key)

    def path(self, key: str) -> Any:
        return _Bytes(self._ask("get", key))

    def paths(self, files: Sequence[Any]) -> Any:
        return [self.path(file.key) for file in files]

    def copy(self, source: str, target: str) -> None:
        self._ask("copy", source, target)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._ask("delete", key)

    def discard(self, keys: Sequence[str]) -> None:
        self.delete(*keys)  # the most that a store may do

    def confirm(self, keys: Sequence[str]) -> None:
        if self._is_disk:
            for folder in sorted({key.rpartition("/")[0] for key in keys}):
                self._ask("sync", f"{folder}/")


# ---------------------------------------------------------------- the store that answers


def answers(request: Request, world: World, *, is_disk: bool) -> Iterator[tuple[str, Answer, World]]:
    """All that may come of a request."""
    objects = dict(world.objects)
    name, key, data = request
    if name == "get":
        yield "", Answer(objects[key]) if key in objects else Answer(error=KeyError), world
    elif name == "list":
        yield "", Answer(tuple(sorted(k for k in objects if k.startswith(key)))), world
    elif name == "link":
        yield from _link(key, data, objects, world, is_disk=is_disk)
    elif name == "sync":
        folder = key.rpartition("/")[0]
        seen = {k for k in objects if k.rpartition("/")[0] == folder}
        yield "", Answer(), world._replace(durable=world.durable | seen)
    elif name == "put":
        yield "", Answer(), _with(world, objects, key, data)
    elif name == "publish":
        if is_disk and key not in objects:
            yield "", Answer(error=KeyError), world
        else:
            after = _with(world, objects, key, objects[key] if data is None else data)
            yield "", Answer(), after._replace(durable=after.durable | {key})
    elif name == "copy":
        if key not in objects:
            yield "", Answer(error=KeyError), world
        else:
            after = _with(world, objects, data, objects[key])
            yield "", Answer(), after if is_disk else after._replace(durable=after.durable | {data})
    elif name == "delete":
        if key.startswith(("log/", "chain/")):
            raise Violation(f"an entry was deleted: {key}")
        objects.pop(key, None)
        yield "", Answer(), world._replace(objects=frozenset(objects.items()))


def _link(key: str, data: bytes, objects: dict[str, bytes], world: World, *, is_disk: bool) -> Iterator[tuple[str, Answer, World]]:
    if key in objects:
        yield "", Answer(False), world
        after = world
    else:
        after = _with(world, objects, key, data)
        if not is_disk:
            after = after._replace(durable=after.durable | {key})
        yield "", Answer(True), after
    if world.faults and not is_disk:
        yield "(answer lost)", Answer(error=TransientError), after._replace(faults=world.faults - 1)
        late = world.late | {(key, data)}
        yield "(to land late, or never)", Answer(error=TransientError), world._replace(late=late, faults=world.faults - 1)


def landings(world: World) -> Iterator[tuple[str, World]]:
    """A put whose client gave up may land whenever it likes; it is put-if-absent then, too."""
    objects = dict(world.objects)
    for key, data in world.late:
        after = world if key in objects else _with(world, objects, key, data)
        yield f"a late put lands at {key}", after._replace(late=world.late - {(key, data)}, durable=after.durable | {key})


def _with(world: World, objects: dict[str, bytes], key: str, data: bytes) -> World:
    return world._replace(objects=frozenset({**objects, key: data}.items()))


# ---------------------------------------------------------------- the search


@dataclass
class Search:
    """A depth-first search over all states of a scenario."""

    scenario: Scenario
    limit: int = 400_000
    states: int = 0
    rests: int = 0
    _histories: list[tuple[int, Answer]] = field(default_factory=lambda: [(-1, Answer())])
    _ids: dict[tuple[int, Answer], int] = field(default_factory=dict)
    _next: dict[tuple[str, int], Any] = field(default_factory=dict)
    _judged: set[Any] = field(default_factory=set)
    _came: dict[Any, tuple[Any, str]] = field(default_factory=dict)

    def run(self) -> Search:
        names = tuple(self.scenario.actors)
        start = (self.scenario.world, (0,) * len(names))
        self._came[start] = (None, "")
        stack = [start]
        while stack:
            state = stack.pop()
            self.states += 1
            if self.states > self.limit:
                raise RuntimeError(f"more than {self.limit:,} states: make the scenario smaller")
            try:
                steps = list(self._steps(names, state))
                for what, after in steps:
                    if after not in self._came:
                        self._came[after] = (state, what)
                        stack.append(after)
                self._judge(names, state)
                if not steps and (rest := ("at rest", state[0].objects)) not in self._judged:
                    self._judged.add(rest)
                    self.rests += 1
                    self._rest(state[0])
            except Violation as broken:
                raise Violation(f"{broken}\n" + "\n".join(self._story(state))) from broken
        return self

    def _steps(self, names: tuple[str, ...], state: Any) -> Iterator[tuple[str, Any]]:
        world, histories = state
        is_disk = self.scenario.is_disk
        waiting = []
        for n, name in enumerate(names):
            request = self._request(name, histories[n])
            if isinstance(request, Request):
                if self.scenario.quiet(request):
                    waiting = [(n, name, request)]
                    world_moves: Iterator[tuple[str, World]] = iter(())
                    break
                waiting.append((n, name, request))
        else:
            world_moves = landings(world)
        for n, name, request in waiting:
            for note, answer, after in answers(request, world, is_disk=is_disk):
                yield f"{name}: {request} {note}", (after, self._moved(histories, n, self._id(histories[n], answer)))
            if world.crashes and not self.scenario.quiet(request):
                yield f"{name} is killed", (world._replace(crashes=world.crashes - 1), self._moved(histories, n, -1))
        for what, after in world_moves:
            yield what, (after, histories)

    @staticmethod
    def _moved(histories: tuple[int, ...], n: int, history: int) -> tuple[int, ...]:
        return (*histories[:n], history, *histories[n + 1 :])

    def _id(self, before: int, answer: Answer) -> int:
        found = self._ids.get((before, answer))
        if found is None:
            found = self._ids[before, answer] = len(self._histories)
            self._histories.append((before, answer))
        return found

    def _request(self, name: str, history: int) -> Any:
        """The actor's next request, or its outcome; None when it was killed."""
        if history < 0:
            return None
        if (name, history) not in self._next:
            self._next[name, history] = self._run(name, history)
        return self._next[name, history]

    def _run(self, name: str, history: int) -> Any:
        had = []
        while history > 0:
            history, answer = self._histories[history]
            had.append(answer)
        store = ModelStore(had[::-1], is_disk=self.scenario.is_disk)
        try:
            return Outcome(self.scenario.actors[name](store))
        except _Paused:
            return store.asked
        except self.scenario.expected as error:
            return Outcome(error)
        except Exception as error:
            return Outcome(Violation(f"{name} ended with {type(error).__name__}: {error}"))

    def _judge(self, names: tuple[str, ...], state: Any) -> None:
        world, histories = state
        outcomes = {}
        for n, name in enumerate(names):
            outcome = self._request(name, histories[n])
            if isinstance(outcome, Outcome):
                if isinstance(outcome.value, Violation):
                    raise outcome.value
                outcomes[name] = outcome.value
        seen = (world.objects, world.durable, tuple(histories[n] for n, name in enumerate(names) if name in outcomes))
        if seen not in self._judged:
            self._judged.add(seen)
            self.scenario.judge(world, outcomes)

    def _rest(self, world: World) -> None:
        try:
            self.scenario.at_rest(world)
        except Violation:
            raise
        except Exception as error:
            raise Violation(f"when all was over, {type(error).__name__}: {error}") from error

    def _story(self, state: Any) -> list[str]:
        lines = []
        while state is not None:
            state, what = self._came[state]
            lines.append(what)
        return lines[::-1]


class Outcome(NamedTuple):
    value: Any


def run_alone(actor: Callable[[ModelStore], Any], world: World, *, is_disk: bool = False) -> tuple[Any, World]:
    """An actor's outcome, undisturbed, and the world that it leaves."""
    had: list[Answer] = []
    while True:
        store = ModelStore(had, is_disk=is_disk)
        with suppress(_Paused):
            return actor(store), world
        assert store.asked is not None
        _, answer, world = next(answers(store.asked, world, is_disk=is_disk))
        had.append(answer)
