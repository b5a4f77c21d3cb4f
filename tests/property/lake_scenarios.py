"""Who acts in the protocol's exploration, what they may be told, and the scenarios that they meet in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from lake_invariants import logs, what_always_holds
from lake_model import ModelStore, Request, Scenario, Violation, World, run_alone

from headrace.core.errors import TransientError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, InputRef, Manifest
from headrace.lake import layout
from headrace.lake.chain import Decision
from headrace.lake.collect import collect, plan_collection
from headrace.lake.commit import Attempt
from headrace.lake.lake import Lake

HOUR = Interval.of("2026-11-20T08", "2026-11-20T09")
NEXT = Interval.of("2026-11-20T09", "2026-11-20T10")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

# ---------------------------------------------------------------- actors


def lake_of(store: ModelStore, who: str) -> Lake:
    numbers = iter(range(1, 100))
    return Lake(store, clock=lambda: NOON, nonces=lambda: f"{who:0>8}{next(numbers):024x}".replace("w", "a").replace("g", "c"))


def source(who: str, text: str) -> Callable[[ModelStore], Manifest]:
    """Commits a new version of the dataset `p.s`."""

    def act(store: ModelStore) -> Manifest:
        def work(attempt: Attempt, _: Manifest | None) -> Any:
            attempt.file("rows", layer="silver").write_bytes(text.encode())
            return Content("data", parts=(attempt.part("rows", "silver"),), fingerprint=text), {}

        return lake_of(store, who).log("p", "s").commit(HOUR, work)

    return act


def writer(who: str, code: str, *, parts: tuple[str, ...] = ("rows",)) -> Callable[[ModelStore], Any]:
    """Commits `p.d`, made from the current `p.s` by some code; adopts what is there if it would be the same."""

    def act(store: ModelStore) -> Any:
        lake = lake_of(store, who)
        wanted = []

        def work(attempt: Attempt, current: Manifest | None) -> Any:
            made_from = lake.log("p", "s").current(HOUR)
            wanted.append(f"{code} of {made_from.content.fingerprint}")
            if current and (current.content.fingerprint == wanted[-1] or current.kind == "expired"):
                return None
            for part in parts:
                attempt.file(part, layer="gold").write_bytes(f"{part} by {wanted[-1]}".encode())
            made = tuple(attempt.part(part, "gold") for part in parts)
            ref = InputRef.of("p.s", HOUR, [(HOUR, made_from.version, made_from.content.digest)])
            return Content("data", parts=made, fingerprint=wanted[-1], inputs=(ref,)), {}

        return lake.log("p", "d").commit(HOUR, work), wanted[-1]

    return act


def hasty(who: str, code: str) -> Callable[[ModelStore], Any]:
    """As a writer, but it looks at its input before it begins: a caller's mistake, which the commit has to notice."""

    def act(store: ModelStore) -> Any:
        lake = lake_of(store, who)
        made_from = lake.log("p", "s").current(HOUR)

        def work(attempt: Attempt, _: Manifest | None) -> Any:
            attempt.file("rows", layer="gold").write_bytes(code.encode())
            ref = InputRef.of("p.s", HOUR, [(HOUR, made_from.version, made_from.content.digest)])
            return Content("data", parts=(attempt.part("rows", "gold"),), fingerprint=f"{code} {attempt.base}", inputs=(ref,)), {}

        return lake.log("p", "d").commit(HOUR, work)

    return act


def reader(store: ModelStore) -> dict[str, bytes]:
    """Reads every part of the current `p.d`."""
    lake = lake_of(store, "b")

    def use(manifest: Manifest) -> Any:
        return manifest, {part.name: lake.read_paths(manifest, part.name, verify=True)[0].read_bytes() for part in manifest.content.parts}

    return lake.log("p", "d").read(HOUR, use)


def collector(who: str) -> Callable[[ModelStore], Any]:
    def act(store: ModelStore) -> Any:
        lake = lake_of(store, who)
        collect(lake, plan_collection(lake, keep=0, polite=timedelta(0)))

    return act


def copier(who: str) -> Callable[[ModelStore], Any]:
    """Commits the hour after, whose work is the same as the hour's: its files are copied from there."""

    def act(store: ModelStore) -> Any:
        log = lake_of(store, who).log("p", "d")

        def work(attempt: Attempt, _: Manifest | None) -> Any:
            before = log.current(HOUR)
            for file in before.content.parts[0].files:
                attempt.copy(file, "rows", layer="gold")
            return Content("data", parts=(attempt.part("rows", "gold"),), fingerprint=before.content.fingerprint), {}

        return log.commit(NEXT, work)

    return act


def marker(who: str, what: str) -> Callable[[ModelStore], Any]:
    """A person clears or expires the interval."""
    return lambda store: getattr(lake_of(store, who).log("p", "d"), what)(HOUR, why="wrong", who="ada")


def promoter(who: str, model: Interval) -> Callable[[ModelStore], Any]:
    """Promotes a model unless a later one serves; judges again when another decision came first."""

    def act(store: ModelStore) -> Any:
        chain = lake_of(store, who).chain("p", "m")
        source = lake_of(store, "f" + who).log("p", "s").current(HOUR)
        for _ in range(3):
            head = chain.head()
            kind = "reject" if chain.objection(model, after=head) else "promote"
            decision = Decision(kind, model, source.version, "d", who="a run", why="")
            files = source.content.parts[0].files if kind == "promote" else ()
            if made := chain.append(decision, after=head, files=files):
                return made
        raise TransientError("lost three times")

    return act


# ---------------------------------------------------------------- scenarios


def start(*actors: Callable[[ModelStore], Any], faults: int = 0, crashes: int = 0, is_disk: bool = False) -> World:
    world = World(frozenset())
    for actor in (source("0", "first"), *actors):
        _, world = run_alone(actor, world, is_disk=is_disk)
    return world._replace(faults=faults, crashes=crashes)


def quiet_but(*watched: str) -> Callable[[Request], bool]:
    """Requests that no other actor of the scenario can notice, nor could be disturbed by."""

    def is_quiet(request: Request) -> bool:
        return not request.key.startswith(watched) if request.name != "sync" else False

    return is_quiet


def judge(world: World, outcomes: dict[str, Any]) -> None:
    what_always_holds(world)
    objects, found = dict(world.objects), None
    for name, outcome in outcomes.items():
        if name.startswith("writer") and isinstance(outcome, tuple):
            manifest, wanted = outcome
            key = layout.slot_key("p", "d", HOUR, manifest.version)
            if objects.get(key) != manifest.to_json() or key not in world.durable:
                raise Violation(f"{name} was told that {manifest} is there, and it is not, or not for good")
            if manifest.content.fingerprint != wanted and manifest.kind != "expired":
                raise Violation(f"{name} wanted {wanted}, and was told {manifest.content.fingerprint}")
        if name == "reader" and isinstance(outcome, tuple):
            manifest, parts = outcome
            found = logs(objects)["p", "d", HOUR]
            if found[manifest.version] != manifest or {*parts.values()} != {
                f"{p} by {manifest.content.fingerprint}".encode() for p in parts
            }:
                raise Violation(f"the reader got a mixture: {parts}")


def at_rest(world: World, *, is_disk: bool) -> None:
    """When all is over, however it went, a rerun makes the interval whole, and a collection leaves nothing but what is kept."""
    (manifest, wanted), after = run_alone(writer("4", "x"), world._replace(faults=0, crashes=0), is_disk=is_disk)
    if manifest.content.fingerprint != wanted and manifest.kind != "expired":
        raise Violation(f"a rerun wanted {wanted}, and was told {manifest.content.fingerprint}")
    _, after = run_alone(collector("3"), after, is_disk=is_disk)
    what_always_holds(after)
    standing = [found[max(v for v in found if found[v].kind != "fence")] for found in logs(dict(after.objects)).values()]
    kept = {file.key for manifest in standing for part in manifest.content.parts for file in part.files}
    stray = {key for key, _ in after.objects if key.startswith(("gold/", "silver/"))} - kept
    if stray:
        raise Violation(f"a collection at rest left {stray}")


def judge_chain(world: World, outcomes: dict[str, Any]) -> None:
    objects = dict(world.objects)
    entries = {int(key[-8:]): Decision.from_json(data, int(key[-8:])) for key, data in objects.items() if key.startswith("chain/")}
    if sorted(entries) != list(range(1, len(entries) + 1)):
        raise Violation(f"the chain has the entries {sorted(entries)}")
    serving = None
    for number in sorted(entries):
        entry = entries[number]
        if entry.previous != serving:
            raise Violation(f"entry {number} was judged against {entry.previous}, and {serving} served")
        if entry.kind == "promote":
            if serving and entries[serving].model.start > entry.model.start:
                raise Violation("a run promoted over a model of a later interval")
            serving = number
        for file in entry.files:
            if file.key not in objects:
                raise Violation(f"entry {number} has lost its file {file.key}")
        wanted = {file.key for file in entry.files} | (
            {layout.slot_key("p", "s", HOUR, entry.version)} if entry.kind == "promote" else set()
        )
        if layout.chain_key("p", "m", number) in world.durable and not wanted <= world.durable:
            raise Violation(f"a power cut would leave entry {number} without {wanted - world.durable}")
    for name, outcome in outcomes.items():
        if isinstance(outcome, Decision) and entries.get(outcome.number) != outcome:
            raise Violation(f"{name} was told that it decided, and the chain says otherwise")


def bucket(*watched: str, world: World, **actors: Callable[[ModelStore], Any]) -> Scenario:
    return Scenario(actors, world, quiet=quiet_but(*watched), judge=judge, at_rest=lambda world: at_rest(world, is_disk=False))


def disk(*watched: str, world: World, **actors: Callable[[ModelStore], Any]) -> Scenario:
    return Scenario(actors, world, is_disk=True, quiet=quiet_but(*watched), judge=judge, at_rest=lambda world: at_rest(world, is_disk=True))


def scenarios() -> dict[str, Scenario]:
    log, inputs, files = ("log/p/d/",), ("log/",), ("log/p/d/", "gold/")
    x, y, old, c = writer("a", "x"), writer("b", "y"), writer("d", "old"), collector("c")
    return {
        "two runs of the same": bucket(*log, world=start(faults=4, crashes=2), writer_1=x, writer_2=writer("b", "x")),
        "two runs of different code": bucket(*log, world=start(faults=4, crashes=2), writer_1=x, writer_2=y),
        "three runs": bucket(*log, world=start(faults=1, crashes=0), writer_1=x, writer_2=y, writer_3=writer("e", "x")),
        "an input that changes": bucket(
            *inputs, world=start(faults=2, crashes=1), writer_1=x, writer_2=writer("b", "x"), source=source("5", "second")
        ),
        "a caller that looked too early": bucket(
            *inputs, world=start(faults=1, crashes=1), hasty=hasty("b", "y"), writer=x, source=source("5", "second")
        ),
        "a collection beside a writer": bucket(*files, world=start(old, faults=3, crashes=2), writer=x, collector=c),
        "a collection beside two writers": bucket(*files, world=start(old), writer_1=x, writer_2=y, collector=c),
        "two collections beside a writer": bucket(
            *files, world=start(old, faults=1, crashes=1), writer=x, collector=c, collector_2=collector("e")
        ),
        "a reader beside a collection": bucket(
            *files,
            world=start(writer("d", "old", parts=("l", "r")), faults=1, crashes=1),
            writer=writer("a", "x", parts=("l", "r")),
            collector=c,
            reader=reader,
        ),
        "a copy beside a collection": bucket(*files, world=start(old), copier=copier("9"), writer=x, collector=c),
        "a clearing beside a writer": bucket(*log, world=start(old, faults=2, crashes=1), writer=x, clearer=marker("7", "clear")),
        "retention beside a collection": bucket(*files, world=start(old), expirer=marker("7", "expire"), collector=c, writer=x),
        "power, and two runs of the same": disk(*log, world=start(crashes=2, is_disk=True), writer_1=x, writer_2=writer("b", "x")),
        "power, and an input just made": disk(*inputs, world=start(crashes=2, is_disk=True), source=source("5", "second"), writer=x),
        "power, and a collection": disk(*files, world=start(old, crashes=2, is_disk=True), writer=x, collector=c),
        "power, and a reader": disk(*files, world=start(old, crashes=1, is_disk=True), writer=x, collector=c, reader=reader),
        "two promotions": Scenario(
            {"first": promoter("a", HOUR), "second": promoter("b", NEXT)},
            start(faults=4, crashes=2),
            quiet=quiet_but("chain/"),
            judge=judge_chain,
        ),
        "power, and a promotion": Scenario(
            {"source": source("5", "second"), "promotion": promoter("a", HOUR), "another": promoter("b", NEXT)},
            start(crashes=2, is_disk=True),
            is_disk=True,
            quiet=quiet_but("chain/", "log/"),
            judge=judge_chain,
        ),
    }
