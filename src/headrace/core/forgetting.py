"""Who is forgotten: keys whose records are left out for good, each known by salted digests and not by its value.

Pure. Nothing here opens a file. A key is a column and what it holds, or several of them that a record has to hold all. The invariant: a
record that holds a key is known by it however often it comes back, and what is kept of a key says no more than its digests and how long it was.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from headrace.core.casts import literal
from headrace.core.contract import Contract
from headrace.core.errors import DamageError
from headrace.core.ports import JSON, Landed, SourceFormat
from headrace.core.records import Record

__all__ = ["ErasableFormat", "Forgotten", "ForgottenKey", "KeyColumn", "forgotten_key", "is_said_in", "keys_of", "number_of"]

_MOST_DIGITS = 100
_PLAIN = "0|-?[1-9][0-9]*"  # whole numbers that are written in no other way
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class KeyColumn:
    """What one column of a key holds: the names that the column goes by, the digests of its value, and how many characters it has."""

    names: tuple[str, ...]
    digests: frozenset[str]
    length: int

    def as_json(self) -> dict[str, JSON]:
        return {"names": list(self.names), "digests": sorted(self.digests), "length": self.length}


Sort = Literal["text", "number"]
ForgottenKey = tuple[KeyColumn, ...]
"""A record is of this key if it holds the value of each of the columns."""


@dataclass(frozen=True)
class Forgotten:
    """The keys that a pipeline leaves out."""

    salt: str
    keys: tuple[ForgottenKey, ...]

    def is_value(self, column: KeyColumn, text: str, number: str | None = None) -> bool:
        """Whether a text is what a column of a key holds; `number` is the same where it is one that is written in another way."""
        if len(text) == column.length and _digest(self.salt, "text", text) in column.digests:
            return True
        plain = None if number is None else number_of(number)
        return plain is not None and _digest(self.salt, "number", plain) in column.digests

    def may_be_sql(self, columns: Sequence[KeyColumn], text: str, number: str) -> str:
        """SQL that is false only where `is_value` is for all of some columns, and in few other places: an engine hashes faster than Python does."""
        held = ", ".join(map(literal, sorted({digest for column in columns for digest in column.digests})))
        lengths = ", ".join(map(str, sorted({column.length for column in columns})))
        is_text = f"length({text}) IN ({lengths}) AND {self._digest_sql('text', text)} IN ({held})"
        is_number = f"NOT regexp_full_match({number}, '{_PLAIN}') OR {self._digest_sql('number', number)} IN ({held})"
        return f"({is_text}) OR ({number} IS NOT NULL AND ({is_number}))"

    def _digest_sql(self, sort: Sort, text: str) -> str:
        return f"sha256({literal(self.salt)} || chr(0) || '{sort}' || chr(0) || {text})"

    def is_in(self, column: KeyColumn, raw: str) -> bool:
        """Whether a text that nobody could split holds the value as a word of its own."""
        return any(_digest(self.salt, "text", word) in column.digests for word in _words(raw, column.length))


def forgotten_key(values: Mapping[tuple[str, ...], str], salt: str) -> ForgottenKey:
    """The key whose columns, each by all of its names, hold these values.

    >>> key = forgotten_key({("customer_id", "CustomerID"): "17850"}, "salt")
    >>> forgotten = Forgotten("salt", (key,))
    >>> forgotten.is_value(key[0], "17850"), forgotten.is_value(key[0], "17850.0", "17850.0"), forgotten.is_value(key[0], "017850")
    (True, True, False)
    >>> forgotten.is_in(key[0], 'broken,"17850,12'), forgotten.is_in(key[0], "178501")
    (True, False)
    """
    found = []
    for names, text in sorted(values.items()):
        number = number_of(text)
        digests = {_digest(salt, "text", text), *([_digest(salt, "number", number)] if number is not None else [])}
        found.append(KeyColumn(tuple(sorted(names)), frozenset(digests), len(text)))
    return tuple(found)


def keys_of(told: JSON, *, source: str) -> tuple[ForgottenKey, ...]:
    """The keys that a record tells, as `KeyColumn.as_json` has their columns. DamageError for anything else."""
    try:
        return tuple(tuple(map(_column, _listed(key))) for key in _listed(told))
    except (KeyError, TypeError, ValueError) as cause:
        raise DamageError(f"{source} is no record of what was forgotten: {type(cause).__name__}: {cause}") from None


def is_said_in(text: str, value: str) -> bool:
    """Whether a text holds a value as a word of its own.

    >>> is_said_in("a,17850,b", "17850"), is_said_in("178501", "17850"), is_said_in("mail to anna@a.org.", "anna@a.org")
    (True, False, True)
    """
    return any(word == value for word in _words(text, len(value)))


def number_of(text: str) -> str | None:
    """A number in the one way that all its texts have in common; None for what is none.

    >>> number_of("17850.0"), number_of(" 1.785e4"), number_of("-0"), number_of("anna")
    ('17850', '17850', '0', None)
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return format(number.normalize(), "f") if number else "0"


@runtime_checkable
class ErasableFormat(SourceFormat, Protocol):
    """A format out of whose files records can be taken."""

    def holding(
        self, file: Landed, *, contract: Contract | None, options: Mapping[str, JSON], forgotten: Forgotten, also: Collection[int] = ()
    ) -> Iterator[Record]:
        """The records of a file that hold a key, and those that begin at `also`, in order. Nothing where the file has no such column."""
        ...

    def erase(self, file: Landed, target: Path, *, options: Mapping[str, JSON], records: Iterable[Record]) -> Sequence[tuple[int, int]]:
        """Write a file without some of its records, packed as it was: what is left is as it was.

        What was taken out: where each stretch began, in bytes without compression, and how long it was; nothing where records have no
        such places.
        """
        ...


def _column(told: JSON) -> KeyColumn:
    if not isinstance(told, Mapping):
        raise TypeError(f"{told!r} is no column of a key")
    length = told["length"]
    if not isinstance(length, int):
        raise TypeError(f"{length!r} is no length")
    return KeyColumn(tuple(map(str, _listed(told["names"]))), frozenset(map(str, _listed(told["digests"]))), length)


def _listed(told: JSON) -> Sequence[JSON]:
    if not isinstance(told, Sequence) or isinstance(told, str):
        raise TypeError(f"{told!r} is no list")
    return told


def _words(text: str, length: int) -> Iterator[str]:
    """The stretches of a text that have a length, with no letter or digit right before or after those that begin or end in one."""
    for begin in range(len(text) - length + 1 if length else 0):
        end = begin + length
        if begin and _WORD.match(text[begin]) and _WORD.match(text[begin - 1]):
            continue
        if end < len(text) and _WORD.match(text[end - 1]) and _WORD.match(text[end]):
            continue
        yield text[begin:end]


def _digest(salt: str, sort: Sort, text: str) -> str:
    return sha256(f"{salt}\0{sort}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
