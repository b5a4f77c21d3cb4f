"""The patterns of one file's lines, learned as they come.

What is learned, and when, is a matter of speed alone, so threads may learn from one another in any order. The invariant: a pattern gives the
tokens of the same columns as every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

from headrace.backends.sources.json.patterns import ANY_SPACES, Pattern, Style, pattern_of, style_of
from headrace.backends.sources.json.records import NoRecordError, object_in
from headrace.backends.sources.json.shapes import MOST_MEMBERS, Shape, merged, shape_of, size_of
from headrace.core.json_paths import path_of

__all__ = ["Known"]

_MOST_PATTERNS = 6
_MOST_TIMES = 12


@dataclass(frozen=True)
class _Look:
    """What some lines have in common."""

    shape: Shape
    style: Style


class Known:
    """What is known of the lines of a file: `patterns`, of which the first fits what was seen first."""

    def __init__(self, names: Sequence[str]) -> None:
        paths = [path_of(name) or (name,) for name in names]
        self.paths = tuple(tuple(step for step in path if isinstance(step, str)) for path in paths)
        self.patterns: tuple[Pattern, ...] = ()
        self._aliases = frozenset(name for name, path in zip(names, paths, strict=True) if len(path) > 1)
        self._made: dict[_Look, Pattern | None] = {}
        self._times = _MOST_TIMES if any(isinstance(step, int) for path in paths for step in path) else 0  # no pattern counts places
        self._lock = Lock()

    def learn(self, lines: Iterable[str]) -> None:
        """Make patterns that these lines match as well, unless that was done often enough."""
        with self._lock:
            if self._times >= _MOST_TIMES:
                return
            self._times += 1
            looks = list(self._made)
            for line in lines:
                look = _look_of(line)
                if look:
                    _add(looks, look)
            self._made = {look: self._made[look] if look in self._made else self._pattern(look) for look in looks}
            self.patterns = tuple(pattern for pattern in self._made.values() if pattern)

    def _pattern(self, look: _Look) -> Pattern | None:
        """None also where a key is called like a path, and goes before it."""
        if any(name in self._aliases for name, _ in look.shape.members or ()):
            return None
        return pattern_of(look.shape, look.style, self.paths)


def _look_of(line: str) -> _Look | None:
    try:
        shape = shape_of(object_in(line))
    except NoRecordError:
        return None
    return _Look(shape, style_of(line)) if shape and size_of(shape) <= MOST_MEMBERS else None


def _add(looks: list[_Look], look: _Look) -> None:
    """Widen one of the looks so that it is this one too, or add it."""
    for at, known in enumerate(looks):
        both = merged(known.shape, look.shape)
        if both and size_of(both) <= MOST_MEMBERS:
            looks[at] = _Look(both, known.style if known.style == look.style else ANY_SPACES)
            return
    if len(looks) < _MOST_PATTERNS:
        looks.append(look)
