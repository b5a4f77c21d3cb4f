"""What was made of some versions, however far: rows, models and other pipelines' copies, by what each commit says that it read.

A version whose content is that of one that was made without them counts as made without them. Keys that a source remembers are read by its
next interval alone, which reads nothing else: so that was made of a version whose keys differ, and all others of one whose rows do. The invariant: what is left after that was made of a
version that was named, or can't be told from what was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from headrace.core.manifest import MEMORY, Manifest
from headrace.lake.layout import Slot
from headrace.run.forgotten import FORGOTTEN
from headrace.run.record import RUNS
from headrace.run.session import Session

__all__ = ["Derived", "derived_from"]


@dataclass(frozen=True)
class Derived:
    """Versions that were made of others, those among them; `current` are the ones that readers have now."""

    slots: tuple[Slot, ...]
    current: tuple[Slot, ...]

    def of(self, pipeline: str) -> Derived:
        """Those of one pipeline."""
        return Derived(*(tuple(slot for slot in of if slot.pipeline == pipeline) for of in (self.slots, self.current)))


def derived_from(session: Session, slots: Collection[Slot]) -> Derived:
    """All that was made of some versions, in this pipeline and in those that read it."""
    search = _Search(session, frozenset(slots))
    size = -1
    while size != len(search.found):
        size = len(search.found)
        for dataset in _datasets(session):
            search.dataset(dataset)
    return Derived(tuple(sorted(search.found)), tuple(sorted(search.current)))


def _datasets(session: Session) -> list[tuple[str, str]]:
    """Each after those that it reads, as far as that is known: the pipeline's own, then those of others."""
    own, pipeline = list(session.graph.steps), session.graph.name
    listed = [tuple(name.split(".", 1)) for name in session.lake.datasets()]

    def place(name: tuple[str, ...]) -> tuple[bool, bool, int]:
        step = name[1].removesuffix(".experiment")
        return name[0] != pipeline, step != name[1], own.index(step) if step in own else len(own)

    return [(name[0], name[1]) for name in sorted(listed, key=place) if name[1] not in (RUNS, FORGOTTEN)]


class _Search:
    """Goes from versions to what was made of them, but not from those of which readers have the same rows now, or the next interval the same keys."""

    def __init__(self, session: Session, roots: frozenset[Slot]) -> None:
        self._session, self._roots = session, roots
        self.found, self.current = set(roots), set[Slot]()
        self._same_rows, self._same_keys = set[Slot](), set[Slot]()

    def dataset(self, name: tuple[str, str]) -> None:
        log = self._session.lake.log(*name)
        known = log.versions(None)
        log.read_ahead([(interval, version) for interval, versions in known.items() for version in versions])
        for interval, versions in known.items():
            manifests = [one for version in versions if (one := log.manifest(interval, version)).kind == "data"]
            odd = {one.version: one for one in manifests if _slot(one) in self._roots or self._was_made_of_any(one)}
            current = log.current(interval, versions=versions)
            if current is not None and current.version in odd:
                self.current.add(_slot(current))
            elif current is not None:
                self._same_rows.update(_slot(one) for one in odd.values() if one.content.digest == current.content.digest)
                self._same_keys.update(_slot(one) for one in odd.values() if _remembered(one) == _remembered(current))
                same = self._same_rows & self._same_keys - self._roots
                odd = {n: one for n, one in odd.items() if _slot(one) not in same}
            self.found.update(map(_slot, odd.values()))

    def _was_made_of_any(self, manifest: Manifest) -> bool:
        own = (manifest.pipeline, manifest.dataset) if manifest.content.part(MEMORY) else None
        read = set(_read(manifest)) & self.found
        return any(slot not in (self._same_keys if slot[:2] == own else self._same_rows) for slot in read)


def _remembered(manifest: Manifest) -> list[str]:
    part = manifest.content.part(MEMORY)
    return [file.sha256 for file in part.files] if part else []


def _read(manifest: Manifest) -> Iterator[Slot]:
    for ref in manifest.content.inputs:
        pipeline, _, dataset = ref.dataset.partition(".")
        yield from (Slot(pipeline, dataset, interval, version) for interval, version in ref.versions_of().items())


def _slot(manifest: Manifest) -> Slot:
    return Slot(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)
