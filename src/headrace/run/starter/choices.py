"""What a first pipeline for a CSV file should have: names for its columns, a key, and for a target the kind of model and its features.

Chosen from a survey of the file alone; how it is said in Python is `text`. The invariant: a name chosen here is one that
Python, pydantic and SQL all can carry, and no two columns share one.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from headrace.core.errors import DataError, UnknownNameError, did_you_mean
from headrace.run.starter.survey import Survey, SurveyedColumn

__all__ = ["Field", "Goal", "Starter", "choose", "module_name", "names_for"]

_MAX_CLASSES = 20
_MAX_CATEGORIES = 50
_ID_NAME = re.compile(r"(?:.*_)?(?:id|uuid|guid|key)|id_.*")
_SQL_WORDS = frozenset(  # what DuckDB and its kin do not take as a bare column name
    "all analyse analyze and any array as asc asymmetric between both by case cast check collate column constraint create cross default deferrable desc "
    "describe distinct do else end except exists false fetch for foreign from full grant group having in initially inner intersect interval into is join "
    "lateral leading left like limit natural not null offset on only or order outer pivot placing positional primary qualify references returning right "
    "select show some summarize symmetric table then to trailing true union unique unpivot using values variadic when where window with".split()
)
_TAKEN = frozenset(
    "bool date datetime float int str hr construct copy dict json parse_file parse_obj parse_raw schema schema_json validate".split()
)
_MODULES_TAKEN = frozenset(sys.stdlib_module_names) | {"headrace", "pydantic", "sklearn", "duckdb", "pyarrow", "pandas", "numpy"}


@dataclass(frozen=True)
class Field:
    """A column under the name that it has from the contract on."""

    name: str
    column: SurveyedColumn

    @property
    def is_nullable(self) -> bool:
        return self.column.empty > 0

    @property
    def is_category(self) -> bool:
        return self.column.type == "str"

    @property
    def is_named_like_an_id(self) -> bool:
        return _ID_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True)
class Goal:
    """What is predicted, and from what.

    `skipped` says why a column is no feature; `commonest_share` is cut to two digits; with few `records` a single test side
    says little.
    """

    target: Field
    kind: Literal["classification", "regression"]
    features: tuple[Field, ...]
    skipped: tuple[tuple[str, str], ...]
    commonest_share: float
    records: int


@dataclass(frozen=True)
class Starter:
    """All that the file says, before it is said in Python. Without a `key` the records go by a digest of their values."""

    seen: Survey
    name: str
    location: str
    fields: tuple[Field, ...]
    key: Field | None
    goal: Goal | None

    @property
    def id(self) -> str:
        return self.key.name if self.key else _unused("record_id", {f.name for f in self.fields})


def choose(seen: Survey, *, target: str | None, into: Path) -> Starter:
    """All that the pipeline file for a surveyed CSV will say."""
    fields = tuple(_fields(seen))
    key = _key([f for f in fields if target not in (f.column.header, f.name)], seen)
    goal = None if target is None else _goal(target, fields, key, seen)
    return Starter(seen, module_name(seen.path), _location(seen.path, into), fields, key, goal)


def _fields(seen: Survey) -> Iterator[Field]:
    """The columns that have a header, each under a name that Python, pydantic and SQL can carry."""
    for name, column in zip(names_for([column.header for column in seen.columns]), seen.columns, strict=True):
        if name is not None:
            yield Field(name, column)


def names_for(headers: Sequence[str]) -> list[str | None]:
    """For each column's header a name that Python, pydantic and SQL can carry, no two alike; None where the header is empty."""
    used: set[str] = set()
    names: list[str | None] = []
    for place, header in enumerate(headers, start=1):
        if not header.strip():
            names.append(None)
            continue
        name = _identifier(header) or f"column_{place}"
        if keyword.iskeyword(name) or name in _SQL_WORDS or name in _TAKEN:
            name += "_"
        name = _unused(name, used)
        used.add(name)
        names.append(name)
    return names


def _identifier(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"\W+", "_", plain).strip("_")[:60]
    return f"n{name}" if name[:1].isdigit() else name


def _unused(name: str, used: Iterable[str]) -> str:
    taken = set(used)
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def module_name(csv: Path) -> str:
    """What the pipeline and its file are called; no name that an import would take for another module."""
    name = _identifier(csv.name.split(".")[0]) or "pipeline"
    return f"{name}_pipeline" if name in _MODULES_TAKEN or keyword.iskeyword(name) else name


def _location(csv: Path, into: Path) -> str:
    """The CSV's path from the pipeline file's folder if it lies below it, else an absolute one."""
    absolute, folder = csv.resolve(), into.resolve()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else os.fspath(absolute)


def _key(fields: Sequence[Field], seen: Survey) -> Field | None:
    """Of the columns in which no value comes twice: one named like an id, else the file's first, else one that numbers the records."""
    unique = [f for f in fields if f.column.distinct == seen.records and not f.is_nullable and f.column.type in ("int", "str")]
    named = (f for f in unique if f.is_named_like_an_id)
    first = (f for f in unique if f.column is seen.columns[0])
    numbered = (f for f in unique if f.column.is_run)
    return next(chain(named, first, numbered), None)


def _goal(target: str, fields: Sequence[Field], key: Field | None, seen: Survey) -> Goal:
    found = next((f for f in fields if target in (f.column.header, f.name)), None)
    if found is None:
        raise UnknownNameError(
            f"`{seen.path.name}` has no column `{target}` to predict. {did_you_mean(target, [f.column.header for f in fields])}"
        )
    kind = _kind(found, seen)
    reasons = {f: _no_feature(f, seen) for f in fields if f is not found}
    features = tuple(f for f, reason in reasons.items() if not reason and f is not key)
    if not features:
        raise DataError(f"`{seen.path.name}` has no column to predict `{target}` from: all others are ids, times, free texts or constants.")
    skipped = tuple((f.name, reason) for f, reason in reasons.items() if reason and f is not key)
    known = seen.records - found.column.empty
    return Goal(found, kind, features, skipped, commonest_share=100 * found.column.commonest // known / 100, records=known)


def _kind(target: Field, seen: Survey) -> Literal["classification", "regression"]:
    column = target.column
    known = seen.records - column.empty
    if column.is_constant:
        raise DataError(
            f"`{column.header}` has {'one value' if column.distinct else 'no values'} in {known:,} records of `{seen.path.name}`: nothing to learn."
        )
    if column.type in ("date", "datetime"):
        raise DataError(
            f"`{column.header}` holds times, and a model predicts numbers or classes. Choose another target, or make a number of it in a table."
        )
    if column.type == "bool":
        return "classification"
    if column.type == "str":
        if column.distinct > max(_MAX_CLASSES, known // 5):
            raise DataError(
                f"`{column.header}` has {column.distinct:,} different texts in {known:,} records: too many to be classes. Choose another target."
            )
        return "classification"
    is_few = column.distinct <= 10 or (column.distinct <= _MAX_CLASSES and column.distinct < 0.05 * known)
    return "classification" if column.type == "int" and is_few and column.distinct < known else "regression"


def _no_feature(field: Field, seen: Survey) -> str:
    """Why a column is not learnt from; empty if it is."""
    column = field.column
    known = seen.records - column.empty
    if column.is_constant:
        return "has one value only" if column.distinct else "is empty"
    if field.is_named_like_an_id:
        return "is named like an id"
    if column.type in ("date", "datetime"):
        return "is a time: make numbers of it in the table, such as its month"
    if column.type == "int" and column.longest >= 10 and column.distinct > 0.9 * known:
        return "holds long numbers, nearly all different, as ids do"
    if column.type == "str" and column.distinct > min(_MAX_CATEGORIES, known // 2):
        return f"holds {column.distinct:,} different texts: too many for categories"
    return ""
