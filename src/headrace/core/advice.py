"""What a format can say of files of which too many records were rejected: which option would read them.

The invariant: it is words for a person, and nothing is read by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from headrace.core.ports import JSON, Landed, ReadResult

__all__ = ["AdvisingFormat"]


@runtime_checkable
class AdvisingFormat(Protocol):
    """A format that looks at such files again."""

    def advice(self, files: Sequence[Landed], options: Mapping[str, JSON], result: ReadResult) -> Sequence[str]:
        """What would help, a line each; nothing where the files do not show it."""
        ...
