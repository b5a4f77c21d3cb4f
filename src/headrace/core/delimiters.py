"""A header that was split at the wrong sign: which other one would split it.

Only advice for an error that is raised anyway, or for a file whose one column can't be meant. The invariant: nothing is read with a
delimiter that was not declared.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["delimiter_advice"]

_COMMON = (",", ";", "\t", "|")


def delimiter_advice(names: Sequence[str], delimiter: str, wanted: Collection[str] | None = None) -> str:
    """What to write for the delimiter that splits a header into most of the names that are wanted, else into most parts; empty if none does.

    >>> delimiter_advice(["id;price"], ",")
    'Its fields seem to be separated by ";". Read it with hr.csv(…, delimiter=";").'
    >>> delimiter_advice(["id", "price"], ",", wanted=["cost"])
    ''
    """
    header = delimiter.join(names)
    parts = {sign: [part.strip(" \"'") for part in header.split(sign)] for sign in _COMMON if sign != delimiter}
    found = {sign: len(split) - 1 if wanted is None else len({*split} & {*wanted}) for sign, split in parts.items()}
    best = max(found, key=lambda sign: found[sign])
    if found[best] == 0 or (wanted is not None and 2 * found[best] <= len(wanted)):
        return ""
    sign = "\\t" if best == "\t" else best
    return f'Its fields seem to be separated by "{sign}". Read it with hr.csv(…, delimiter="{sign}").'
