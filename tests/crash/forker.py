"""A process that forks a child for each line it reads, `[act, argument, …]`; the child acts, and its parent says how it ended.

It prints the child's number first, so that whoever sits between the child and its bucket can kill it at a request of its choice. A
process of its own, with all imported that the acts need and nothing begun, for a fork has one thread and would lose the others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import lake_work

import headrace.backends.buckets.aws
import headrace.backends.buckets.opening
import headrace.cli.backfill
import headrace.cli.main
import headrace.cli.run
from headrace.core.errors import is_transient


def main() -> None:
    for line in sys.stdin:
        act, *arguments = json.loads(line)
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            _be_the_child(act, arguments, writable)
        os.close(writable)
        print(child, flush=True)
        with os.fdopen(readable) as answer:
            said = answer.read()
        _, status = os.waitpid(child, 0)
        print(said if os.WIFEXITED(status) else json.dumps({"is_killed": True}), flush=True)


def _be_the_child(act: str, arguments: list[Any], writable: int) -> None:
    told: dict[str, Any] = {}
    try:
        answer = headrace_command(*arguments) if act == "headrace" else getattr(lake_work, act)(*arguments)
        told["answer"] = answer if isinstance(answer, str | int | list) else None
    except Exception as error:
        told["error"], told["kind"], told["is_transient"] = str(error), type(error).__name__, is_transient(error)
    with os.fdopen(writable, "w") as out:
        json.dump(told, out)
    os._exit(0)


def headrace_command(folder: str, *arguments: str) -> list[Any]:
    """`headrace …` in a folder: its code, and all that it printed."""
    os.chdir(folder)
    said = Path(f"said-{os.getpid()}.txt")
    handle = os.open(said, os.O_RDWR | os.O_CREAT)
    os.dup2(handle, 1), os.dup2(handle, 2)
    code: Any = 0
    try:
        headrace.cli.main.main(list(arguments))
    except SystemExit as end:
        code = end.code
    sys.stdout.flush(), sys.stderr.flush()
    return [code, said.read_text()]


if __name__ == "__main__":
    main()
