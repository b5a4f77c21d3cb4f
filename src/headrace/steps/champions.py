"""Who serves, and its files: a chain of decisions read backwards, and the model that one of them is about.

Nothing here decides or writes. The invariant: a model is loaded only after its files were found to be what a decision or manifest says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from headrace.core.errors import DamageError, LostRaceError, ModelError
from headrace.core.manifest import FileEntry, Manifest
from headrace.core.ports import FittedModel, ModelBackend
from headrace.lake.chain import Chain, Decision
from headrace.lake.files import VanishedError
from headrace.lake.lake import Lake

__all__ = ["PART", "TRIES", "Past", "champion_as_of", "is_late", "lost", "model_files", "open_champion", "verified_files"]

PART = "model"  # the part of a commit that holds a model's files
TRIES = 5
_PATIENCE = 64  # decisions about earlier intervals that are read before a model counts as never decided about


def champion_as_of(newest_first: Iterable[Decision], time: datetime) -> Decision | None:
    """The decision whose model is the champion for `time`: no model of a later interval, and a person's word before a run's.

    Of what has served, newest first, the first whose model's interval had ended by `time`; but a model of an interval nearer to `time` that was
    judged late (after a model of a later interval was champion already) and passed stands in its own time, unless a person decided since.
    So the order in which a backfill judges intervals makes no difference where gates don't look at the champion.
    """
    late: Decision | None = None
    line: int | None = None
    for place, decision in enumerate(newest_first):
        line = decision.serving if place == 0 else line
        if decision.number == line:
            if decision.model.end <= time:
                return late if late and late.model.end >= decision.model.end else decision
            line = decision.previous
        elif is_late(decision) and decision.model.end <= time and (late is None or decision.model.end > late.model.end):
            late = decision
    return late


def is_late(decision: Decision) -> bool:
    """Whether a decision is about a model that passed its gate for its own time, when one of a later interval served already."""
    return decision.kind == "reject" and decision.verdict.get("late") is True


def open_champion(
    lake: Lake,
    pipeline: str,
    model: str,
    decision: Decision,
    backend: ModelBackend,
    *,
    trust: Sequence[str] = (),
    is_pickle_allowed: bool = False,
) -> FittedModel:
    """The model that a decision is about, verified by digest before it is loaded. VanishedError when its files are gone, DamageError when they differ."""
    files = decision.files or model_files(lake.log(pipeline, model).manifest(decision.model, decision.version))
    paths = verified_files(lake, files)
    return backend.load(paths[0].parent, trust=trust, is_pickle_allowed=is_pickle_allowed)


def model_files(manifest: Manifest) -> tuple[FileEntry, ...]:
    part = manifest.content.part(PART)
    if manifest.kind != "data" or part is None:
        raise ModelError(
            f"{manifest} holds no model: it is a commit of kind `{manifest.content.step_kind or manifest.kind}`. See: headrace ls {manifest.name}"
        )
    return part.files


def verified_files(lake: Lake, files: Sequence[FileEntry]) -> list[Path]:
    """Local files of a model, in one folder, each with the digest that its entry says. VanishedError, DamageError."""
    try:
        found = [(file, path, path.read_bytes()) for file, path in zip(files, lake.store.paths(files), strict=True)]
    except (KeyError, FileNotFoundError) as gone:
        raise VanishedError(
            f"Of the model's files {', '.join(f'`{file.key}`' for file in files)} one is gone from {lake.uri} ({gone}). "
            "Run again; if it stays gone, promote another model."
        ) from None
    for file, _, data in found:
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise DamageError(
                f"`{file.key}` in {lake.uri} is not what its entry says (SHA-256 {file.sha256[:12]}…): it was changed. It is not loaded; promote another model."
            )
    return [path for _, path, _ in found]


class Past:
    """A chain as it was when it was listed: the head, and the entries before it, each read when it is asked for and only once."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.head = chain.head()
        self._read: dict[int, Decision] = {self.head.number: self.head} if self.head else {}

    def __iter__(self) -> Iterator[Decision]:
        """Newest first."""
        return (self.entry(number) for number in range(self.head.number if self.head else 0, 0, -1))

    def entry(self, number: int) -> Decision:
        if number not in self._read:
            self._read[number] = self.chain.entry(number)
        return self._read[number]

    @property
    def serving(self) -> Decision | None:
        return self.entry(self.head.serving) if self.head and self.head.serving else None

    @property
    def is_held(self) -> bool:
        return bool(self.head and self.head.is_held)

    def about(self, manifest: Manifest) -> Decision | None:
        """A run's or a person's word about this very model, if there is one."""
        earlier = 0
        for entry in self:
            if entry.kind in ("promote", "reject") and (entry.model, entry.digest) == (manifest.interval, manifest.content.digest):
                return entry
            earlier += entry.model.start < manifest.interval.start
            if earlier > _PATIENCE:
                return None
        return None


def lost(name: str) -> LostRaceError:
    return LostRaceError(f"Decided about `{name}` {TRIES} times, and each time another decision came first. Run again.")
