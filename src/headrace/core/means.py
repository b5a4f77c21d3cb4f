"""What reading a source may use of the machine: threads, and memory.

Pure. The invariant: what is shared out is never more than was given, and never too little to read with.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ALONE", "Means"]

_OUTSIDE_MB = 128  # Python, its libraries, and the texts at hand
_EACH_MB = 128  # what a thread needs to read well
_USUAL_MB = 256  # for one or two threads
_LEAST_MB = 128


@dataclass(frozen=True)
class Means:
    """`memory_mb` is for all of it; None for as much as the threads need, which is 512 MB for two."""

    workers: int = 1
    memory_mb: int | None = None

    @property
    def threads(self) -> int:
        """How many threads there is memory for.

        >>> Means(8, 512).threads, Means(8).threads
        (3, 8)
        """
        if self.memory_mb is None:
            return self.workers
        return max(1, min(self.workers, (self.memory_mb - _OUTSIDE_MB) // _EACH_MB))

    @property
    def database_mb(self) -> int:
        """What of the memory DuckDB gets, which puts on disk what is beyond that.

        >>> Means(2, 4096).database_mb, Means(2).database_mb, Means(8).database_mb
        (3968, 256, 1024)
        """
        if self.memory_mb is None:
            return _USUAL_MB + _EACH_MB * max(0, self.workers - 2)
        return max(_LEAST_MB, self.memory_mb - _OUTSIDE_MB)


ALONE = Means()
