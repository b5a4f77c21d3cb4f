"""A step in a process of its own: one that asks for it, or has a timeout, so that it can be ended for good.

The parent sends what the child needs as JSON and gets a receipt or an error as JSON. The invariant: a child that is killed leaves
nothing half made, since it commits by the same protocol.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import cast

from headrace.config import read_config
from headrace.core import errors
from headrace.core.errors import HeadraceError, StepError, StepTimeoutError, TransientError, is_transient
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt, State
from headrace.core.step import Source
from headrace.run.access import lake_access
from headrace.run.connections import Connections
from headrace.run.execute import execute_step
from headrace.run.loading import load_pipeline
from headrace.run.redaction import tell_crashes_redacted
from headrace.run.session import Session, open_lake_at
from headrace.steps.boundary import user_traceback

__all__ = ["execute_in_child"]

_GRACE_S = 2.0


def execute_in_child(session: Session, step_name: str, interval: Interval, *, is_forced: bool = False) -> Receipt:
    """`execute_step` in a process of its own. StepTimeoutError after the step's `timeout`; StepError when the process dies."""
    step = session.graph.step(step_name)
    limit = step.policy.timeout_s
    if isinstance(step, Source) and session.connection_of(step):
        session.origin(step)  # finds the connection here, where there may be an orchestrator to ask
    task: dict[str, JSON] = {
        "file": str(session.file),
        "pipeline": session.graph.name,
        "step": step_name,
        "interval": [interval.start.isoformat(), interval.end.isoformat()],
        "is_forced": is_forced,
        "profile": session.config.profile,
        "values": {name: value.value for name, value in session.config.values.items()},
        "lake": session.lake.uri,
        "overrides": {step: dict(values) for step, values in session.overrides.items()},
        "experiment": sorted(session.experiment),
        "now": session.clock().isoformat(),
        "who": session.who,
        "parent": os.getpid(),
        "connections": session.connections.told(),
    }
    command = [sys.executable, "-m", "headrace.run.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            answer, _ = child.communicate(json.dumps(task), timeout=limit)
        except subprocess.TimeoutExpired:
            _end(child)
            raise StepTimeoutError(
                f"step `{step_name}` ({interval.label}) ran longer than its timeout of {limit:g} s and was ended; nothing of it was committed. "
                "Raise timeout=, or make the step's work smaller."
            ) from None
        except BaseException:
            _end(child)
            raise
    return _received(answer, child.returncode, step_name, interval)


def main() -> None:
    """Read one task from standard input, carry it out, answer on standard output."""
    task = json.loads(sys.stdin.read())
    threading.Thread(target=_end_with, args=(int(task["parent"]),), daemon=True).start()
    tell_crashes_redacted()
    answer_to = os.dup(1)
    os.dup2(2, 1)
    try:
        answer: dict[str, JSON] = {"receipt": _carry_out(task).as_json()}
    except Exception as error:  # noqa: BLE001  # it is told to the parent, whatever it is
        told: dict[str, JSON] = {"error": type(error).__name__, "message": str(error), "is_transient": is_transient(error)}
        answer = {**told, "traceback": user_traceback(error) if error.__cause__ is not None else ""}
    with os.fdopen(answer_to, "w") as out:
        out.write(json.dumps(answer))


def _carry_out(task: Mapping[str, JSON]) -> Receipt:
    loaded = load_pipeline(str(task["file"]), name=str(task["pipeline"]))
    values = cast(Mapping[str, JSON], task["values"])
    config = read_config(loaded.file, environment=os.environ, profile=cast(str, task["profile"]), overrides=values)
    given = cast(Mapping[str, Mapping[str, JSON]], task["connections"])
    start, end = cast(list[str], task["interval"])
    now = datetime.fromisoformat(str(task["now"]))
    session = Session(
        graph=loaded.graph,
        config=config,
        lake=open_lake_at(str(task["lake"]), access=lake_access(config, Connections(config, given=given))),
        file=Path(str(task["file"])),
        clock=lambda: now,
        overrides=cast(Mapping[str, Mapping[str, JSON]], task["overrides"]),
        experiment=frozenset(cast(list[str], task["experiment"])),
        who=str(task["who"]),
        given_connections=given,
    )
    return execute_step(session, str(task["step"]), Interval.of(start, end), is_forced=bool(task["is_forced"]))


def _received(answer: str, code: int, step_name: str, interval: Interval) -> Receipt:
    try:
        told = json.loads(answer)
    except ValueError:
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        ended = StepError(
            f"step `{step_name}` ({interval.label}) ended {how} in its own process, without an answer; nothing of it was committed. "
            "Out of memory is the usual cause: see the system's log, and lower the engine's `memory`."
        )
        # The system kills when memory is short, which others may have taken; a crash of its own is the same each time.
        ended.is_transient = code == -signal.SIGKILL
        raise ended from None
    if "error" in told:
        kind = getattr(errors, told["error"], None)
        cause = _ChildError(told["traceback"]) if told["traceback"] else None
        if told["is_transient"]:
            raise TransientError(told["message"]) from cause
        raise (kind if isinstance(kind, type) and issubclass(kind, HeadraceError) else StepError)(told["message"]) from cause
    found = told["receipt"]
    return Receipt(
        step=found["step"],
        kind=found["kind"],
        interval=interval,
        state=cast(State, found["state"]),
        why=found["why"],
        version=found["version"],
        rows_read=found["rows_read"],
        rows_kept=found["rows_kept"],
        rows_quarantined=found["rows_quarantined"],
        size_bytes=found["size_bytes"],
        seconds=found["seconds"],
        metrics=found["metrics"],
        verdict=found["verdict"],
        location=found["location"],
        notes=tuple(found["notes"]),
    )


class _ChildError(Exception):
    """What the user's code raised in the child, with its traceback as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"


def _end_with(parent: int) -> None:
    """End this process when the one that asked for its work is gone: nobody waits for the answer."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _end(child: subprocess.Popen[str]) -> None:
    """End a child and all that it started."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)


if __name__ == "__main__":
    main()
