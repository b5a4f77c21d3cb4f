"""What is asked of a source's rows beside their contract, for one interval. The invariant: of a source that declares nothing, nothing."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Interval
from headrace.core.keys import Referred, Rules, Sieve
from headrace.core.manifest import Manifest
from headrace.core.step import Source
from headrace.run.inputs import Gathered, gather
from headrace.run.memory import memory_of
from headrace.run.session import Session
from headrace.steps.sifting import NO_RULES, RuledBy

__all__ = ["NOTHING", "Ruling", "ruling_of"]


@dataclass(frozen=True)
class Ruling:
    """The rules of a source for one interval, and what was read for them."""

    by: RuledBy
    inputs: Gathered

    def digests(self) -> dict[str, str]:
        """What a fingerprint holds of what was read."""
        return {f"reference {parameter}": digest for parameter, digest in self.inputs.digests().items()}

    def is_of(self, manifest: Manifest | None) -> bool:
        """Whether a commit was made from what was read now."""
        known = manifest.content.inputs if manifest else ()
        return {(ref.dataset, ref.digest) for ref in known} == {(ref.dataset, ref.digest) for ref in self.inputs.refs.values()}


NOTHING = Ruling(NO_RULES, Gathered({}, {}, {}))


def ruling_of(session: Session, step: Source, interval: Interval) -> Ruling:
    """The rules of a source, what they are about, listed now, and the engine that finds what breaks them. NotReadyError for what is not made."""
    if not step.unique and not step.references:
        return NOTHING
    engine = session.engine
    if not isinstance(engine, Sieve):
        raise ConfigurationError(
            f"The engine {engine.name} can't look for keys, which source `{step.name}` declares (unique= or references=)."
        )
    inputs, memory = gather(session, step, interval), memory_of(session, step, interval)
    own = {"keys of the interval before": memory.ref} if memory.ref else {}
    rules = Rules(step.unique, _referred(session, step, inputs), memory.past)
    return Ruling(RuledBy(rules, engine), Gathered({**inputs.refs, **own}, inputs.files, inputs.manifests))


def _referred(session: Session, step: Source, inputs: Gathered) -> tuple[Referred, ...]:
    found: list[Referred] = []
    for reference in step.references:
        files = tuple(path for _, paths in inputs.files[reference.column].files for path in paths)
        found.append(Referred(reference, _full_name(session, reference.dataset), files))
    return tuple(found)


def _full_name(session: Session, dataset: str) -> str:
    data = session.graph.steps[dataset]
    return data.options.location if isinstance(data, Source) and data.options.is_dataset else f"{session.graph.name}.{dataset}"
