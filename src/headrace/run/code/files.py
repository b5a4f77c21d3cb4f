"""A file, or a folder of them, that a function declares to depend on: it counts with its bytes."""

from __future__ import annotations

from hashlib import file_digest, sha256
from pathlib import Path

from headrace.core.errors import PipelineError
from headrace.run.code.graph import Node

__all__ = ["file_node"]


def file_node(path: Path, shown: str, owner: str) -> Node:
    """The node of what is at `path`, for people `shown`. Raises PipelineError, naming `owner`, when there is nothing."""
    if path.is_dir():
        inner = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
        told = "\n".join(f"{file.relative_to(path).as_posix()} {_digest_of(file)}" for file in inner)
        return Node(f"file {shown}", sha256(told.encode("utf-8", "surrogateescape")).hexdigest())
    if not path.is_file():
        raise PipelineError(
            f"{owner} declares in `__headrace_depends__` that it depends on {shown!r}, but there is no such file: looked at {path}. "
            "Paths are relative to the file that the function is in."
        )
    return Node(f"file {shown}", _digest_of(path))


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
