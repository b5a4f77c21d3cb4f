"""A chosen starter as the text of a Python file.

What is said is chosen in `choices`; here it is only put into words. The invariant: the text is as ruff would format it, at
its default width and at any larger one, and strict type checkers have nothing to say about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from headrace.run.starter.choices import Field, Goal, Starter
from headrace.run.starter.survey import SurveyedColumn

__all__ = ["call", "literal", "text_of"]

_WIDTH = 88
_FEW = 500


def text_of(starter: Starter) -> str:
    """The whole file."""
    return "\n".join(_file(starter)) + "\n"


def _file(starter: Starter) -> Iterator[str]:
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
        yield from call("pipeline.predict", [f"{goal.target.name}_model", "examples", f'name="predicted_{goal.target.name}"'])
    else:
        yield ""
        yield ""
        yield f"# For a model of one of the columns: headrace init {seen.path.name} --target COLUMN"
    yield ""
    yield "dag = hr.airflow_dag(pipeline)  # nothing, unless Airflow is reading the file"


def _tick(text: str) -> str:
    """A name from the file inside a docstring, where quotes and backslashes would mean something."""
    return "`" + re.sub(r'[\\"\x00-\x1f`]', "?", text) + "`"


def _imports(starter: Starter) -> Iterator[str]:
    times = sorted({f.column.type for f in starter.fields} & {"date", "datetime"})
    if times:
        yield f"from datetime import {', '.join(times)}"
        yield ""
    names = "BaseModel, Field" if any(f.name != f.column.header for f in starter.fields) else "BaseModel"
    yield "import headrace as hr"
    yield f"from pydantic import {names}"


def _contract(starter: Starter) -> Iterator[str]:
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
            yield from call(f"    {field.name}: {kind} = Field", [f"alias={literal(field.column.header)}"])
    unnamed = sum(not column.header.strip() for column in starter.seen.columns)
    if unnamed:
        yield f"    # Left out: {unnamed} column{'s' * (unnamed > 1)} without a name in the file's header."


def _misfits(column: SurveyedColumn) -> str:
    noun = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}.get(column.type, f"a {column.type}")
    return f"{column.misfits:,} record{'s have' if column.misfits > 1 else ' has'} something else than {noun} here, and will be in"


def _source(starter: Starter) -> Iterator[str]:
    location = literal(starter.location)
    if starter.seen.delimiter != ",":
        location = f"hr.csv({location}, delimiter={literal(starter.seen.delimiter)})"
    yield from call("pipeline.source", ['"records"', location, "contract=Record"])


def _table(starter: Starter) -> Iterator[str]:
    goal = starter.goal
    yield from call("@pipeline.table", [f'key="{starter.id}"', *(["split=hr.by_key(test=0.2)"] if goal else [])])
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


def _told(field: Field) -> str:
    """A column in a digest: concat_ws leaves NULLs out, and would tell (NULL, 1) and (1, NULL) the same."""
    return f"coalesce(cast({field.name} as varchar), '')" if field.is_nullable else field.name


def _selected(field: Field, goal: Goal | None) -> str:
    if goal and field is not goal.target and field.column.type == "bool":
        return f"cast({field.name} as integer) as {field.name}"
    return field.name


def _model(goal: Goal) -> Iterator[str]:
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
    arguments = ["examples", "features=FEATURES", f'target="{goal.target.name}"', f"gate={gate}"]
    if goal.kind == "regression" and goal.records < _FEW:
        yield f"# {goal.records} records are few: measured by 5-fold cross-validation, not by one test side."
        arguments.append("cv=5")
    yield from call("@pipeline.model", arguments)
    yield f"def {goal.target.name}_model(trees: int = 100) -> object:"
    yield from (f"    {line}" if line else "" for line in _estimator(goal, categories))


def _gate(goal: Goal) -> tuple[str, str]:
    if goal.kind == "regression":
        return 'hr.at_least("r2", 0)', "always answering the mean"
    return f'hr.at_least("accuracy", {goal.commonest_share})', "always answering the commonest class"


def _estimator(goal: Goal, categories: Sequence[Field]) -> Iterator[str]:
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
        yield from call("prepare = ColumnTransformer", [encode, f"remainder={rest}"], indent=4)
        yield f"forest = {forest}"
        yield 'return Pipeline([("prepare", prepare), ("forest", forest)])'
    elif has_gaps:
        yield f"forest = {forest}"
        yield f'return Pipeline([("impute", {impute}), ("forest", forest)])'
    else:
        yield f"return {forest}"


def _named_list(name: str, fields: Sequence[Field]) -> Iterator[str]:
    items = [f'"{f.name}"' for f in fields]
    one_line = f"{name} = [{', '.join(items)}]"
    if len(one_line) <= _WIDTH:
        yield one_line
    else:
        yield f"{name} = ["
        yield from (f"    {item}," for item in items)
        yield "]"


def call(function: str, arguments: Sequence[str], *, indent: int = 0) -> Iterator[str]:
    """A call on one line, or with a line an argument and the comma that keeps it so; `indent` is what comes before it later."""
    one_line = f"{function}({', '.join(arguments)})"
    if indent + len(one_line) <= _WIDTH:
        yield one_line
        return
    margin = function[: len(function) - len(function.lstrip())]
    yield f"{function}("
    yield from (f"{margin}    {argument}," for argument in arguments)
    yield f"{margin})"


def literal(text: str) -> str:
    """A text as Python source, in the quotes that ruff prefers."""
    quoted = repr(text)
    if quoted[0] == '"' or ('"' in text and "'" not in text):
        return quoted
    return '"' + quoted[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'
