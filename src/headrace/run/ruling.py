"""What is asked of a source's rows beside their contract, for one interval. The invariant: of a source that declares nothing, nothing."""

from __future__ import annotations

from headrace.core.errors import ConfigurationError
from headrace.core.keys import Rules, Sieve
from headrace.core.step import Source
from headrace.run.session import Session
from headrace.steps.sifting import NO_RULES, RuledBy

__all__ = ["ruled_by"]


def ruled_by(session: Session, step: Source) -> RuledBy:
    """The rules of a source, and the engine that finds what breaks them."""
    if not step.unique:
        return NO_RULES
    engine = session.engine
    if not isinstance(engine, Sieve):
        raise ConfigurationError(f"The engine {engine.name} can't look for keys, which source `{step.name}` declares (unique=).")
    return RuledBy(Rules(step.unique), engine)
