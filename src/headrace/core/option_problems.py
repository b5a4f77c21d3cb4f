"""What can't be of the options of a source: each problem in words, so that all of them are told at once.

Pure. The invariant: an option that passes here is one that the format's flavour can carry out, as far as that shows without a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.core.encodings import ENCODINGS
from headrace.core.numbers import signs_problem
from headrace.core.ports import JSON
from headrace.core.sniffing import AUTO, QUOTES, SIGNS

__all__ = ["csv_problems", "incoming_problems", "skip_problem", "unnest_problem"]


def csv_problems(said: Mapping[str, JSON], names: Sequence[str] | None) -> list[str]:
    delimiter, quote, escape, decimal, skip = said["delimiter"], said["quote"], said["escape"], said["decimal"], said["skip"]
    signs = [sign for sign in (delimiter, quote, escape, said["comment"]) if sign not in (None, AUTO)]
    return [
        ""
        if delimiter == AUTO or _is_sign(delimiter)
        else f"delimiter={delimiter!r} has to be one ASCII character, not a line's end, a letter or a digit, or {AUTO!r}",
        ""
        if quote in (None, AUTO) or _is_sign(quote)
        else f"quote={quote!r} has to be one ASCII character, None for no quoting, or {AUTO!r}",
        "" if escape is None or _is_sign(escape) else f"escape={escape!r} has to be one ASCII character",
        "" if len(set(map(str, signs))) == len(signs) else "delimiter, quote, escape and comment have to differ",
        f"comment={said['comment']!r} may be the delimiter that is found: name the delimiter"
        if delimiter == AUTO and said["comment"] in SIGNS
        else "",
        f"quote={AUTO!r} finds the quotes {' and '.join(QUOTES)}, and one of them is the delimiter, escape or comment: name the quote"
        if quote == AUTO and {delimiter, escape, said["comment"]} & {*QUOTES}
        else "",
        *incoming_problems(said),
        signs_problem(decimal, said["thousands"]),
        skip_problem(skip),
        ""
        if said["header"] == AUTO or isinstance(said["header"], bool)
        else f"header={said['header']!r} has to be True, False or {AUTO!r}",
        "header=True and names= are two headers: with names=, skip=1 passes over the file's own"
        if said["header"] is True and names is not None
        else "",
        ""
        if names is None or (not isinstance(names, str) and names and len(set(names)) == len(names))
        else "names has to be a list of different names",
    ]


def incoming_problems(said: Mapping[str, JSON]) -> list[str]:
    """What can't be of the options that every format of texts has."""
    encoding, member, max_ratio = said["encoding"], said["member"], said["max_ratio"]
    comment = said["comment"]
    return [
        ""
        if comment is None or _is_sign(comment)
        else f"comment={comment!r} has to be one ASCII character, not a line's end, a letter or a digit",
        ""
        if encoding in (AUTO, *ENCODINGS)
        else f"encoding={encoding!r} is not read, only {', '.join(ENCODINGS)}: convert the file with iconv",
        "" if member is None or (isinstance(member, str) and member) else f"member={member!r} has to be the name of a file",
        "" if _is_count(max_ratio, 2) else f"max_ratio={max_ratio!r} has to be a whole number, 2 or more",
    ]


def unnest_problem(unnest: JSON) -> str:
    is_path = unnest is None or (isinstance(unnest, str) and unnest and "[" not in unnest)
    return "" if is_path else f"unnest={unnest!r} has to be a key or a path of keys, such as 'order.items'"


def skip_problem(skip: JSON) -> str:
    return "" if isinstance(skip, int) and skip >= 0 else f"skip={skip!r} has to be a number of lines, 0 or more"


def _is_count(value: JSON, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_sign(value: JSON) -> bool:
    return isinstance(value, str) and len(value) == 1 and value.isascii() and not value.isalnum() and value not in "\r\n\0"
