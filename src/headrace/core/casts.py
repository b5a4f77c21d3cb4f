"""What text becomes what value: the one table of casts, and the SQL that carries them out a column at a time.

The SQL is DuckDB's, built here as text and run elsewhere; `page` prints docs/reference/casts.md. The invariant: a cast
accepts a text if and only if pydantic's lax mode does, with an equal value, but for `DIFFERENCES`; what it does not accept is NULL,
never a guess. An expression is cast from a table, never straight from a CSV scan, into which DuckDB would push the cast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.contract import ContractField, ValueType
from headrace.core.durations import duration_sql
from headrace.core.number_casts import decimal_sql, float_sql, int_sql
from headrace.core.numbers import plain_number_sql
from headrace.core.ports import JSON
from headrace.core.usual_times import usual_time_sql

__all__ = ["DIFFERENCES", "RULES", "Difference", "Rule", "aware_sql", "cast_sql", "failure_words", "in_range_sql", "literal", "page"]


@dataclass(frozen=True)
class Rule:
    """What one type takes, for people: examples are (text, value as Python shows it) and texts that are refused."""

    type: ValueType
    takes: str
    examples: tuple[tuple[str, str], ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Texts of which headrace and pydantic say different things, and why headrace does."""

    types: tuple[ValueType, ...]
    texts: tuple[str, ...]
    pydantic: str
    headrace: str
    why: str


RULES: tuple[Rule, ...] = (
    Rule("str", "any text, as it is; spaces are kept", (("abc", "'abc'"), (" a ", "' a '"), ("08123", "'08123'")), ()),
    Rule(
        "int",
        "a whole number with or without a sign, also written with a zero fraction; spaces around it and single underscores between digits",
        (("42", "42"), ("-7", "-7"), ("007", "7"), ("17850.0", "17850"), (" 1_000 ", "1000")),
        ("17850.5", "1e3", "1,000", "0x1f", "1.", "true"),
    ),
    Rule(
        "float",
        "a decimal number, also with an exponent; `inf` and `infinity` in any case; spaces around it and single underscores inside",
        (("2.55", "2.55"), (".5", "0.5"), ("5.", "5.0"), ("-1e-3", "-0.001"), ("Infinity", "inf")),
        ("1,5", "12%", "1e", "0x1p3", "1f"),
    ),
    Rule(
        "bool",
        "1, 0, true, false, t, f, yes, no, y, n, on, off, in any case",
        (("true", "True"), ("N", "False"), ("on", "True"), ("0", "False")),
        ("2", "1.0", " true", "ja"),
    ),
    Rule(
        "Decimal",
        "a decimal number, also with an exponent, kept exactly: up to 38 digits, 9 of them decimals, or what `max_digits` and `decimal_places` say",
        (("2.50", "Decimal('2.50')"), ("1e5", "Decimal('1E+5')"), ("1_000.5", "Decimal('1000.5')")),
        ("1,5", "nan", "inf", "0x1"),
    ),
    Rule(
        "date",
        "an ISO 8601 date; a time after it has to be midnight",
        (("2010-12-01", "datetime.date(2010, 12, 1)"), ("2010-12-01 00:00:00", "datetime.date(2010, 12, 1)")),
        ("12/1/10", "2010-12-1", "20101201", "2010-02-29", "2010-12-01T08:26:00", " 2010-12-01"),
    ),
    Rule(
        "datetime",
        "an ISO 8601 date, alone or with hours and minutes, seconds and a fraction (cut after microseconds), `Z` or an offset; UTC without one",
        (
            ("2010-12-01", "datetime.datetime(2010, 12, 1, 0, 0, tzinfo=datetime.timezone.utc)"),
            ("2010-12-01 08:26:00", "datetime.datetime(2010, 12, 1, 8, 26, tzinfo=datetime.timezone.utc)"),
            ("2010-12-01T08:26Z", "datetime.datetime(2010, 12, 1, 8, 26, tzinfo=datetime.timezone.utc)"),
            ("2010-12-01T08:26:00.5+02:00", "datetime.datetime(2010, 12, 1, 6, 26, 0, 500000, tzinfo=datetime.timezone.utc)"),
        ),
        ("12/1/10 8:26", "2010-12-01T08", "2010-12-01T24:00", "2010-12-01 08:26:00 UTC", "now"),
    ),
    Rule(
        "time",
        "hours and minutes, seconds and a fraction (cut after microseconds)",
        (("08:26", "datetime.time(8, 26)"), ("08:26:00.5", "datetime.time(8, 26, 0, 500000)")),
        ("8:26", "24:00", "082600", "3600", " 08:26"),
    ),
    Rule(
        "timedelta",
        "an ISO 8601 duration of weeks, days, hours, minutes and seconds, of which the last may have a fraction; or `HH:MM`, perhaps with seconds and a "
        "fraction, after a number of days or alone; with or without a sign. Kept as whole microseconds",
        (
            ("P1DT2H", "datetime.timedelta(days=1, hours=2)"),
            ("PT1.5H", "datetime.timedelta(hours=1, minutes=30)"),
            ("-PT0.5S", "datetime.timedelta(milliseconds=-500)"),
            ("36:00:00.25", "datetime.timedelta(hours=36, milliseconds=250)"),
            ("2 days, 01:30", "datetime.timedelta(days=2, hours=1, minutes=30)"),
            ("3d", "datetime.timedelta(days=3)"),
        ),
        ("3600", "1.5", "1h", "P", "PT", "1:00", "00:60", "1 day 24:00", " 10:00"),
    ),
    Rule(
        "UUID",
        "32 hexadecimal digits, with hyphens in the usual places or without, the former also in braces or after `urn:uuid:`; kept as its usual text",
        (
            ("12345678-1234-5678-1234-567812345678", "UUID('12345678-1234-5678-1234-567812345678')"),
            ("12345678123456781234567812345678", "UUID('12345678-1234-5678-1234-567812345678')"),
        ),
        ("12345678-1234-5678-1234-56781234567", "{12345678123456781234567812345678}", "1"),
    ),
)

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        ("int",),
        ("9223372036854775808", "-9223372036854775809", "99999999999999999999999"),
        "takes whole numbers of any size",
        "refuses what does not fit 64 bits",
        "the column is a BIGINT; identifiers that long are texts: declare `str`",
    ),
    Difference(
        ("int",),
        ("0-5", "00-1", "0__1"),
        "passes over leading zeros and underscores and takes what follows, with its sign",
        "refuses them",
        "a sign in the middle is no number, and no other number has underscores beside each other",
    ),
    Difference(
        ("float",),
        ("nan", "NaN", "+nan", "-NAN"),
        "gives NaN",
        "takes it for a missing value: NULL where the contract allows None, else the record is quarantined",
        "NaN and NULL are counted, compared and averaged differently by every engine; one kind of missing value is enough",
    ),
    Difference(
        ("date", "datetime"),
        ("0", "1609459200", "1609459200000", "-86400"),
        "takes a number for seconds since 1970 (or milliseconds, when it is large)",
        "refuses numbers",
        "nobody can say what unit a number was meant in",
    ),
    Difference(
        ("datetime",),
        ("2010", "20101201", "1609459200.5"),
        "takes a number for seconds since 1970",
        "refuses numbers",
        "the year 2010 would become 00:33:30 on the first day of 1970",
    ),
    Difference(
        ("Decimal",),
        ("0.1234567891", "1e-30", "1e400", "123456789012345678901234567890"),
        "takes any number of digits",
        "refuses what DECIMAL(38,9), or the contract's own digits, can't hold exactly",
        "rounding would change an amount without a word",
    ),
    Difference(
        ("Decimal",),
        ("١", "٣.٥"),
        "takes digits of any script",
        "takes 0 to 9 only, as it does for int and float",
        "one rule for all numbers",
    ),
    Difference(
        ("time",),
        ("08:26Z", "08:26:00+02:00"),
        "takes them, and keeps the offset",
        "refuses a time of day with an offset",
        "without a day it is not known what time that is in UTC: declare `datetime`, or `str`",
    ),
    Difference(
        ("timedelta",),
        ("P1Y", "P2M", "P1Y2M3DT4H"),
        "takes a year for 365 days and a month for 30",
        "refuses durations with years or months",
        "they have no fixed length: say days",
    ),
    Difference(
        ("timedelta",),
        ("PT1S1H", "PT1H1H", "P1D1W"),
        "takes the parts in any order, and adds those that stand twice",
        "takes each unit once, from the largest to the smallest",
        "ISO 8601 does, and so does everybody who meant what he wrote",
    ),
    Difference(
        ("timedelta",),
        ("10:00:00.000000Z", "10:00:00.123456 or so"),
        "passes over all that follows the sixth digit of a fraction",
        "refuses them",
        "a length of time has no zone, and no letters",
    ),
    Difference(
        ("timedelta",),
        ("P106751992D", "-P999999999D", "999999999 days"),
        "takes up to 999,999,999 days",
        "refuses more than about 106,751,991 days",
        "the column is a BIGINT of microseconds; those days are 292,000 years",
    ),
    Difference(
        ("datetime",),
        ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"),
        "takes them",
        "refuses times that fall outside the years 1 to 9999 in UTC",
        "all times are kept in UTC, where these have no name",
    ),
)

_DAY = r"(000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d\d\d)-\d\d-\d\d"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
_OFFSET = r"([Zz]|[+\-−]([01]\d|2[0-3]):?[0-5]\d)?"
_TRUE = "('1', 'true', 't', 'yes', 'y', 'on')"
_FALSE = "('0', 'false', 'f', 'no', 'n', 'off')"


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def cast_sql(text: str, field: ContractField, options: Mapping[str, JSON]) -> str:
    """SQL that turns the VARCHAR expression `text` into the field's type: NULL where it can't. A float may come out as NaN."""
    text = plain_number_sql(text, options) if field.type in ("int", "float", "Decimal") else text
    if field.type == "str":
        return text
    if field.type == "int":
        return int_sql(text)
    if field.type == "float":
        return float_sql(text)
    if field.type == "Decimal":
        return decimal_sql(text, field)
    if field.type == "bool":
        return f"CASE WHEN lower({text}) IN {_TRUE} THEN true WHEN lower({text}) IN {_FALSE} THEN false END"
    if field.type == "date":
        return _date(text, options)
    if field.type == "time":
        return rf"CASE WHEN regexp_full_match({text}, '{_CLOCK}(:[0-5]\d([.,]\d+)?)?') THEN {_clock(text)} END"
    if field.type == "timedelta":
        return duration_sql(text)
    if field.type == "UUID":
        return _uuid(text)
    return _datetime(text, options)


def failure_words(field: ContractField, options: Mapping[str, JSON]) -> str:
    """What is wrong with a text that was not cast, to follow the text itself."""
    form = options.get(f"{field.type}_format")
    return {
        "str": "is not a text",
        "int": "is not an integer of 64 bits or fewer",
        "float": "is not a number",
        "Decimal": f"is not a decimal number that fits {field.sql_type}",
        "bool": "is not a yes or no (true, false, 1, 0, yes, no, on, off)",
        "date": f"is not a date of the form {form}" if form else "is not a date (YYYY-MM-DD)",
        "datetime": f"is not a time of the form {form}" if form else "is not a time (ISO 8601)",
        "time": "is not a time of day (HH:MM:SS)",
        "timedelta": "is not a duration (P1DT2H, or HH:MM:SS)",
        "UUID": "is not a UUID",
    }[field.type]


def _date(text: str, options: Mapping[str, JSON]) -> str:
    form = options.get("date_format")
    if isinstance(form, str):
        return f"CAST(TRY_STRPTIME({text}, {literal(form)}) AS DATE)"
    midnight = rf"{_DAY}[Tt _]00:00(:00([.,]0+)?)?{_OFFSET}"
    return (
        f"CASE WHEN regexp_full_match({text}, '{_DAY}') THEN TRY_CAST({text} AS DATE) "
        f"WHEN regexp_full_match({text}, '{midnight}') THEN TRY_CAST(left({text}, 10) AS DATE) END"
    )


def _datetime(text: str, options: Mapping[str, JSON]) -> str:
    form = options.get("datetime_format")
    if isinstance(form, str):
        parsed = f"TRY_STRPTIME({text}, {literal(form)})"
        return in_range_sql(f"CAST({parsed} AS TIMESTAMP WITH TIME ZONE)" if "%z" in form or "%Z" in form else aware_sql(parsed, options))
    plain = rf"{_DAY}[T ]{_CLOCK}:[0-5]\d(\.\d{{1,6}})?"
    general = rf"{_DAY}([Tt _]{_CLOCK}(:[0-5]\d([.,]\d+)?)?{_OFFSET})?"
    naive = f"TRY_CAST({text} AS TIMESTAMP)"
    return (
        f"coalesce({aware_sql(usual_time_sql(text), options)}, CASE WHEN regexp_full_match({text}, '{plain}') THEN {aware_sql(naive, options)} "
        f"WHEN regexp_full_match({text}, '{general}') THEN {in_range_sql(_general_time(text, options))} END)"
    )


def _clock(text: str) -> str:
    """A time of day that has the form: DuckDB takes seconds and a point, and rounds what comes after microseconds."""
    return f"TRY_CAST(left(replace({text}, ',', '.') || CASE WHEN length({text}) = 5 THEN ':00' ELSE '' END, 15) AS TIME)"


def _uuid(text: str) -> str:
    hex_digits = "[0-9a-fA-F]"
    usual = "-".join(f"{hex_digits}{{{count}}}" for count in (8, 4, 4, 4, 12))
    forms = rf"{hex_digits}{{32}}|{usual}|\{{{usual}\}}|urn:uuid:{usual}"
    bare = f"lower(regexp_replace({text}, '^urn:uuid:|[-{{}}]', '', 'g'))"
    return f"CASE WHEN regexp_full_match({text}, '{forms}') THEN CAST(CAST({bare} AS UUID) AS VARCHAR) END"


def _general_time(text: str, options: Mapping[str, JSON]) -> str:
    """A time of the general form, taken apart once and put together in the form that DuckDB reads."""
    pattern = r"^.{10}(?:.(\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,6})\d*)?)?([Zz])?(?:([+\-−])(\d\d):?(\d\d))?$"
    parts = f"regexp_extract({text}, '{pattern}', ['clock', 'seconds', 'fraction', 'z', 'sign', 'hours', 'minutes'])"
    clock = "CASE WHEN m.clock = '' THEN '00:00' ELSE m.clock END || CASE WHEN m.seconds = '' THEN ':00' ELSE m.seconds END"
    local = f"TRY_CAST(left({text}, 10) || ' ' || {clock} || '.' || m.fraction || '0' AS TIMESTAMP)"
    minutes = "CASE WHEN m.sign = '+' THEN -1 ELSE 1 END * (60 * TRY_CAST(m.hours AS INTEGER) + TRY_CAST(m.minutes AS INTEGER))"
    exact = f"CAST({local} + to_minutes(coalesce({minutes}, 0)) AS TIMESTAMP WITH TIME ZONE)"
    time = exact if _zone(options) == "UTC" else f"CASE WHEN m.z = '' AND m.sign = '' THEN {aware_sql(local, options)} ELSE {exact} END"
    return f"list_transform([{parts}], lambda m: {time})[1]"


def aware_sql(naive: str, options: Mapping[str, JSON]) -> str:
    """A naive time in the source's zone. One of UTC keeps its number; a cast would ask the session's zone for it, at twice the price of the parsing."""
    zone = _zone(options)
    return f"make_timestamptz(epoch_us({naive}))" if zone == "UTC" else f"timezone({literal(zone)}, {naive})"


def _zone(options: Mapping[str, JSON]) -> str:
    return str(options.get("timezone", "UTC"))


def in_range_sql(time: str) -> str:
    """A time with a zone, or NULL outside the years 1 to 9999. A list of one lets the time be named, where SQL has no `let`."""
    return f"list_filter([{time}], lambda t: t >= TIMESTAMPTZ '0001-01-01 00:00:00+00' AND t < TIMESTAMPTZ '10000-01-01 00:00:00+00')[1]"


def page() -> str:
    """docs/reference/casts.md: the rules and the differences, as they are tested."""
    lines = [
        "# Casts: what text becomes what value",
        "",
        "A contract's types, and the texts of a raw file that they take. What is not taken sends its record to the quarantine. The rules are those of",
        "pydantic's lax mode, and are tested against pydantic text by text; where headrace differs on purpose, it is said below.",
        "",
        "- An empty field, or one of the source's `null_words`, that is not in quotes is **missing**: the field's default if it has one, NULL if the contract allows",
        '  None, and otherwise a reason to quarantine the record. A quoted empty field (`""`) is an empty text for `str`, and missing for every other type.',
        "- Times are kept in UTC. One without an offset is in the source's `timezone`, which is UTC unless told.",
        "- A `timedelta` is a BIGINT of microseconds in the rows, which every reader takes: `to_microseconds(lasts)` makes it an INTERVAL in SQL. A table's contract takes",
        "  an INTERVAL for it that has no months.",
        '- `decimal=","`, `date_format=` and `datetime_format=` (strptime\'s) of a source change what its texts look like; nothing else is guessed.',
        "- Lengths (`min_length`, `max_length`) are counted in code points. A `pattern` is searched for, as pydantic does; it is one of RE2, in which `\\d`, `\\w` and `\\s`",
        "  are ASCII's, and in which there is no look-around.",
        "",
        "| type | takes | for example | refuses |",
        "| --- | --- | --- | --- |",
    ]
    for rule in RULES:
        examples = ", ".join(f"{_code(text)} → {_code(value)}" for text, value in rule.examples)
        lines.append(f"| `{rule.type}` | {rule.takes} | {examples} | {', '.join(map(_code, rule.refused)) or 'nothing'} |")
    lines += [
        "",
        "## Where headrace differs from pydantic",
        "",
        "| type | text | pydantic | headrace | why |",
        "| --- | --- | --- | --- | --- |",
    ]
    for d in DIFFERENCES:
        types = ", ".join(f"`{type_}`" for type_ in d.types)
        lines.append(f"| {types} | {', '.join(map(_code, d.texts))} | {d.pydantic} | {d.headrace} | {d.why} |")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"` {text} `" if text != text.strip() else f"`{text}`"
