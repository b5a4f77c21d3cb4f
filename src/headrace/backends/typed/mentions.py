"""Words in a file of typed records: in their values, as JSON has them, and in the names of columns.

Of each batch only the records are written as JSON that may say a word, by what their columns hold. The invariant: a record that is passed over
would not say it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from headrace.backends.typed.reading import TypedFile, records_in
from headrace.core.mentions import Place, Stretch, Words

__all__ = ["mentions"]

_DIGITS = frozenset("0123456789")
_OF_REALS, _OF_TIMES = _DIGITS | set(".eE+-"), _DIGITS | set("-:.TZ+ ")
_UNREAL = ("nan", "inf", "-inf")
_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e14  # in between everybody writes a number without an exponent


def mentions(file: TypedFile, words: Words, besides: Sequence[Stretch]) -> Iterator[Place]:
    """See `headrace.core.mentions.SearchingFormat`."""
    others = {record.line for record in besides}
    if words.are_in("\n".join(file.schema.names)):
        yield Place(0, 0, "the name of a column")
    for batch in file.batches():
        maybe = _may_say(batch.records, words)
        wanted = frozenset((pc.indices_nonzero(maybe).to_numpy() + 1).tolist())
        for record in records_in(batch, wanted) if wanted else ():
            if record.line not in others and words.are_in(record.raw.decode()):
                yield Place(record.line, record.offset)


def _may_say(records: pa.RecordBatch, words: Words) -> pa.BooleanArray:
    """Which records may say the first of the words."""
    maybe = pa.array([False] * records.num_rows, pa.bool_())
    for column in records.columns:
        said = _in_column(column, words.values[0], words.spelt[0])
        maybe = pc.or_(maybe, said) if isinstance(said, pa.BooleanArray) else pa.array([True] * records.num_rows) if said else maybe
    return maybe


def _in_column(column: pa.Array, value: str, spelt: Sequence[str]) -> pa.BooleanArray | bool:
    """Which values of a column may say it; or whether any may."""
    of = column.type
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        texts = column.view(pa.large_binary() if pa.types.is_large_string(of) else pa.binary())
        return _any([_holds(texts, one.encode("utf-8", "surrogatepass")) for one in spelt])
    if pa.types.is_integer(of):
        return _holds(column.cast(pa.string()), value) if set(value) <= _DIGITS | {"-"} else False
    if pa.types.is_floating(of):
        return _in_reals(column.cast(pa.float64()), value)
    if pa.types.is_decimal(of):
        return set(value) <= _OF_REALS
    if pa.types.is_date(of) or pa.types.is_time(of) or pa.types.is_timestamp(of):
        return set(value) <= _OF_TIMES
    return not pa.types.is_null(of)


def _in_reals(column: pa.Array, value: str) -> pa.BooleanArray | bool:
    """Arrow writes some numbers with an exponent that Python does not, and whole ones without `.0`."""
    digits = value.removesuffix(".0")
    if value.lower() in _UNREAL or not digits.strip("0.") or not set(value) <= _OF_REALS:
        return value.lower() in _UNREAL or set(value) <= _OF_REALS
    size = pc.abs(column)
    odd = pc.or_(pc.less(size, _PLAIN_FROM), pc.greater_equal(size, _PLAIN_TO)).fill_null(False)  # Arrow's own call
    return pc.or_(_holds(column.cast(pa.string()), digits), odd)


def _holds(texts: pa.Array, part: str | bytes) -> pa.BooleanArray:
    return pc.match_substring(texts, part).fill_null(False)  # Arrow's own call


def _any(of: Sequence[pa.BooleanArray]) -> pa.BooleanArray:
    found = of[0]
    for one in of[1:]:
        found = pc.or_(found, one)
    return found
