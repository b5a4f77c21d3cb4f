"""What is told of a failed step to people who did not watch: pipeline, step, interval, what happened, and what to type.

Pure: an orchestrator puts it into its log, its alerts and its messages. The invariant: it has no secret in it, and is short.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from headrace.core.errors import ColumnsChangedError, ConfigurationError, PipelineError, UnknownNameError, is_transient
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.run.past import backfill_command
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.task import Turn

__all__ = ["LONGEST", "Failure", "failure_of"]

LONGEST = 2000
"""Characters of an error that leave by messages; the log has all."""


@dataclass(frozen=True)
class Failure:
    """A step that failed. `interval` is its run's, by its start, empty where it is not known; `fix` is what to type, and what to do then."""

    pipeline: str
    step: str
    interval: str
    error: str
    fix: str
    is_transient: bool = False

    @property
    def text(self) -> str:
        """All of it for a person, in a few lines."""
        at = f" ({self.interval})" if self.interval else ""
        return f"Pipeline `{self.pipeline}`: `{self.step}`{at} failed.\n{self.error}\nWhat to do: {self.fix}"

    def as_json(self) -> dict[str, JSON]:
        """The fields and the text, as one small document."""
        return {**asdict(self), "text": self.text}


def failure_of(
    error: BaseException,
    *,
    pipeline: str,
    step: str,
    file: Path,
    run: Interval | None = None,
    session: Session | None = None,
    turn: Turn | None = None,
) -> Failure:
    """What is told of an error; `session`, `run` and `turn` are None when it came up before there was one."""
    text = redacted(str(error).strip() or type(error).__name__)[:LONGEST]
    fix = _fix(error, step, file, run, session, turn)
    return Failure(pipeline, step, run.label if run else "", text, fix, is_transient(error))


def _fix(error: BaseException, step: str, file: Path, run: Interval | None, session: Session | None, turn: Turn | None) -> str:
    again = "then clear the task"
    if turn is not None and turn.past and session is not None:
        return f"{backfill_command(session, turn.past)}, {again}."
    if isinstance(error, ColumnsChangedError):
        return f"accept the columns, by the command above, or mend the files at their origin, {again}."
    if is_transient(error):
        return "it is tried again by itself while it has retries left; after that, clear the task."
    if run is None or session is None or isinstance(error, ConfigurationError | PipelineError | UnknownNameError):
        return f"headrace plan {file.name} shows it without running anything; mend it, {again}."
    if step not in session.graph.steps:
        return f"mend it, {again}; what the steps made stands."
    profile = "" if session.config.profile == "local" else f" --profile {session.config.profile}"
    return f"headrace run {file.name} --at {run.label} --only {step}{profile} shows it on your machine; mend it, {again}."
