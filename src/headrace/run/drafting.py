"""The contract that the records of a source would fit, as Python to start from, and how its files were read.

Drafted from a commit: its columns, their types, and whether a value is missing in one of its rows. Nothing here writes. The invariant: under
the drafted contract, that interval keeps the rows that it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from headrace.core.column_types import field_of
from headrace.core.contract import Contract, ContractField
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
_MODULES = {
    "Annotated": "typing",
    "Decimal": "decimal",
    "UUID": "uuid",
    **dict.fromkeys(("date", "datetime", "time", "timedelta"), "datetime"),
}
_KEPT_AS_OTHERS = ("timedelta", "UUID")  # of these a column's type does not tell
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
    missing = _missing(session, manifest, manifest.content.columns)
    record = record_of(session, step, manifest.interval)
    text = "\n".join(_class(step, manifest, missing)) + "\n"
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
    seen = ", ".join(f"bool_or({_quoted(name)} IS NULL)" for name in nullable)
    with session.lake.store.lease():
        paths = session.lake.read_paths(manifest, "rows")
        if not nullable or not manifest.content.rows or not paths:
            return frozenset(nullable)
        (found,) = cast(Any, session.engine.read(paths, "duckdb")).aggregate(seen).fetchall()
    return frozenset(name for name, is_missing in zip(nullable, found, strict=True) if is_missing)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _class(step: Source, manifest: Manifest, missing: frozenset[str]) -> Iterator[str]:
    columns = manifest.content.columns
    fields = {field.name: field for field in step.contract.fields} if step.contract else {}
    name = step.contract.name if step.contract else _class_name(step.name)
    classes = _Classes(name, tells_kinds=_is_made_by(step.contract, manifest))
    classes.add(name, [_Member(column.name, column.type, fields.get(column.name), column.name in missing) for column in columns])
    yield from classes.text()


def _is_made_by(contract: Contract | None, manifest: Manifest) -> bool:
    """Whether a commit was made under a contract; the one of today may say something else of its columns."""
    declared = manifest.content.fingerprint_parts.get("declaration")
    return contract is not None and isinstance(declared, Mapping) and declared.get("contract") == contract.digest


@dataclass(frozen=True)
class _Member:
    """What becomes a field of a class: a column or a part of one, as the contract of today has it, if there is one."""

    name: str
    type: str
    field: ContractField | None
    is_missing: bool

    @property
    def header(self) -> str:
        return self.field.alias if self.field and self.field.alias else self.name


class _Classes:
    """Classes as text, those that stand in others before them. With `tells_kinds` the rows have the types of the members' fields."""

    def __init__(self, main: str, *, tells_kinds: bool) -> None:
        self._tells_kinds = tells_kinds
        self._blocks: list[list[str]] = []
        self._kinds: set[str] = set()
        self._taken = {main, "BaseModel", "Field", *_MODULES}

    def add(self, name: str, members: Sequence[_Member]) -> None:
        """A class with a field for each member."""
        names = names_for([member.header for member in members])
        if any(member.type == "TIME" for member in members):  # in the class, `time` would be the column from there on
            names = ["time_" if name == "time" else name for name in names]
        body: list[str] = []
        for member, own in zip(members, names, strict=True):
            kind, said = self._annotation(member) if own else (None, [])
            if kind is None:
                body.append(f"    # Left out: {safe_text(member.header)!r}, {member.type}: no type of a contract holds it.")
                continue
            arguments = [*([f"alias={literal(member.header)}"] if own != member.header else []), *said]
            annotation = f"{kind} | None" if member.is_missing else kind
            body += call(f"    {own}: {annotation} = Field", arguments) if arguments else [f"    {own}: {annotation}"]
        self._blocks.append([f"class {name}(BaseModel):", *(body or ["    pass"])])

    def text(self) -> Iterator[str]:
        modules: dict[str, list[str]] = {}
        for kind in sorted(self._kinds & _MODULES.keys()):
            modules.setdefault(_MODULES[kind], []).append(kind)
        yield from (f"from {module} import {', '.join(kinds)}" for module, kinds in sorted(modules.items()))
        if modules:
            yield ""
        has_field = any(" Field(" in line for block in self._blocks for line in block)
        yield f"from pydantic import BaseModel{', Field' if has_field else ''}"
        for block in self._blocks:
            yield from ("", "", *block)

    def _annotation(self, member: _Member) -> tuple[str | None, list[str]]:
        """The Python type for a column's type, None where a contract has none, and what Field has to say beside it."""
        if member.type.endswith("[]"):
            item = member.field.item if member.field else None
            return self._list(_Member(member.header, member.type.removesuffix("[]"), item, is_missing=True)), []
        if member.type.startswith("STRUCT("):
            return self._model(member), []
        decimal = _DECIMAL.fullmatch(member.type)
        kind = "Decimal" if decimal else _TYPES.get(member.type)
        if self._tells_kinds and member.field and member.field.type in _KEPT_AS_OTHERS:
            kind = member.field.type
        self._kinds.update([kind] if kind else [])
        return kind, [f"max_digits={decimal[1]}", f"decimal_places={decimal[2]}"] if decimal else []

    def _list(self, item: _Member) -> str | None:
        kind, said = self._annotation(item)
        if said:
            self._kinds.add("Annotated")
            kind = f"Annotated[{kind}, Field({', '.join(said)})]"
        return f"list[{kind} | None]" if kind else None

    def _model(self, member: _Member) -> str | None:
        field = field_of(member.name, member.type)
        if field is None:
            return None
        known = {one.name: one for one in member.field.inner} if member.field else {}
        wanted = _class_name(names_for([member.header])[0] or "part")
        name = next(name for n in count(1) if (name := f"{wanted}{n if n > 1 else ''}") not in self._taken)
        self._taken.add(name)
        self.add(name, [_Member(one.name, one.sql_type, known.get(one.name), is_missing=True) for one in field.inner])
        return name


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
