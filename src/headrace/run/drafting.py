"""The contract that the records of a source would fit, as Python to start from, and how its files were read.

Drafted from a commit: its columns, their types, and whether a value is missing in one of its rows. Nothing here writes. The invariant: under
the drafted contract, that interval keeps the rows that it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from headrace.core.errors import UnknownNameError
from headrace.core.interval import parse_time
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON, Column
from headrace.core.step import Source
from headrace.run.quarantined import safe_text, source_called
from headrace.run.recorded import record_of
from headrace.run.session import Session
from headrace.run.starter.choices import names_for
from headrace.run.starter.text import call, literal

__all__ = ["Draft", "draft"]

_TYPES = {
    "VARCHAR": "str",
    "BOOLEAN": "bool",
    "FLOAT": "float",
    "DOUBLE": "float",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "UUID": "UUID",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"), "int"),
}
_MODULES = {"Decimal": "decimal", "date": "datetime", "datetime": "datetime", "time": "datetime", "UUID": "uuid"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True)
class Draft:
    """A class of pydantic as text, the version that it was drafted from, how the files of that were read, a line each, and what is
    recorded of its columns, in words.
    """

    manifest: Manifest
    text: str
    read_as: tuple[str, ...]
    recorded: str = ""


def draft(session: Session, source: str, at: str | None) -> Draft:
    """The contract of what a source made at a time, or last. UnknownNameError where it made nothing."""
    step = source_called(session, source)
    manifest = _made(session, source, at)
    columns = manifest.content.columns
    missing = _missing(session, manifest, columns)
    record = record_of(session, step, manifest.interval)
    text = "\n".join(_class(step, columns, missing)) + "\n"
    return Draft(manifest, text, tuple(_read_as(manifest.content.details)), f"recorded is {record}" if record else "")


def _made(session: Session, source: str, at: str | None) -> Manifest:
    log = session.lake.log(session.graph.name, source)
    versions = log.versions(None)
    for interval in sorted(versions, reverse=True):
        if at is None or interval.start == parse_time(at):
            manifest = log.current(interval, versions=versions[interval])
            if manifest is not None and manifest.kind == "data":
                return manifest
    raise UnknownNameError(
        f"{log.name} has no rows {f'at {at}' if at else 'yet'} in {session.lake.uri} to draft a contract from. Make them without one: "
        f"headrace run {session.file.name if session.file else 'FILE'}{f' --at {at}' if at else ''}"
    )


def _missing(session: Session, manifest: Manifest, columns: Sequence[Column]) -> frozenset[str]:
    """The columns in which a row has no value."""
    nullable = [column.name for column in columns if column.nullable]
    paths = session.lake.read_paths(manifest, "rows")
    if not nullable or not manifest.content.rows or not paths:
        return frozenset(nullable)
    seen = ", ".join(f"bool_or({_quoted(name)} IS NULL)" for name in nullable)
    (found,) = cast(Any, session.engine.read(paths, "duckdb")).aggregate(seen).fetchall()
    return frozenset(name for name, is_missing in zip(nullable, found, strict=True) if is_missing)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _class(step: Source, columns: Sequence[Column], missing: frozenset[str]) -> Iterator[str]:
    aliases = {field.name: field.alias for field in step.contract.fields} if step.contract else {}
    headers = [aliases.get(column.name, column.name) for column in columns]
    names = names_for(headers)
    if any(column.type == "TIME" for column in columns):  # in the class, `time` would be the column from there on
        names = ["time_" if name == "time" else name for name in names]
    body: list[str] = []
    used: set[str] = set()
    for column, header, name in zip(columns, headers, names, strict=True):
        kind, said = _annotation(column.type)
        if kind is None or name is None:
            body.append(f"    # Left out: {safe_text(header)!r}, {column.type}: no type of a contract holds it.")
            continue
        used.add(kind)
        arguments = [*([f"alias={literal(header)}"] if name != header else []), *said]
        annotation = f"{kind} | None" if column.name in missing else kind
        body += call(f"    {name}: {annotation} = Field", arguments) if arguments else [f"    {name}: {annotation}"]
    modules: dict[str, list[str]] = {}
    for kind in sorted(used & _MODULES.keys()):
        modules.setdefault(_MODULES[kind], []).append(kind)
    yield from (f"from {module} import {', '.join(kinds)}" for module, kinds in sorted(modules.items()))
    if modules:
        yield ""
    yield f"from pydantic import BaseModel{', Field' if any('= Field(' in line for line in body) else ''}"
    yield ""
    yield ""
    yield f"class {step.contract.name if step.contract else _class_name(step.name)}(BaseModel):"
    yield from body or ["    pass"]


def _annotation(sql_type: str) -> tuple[str | None, list[str]]:
    """The Python type for a column's type, None where a contract has none, and what Field has to say beside it."""
    if decimal := _DECIMAL.fullmatch(sql_type):
        return "Decimal", [f"max_digits={decimal[1]}", f"decimal_places={decimal[2]}"]
    return _TYPES.get(sql_type), []


def _class_name(source: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in source.split("_")) or "Record"


def _read_as(details: Mapping[str, JSON]) -> Iterator[str]:
    """How the files were read: for all of them, then for those that were read otherwise."""
    if isinstance(details.get("read_as"), Mapping):
        yield _told(cast(Mapping[str, JSON], details["read_as"]))
    files = details.get("files")
    for file in files if isinstance(files, Sequence) else ():
        if isinstance(file, Mapping) and isinstance(file.get("read_as"), Mapping):
            yield f"{safe_text(str(file.get('name')))}: {_told(cast(Mapping[str, JSON], file['read_as']))}"


def _told(read_as: Mapping[str, JSON]) -> str:
    because = read_as.get("because")
    why = because if isinstance(because, Mapping) else {}
    return ", ".join(
        f"{name} {value!r}" + (f" ({why[name]})" if name in why else "")
        for name, value in read_as.items()
        if name != "because" and value is not None
    )
