"""What was made of some versions, however far: rows, models and other pipelines' copies, by what each commit says that it read.

A version whose content is that of one that was made without them counts as made without them. The invariant: what is left after that was made
of a version that was named, or can't be told from what was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from headrace.core.manifest import Manifest
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
    found, current = set(slots), set[Slot]()
    size = -1
    while size != len(found):
        size = len(found)
        for dataset in _datasets(session):
            own, newest = _of_dataset(session, dataset, found, frozenset(slots))
            found |= own
            current |= newest
    return Derived(tuple(sorted(found)), tuple(sorted(current)))


def _datasets(session: Session) -> list[tuple[str, str]]:
    """Each after those that it reads, as far as that is known: the pipeline's own, then those of others."""
    own, pipeline = list(session.graph.steps), session.graph.name
    listed = [tuple(name.split(".", 1)) for name in session.lake.datasets()]

    def place(name: tuple[str, ...]) -> tuple[bool, bool, int]:
        step = name[1].removesuffix(".experiment")
        return name[0] != pipeline, step != name[1], own.index(step) if step in own else len(own)

    return [(name[0], name[1]) for name in sorted(listed, key=place) if name[1] not in (RUNS, FORGOTTEN)]


def _of_dataset(session: Session, name: tuple[str, str], found: set[Slot], roots: frozenset[Slot]) -> tuple[set[Slot], set[Slot]]:
    log = session.lake.log(*name)
    known = log.versions(None)
    log.read_ahead([(interval, version) for interval, versions in known.items() for version in versions])
    own, newest = set[Slot](), set[Slot]()
    for interval, versions in known.items():
        manifests = [one for version in versions if (one := log.manifest(interval, version)).kind == "data"]
        odd = {one.version: one for one in manifests if _slot(one) in roots or _reads_any(one, found)}
        current = log.current(interval, versions=versions)
        if current is not None and current.version in odd:
            newest.add(_slot(current))
        elif current is not None:
            odd = {n: one for n, one in odd.items() if _slot(one) in roots or one.content.digest != current.content.digest}
        own.update(map(_slot, odd.values()))
    return own, newest


def _reads_any(manifest: Manifest, slots: set[Slot]) -> bool:
    return any(slot in slots for slot in _read(manifest))


def _read(manifest: Manifest) -> Iterator[Slot]:
    for ref in manifest.content.inputs:
        pipeline, _, dataset = ref.dataset.partition(".")
        yield from (Slot(pipeline, dataset, interval, version) for interval, version in ref.versions_of().items())


def _slot(manifest: Manifest) -> Slot:
    return Slot(manifest.pipeline, manifest.dataset, manifest.interval, manifest.version)
