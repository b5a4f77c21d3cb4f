"""What can be said of a source beside its location: one typed constructor a format, and the choice of a format by name.

Nothing here reads a file: `backends/sources/<format>` does. The invariant: only what differs from a format's default is kept,
so that a default which is written out is no change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from headrace.core.encodings import encoding_named
from headrace.core.errors import ConfigurationError, did_you_mean
from headrace.core.interval import Grid
from headrace.core.log_patterns import pattern_problem
from headrace.core.numbers import signs_problem
from headrace.core.option_problems import csv_problems, incoming_problems, skip_problem, unnest_problem
from headrace.core.packing import PACKED, unpacked_name
from headrace.core.ports import JSON
from headrace.core.redaction import public
from headrace.core.sniffing import AUTO
from headrace.core.split import ROW_PARTS
from headrace.core.step import DATASET, SourceOptions

__all__ = [
    "CSV_DEFAULTS",
    "JSON_DEFAULTS",
    "LOGS_DEFAULTS",
    "TYPED_DEFAULTS",
    "avro",
    "csv",
    "dataset",
    "dataset_name_problem",
    "json",
    "logs",
    "options_for",
    "parquet",
]

CSV_DEFAULTS: Mapping[str, JSON] = {
    "delimiter": ",",
    "quote": '"',
    "escape": None,
    "comment": None,
    "encoding": AUTO,
    "header": AUTO,
    "names": None,
    "skip": 0,
    "null_words": (),
    "decimal": ".",
    "thousands": None,
    "date_format": None,
    "datetime_format": None,
    "timezone": "UTC",
    "member": None,
    "max_ratio": 200,
}

# Those of them that say how texts are read, for formats that have types of their own.
TYPED_DEFAULTS: Mapping[str, JSON] = {
    name: CSV_DEFAULTS[name] for name in ("null_words", "decimal", "thousands", "date_format", "datetime_format", "timezone")
}

_LINES_DEFAULTS: Mapping[str, JSON] = {
    name: CSV_DEFAULTS[name]
    for name in ("comment", "encoding", "null_words", "date_format", "datetime_format", "timezone", "member", "max_ratio")
}

JSON_DEFAULTS: Mapping[str, JSON] = {"unnest": None, **_LINES_DEFAULTS}

LOGS_DEFAULTS: Mapping[str, JSON] = {"pattern": "combined", "skip": 0, **_LINES_DEFAULTS, "null_words": None}

_DATASET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}\.[A-Za-z][A-Za-z0-9_]{0,62}")

_ON_THE_WEB = re.compile(r"https?://", re.IGNORECASE)

_BY_SUFFIX: Mapping[str, tuple[str, Mapping[str, JSON]]] = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"delimiter": "\t"}),
    ".jsonl": ("json", {}),
    ".ndjson": ("json", {}),
    ".json": ("json", {}),
}
_TYPED_BY_SUFFIX: Mapping[str, str] = {".parquet": "parquet", ".pq": "parquet", ".avro": "avro"}


def csv(
    location: str,
    *,
    delimiter: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    comment: str | None = None,
    encoding: str = "auto",
    header: bool | str = "auto",
    names: Sequence[str] | None = None,
    skip: int = 0,
    null_words: Sequence[str] = (),
    decimal: str = ".",
    thousands: str | None = None,
    date_format: str | None = None,
    datetime_format: str | None = None,
    timezone: str = "UTC",
    member: str | None = None,
    max_ratio: int = 200,
    only_new: bool = False,
) -> SourceOptions:
    """A CSV file or many of them, plain or packed with gzip, bzip2, xz, zstd or zip.

    `delimiter="auto"` takes the one sign of `,` `;` tab `|` that splits the first records alike, and refuses a file that leaves a doubt.

    `encoding` is found by itself for UTF-8, and for UTF-16 with a byte order mark; any other is said: "cp1252" for Western European text of
    Windows.

    The first record is the header; without a contract it is refused where it may be a record as well, until `header=True` says that it is none,
    or `header=False` that the columns have no names: they are `column_1`, `column_2` and so on then, or what `names` says.

    `quote="auto"` finds whether fields stand in `"`, in `'` or in nothing, and how a quote inside is written, and refuses a file that leaves a
    doubt. `quote=None` turns quoting off; `escape` is what a quote inside quotes is preceded by, the quote itself unless told.
    `names` are the columns of a file that has no header; with `skip=1` they replace its header. `skip` lines are passed over
    first. A line that begins with `comment`, such as "#", is no record; how many there are is told. A field that is empty or one of
    `null_words`, and not in quotes, is missing. `decimal` is "." or ",", and `thousands` may stand between the digits of numbers: "1,234.5".
    `date_format` and `datetime_format` are strptime's (`%m/%d/%y %H:%M`) where the text is not ISO 8601; times without an offset
    are in `timezone`.

    `member` is the file that is meant in a zip archive of several, by name or by a pattern such as `*.csv`. A packed file that unfolds to more
    than 64 MiB and `max_ratio` times its size is refused.

    With `only_new` each file is taken once, as from a folder that files are dropped into: an interval has those that were written before
    its end and that no earlier interval took. A file that changes is taken again. It needs a contract and the pipeline's `start`.

    Raises ConfigurationError listing every option that can't be.

    >>> dict(csv("data/*.csv", delimiter=";", decimal=",").options)
    {'delimiter': ';', 'decimal': ','}
    """
    said: dict[str, JSON] = {
        "delimiter": delimiter,
        "quote": quote,
        "escape": None if escape == quote else escape,
        "comment": comment,
        "encoding": encoding_named(encoding),
        "header": header,
        "names": None if names is None else tuple(names),
        "skip": skip,
        "null_words": tuple(null_words),
        "decimal": decimal,
        "thousands": thousands,
        "date_format": date_format,
        "datetime_format": datetime_format,
        "timezone": timezone,
        "member": member,
        "max_ratio": max_ratio,
    }
    problems = [text for text in csv_problems(said, names) if text]
    if problems:
        raise ConfigurationError(f"csv({public(location)!r}): " + "; ".join(problems) + ".")
    return SourceOptions("csv", location, {key: value for key, value in said.items() if value != CSV_DEFAULTS[key]}, only_new)


def json(
    location: str,
    *,
    unnest: str | None = None,
    comment: str | None = None,
    encoding: str = "auto",
    null_words: Sequence[str] = (),
    date_format: str | None = None,
    datetime_format: str | None = None,
    timezone: str = "UTC",
    member: str | None = None,
    max_ratio: int = 200,
    only_new: bool = False,
) -> SourceOptions:
    """A JSON Lines file or many of them, plain or packed: an object on each line. Or one array of objects.

    A field of the contract is found by its alias: a key, or a path such as `customer.addresses[0].city`. A key that is absent, null or one of
    `null_words` is missing. `unnest="items"` makes one row of each element of that array: fields whose alias begins with `items.` are of
    the element, the others of the record around it. The other options are as in `csv`.

    Raises ConfigurationError listing every option that can't be.

    >>> json("events/*.jsonl", timezone="Europe/London").format
    'json'
    """
    said: dict[str, JSON] = {
        "unnest": unnest,
        "comment": comment,
        "encoding": encoding_named(encoding),
        "null_words": tuple(null_words),
        "date_format": date_format,
        "datetime_format": datetime_format,
        "timezone": timezone,
        "member": member,
        "max_ratio": max_ratio,
    }
    problems = [text for text in (*incoming_problems(said), unnest_problem(unnest)) if text]
    if problems:
        raise ConfigurationError(f"json({public(location)!r}): " + "; ".join(problems) + ".")
    return SourceOptions("json", location, {key: value for key, value in said.items() if value != JSON_DEFAULTS[key]}, only_new)


def logs(
    location: str,
    *,
    pattern: str = "combined",
    skip: int = 0,
    comment: str | None = None,
    encoding: str = "auto",
    null_words: Sequence[str] | None = None,
    date_format: str | None = None,
    datetime_format: str | None = None,
    timezone: str = "UTC",
    member: str | None = None,
    max_ratio: int = 200,
    only_new: bool = False,
) -> SourceOptions:
    """A log file or many of them, plain or packed: a record on each line.

    `pattern` is "combined" or "common" (web servers), "syslog", or a regular expression of RE2 that the whole line has to match, in which
    each named group `(?P<name>…)` is a column. A group that is empty or one of `null_words` is missing; these are `["-"]` and, in web servers'
    logs, `datetime_format` is that of `17/May/2015:10:05:03 +0000`, unless told. The other options are as in `csv`.

    Raises ConfigurationError listing every option that can't be.

    >>> logs("app.log", pattern=r"(?P<level>[A-Z]+) (?P<message>.*)").format
    'logs'
    """
    said: dict[str, JSON] = {
        "pattern": pattern,
        "skip": skip,
        "comment": comment,
        "encoding": encoding_named(encoding),
        "null_words": None if null_words is None else tuple(null_words),
        "date_format": date_format,
        "datetime_format": datetime_format,
        "timezone": timezone,
        "member": member,
        "max_ratio": max_ratio,
    }
    flaw = pattern_problem(pattern)
    problems = [f"pattern={pattern!r}: {flaw}" if flaw else "", *incoming_problems(said), skip_problem(skip)]
    if any(problems):
        raise ConfigurationError(f"logs({public(location)!r}): " + "; ".join(filter(None, problems)) + ".")
    return SourceOptions("logs", location, {key: value for key, value in said.items() if value != LOGS_DEFAULTS[key]}, only_new)


def parquet(
    location: str,
    *,
    null_words: Sequence[str] = (),
    decimal: str = ".",
    thousands: str | None = None,
    date_format: str | None = None,
    datetime_format: str | None = None,
    timezone: str = "UTC",
    only_new: bool = False,
) -> SourceOptions:
    """A Parquet file or many of them.

    Values keep the type that they have in the file where the contract asks for it, and are cast where it asks for another. Columns of texts
    are read as those of `hr.csv` are: a text that is one of `null_words` is missing, `decimal` is "." or ",", `thousands` may stand between
    digits, and `date_format` and `datetime_format` are strptime's. Times without a zone are in `timezone`. `only_new` is that of `hr.csv`.

    Raises ConfigurationError listing every option that can't be.

    >>> dict(parquet("data/*.parquet", timezone="Europe/London").options)
    {'timezone': 'Europe/London'}
    """
    said: dict[str, JSON] = {
        "null_words": tuple(null_words),
        "decimal": decimal,
        "thousands": thousands,
        "date_format": date_format,
        "datetime_format": datetime_format,
        "timezone": timezone,
    }
    return _typed("parquet", location, said, only_new=only_new)


def avro(
    location: str,
    *,
    null_words: Sequence[str] = (),
    decimal: str = ".",
    thousands: str | None = None,
    date_format: str | None = None,
    datetime_format: str | None = None,
    timezone: str = "UTC",
    only_new: bool = False,
) -> SourceOptions:
    """An Avro object container file or many of them, compressed by any of Avro's codecs.

    Values and columns of texts are read as those of `hr.parquet` are, with the same options.

    Raises ConfigurationError listing every option that can't be.

    >>> avro("data/*.avro", null_words=[""]).format
    'avro'
    """
    said: dict[str, JSON] = {
        "null_words": tuple(null_words),
        "decimal": decimal,
        "thousands": thousands,
        "date_format": date_format,
        "datetime_format": datetime_format,
        "timezone": timezone,
    }
    return _typed("avro", location, said, only_new=only_new)


def _typed(format: str, location: str, said: Mapping[str, JSON], *, only_new: bool) -> SourceOptions:  # noqa: A002  # the port's word
    problem = signs_problem(said["decimal"], said["thousands"])
    if problem:
        raise ConfigurationError(f"{format}({public(location)!r}): {problem}.")
    return SourceOptions(format, location, {key: value for key, value in said.items() if value != TYPED_DEFAULTS[key]}, only_new)


def dataset(name: str, *, parts: str | Sequence[str] | None = None, every: str | None = None) -> SourceOptions:
    """A dataset of another pipeline in the same lake, by its full name: `hr.dataset("shop.spending")`.

    All its rows are read, of all sides of a split, unless `parts` names some: `parts="train"`. `every` says how often the other
    pipeline makes it, where that is not as often as this source; it is only needed to know that before the lake is open, as an
    orchestrator does.

    Raises ConfigurationError for a name that can't be a dataset's, a part that holds no rows, or an `every` that is no schedule.

    >>> dataset("shop.spending", parts="train").options
    {'parts': ('train',)}
    """
    problem = dataset_name_problem(name)
    if problem:
        raise ConfigurationError(f"dataset({name!r}): {problem}")
    named = (parts,) if isinstance(parts, str) else tuple(parts or ())
    for part in named:
        if part not in ROW_PARTS:
            raise ConfigurationError(f"dataset({name!r}): parts={part!r} holds no rows of a dataset. {did_you_mean(str(part), ROW_PARTS)}")
    if every is not None:
        Grid.parse(every)
    said: dict[str, JSON] = {"parts": tuple(part for part in ROW_PARTS if part in named), "every": every}
    return SourceOptions(DATASET, name, {key: value for key, value in said.items() if value})


def dataset_name_problem(name: str) -> str:
    """Why a text is not the full name of a dataset; empty when it is."""
    if _DATASET_NAME.fullmatch(name):
        return ""
    if name.endswith((".experiment", ".refused")):
        return "experiments and refused records are not for other pipelines. Name the dataset itself."
    return "that is not the full name of a dataset. Write its pipeline's name and its own, such as shop.spending."


def options_for(location: str) -> SourceOptions:
    """The options of a bare location: the format is told from how its name ends.

    Raises ConfigurationError, with the endings that are known.

    >>> options_for("shop/{start:%Y-%m-%d}.csv.gz").format
    'csv'
    """
    plain = (location.partition("?")[0].partition("#")[0] if _ON_THE_WEB.match(location) else location).lower()
    bare = unpacked_name(plain)
    for suffix, (format_, options) in _BY_SUFFIX.items():
        if bare.endswith(suffix):
            return SourceOptions(format_, location, options)
    for suffix, format_ in _TYPED_BY_SUFFIX.items():
        if plain.endswith(suffix):
            return SourceOptions(format_, location, {})
    known = f"{', '.join(_BY_SUFFIX)} (perhaps with {', '.join(PACKED[:-1])} or {PACKED[-1]} behind it), {', '.join(_TYPED_BY_SUFFIX)}"
    other = f" A dataset of another pipeline is hr.dataset({location!r})." if _DATASET_NAME.fullmatch(location) else ""
    raise ConfigurationError(
        f"The format of `{public(location)}` can't be told from its name: it ends in none of {known}. "
        f"Say it: `hr.csv({public(location)!r}, delimiter=…)`, or hr.json or hr.logs.{other}"
    )
