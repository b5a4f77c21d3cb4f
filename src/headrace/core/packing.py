"""How the names of packed files end. What they hold is told from their bytes; a name only says which format to expect inside.

The invariant: a name loses one ending at most, and never all of itself.
"""

from __future__ import annotations

__all__ = ["PACKED", "unpacked_name"]

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def unpacked_name(name: str) -> str:
    """A name without the ending that says how the file is packed.

    >>> unpacked_name("sales.csv.zst")
    'sales.csv'
    """
    for ending in PACKED:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name
