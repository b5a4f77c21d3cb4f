"""What is wrong with a DAG file, judged from two readings of it and its text. Pure, and without Airflow.

An error is what keeps Airflow from running the pipeline, or from running it rightly; a warning is what costs something, or will. The
invariant: the same readings give the same findings, errors first.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headrace.core.ports import JSON

__all__ = ["Finding", "differences", "findings", "told"]

HEAVY_S = 0.1
_NEAR = 0.5  # of the time limit
_MOST = 3
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LAST = re.compile(r"^(?P<type>[\w.]+)(?:: (?P<said>.*))?$", re.DOTALL)
_PLACED = re.compile(r"^\S+\.py:\d+: ")
_WARNED = re.compile(r"^(?P<file>.*):(?P<line>\d+): (?P<category>[\w.]+): (?P<said>.*)$", re.DOTALL)

Reading = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing to know: `where` is file and line, or empty; `detail` what is shown below it, such as a traceback."""

    level: Literal["error", "warning"]
    message: str
    where: str = ""
    detail: str = ""

    def document(self) -> dict[str, JSON]:
        return {"level": self.level, "where": self.where, "message": self.message, "detail": self.detail}


def findings(file: Path, text: str, first: Reading, second: Reading) -> list[Finding]:
    """All that is found. `first` was read where the user is, `second` from another folder and with another seed of hashes."""
    if first["errors"]:
        found = [_import_error(file, error, first) for error in first["errors"]]
    elif second["errors"]:
        again = _import_error(file, second["errors"][0], second)
        found = [
            Finding("error", f"it can be read from this working folder only. From another: {again.message}", again.where, again.detail)
        ]
    else:
        found = [*_without_dags(file, text, first), *_unopened(first), *_clashes(file, first, second), *_changing(first, second)]
    found += [*_unread(file, first), *_slow(first), *_heavy(file, first), *_warned(first)]
    return sorted(found, key=lambda finding: finding.level != "error")


# ---------------------------------------------------------------- what keeps Airflow from reading the file


def _import_error(file: Path, error: str, reading: Reading) -> Finding:
    if "AirflowTaskTimeout" in error:
        limit = f"{reading['limit_s']:g} s"
        return Finding(
            "error", f"reading it takes longer than Airflow's limit of {limit} ([core] dagbag_import_timeout)", "", told(error)[2]
        )
    message, where, shown = told(error)
    return Finding("error", message, "" if _PLACED.match(message) else where or file.name, shown)


def told(error: str) -> tuple[str, str, str]:
    """An import error as Airflow tells it, taken apart: the message, where in the user's code, and the traceback of that alone."""
    frames: list[list[str]] = []
    last: list[str] = []
    for line in error.rstrip().splitlines():
        if _FRAME.match(line):
            frames.append([line])
            last = []
        elif frames and not last and line.startswith("    "):
            frames[-1].append(line)
        elif not line.startswith("Traceback ") and (line or last):
            last.append(line)
    kept = [frame for frame in frames if not _is_library(frame[0])]
    message = _message("\n".join(last).strip() or error.strip())
    found = _FRAME.match(kept[-1][0]) if kept else None
    shown = "\n".join(["Traceback (most recent call last):", *(line for frame in kept for line in frame)]) if kept else ""
    return message, f"{Path(found['file']).name}:{found['line']}" if found else "", shown


def _message(text: str) -> str:
    last = _LAST.match(text)
    if last is None or not last["type"].startswith("headrace."):
        return text
    return last["said"] or text


def _is_library(frame: str) -> bool:
    return any(part in frame for part in ("/site-packages/", "<frozen ", "/headrace/", "/lib/python"))


def _unread(file: Path, reading: Reading) -> Iterator[Finding]:
    if not reading["has_words"]:
        yield Finding(
            "error", "Airflow skips it: its text has not both `airflow` and `dag`. A comment is enough: # airflow dag", f"{file.name}:1"
        )
    if reading["is_ignored"]:
        yield Finding("error", "Airflow skips it: a file .airflowignore above it names it", file.name)


# ---------------------------------------------------------------- what its DAGs are


def _without_dags(file: Path, text: str, reading: Reading) -> Iterator[Finding]:
    """Why there is no DAG, as far as the text says."""
    if reading["dags"]:
        return
    calls = list(_calls(ast.parse(text)))
    if not calls:
        yield Finding("error", "it makes no DAG. Its last line has to be: dag = hr.airflow_dag(PIPELINE)", file.name)
    for line, function in calls:
        said = f"is called in `{function}`, which is not called as the file is read" if function else "is not reached as the file is read"
        yield Finding("error", f"it makes no DAG: `airflow_dag` {said}. Call it at the top level", f"{file.name}:{line}")


def _calls(tree: ast.AST, function: str = "") -> Iterator[tuple[int, str]]:
    """Where `airflow_dag` is called: the line, and the function around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) == "airflow_dag":
            yield node.lineno, function
        inner = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from _calls(node, inner)


def _unopened(reading: Reading) -> Iterator[Finding]:
    for pipeline, said in reading["unopened"]:
        yield Finding("error", f"the tasks of pipeline `{pipeline}` can't open it: {said}")


def _clashes(file: Path, first: Reading, second: Reading) -> Iterator[Finding]:
    """Names that Airflow takes for one thing, and the files of the folder for two."""
    files = [(file.name, first["dags"]), *((other["file"], other["dags"]) for other in second["others"])]
    owners: dict[str, str] = {}
    uris: dict[str, tuple[str, str]] = {}
    names: dict[str, tuple[str, str]] = {}
    for name, dags in files:
        for dag in dags:
            if name != file.name and owners.get(dag["id"]) == file.name:
                yield Finding("error", f"DAG `{dag['id']}` is made by {name}, too. Airflow would take turns with them: rename one pipeline")
            owners.setdefault(dag["id"], name)
            for asset, uri in dag["assets"]:
                for known, key, value, said in ((uris, asset, uri, "name"), (names, uri, asset, "URI")):
                    other = known.setdefault(key, (value, name))
                    if other[0] != value and file.name in (name, other[1]):
                        yield Finding("error", _clash(said, key, (other[0], value), (other[1], name)))
    failed = [other["file"] for other in second["others"] if other["failed"]]
    if failed:
        yield Finding("warning", f"could not be read, so their names are not compared: {', '.join(failed[:_MOST])}")


def _clash(what: str, key: str, values: tuple[str, str], files: tuple[str, str]) -> str:
    other = "URI" if what == "name" else "name"
    pair = " and ".join(f"`{value}` in {file}" for value, file in zip(values, files, strict=True))
    return f"the asset of {what} `{key}` has the {other} {pair}. Airflow wants one {other} for it, and fails a task that makes either"


def _changing(first: Reading, second: Reading) -> Iterator[Finding]:
    """What makes a new version of a DAG at every parse."""
    versions = {dag["id"]: dag for dag in second["dags"]}
    lost = [dag["id"] for dag in first["dags"] if dag["id"] not in versions]
    if lost:
        yield Finding("error", f"it makes other DAGs at each parse: {', '.join(lost)} was there only once")
    for dag in first["dags"]:
        again = versions.get(dag["id"])
        if again is None or again["version"] == dag["version"]:
            continue
        places = list(differences(dag["serialized"], again["serialized"]))[:_MOST]
        detail = "\n".join(f"{place}: {one} and {other}" for place, one, other in places)
        yield Finding("error", f"DAG `{dag['id']}` differs from one parse to the next, so each gives it a new version", "", detail)


def differences(one: JSON, other: JSON, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two documents differ, with both values, cut. Lists that hold the same in another order are the same, as for Airflow."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if key != "fileloc":
                yield from differences(one.get(key), other.get(key), f"{place}.{key}" if place else key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if sorted(map(repr, one)) != sorted(map(repr, other)):
            for number, pair in enumerate(zip(one, other, strict=True)):
                yield from differences(*pair, f"{place}[{number}]")
    elif one != other:
        yield place, repr(one)[:80], repr(other)[:80]


# ---------------------------------------------------------------- what it costs


def _slow(reading: Reading) -> Iterator[Finding]:
    wall, limit = reading["wall_s"], reading["limit_s"]
    if limit > 0 and _NEAR * limit < wall < limit:
        yield Finding("warning", f"reading it took {wall:.1f} s, near Airflow's limit of {limit:g} s ([core] dagbag_import_timeout)")


def _heavy(file: Path, reading: Reading) -> Iterator[Finding]:
    for cost in reading["imports"]:
        if cost["cpu_s"] >= HEAVY_S:
            yield Finding(
                "warning",
                f"import {cost['what']}: {cost['cpu_s']:.1f} s CPU, paid for every task. Move it into the function that uses it",
                f"{_shown(file, cost['file'])}:{cost['line']}",
            )


def _warned(reading: Reading) -> Iterator[Finding]:
    """Python's warnings about the user's own code, and Airflow's wherever they are."""
    said: Sequence[str] = list(dict.fromkeys(reading["warnings"]))
    for warning in said:
        found = _WARNED.match(warning)
        if found is None:
            yield Finding("warning", warning)
        elif "airflow" in found["category"].lower() or not _is_library(found["file"]):
            yield Finding(
                "warning", f"{found['category'].rpartition('.')[2]}: {found['said']}", f"{Path(found['file']).name}:{found['line']}"
            )


def _shown(file: Path, other: str) -> str:
    return str(Path(other).relative_to(file.parent)) if Path(other).is_relative_to(file.parent) else other
