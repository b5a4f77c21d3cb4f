"""What a task tells of its step, kept small: an orchestrator stores it in its database, for every task of every run.

The invariant: as JSON it never takes more bytes than it may, and what is left out is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from headrace.core.ports import JSON

__all__ = ["MOST_BYTES", "fitted"]

MOST_BYTES = 4_096
_SHORTEST = 8
_TEXTS = ("why", "error", "fix", "location", "verdict")  # names, labels and fingerprints are short by themselves


def fitted(told: Mapping[str, JSON], *, most: int = MOST_BYTES) -> dict[str, JSON]:
    """The document in at most `most` bytes of JSON: with fewer metrics if it must be, then with shorter texts.

    >>> fitted({"step": "clean", "metrics": {"r2": 0.5, "mae": 1.0}}, most=70)
    {'step': 'clean', 'metrics': {'r2': 0.5}, 'metrics_left_out': 1}
    """
    found = dict(told)
    metrics = found.get("metrics")
    if isinstance(metrics, Mapping):
        kept = list(metrics.items())
        while kept and size_of(found) > most:
            del kept[len(kept) // 2 :]
            found["metrics"] = dict(kept)
            found["metrics_left_out"] = len(metrics) - len(kept)
    texts = {name: found[name] for name in _TEXTS if name in found}
    longest = max((len(json.dumps(text)) for text in texts.values()), default=0)
    while size_of(found) > most and longest > _SHORTEST:
        longest //= 2
        found |= {name: _shortened(text, longest) for name, text in texts.items()}
    return found


def size_of(told: JSON) -> int:
    """The bytes that a document takes as JSON."""
    return len(json.dumps(told))


def _shortened(value: JSON, longest: int) -> JSON:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[: longest - 1]}…"
    return {name: _shortened(item, longest) for name, item in value.items()} if isinstance(value, Mapping) else value
