"""Fingerprints: when two pieces of work are the same work.

A fingerprint digests (code closure, settings, declaration, root digest of the inputs), and the interval only if the step
uses it. It is built from named parts, so that a change can be told in words. The invariant: nothing here reads a clock, a
path, a host or a version number of the lake, so equal work has an equal fingerprint on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.core.interval import Interval
from headrace.core.manifest import digest_of
from headrace.core.ports import JSON
from headrace.core.step import Promotion, Source, Step, Table, TrainedModel

__all__ = ["FORMAT", "Recipe", "changes", "declaration_of", "interval_text", "seed_of", "uses_interval"]

FORMAT = 1
"""Raised when headrace itself would make different bytes from the same inputs: everything is made anew then."""


@dataclass(frozen=True)
class Recipe:
    """Everything that a step's output depends on but its inputs: known before anything runs."""

    code: str
    code_parts: Mapping[str, str]
    settings: Mapping[str, JSON]
    declaration: Mapping[str, JSON]
    interval: str | None

    def parts(self) -> dict[str, JSON]:
        """What a manifest keeps, to tell later what changed."""
        return {
            "format": FORMAT,
            "code": self.code,
            "code_parts": dict(self.code_parts),
            "settings": dict(self.settings),
            "declaration": dict(self.declaration),
            "interval": self.interval,
        }

    def fingerprint(self, inputs: Mapping[str, str]) -> str:
        """The digest of this recipe with the root digests of its inputs, by parameter."""
        return digest_of(
            {
                "format": FORMAT,
                "code": self.code,
                "settings": dict(self.settings),
                "declaration": dict(self.declaration),
                "interval": self.interval,
                "inputs": dict(inputs),
            }
        )


def seed_of(step: str, fingerprint: str) -> int:
    """A seed for a step's randomness: the same for equal work, another for other work; 31 bits."""
    return int(hashlib.sha256(f"{step}:{fingerprint}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def changes(before: Mapping[str, JSON], now: Recipe) -> list[str]:
    """What differs between a manifest's kept parts and today's recipe, code apart, as phrases."""
    found: list[str] = []
    if before.get("format") != FORMAT:
        found.append(f"headrace's format {before.get('format')} -> {FORMAT}")
    found.extend(_differences("setting", before.get("settings"), {name: _plain(value) for name, value in now.settings.items()}))
    found.extend(_differences("", before.get("declaration"), now.declaration))
    if before.get("interval") != now.interval:
        found.append("its use of the interval changed")
    return found


def declaration_of(step: Step) -> dict[str, JSON]:
    """What the user declared of a step that shapes its output: never its gate, retries or place. As JSON gives it back: lists, no tuples."""
    return {name: _plain(value) for name, value in _declared(step).items()}


def _plain(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def _declared(step: Step) -> dict[str, JSON]:
    if isinstance(step, Source):
        contract = step.contract.digest if step.contract else None
        options = {
            name: value for name, value in step.options.options.items() if name != "every"
        }  # how often another makes it shapes nothing
        once = {"only_new": True} if step.options.only_new else {}
        keys: dict[str, JSON] = {"unique": [one.told() for one in step.unique]} if step.unique else {}
        if step.references:
            reads: list[JSON] = [[str(i.reach), i.is_newest, i.is_within] for i in step.inputs]
            keys["references"] = [{**one.told(), "reads": read} for one, read in zip(step.references, reads, strict=True)]
        return {"contract": contract, "format": step.options.format, "options": options, "missing": step.missing, **once, **keys}
    if isinstance(step, Table):
        split = step.split
        return {
            "key": list(step.key),
            "time": step.time,
            "layer": step.layer,
            "contract": step.contract.digest if step.contract else None,
            "split": None
            if split is None
            else {
                "kind": split.kind,
                "key": list(split.key),
                "cuts": list(split.cuts),
                "test": str(split.test_length),
                "valid": str(split.valid_length),
                "gap": str(split.gap),
            },
            "reads": {i.parameter: [i.frame, "within" if i.is_within else str(i.reach), i.is_newest] for i in step.inputs},
        }
    if isinstance(step, TrainedModel):
        spec = step.spec
        return {
            "features": spec.features if isinstance(spec.features, str) else list(spec.features),
            "target": spec.target,
            "weight": spec.weight,
            "cv": spec.cv,
            "metrics": sorted(spec.metrics),
            "trust": list(step.trust),
        }
    if isinstance(step, Promotion):
        return {"model": step.model}
    return {"columns": list(step.columns)}


def uses_interval(step: Step) -> bool:
    """Whether a step's output depends on which interval it is for, beyond its inputs. (A table's SQL is looked at by its step.)"""
    if isinstance(step, Source):
        return step.options.is_by_interval
    if isinstance(step, Table):
        return (
            bool(step.interval_parameters)
            or (step.split is not None and step.split.kind == "time")
            or any(i.is_window for i in step.inputs)
        )
    if isinstance(step, TrainedModel):
        return bool(step.interval_parameters)
    return False


def interval_text(interval: Interval) -> str:
    return f"{interval.start.isoformat()}/{interval.end.isoformat()}"


def _differences(what: str, before: JSON, now: Mapping[str, JSON]) -> list[str]:
    old = before if isinstance(before, Mapping) else {}
    found = []
    for name in sorted({*old, *now}):
        if (name in old, json.dumps(old.get(name), sort_keys=True)) != (name in now, json.dumps(now.get(name), sort_keys=True)):
            shown = f"{what} `{name}`" if what else f"`{name}`"
            found.append(f"{shown} {_short(old.get(name))} -> {_short(now.get(name))}" if what else f"{shown} changed")
    return found


def _short(value: JSON) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "…"
