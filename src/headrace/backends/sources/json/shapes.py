"""What the values of records look like, learned from some of them: which keys in which order, and which kinds of values each has.

Pure. The invariant: a shape says of no key that it stands in two places, so what has a shape has no key twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from headrace.core.json_values import Number

__all__ = ["MOST_MEMBERS", "Kind", "Shape", "merged", "shape_of", "size_of"]

MOST_MEMBERS = 300
_MOST_LEVELS = 8

Kind = Literal["text", "whole", "number", "truth"]

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Shape:
    """The kinds of a value that has no parts, null apart, which may stand anywhere; the members of an object, in order, and those that each
    object has; and the shape of an array's items.
    """

    kinds: frozenset[Kind] = frozenset()
    members: tuple[tuple[str, Shape], ...] | None = None
    required: frozenset[str] = frozenset()
    item: Shape | None = None

    def at(self, path: Sequence[str]) -> Shape | None:
        """The shape of what lies at a path of keys."""
        found: Shape | None = self
        for name in path:
            found = dict(found.members).get(name) if found and found.members else None
        return found

    @property
    def has_parts(self) -> bool:
        return self.members is not None or self.item is not None


def shape_of(value: object, *, levels: int = _MOST_LEVELS) -> Shape | None:
    """The shape of a value that was parsed; None where it is nested too deep, too large, no standard JSON, or has items of different orders."""
    if isinstance(value, dict):
        return _of_object(cast("dict[str, object]", value), levels)
    if isinstance(value, list):
        return _of_array(cast("list[object]", value), levels)
    kind = _kind_of(value)
    if kind is None and value is not None:
        return None
    return Shape(frozenset({kind} if kind else ()))


def merged(one: Shape, other: Shape) -> Shape | None:
    """A shape that fits what either fits; None where their keys stand in different orders."""
    item = other.item if one.item is None else one.item
    if one.item is not None and other.item is not None:
        item = merged(one.item, other.item)
        if item is None:
            return None
    if one.members is None or other.members is None:
        theirs = one if one.members is not None else other
        return Shape(one.kinds | other.kinds, theirs.members, theirs.required, item)
    members = _merged_members(one.members, other.members)
    return None if members is None else Shape(one.kinds | other.kinds, members, one.required & other.required, item)


def size_of(shape: Shape) -> int:
    """How many members a shape has at all levels."""
    inner = sum(1 + size_of(own) for _, own in shape.members or ())
    return inner + (size_of(shape.item) if shape.item else 0)


def _of_object(value: dict[str, object], levels: int) -> Shape | None:
    if not levels or len(value) > MOST_MEMBERS:
        return None
    members: list[tuple[str, Shape]] = []
    for name, inner in value.items():
        shape = shape_of(inner, levels=levels - 1)
        if shape is None:
            return None
        members.append((name, shape))
    return Shape(members=tuple(members), required=frozenset(value))


def _of_array(value: list[object], levels: int) -> Shape | None:
    item: Shape | None = Shape() if levels else None
    for inner in value:
        own = shape_of(inner, levels=levels - 1) if item else None
        item = merged(item, own) if item and own else None
    return Shape(item=item) if item else None


def _kind_of(value: object) -> Kind | None:
    if isinstance(value, Number):
        return "whole" if _WHOLE.fullmatch(value) else "number" if _NUMBER.fullmatch(value) else None
    if isinstance(value, str):
        return "text"
    return "truth" if isinstance(value, bool) else None


def _merged_members(ours: tuple[tuple[str, Shape], ...], theirs: tuple[tuple[str, Shape], ...]) -> tuple[tuple[str, Shape], ...] | None:
    order, shapes, at = [name for name, _ in ours], dict(ours), 0
    for name, shape in theirs:
        known = shapes.get(name)
        if known is None:
            order.insert(at, name)
            shapes[name] = shape
        else:
            both, at = merged(known, shape), order.index(name, at) if name in order[at:] else -1
            if both is None or at < 0:
                return None
            shapes[name] = both
        at += 1
    return tuple((name, shapes[name]) for name in order)
