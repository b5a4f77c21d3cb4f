"""The pipeline file that `headrace init` writes: a contract, a table and, for a target, a first model of one CSV file.

How a file is looked at is `run.survey`; what is chosen from that, and how it is said in Python, is decided here. The
invariant: what is written runs as it is, and is as ruff would format it and strict type checkers want it.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Literal

from headrace.core.errors import ConfigurationError, DataError, UnknownNameError, did_you_mean
from headrace.run.survey import Survey, SurveyedColumn, survey

__all__ = ["write_starter"]

_WIDTH = 88
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
class _Field:
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
class _Goal:
    """What is predicted, and from what. `skipped` says why a column is no feature; `commonest_share` is cut to two digits."""

    target: _Field
    kind: Literal["classification", "regression"]
    features: tuple[_Field, ...]
    skipped: tuple[tuple[str, str], ...]
    commonest_share: float


@dataclass(frozen=True)
class _Starter:
    """All that the file says, before it is said in Python. Without a `key` the records go by a digest of their values."""

    seen: Survey
    name: str
    location: str
    fields: tuple[_Field, ...]
    key: _Field | None
    goal: _Goal | None

    @property
    def id(self) -> str:
        return self.key.name if self.key else _unused("record_id", {f.name for f in self.fields})


def write_starter(csv: Path, *, target: str | None, into: Path) -> Path:
    """Write a pipeline file for a CSV file into the folder `into`, and give its path.

    `target` is a column's header, or the name made of it. Errors: SourceError when the CSV can't be read as one,
    UnknownNameError for a target that it lacks, DataError for one that can't be learnt, ConfigurationError when the file to
    be written exists already.
    """
    seen = survey(csv)
    name = _module_name(csv)
    file = into / f"{name}.py"
    if file.exists():
        raise ConfigurationError(
            f"Writing a pipeline for `{csv.name}`: `{file}` exists already, and is left as it is. Move it away, or choose another folder."
        )
    fields = tuple(_fields(seen))
    key = next((f for f in fields if _is_key(f, seen)), None)
    goal = None if target is None else _goal(target, fields, key, seen)
    text = "\n".join(_file(_Starter(seen, name, _location(csv, into), fields, key, goal)))
    into.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n", encoding="utf-8")
    return file


# ---------------------------------------------------------------- what to say


def _fields(seen: Survey) -> Iterator[_Field]:
    """The columns that have a header, each under a name that Python, pydantic and SQL can carry."""
    used: set[str] = set()
    for place, column in enumerate(seen.columns, start=1):
        if not column.header.strip():
            continue
        name = _identifier(column.header) or f"column_{place}"
        if keyword.iskeyword(name) or name in _SQL_WORDS or name in _TAKEN:
            name += "_"
        name = _unused(name, used)
        used.add(name)
        yield _Field(name, column)


def _identifier(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    name = re.sub(r"\W+", "_", plain).strip("_")[:60]
    return f"n{name}" if name[:1].isdigit() else name


def _unused(name: str, used: Iterable[str]) -> str:
    taken = set(used)
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def _module_name(csv: Path) -> str:
    name = _identifier(csv.name.split(".")[0]) or "pipeline"
    return f"{name}_pipeline" if name in _MODULES_TAKEN or keyword.iskeyword(name) else name


def _location(csv: Path, into: Path) -> str:
    """The CSV's path from the pipeline file's folder if it lies below it, else an absolute one."""
    absolute, folder = csv.resolve(), into.resolve()
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else os.fspath(absolute)


def _is_key(field: _Field, seen: Survey) -> bool:
    is_unique = field.column.distinct == seen.records and not field.is_nullable
    return is_unique and field.is_named_like_an_id and field.column.type in ("int", "str")


def _goal(target: str, fields: Sequence[_Field], key: _Field | None, seen: Survey) -> _Goal:
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
    return _Goal(found, kind, features, skipped, commonest_share=100 * found.column.commonest // known / 100)


def _kind(target: _Field, seen: Survey) -> Literal["classification", "regression"]:
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


def _no_feature(field: _Field, seen: Survey) -> str:
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


# ---------------------------------------------------------------- how to say it


def _file(starter: _Starter) -> Iterator[str]:
    seen, goal = starter.seen, starter.goal
    about = f"A first model of {_tick(goal.target.column.header)}" if goal else "A contract and a table"
    looked = f"{seen.records:,} records" if seen.is_whole else f"the first {seen.records:,} records"
    yield f'"""{about}, from {_tick(seen.path.name)} ({looked} were looked at).'
    yield ""
    yield f"Run it: headrace run {starter.name}.py"
    yield '"""'
    yield ""
    yield from _imports(starter)
    yield ""
    yield f'pipeline = hr.Pipeline("{starter.name}")'
    yield ""
    yield ""
    yield from _contract(starter)
    yield ""
    yield ""
    yield from _source(starter)
    yield ""
    yield ""
    yield from _table(starter)
    if goal:
        yield ""
        yield ""
        yield from _model(goal)
        yield ""
        yield ""
        yield from _call("pipeline.predict", [f"{goal.target.name}_model", "examples", f'name="predicted_{goal.target.name}"'])
    else:
        yield ""
        yield ""
        yield f"# For a model of one of the columns: headrace init {seen.path.name} --target COLUMN"


def _tick(text: str) -> str:
    """A name from the file inside a docstring, where quotes and backslashes would mean something."""
    return "`" + re.sub(r'[\\"\x00-\x1f`]', "?", text) + "`"


def _imports(starter: _Starter) -> Iterator[str]:
    times = sorted({f.column.type for f in starter.fields} & {"date", "datetime"})
    if times:
        yield f"from datetime import {', '.join(times)}"
        yield ""
    names = "BaseModel, Field" if any(f.name != f.column.header for f in starter.fields) else "BaseModel"
    yield "import headrace as hr"
    yield f"from pydantic import {names}"


def _contract(starter: _Starter) -> Iterator[str]:
    yield "class Record(BaseModel):"
    yield '    """What a record holds. One that does not keep to it is put in quarantine.'
    yield ""
    yield "    Add what you know: `Field(ge=0)`, `Field(pattern=...)`, `Literal[...]`."
    yield '    """'
    yield ""
    for field in starter.fields:
        kind = f"{field.column.type} | None" if field.is_nullable else field.column.type
        if field.column.misfits:
            yield f"    # {_misfits(field.column)} quarantine."
        if field.name == field.column.header:
            yield f"    {field.name}: {kind}"
        else:
            yield from _call(f"    {field.name}: {kind} = Field", [f"alias={_literal(field.column.header)}"])
    unnamed = sum(not column.header.strip() for column in starter.seen.columns)
    if unnamed:
        yield f"    # Left out: {unnamed} column{'s' * (unnamed > 1)} without a name in the file's header."


def _misfits(column: SurveyedColumn) -> str:
    noun = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}.get(column.type, f"a {column.type}")
    return f"{column.misfits:,} record{'s have' if column.misfits > 1 else ' has'} something else than {noun} here, and will be in"


def _source(starter: _Starter) -> Iterator[str]:
    location = _literal(starter.location)
    if starter.seen.delimiter != ",":
        location = f"hr.csv({location}, delimiter={_literal(starter.seen.delimiter)})"
    yield from _call("pipeline.source", ['"records"', location, "contract=Record"])


def _table(starter: _Starter) -> Iterator[str]:
    goal = starter.goal
    yield from _call("@pipeline.table", [f'key="{starter.id}"', *(["split=hr.by_key(test=0.2)"] if goal else [])])
    yield "def examples(records: hr.Frame) -> str:"
    if starter.key is None:
        yield '    """No column tells records apart, so a digest of the values does. Equal ones are kept once."""'
    elif not starter.seen.is_whole:
        yield f'    """`{starter.id}` tells records apart: no value came twice in those looked at."""'
    yield '    return """'
    columns = [*goal.features, goal.target] if goal else [f for f in starter.fields if f is not starter.key]
    identity = starter.key.name if starter.key else f"md5(concat_ws('|', {', '.join(map(_told, columns))})) as {starter.id}"
    selected = [identity, *(_selected(f, goal) for f in columns)]
    yield f"        select{'' if starter.key else ' distinct'}"
    lines = [wrap(item, _WIDTH - 12, subsequent_indent="    ", break_long_words=False) for item in selected]
    for i, item in enumerate(lines):
        yield from (f"            {line}" for line in item[:-1])
        yield f"            {item[-1]}{',' if i < len(lines) - 1 else ''}"
    yield "        from records"
    if goal and goal.target.is_nullable:
        yield f"        where {goal.target.name} is not null"
    yield '    """'


def _told(field: _Field) -> str:
    """A column in a digest: concat_ws leaves NULLs out, and would tell (NULL, 1) and (1, NULL) the same."""
    return f"coalesce(cast({field.name} as varchar), '')" if field.is_nullable else field.name


def _selected(field: _Field, goal: _Goal | None) -> str:
    if goal and field is not goal.target and field.column.type == "bool":
        return f"cast({field.name} as integer) as {field.name}"
    return field.name


def _model(goal: _Goal) -> Iterator[str]:
    yield from _named_list("FEATURES", goal.features)
    categories = [f for f in goal.features if f.is_category]
    if categories:
        yield from _named_list("CATEGORIES", categories)
    if goal.skipped:
        yield "# Not learnt from:"
        yield from (f"#   {name} {reason}" for name, reason in goal.skipped)
    yield ""
    yield ""
    gate, why = _gate(goal)
    yield f"# The gate asks for more than {why}. Raise it."
    yield from _call("@pipeline.model", ["examples", "features=FEATURES", f'target="{goal.target.name}"', f"gate={gate}"])
    yield f"def {goal.target.name}_model(trees: int = 200) -> object:"
    yield from (f"    {line}" if line else "" for line in _estimator(goal, categories))


def _gate(goal: _Goal) -> tuple[str, str]:
    if goal.kind == "regression":
        return 'hr.at_least("r2", 0)', "always answering the mean"
    return f'hr.at_least("accuracy", {goal.commonest_share})', "always answering the commonest class"


def _estimator(goal: _Goal, categories: Sequence[_Field]) -> Iterator[str]:
    """The function's body. Texts are encoded, numbers that may be missing get the median; a forest needs no scaling."""
    forest = "RandomForestRegressor" if goal.kind == "regression" else "RandomForestClassifier"
    numbers = [f for f in goal.features if not f.is_category]
    has_gaps = any(f.is_nullable for f in numbers)
    if categories:
        yield "from sklearn.compose import ColumnTransformer"
    yield f"from sklearn.ensemble import {forest}"
    if has_gaps:
        yield "from sklearn.impute import SimpleImputer"
    if categories or has_gaps:
        yield "from sklearn.pipeline import Pipeline"
    if categories:
        yield "from sklearn.preprocessing import OneHotEncoder"
    yield ""
    impute = 'SimpleImputer(strategy="median")'
    forest = f"{forest}(trees, random_state=0)"
    if categories:
        encode = '[("encode", OneHotEncoder(handle_unknown="ignore"), CATEGORIES)]'
        rest = impute if has_gaps else '"passthrough"'
        yield from _call("prepare = ColumnTransformer", [encode, f"remainder={rest}"], indent=4)
        yield f"forest = {forest}"
        yield 'return Pipeline([("prepare", prepare), ("forest", forest)])'
    elif has_gaps:
        yield f"forest = {forest}"
        yield f'return Pipeline([("impute", {impute}), ("forest", forest)])'
    else:
        yield f"return {forest}"


def _named_list(name: str, fields: Sequence[_Field]) -> Iterator[str]:
    items = [f'"{f.name}"' for f in fields]
    one_line = f"{name} = [{', '.join(items)}]"
    if len(one_line) <= _WIDTH:
        yield one_line
    else:
        yield f"{name} = ["
        yield from (f"    {item}," for item in items)
        yield "]"


def _call(function: str, arguments: Sequence[str], *, indent: int = 0) -> Iterator[str]:
    """A call on one line, or with a line an argument and the comma that keeps it so; `indent` is what comes before it later."""
    one_line = f"{function}({', '.join(arguments)})"
    if indent + len(one_line) <= _WIDTH:
        yield one_line
        return
    margin = function[: len(function) - len(function.lstrip())]
    yield f"{function}("
    yield from (f"{margin}    {argument}," for argument in arguments)
    yield f"{margin})"


def _literal(text: str) -> str:
    """A text as Python source, in the quotes that ruff prefers."""
    quoted = repr(text)
    if quoted[0] == '"' or ('"' in text and "'" not in text):
        return quoted
    return '"' + quoted[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
