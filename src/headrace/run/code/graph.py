"""The graph of code that a function reaches, and its digest.

Lives here: nodes, their numbering, the digest and its parts in words. Not here: how names lead from one node to the next.
The invariant: nodes are told apart by the order in which they are first reached, and never by a module's name or path, so
the digest is the same wherever the code lies, and different whenever a name leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType

__all__ = ["CodeDigest", "Edge", "Node", "Target", "changed_parts", "digest_graph"]

FORMAT = "headrace code 1"  # to be raised when the same code is to get another digest


@dataclass(frozen=True)
class CodeDigest:
    """What a function's result depends on, as far as code goes.

    `digest` is for comparing, `parts` for saying what changed (a label for people, with a short digest or a version), and
    `opaque` lists what could not be followed, with its place.
    """

    digest: str
    parts: Mapping[str, str]
    opaque: tuple[str, ...]


@dataclass(eq=False)
class Node:
    """A piece of code, a value, or a library. `expand` gives the names that it uses, each with what they lead to."""

    label: str
    own: str
    expand: Callable[[], Iterable[Edge]] = field(default=tuple, repr=False)
    notes: Sequence[str] = ()
    version: str | None = None

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        return tuple(self.expand())

    @cached_property
    def part(self) -> str:
        """What stands for this node alone in a list of parts."""
        if self.version is not None:
            return self.version
        leads = [f"{name}:{_shown(target)}" for name, targets in self.edges for target in targets]
        return sha256("\n".join([self.own, *leads]).encode()).hexdigest()[:16]


# What a name leads to: a node, or something outside of the project that its dotted name is enough for.
Target = Node | str
Edge = tuple[str, Sequence[Target]]


def digest_graph(roots: Sequence[Target]) -> CodeDigest:
    """The digest of all that is reached from `roots`."""
    order: list[Node] = []
    numbers: dict[Node, int] = {}

    def number(target: Target) -> str:
        if isinstance(target, str):
            return target
        if target not in numbers:
            numbers[target] = len(order)
            order.append(target)
        return f"#{numbers[target]}"

    lines = [FORMAT, " ".join(map(number, roots))]
    for node in order:  # grows while it is read
        lines.append(node.own)
        lines.extend(f" {name} {' '.join(map(number, targets))}" for name, targets in node.edges)
    digest = sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    opaque = sorted({note for node in order for note in node.notes})
    return CodeDigest(digest, MappingProxyType(_parts(order)), tuple(opaque))


def changed_parts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What became different, in phrases; `before` and `after` are the parts of two digests."""
    phrases = []
    for label in sorted(before.keys() | after.keys()):
        if label not in after:
            phrases.append(f"{_quoted(label)} is gone")
        elif label not in before:
            phrases.append(f"{_quoted(label)} is new")
        elif before[label] != after[label]:
            is_versioned = label == "python" or label.startswith("library ")
            phrases.append(f"{label} {before[label]} -> {after[label]}" if is_versioned else f"{_quoted(label)} changed")
    return tuple(phrases)


def _parts(nodes: Iterable[Node]) -> dict[str, str]:
    """By label; where several nodes share one (two lambdas of a file), one digest for all of them."""
    by_label: dict[str, list[str]] = {}
    for node in nodes:
        by_label.setdefault(node.label, []).append(node.part)
    return {label: parts[0] if len(parts) == 1 else _joined(parts) for label, parts in sorted(by_label.items())}


def _joined(parts: list[str]) -> str:
    return sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def _shown(target: Target) -> str:
    return target if isinstance(target, str) else target.label


def _quoted(label: str) -> str:
    """`function clean in shop.py` with its name in backticks."""
    kind, _, rest = label.partition(" ")
    name, separator, place = rest.partition(" in ")
    return f"{kind} `{name}`{separator}{place}" if separator else label
