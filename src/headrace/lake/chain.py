"""The chain of decisions about one model: promotions, rejections, rollbacks, holds and releases, each judged against the one before.

Entry n + 1 is put only if entry n was the newest when it was judged, so decisions have one order. The invariant: what serves after a
decision is told by that decision alone, from a folder that is the decision's own copy of the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from headrace.core.errors import DamageError, NewerFormatError
from headrace.core.interval import Interval
from headrace.core.manifest import FORMAT, FileEntry, canonical_json, time_text
from headrace.core.ports import JSON
from headrace.core.store import Store
from headrace.lake.entry import put_entry
from headrace.lake.files import VanishedError
from headrace.lake.layout import chain_key, chain_prefix, champion_folder, parse_attempt, parse_chain, slot_key

__all__ = ["Chain", "Decision", "DecisionKind"]

DecisionKind = Literal["promote", "reject", "rollback", "hold", "release"]

_CROWNING = ("promote", "rollback")


@dataclass(frozen=True)
class Decision:
    """One entry of a chain: what was decided about version `version` of the model of an interval.

    The caller gives the first eight fields; `Chain.append` fills the others from the decision before. `serving` is the number of the
    decision whose champion serves after this one, `previous` of the one whose served before; None when there is none.
    """

    kind: DecisionKind
    model: Interval
    version: int
    digest: str
    who: str
    why: str
    verdict: Mapping[str, JSON] = field(default_factory=dict)
    by_hand: bool = False
    number: int = 0
    nonce: str = ""
    champion: str | None = None
    files: tuple[FileEntry, ...] = ()
    serving: int | None = None
    previous: int | None = None
    is_held: bool = False
    decided_at: datetime | None = None

    def to_json(self) -> bytes:
        files: list[JSON] = [{"name": file.name, "sha256": file.sha256, "bytes": file.bytes} for file in self.files]
        return canonical_json(
            {
                "format": FORMAT,
                "kind": self.kind,
                "model": [time_text(self.model.start), time_text(self.model.end)],
                "version": self.version,
                "digest": self.digest,
                "verdict": self.verdict,
                "who": self.who,
                "why": self.why,
                "by_hand": self.by_hand,
                "champion": self.champion,
                "files": files,
                "serving": self.serving,
                "previous": self.previous,
                "is_held": self.is_held,
                "decided_at": time_text(self.decided_at) if self.decided_at else None,
                "nonce": self.nonce,
            }
        )

    @classmethod
    def from_json(cls, data: bytes, number: int, *, source: str = "a decision") -> Decision:
        """Read the bytes that `to_json` made. Raises NewerFormatError, DamageError."""
        try:
            raw = json.loads(data)
            if int(raw.pop("format")) > FORMAT:
                raise NewerFormatError(f"{source} was written in a newer format than {FORMAT}. Upgrade headrace here.")
            raw["model"] = Interval.of(*raw["model"])
            raw["files"] = tuple(FileEntry(f"{raw['champion']}/{file['name']}", file["sha256"], file["bytes"]) for file in raw["files"])
            raw["decided_at"] = datetime.fromisoformat(raw["decided_at"]) if raw["decided_at"] else None
            return cls(**raw, number=number)
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise DamageError(f"{source} is not a decision: {type(cause).__name__}: {cause}. Its bytes were changed.") from cause


class Chain:
    """The decisions about `pipeline.model`."""

    def __init__(self, store: Store, pipeline: str, model: str, *, clock: Callable[[], datetime], nonces: Callable[[], str]) -> None:
        self.pipeline, self.model = pipeline, model
        self._store, self._clock, self._nonces = store, clock, nonces

    def head(self) -> Decision | None:
        """The newest decision: what the next one is judged against."""
        number = max(self._numbers(), default=0)
        return self.entry(number) if number else None

    def entry(self, number: int) -> Decision:
        key = chain_key(self.pipeline, self.model, number)
        try:
            data = self._store.get(key)
        except KeyError:
            raise DamageError(
                f"The chain of {self.pipeline}.{self.model} in {self._store.uri} has no entry {number}: it was deleted by hand."
            ) from None
        return Decision.from_json(data, number, source=f"`{key}` in {self._store.uri}")

    def entries(self) -> list[Decision]:
        """Every decision, oldest first."""
        return [self.entry(number) for number in range(1, max(self._numbers(), default=0) + 1)]

    def champion(self) -> Decision | None:
        """The decision whose champion serves now."""
        head = self.head()
        return self.entry(head.serving) if head and head.serving else None

    def champion_as_of(self, time: datetime) -> Decision | None:
        """The decision whose champion is for `time`: of those that served, the newest whose model's interval had ended by then."""
        head = self.head()
        number = head.serving if head else None
        while number:
            decision = self.entry(number)
            if decision.model.end <= time:
                return decision
            number = decision.previous
        return None

    def objection(self, model: Interval, *, after: Decision | None) -> str | None:
        """Why a run may not promote the model of an interval over what serves; None when it may."""
        if after is None:
            return None
        if after.is_held:
            return f"a person's {self._holder(after).kind} stands: release it first (headrace release)"
        serving = self.entry(after.serving) if after.serving else None
        if serving and serving.model.start > model.start:
            return f"the champion is of a later interval, {serving.model}"
        return None

    def confirm(self, decision: Decision) -> None:
        """Make a decision durable that was seen, before something is built on it: predictions by its champion, above all."""
        self._store.confirm([chain_key(self.pipeline, self.model, decision.number)])

    def append(self, decision: Decision, *, after: Decision | None, files: Sequence[FileEntry] = ()) -> Decision | None:
        """Add a decision that was judged against `after`; None when another was added since, and it must be judged again.

        A promotion or rollback brings the model's files (of a manifest or of an older decision): they are copied into a folder of its own
        before the decision is put. Raises ValueError for a run's promotion that `objection` speaks against, VanishedError for files that
        are gone, TransientError when it is not known whether the decision is there.
        """
        self._check(decision, after, files)
        self._store.confirm([*([chain_key(self.pipeline, self.model, after.number)] if after else []), *_slots_of(files)])
        number, nonce = (after.number if after else 0) + 1, self._nonces()
        folder = champion_folder(self.pipeline, self.model, number, nonce)
        copies = tuple(FileEntry(f"{folder}/{file.name}", file.sha256, file.bytes) for file in files)
        whole = replace(
            _follow(decision, after, number), nonce=nonce, files=copies, champion=folder if copies else None, decided_at=self._clock()
        )
        data = whole.to_json()
        self._copy(files, copies)
        if put_entry(self._store, chain_key(self.pipeline, self.model, number), data) is None:
            return whole
        self._store.discard([copy.key for copy in copies])
        return None

    # ------------------------------------------------ the work

    def _numbers(self) -> Iterator[int]:
        return (number for key in self._store.keys(chain_prefix(self.pipeline, self.model)) if (number := parse_chain(key)) is not None)

    def _holder(self, held: Decision) -> Decision:
        while held.kind not in ("rollback", "hold"):
            held = self.entry(held.number - 1)
        return held

    def _check(self, decision: Decision, after: Decision | None, files: Sequence[FileEntry]) -> None:
        if decision.kind not in get_args(DecisionKind):
            raise ValueError(f"a decision of kind {decision.kind!r}: the kinds are {', '.join(get_args(DecisionKind))}")
        if bool(files) != (decision.kind in _CROWNING):
            raise ValueError(
                f"a decision to {decision.kind} comes {'without files' if files else 'with the files of the model that is to serve'}"
            )
        if decision.kind in ("rollback", "hold", "release") and not decision.by_hand:
            raise ValueError(f"only a person can {decision.kind}, and this decision is not marked as made by hand")
        if decision.kind == "promote" and not decision.by_hand and (objection := self.objection(decision.model, after=after)):
            raise ValueError(f"a run can't promote the model of {decision.model}: {objection}")

    def _copy(self, files: Sequence[FileEntry], copies: Sequence[FileEntry]) -> None:
        try:
            for file, copy in zip(files, copies, strict=True):
                self._store.copy(file.key, copy.key)
            self._store.publish([copy.key for copy in copies], digests={copy.key: copy.sha256 for copy in copies})
        except KeyError as gone:
            raise VanishedError(
                f"{gone} was to become a champion of {self.pipeline}.{self.model}, and is gone from {self._store.uri}."
            ) from None


def _slots_of(files: Sequence[FileEntry]) -> list[str]:
    """The entries whose files these are: a decision on the disk implies the model that it is about."""
    attempts = {attempt for file in files if (attempt := parse_attempt(file.key))}
    return [slot_key(attempt.pipeline, attempt.dataset, attempt.interval, attempt.version) for attempt in attempts]


def _follow(decision: Decision, after: Decision | None, number: int) -> Decision:
    """The decision with what follows from the one before it."""
    before = after.serving if after else None
    serving = number if decision.kind in _CROWNING else before
    held = {"rollback": True, "hold": True, "release": False}.get(decision.kind, bool(after and after.is_held))
    return replace(decision, number=number, serving=serving, previous=before, is_held=held)
