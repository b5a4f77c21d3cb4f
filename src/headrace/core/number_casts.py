"""Texts to numbers, as SQL over a VARCHAR expression; which texts are taken is said in `core.casts`.

The invariant: what is cheap to see decides nothing that the pattern would not; it only spares the pattern for the usual text.
"""

from __future__ import annotations

from headrace.core.contract import ContractField

__all__ = ["decimal_sql", "float_sql", "int_sql", "usual_float", "usual_int"]

_SPACES = "".join(map(chr, [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]))
_MORE_SPACES = _SPACES + "".join(map(chr, range(28, 32)))  # what Python's own Decimal strips
_SPACE = f"[{_SPACES}]*"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def usual_int(text: str, cast: str = "") -> tuple[str, str]:
    """SQL of the number that a text is to DuckDB, and of whether it is written as DuckDB would write it. `cast` is a name for the number, where it has one.

    Mostly a number is, which is cheaper to see than a pattern is to match.
    """
    value = f"TRY_CAST({text} AS BIGINT)"
    return value, f"{text} = CAST({cast or value} AS VARCHAR)"


def usual_float(text: str, cast: str = "") -> tuple[str, str]:
    """The same of a number with a fraction.

    What begins with a digit, a point, or one of them after a minus, and has no underscore, is a number to DuckDB if and only if it is one here.
    """
    value = f"TRY_CAST({text} AS DOUBLE)"
    begins = f"({text} >= '.' AND {text} < ':' OR {text} >= '-.' AND {text} < '-:')"
    return value, f"{begins} AND NOT contains({text}, '_') AND {cast or value} IS NOT NULL"


def int_sql(text: str) -> str:
    value, is_usual = usual_int(text)
    usual = f"CASE WHEN {is_usual} THEN {value} END"
    general = (
        rf"CASE WHEN regexp_full_match({text}, '{_SPACE}[+-]?\d+(_\d+)*(\.0+)?{_SPACE}') "
        rf"THEN TRY_CAST(replace(regexp_replace({_trimmed(text)}, '\.0+$', ''), '_', '') AS BIGINT) END"
    )
    return f"coalesce({usual}, {general})"


def float_sql(text: str) -> str:
    """As in pydantic, a number has spaces around it or underscores inside, not both."""
    bare = f"replace({text}, '_', '')"
    value, is_usual = usual_float(text)
    usual = f"CASE WHEN {is_usual} THEN {value} END"
    general = (
        f"CASE WHEN regexp_full_match({text}, '{_SPACE}({_NUMBER}|[+-]?(?i:inf|infinity|nan)){_SPACE}') THEN TRY_CAST({_trimmed(text)} AS DOUBLE) "
        f"WHEN contains({text}, '_') AND regexp_full_match({bare}, '{_NUMBER}') AND NOT regexp_matches({text}, '^_|__|_$') "
        f"THEN TRY_CAST({bare} AS DOUBLE) END"
    )
    return f"coalesce({usual}, {general})"


def decimal_sql(text: str, field: ContractField) -> str:
    """DuckDB rounds to the scale in silence, so the decimals are counted first: those written, less the exponent, less zeros at the end."""
    bare = f"replace({_trimmed(text, _MORE_SPACES)}, '_', '')"
    digits = rf"replace(regexp_extract({bare}, '^[+-]?([\d.]*)', 1), '.', '')"
    written = rf"length(regexp_extract({bare}, '\.(\d*)', 1))"
    exponent = rf"coalesce(TRY_CAST(regexp_extract({bare}, '[eE]([+-]?\d+)$', 1) AS INTEGER), 0)"
    zeros = f"(length({digits}) - length(rtrim({digits}, '0')))"
    is_exact = f"({written} - {exponent} - {zeros} <= {field.scale} OR rtrim({digits}, '0') = '')"
    return (
        rf"CASE WHEN regexp_full_match({text}, '[+-]?\d+(\.\d{{0,{field.scale}}})?') THEN TRY_CAST({text} AS {field.sql_type}) "
        f"WHEN regexp_full_match({bare}, '{_NUMBER}') AND {is_exact} THEN TRY_CAST(TRY_CAST({bare} AS DECIMAL(38,{field.scale})) AS {field.sql_type}) END"
    )


def _trimmed(text: str, spaces: str = _SPACES) -> str:
    return f"trim({text}, '{spaces}')"
