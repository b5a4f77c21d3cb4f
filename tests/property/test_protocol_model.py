"""The commit protocol, explored: every interleaving of a few actors that run the lake's own code, and mutants that must be caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lake_model import ModelStore, Request, Scenario, Search, Violation, World, logs, run_alone, what_always_holds

from headrace.core.errors import TransientError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, InputRef, Manifest, Part
from headrace.lake import chain as chaining
from headrace.lake import collect as collecting
from headrace.lake import commit as committing
from headrace.lake import entry, layout
from headrace.lake.chain import Decision
from headrace.lake.collect import collect, plan_collection
from headrace.lake.commit import Attempt, Lost
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog

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


# ---------------------------------------------------------------- mutants: each rule, broken


def base_taken_late(patch: pytest.MonkeyPatch) -> None:
    """The number is found when the manifest is put, not before the inputs are read."""
    original = Attempt.commit

    def commit(self: Attempt, content: Content, receipt: Any = None) -> Manifest:
        late = max((layout.parse_slot(key).version for key in self._store.keys(self.slot[:-6])), default=0)
        patched = {key.replace(f".{self.base + 1:06d}-", f".{late + 1:06d}-"): value for key, value in self._staged.items()}
        if late != self.base:
            parts = tuple(
                replace(part, files=tuple(replace(f, key=f.key.replace(f".{self.base + 1:06d}-", f".{late + 1:06d}-")) for f in part.files))
                for part in content.parts
            )
            for old, new in zip(self._staged, patched, strict=True):
                self._store.stage(new).write_bytes(self._store.stage(old).data)
            self._staged, content, self.base = patched, replace(content, parts=parts), late
        return original(self, content, receipt)

    patch.setattr(Attempt, "commit", commit)


def inputs_may_be_older(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(committing, "_check_not_older", lambda _inputs, _current: None)


def no_nonce_in_the_key(patch: pytest.MonkeyPatch) -> None:
    """Attempts at one slot share a folder."""

    def folder(layer: str, pipeline: str, dataset: str, interval: Interval, version: int, nonce: str) -> str:
        return layout.attempt_folder(layer, pipeline, dataset, interval, version, "0" * 32)

    patch.setattr(committing, "attempt_folder", folder)


def exists_means_lost(patch: pytest.MonkeyPatch) -> None:
    """The nonce is not compared: a retry that meets its own first try thinks it lost."""

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        for _ in range(3):
            try:
                return None if store.create(key, data) else store.get(key)
            except TransientError:
                continue
        raise TransientError("unknown")

    patch.setattr(committing, "put_entry", put)


def exists_means_mine(patch: pytest.MonkeyPatch) -> None:
    """The nonce is not compared: after an error, whatever is there is taken for our own."""

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        for _ in range(3):
            try:
                if store.create(key, data):
                    return None
            except TransientError:
                continue
            return None
        raise TransientError("unknown")

    patch.setattr(committing, "put_entry", put)


def files_deleted_at_an_unknown_outcome(patch: pytest.MonkeyPatch) -> None:
    original = Attempt.commit

    def commit(self: Attempt, content: Content, receipt: Any = None) -> Manifest:
        try:
            return original(self, content, receipt)
        except Lost:
            raise
        except TransientError:
            self._state = "lost"
            self.discard()
            raise

    patch.setattr(Attempt, "commit", commit)


def no_fence_before_deletion(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(collecting, "_is_settled", lambda _lake, _leftover: True)


def no_second_look_after_the_fence(patch: pytest.MonkeyPatch) -> None:
    original = collecting._is_settled
    patch.setattr(collecting, "_is_settled", lambda lake, leftover: original(lake, leftover) or True)


def an_entry_names_the_files_of_another(patch: pytest.MonkeyPatch) -> None:
    """What is wanted again is referred to, and not copied."""
    original = Attempt.part

    def part(self: Attempt, name: str, layer: str, **more: Any) -> Part:
        referred = tuple(source for _, source in self._staged.values() if source)
        return Part(name, layer, referred) if referred else original(self, name, layer, **more)

    patch.setattr(Attempt, "copy", lambda self, file, part, *, layer: self._staged.__setitem__(file.key, (part, file)))
    patch.setattr(Attempt, "part", part)


def put_at_a_number_found_later(patch: pytest.MonkeyPatch) -> None:
    """Who loses a slot takes the next one, with what was made for the first."""
    original = entry.put_entry

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        found = original(store, key, data)
        while found is not None:
            number = int(key[-6:]) + 1
            key = f"{key[:-6]}{number:06d}"
            manifest = Manifest.from_json(data)
            data = replace(manifest, version=number).to_json()
            found = original(store, key, data)
        return None

    patch.setattr(committing, "put_entry", put)


def manifest_before_files(patch: pytest.MonkeyPatch) -> None:
    original, publish = committing.put_entry, Attempt._publish
    pending: list[Attempt] = []
    patch.setattr(Attempt, "_publish", lambda self: pending.append(self))

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        found = original(store, key, data)
        publish(pending.pop())
        return found

    patch.setattr(committing, "put_entry", put)


def a_fence_is_current(patch: pytest.MonkeyPatch) -> None:
    def current(self: DatasetLog, interval: Interval, *, versions: Any = None) -> Manifest | None:
        found = self.versions_of(interval) if versions is None else versions
        return self.manifest(interval, max(found)) if found else None

    patch.setattr(DatasetLog, "current", current)


def base_without_fences(patch: pytest.MonkeyPatch) -> None:
    """A writer takes the highest version with data for its base, and so meets the fence again and again."""
    original = DatasetLog.attempt

    def attempt(self: DatasetLog, interval: Interval) -> Attempt:
        made = original(self, interval)
        made.base = max((v for v in made.seen if self.manifest(interval, v).kind != "fence"), default=0)
        return made

    patch.setattr(DatasetLog, "attempt", attempt)


def the_loser_takes_any_winner(patch: pytest.MonkeyPatch) -> None:
    """Who loses adopts the winner's work, whatever it was made from."""

    def commit(self: DatasetLog, interval: Interval, work: Any) -> Manifest:
        attempt = self.attempt(interval)
        made = self._work(attempt, work)
        try:
            return made if isinstance(made, Manifest) else attempt.commit(*made)
        except Lost as lost:
            attempt.discard()
            return lost.winner

    patch.setattr(DatasetLog, "commit", commit)


def adopted_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DatasetLog, "confirm", lambda _self, _manifest: None)


def inputs_not_made_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(committing, "_input_slots", lambda _ref: ())


def replaced_before_the_new_is_durable(patch: pytest.MonkeyPatch) -> None:
    """A collection deletes what was replaced by an entry that a power cut could still take."""

    def collect_at_once(lake: Lake, plan: Any) -> None:
        for leftover in plan.leftovers:
            if collecting._is_settled(lake, leftover):
                for key in leftover.keys:
                    lake.store.delete(key)

    patch.setitem(globals(), "collect", collect_at_once)


def a_chain_that_takes_the_next_number(patch: pytest.MonkeyPatch) -> None:
    """Who loses a number takes the next one, and does not judge again."""
    original = entry.put_entry

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        while original(store, key, data) is not None:
            key = f"{key[:-8]}{int(key[-8:]) + 1:08d}"
        return None

    patch.setattr(chaining, "put_entry", put)


def a_model_promoted_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(chaining, "_slots_of", lambda _files: [])


def a_chain_that_trusts_no_answer(patch: pytest.MonkeyPatch) -> None:
    """A decision whose put was not answered counts as lost: its files are deleted."""

    def put(store: ModelStore, key: str, data: bytes) -> bytes | None:
        try:
            return None if store.create(key, data) else b""
        except TransientError:
            return b""

    patch.setattr(chaining, "put_entry", put)


MUTANTS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    base_taken_late: "an input that changes",
    inputs_may_be_older: "a caller that looked too early",
    no_nonce_in_the_key: "two runs of different code",
    exists_means_lost: "two runs of different code",
    exists_means_mine: "two runs of different code",
    files_deleted_at_an_unknown_outcome: "two runs of different code",
    a_fence_is_current: "a reader beside a collection",
    no_fence_before_deletion: "a collection beside a writer",
    no_second_look_after_the_fence: "a collection beside a writer",
    an_entry_names_the_files_of_another: "a copy beside a collection",
    put_at_a_number_found_later: "an input that changes",
    manifest_before_files: "two runs of the same",
    base_without_fences: "a collection beside a writer",
    the_loser_takes_any_winner: "two runs of different code",
    adopted_before_it_is_durable: "power, and two runs of the same",
    inputs_not_made_durable: "power, and an input just made",
    replaced_before_the_new_is_durable: "power, and a collection",
    a_chain_that_takes_the_next_number: "two promotions",
    a_model_promoted_before_it_is_durable: "power, and a promotion",
    a_chain_that_trusts_no_answer: "two promotions",
}


@pytest.mark.parametrize("name", scenarios())
def test_what_always_holds_holds_in_every_interleaving(name: str) -> None:
    assert Search(scenarios()[name]).run().states > 100


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_protocol_without_one_of_its_rules_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenarios()[MUTANTS[mutant]]
    mutant(monkeypatch)
    with pytest.raises(Violation):
        Search(scenario).run()
