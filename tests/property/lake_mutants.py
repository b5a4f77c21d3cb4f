"""The protocol with one of its rules broken: each of these must be caught by the scenario that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lake_scenarios
import pytest
from lake_model import ModelStore

from headrace.core.errors import TransientError
from headrace.core.interval import Interval
from headrace.core.manifest import Content, Manifest, Part
from headrace.lake import chain as chaining
from headrace.lake import collect as collecting
from headrace.lake import commit as committing
from headrace.lake import entry, layout
from headrace.lake.commit import Attempt, Lost
from headrace.lake.lake import Lake
from headrace.lake.log import DatasetLog


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

    patch.setattr(lake_scenarios, "collect", collect_at_once)


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
