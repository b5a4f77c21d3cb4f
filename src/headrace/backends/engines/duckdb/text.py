"""SQL as text: quoting, lists of files, and the types in which columns are stored.

The invariant: a type that is stored reads back as itself on every engine; what cannot be is refused with a way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["FLOATS", "listed", "literal", "parquet", "quote", "stored_type"]

FLOATS = ("DOUBLE", "FLOAT")
_REPLACED = (
    (re.compile(r"\bUHUGEINT\b"), "UBIGINT"),
    (re.compile(r"\bHUGEINT\b"), "BIGINT"),
    (re.compile(r"\bTIMESTAMP_(?:S|MS|NS)\b"), "TIMESTAMP"),
    (re.compile(r"\bTIME_NS\b"), "TIME"),
    (re.compile(r"\b(?:JSON|BIT|BIGNUM)\b"), "VARCHAR"),
    (re.compile(r"\bENUM\((?:'(?:[^']|'')*'(?:, )?)*\)"), "VARCHAR"),
    (re.compile(r'"NULL"'), "INTEGER"),
    (re.compile(r"\[\d+\]"), "[]"),
)
_REFUSED = re.compile(r"\b(?:UNION|VARIANT|TUPLE|INTERVAL|GEOMETRY|TIME WITH TIME ZONE|POINTER|LAMBDA|TYPE)\b")
_NAMES = re.compile(r'"(?:[^"]|"")*"(?= )')


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def parquet(files: Iterable[Path]) -> str:
    """A table function that reads Parquet files, in their order."""
    return f"read_parquet([{', '.join(literal(_no_pattern(path)) for path in files)}])"


def stored_type(type_name: str) -> str | None:
    """The type in which a column is written; None when there is none.

    Sums of integers are 128 bits wide in DuckDB, which no Parquet type holds: they are stored as BIGINT, and a sum that is too
    large is an error. Times are stored to the microsecond.

    >>> stored_type("HUGEINT"), stored_type("TIMESTAMP_NS"), stored_type("INTERVAL")
    ('BIGINT', 'TIMESTAMP', None)
    """
    if _REFUSED.search(_NAMES.sub("", type_name)):
        return None
    for pattern, replacement in _REPLACED:
        type_name = pattern.sub(replacement, type_name)
    return type_name


def listed(names: Sequence[str]) -> str:
    """Names for a message: `a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)


def _no_pattern(path: Path) -> str:
    """A path in which `*`, `?` and `[` stand for themselves."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))
