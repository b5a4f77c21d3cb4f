"""Values as they are written: the tokens that stand between a line and its texts, and how DuckDB makes texts of a file of them.

A token is a value's JSON, and empty where there is no value; it has no sign that ends a field or a line. The invariant: the text of a token is
what `core.json_values.text_of` says of its value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from json.encoder import encode_basestring
from pathlib import Path

from headrace.core.casts import literal
from headrace.core.json_paths import at_path, path_of
from headrace.core.json_values import Number, text_of

__all__ = ["ODD", "Row", "getter", "texts_sql", "token_of", "written"]

Row = tuple[str, ...]
"""The tokens of a record, and what is not empty if it is no record, which has none."""

ODD = "!"
_FIELD_END = "\x1f"  # stands in JSON as an escape only
_STRING_OR_SPACES = r'("(?:[^"\\]|\\.)*")|[ \t]+'


def getter(name: str) -> Callable[[dict[str, object]], object]:
    """What finds a column's value in a record: under a key, or at a path."""
    path = path_of(name)
    return (lambda record: record.get(name)) if path is None else (lambda record: at_path(record, name, path))


def token_of(value: object) -> str:
    """The token of a value that was parsed."""
    if value is None:
        return ""
    return str(encode_basestring(value)) if isinstance(value, str) and not isinstance(value, Number) else text_of(value)


def written(rows: Sequence[Row]) -> bytes:
    """Rows as bytes of a file that `texts_sql` reads."""
    return ("\n".join(map(_FIELD_END.join, rows)) + "\n").encode()


def texts_sql(
    path: Path, columns: Sequence[int | None], width: int, *, texts: Collection[int], parts: Collection[int], nulls: Collection[str]
) -> str:
    """A query of `n` and of the texts `t0`, `t1`, …, from a file of rows of `width` tokens. `texts` are the tokens among which some are JSON texts, and
    `parts` those of which some are arrays or objects; `columns` says which token each column is, if it is one.
    """
    names = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(width + 1))
    chosen = [
        "CAST(NULL AS VARCHAR)" if at is None else _text(f"c{at}", nulls, may_be_text=at in texts, may_have_parts=at in parts)
        for at in columns
    ]
    scan = (
        f"read_csv({literal(str(path))}, columns = {{{names}}}, auto_detect = false, header = false, delim = {literal(_FIELD_END)}, quote = '', "
        "escape = '', nullstr = ['', 'null'], strict_mode = true, null_padding = false, parallel = false, compression = 'none')"
    )
    each = "".join(f", {text} AS t{k}" for k, text in enumerate(chosen))
    return f"(SELECT n{each} FROM (SELECT row_number() OVER () AS n, * FROM {scan}) WHERE c{width} IS NULL)"


def _text(token: str, nulls: Collection[str], *, may_be_text: bool, may_have_parts: bool) -> str:
    """SQL of the text of a token. Of what has parts the spaces between them go; a text that was written with escapes is read by DuckDB's own JSON."""
    ways = ""
    if may_be_text:
        plain = f"substring({token}, 2, length({token}) - 2)"
        ways += f"WHEN starts_with({token}, '\"') THEN CASE WHEN contains({token}, '\\') THEN json_extract_string({token}, '$') ELSE {plain} END "
    if may_have_parts:
        bare = f"regexp_replace({token}, {literal(_STRING_OR_SPACES)}, '\\1', 'g')"
        ways += f"WHEN starts_with({token}, '{{') OR starts_with({token}, '[') THEN {bare} "
    text = f"CASE {ways}ELSE {token} END" if ways else token
    return f"CASE WHEN {text} NOT IN ({', '.join(map(literal, nulls))}) THEN {text} END" if nulls else text
