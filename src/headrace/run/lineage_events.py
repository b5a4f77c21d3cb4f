"""OpenLineage events of a run: facts gathered from the session, and events sent as steps start and end.

They go to a file, a line of JSON each, or to an address by HTTP, from a thread that nobody waits for longer than `_PATIENCE_S`. The
invariant: events that can't be made or sent are told of in a note, and never fail or slow down a step.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from headrace import __version__
from headrace.config import Config
from headrace.core.errors import ConfigurationError, HeadraceError
from headrace.core.graph import Pair
from headrace.core.interval import Interval
from headrace.core.plan import Decision, Plan
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.core.step import Predictions, Source, Step, Table, TrainedModel
from headrace.run.lineage import Code, Facts, Lineage, event, facet, step_lineage
from headrace.run.record import git_commit
from headrace.run.redaction import redacted, remember
from headrace.run.session import Session

__all__ = ["LineageEvents", "Watcher", "code_at", "facts_of", "lineage_target", "nobody", "told_lineage", "watched"]

Watcher = Callable[[Decision, Receipt | None], None]

_PATIENCE_S = 10.0
_TIMEOUT_S = 5.0
_ENDPOINT = "api/v1/lineage"
_KINDS = {"failed": "FAIL", "skipped": "ABORT", "blocked": "ABORT"}


# ---------------------------------------------------------------- facts


def facts_of(session: Session, step: Step, interval: Interval, receipt: Receipt | None) -> Facts:
    """What is known of a step of an interval now: from its commit, if its receipt names one."""
    manifest = None
    if receipt is not None and receipt.version is not None and receipt.kind != "promotion":
        manifest = session.lake.log(session.graph.name, session.dataset(step.name)).manifest(interval, receipt.version)
    return Facts(
        pipeline=session.graph.name,
        step=step,
        interval=interval,
        lake=session.lake.uri,
        layer_of=lambda name: _layer(session, name),
        receipt=receipt,
        manifest=manifest,
        code=code_at(Path(step.where.file), step.where.line),
    )


def _layer(session: Session, full_name: str) -> str | None:
    pipeline, _, name = full_name.partition(".")
    step = session.graph.steps.get(name.removesuffix(".experiment")) if pipeline == session.graph.name else None
    if isinstance(step, Table):
        return step.layer
    if isinstance(step, TrainedModel):
        return "models"
    return "gold" if isinstance(step, Predictions) else "silver" if isinstance(step, Source) else None


def code_at(file: Path, line: int) -> Code:
    """A place in a file, with what its git work tree says, if it lies in one."""
    commit = git_commit(file.parent)
    root = next((above for above in file.parents if (above / ".git").is_dir()), None)
    path = str(file.relative_to(root)) if root else file.name
    return Code(str(file), line, commit, path, _remote(root) if root else None)


def _remote(root: Path) -> str | None:
    """The web address of a work tree's origin, without a user: read from its files, git is not asked."""
    try:
        found = re.search(r'\[remote "origin"\][^\[]*?\burl\s*=\s*(\S+)', (root / ".git" / "config").read_text())
    except (OSError, UnicodeDecodeError):
        return None
    if not found:
        return None
    ssh = re.fullmatch(r"(?:ssh://)?[\w.-]+@([\w.-]+)[:/](.+)", found[1])
    if ssh:
        return f"https://{ssh[1]}/{ssh[2]}"
    parts = urlsplit(found[1])
    return f"https://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.scheme in ("http", "https") else None


# ---------------------------------------------------------------- where events go


class Target(Protocol):
    """Takes events; `close` says what became of them, in words, if not all were sent."""

    def send(self, told: Mapping[str, JSON]) -> None: ...

    def close(self) -> str: ...


def lineage_target(config: Config, environment: Mapping[str, str]) -> Target | None:
    """Where the settings, or else the variables of OpenLineage's own clients, want events; None where nobody does."""
    wanted = config.text("lineage")
    if wanted is None and environment.get("OPENLINEAGE_DISABLED", "").lower() not in ("true", "1"):
        address = environment.get("OPENLINEAGE_URL")
        wanted = f"{address.rstrip('/')}/{environment.get('OPENLINEAGE_ENDPOINT', _ENDPOINT).lstrip('/')}" if address else None
    if wanted is None or wanted == "none":
        return None
    if wanted.startswith(("http://", "https://")):
        key = environment.get("OPENLINEAGE_API_KEY")
        remember([key] if key else [])
        bare = urlsplit(wanted).path in ("", "/")
        return _Address(f"{wanted.rstrip('/')}/{_ENDPOINT}" if bare else wanted, key)
    if "://" in wanted and not wanted.startswith("file://"):
        raise ConfigurationError(
            f"lineage = {redacted(wanted)!r}, from {config.values['lineage'].origin}, is neither an http(s) address nor a file. "
            'Write "http://marquez:5000" or "file:lineage.jsonl".'
        )
    return _File(config.folder / Path(wanted.removeprefix("file://").removeprefix("file:")).expanduser())


@dataclass
class _File:
    """A line for each event; lines of processes that write at the same time do not mix, as each is one write at the file's end."""

    path: Path
    problem: str = ""

    def send(self, told: Mapping[str, JSON]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                file.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            self.problem = f"lineage could not be written to {self.path}: {error.strerror or error}"

    def close(self) -> str:
        return self.problem


class _Address:
    """Posts events in order, in a thread. After the first that can't be sent no more are tried: the next run begins anew."""

    def __init__(self, address: str, key: str | None) -> None:
        from queue import SimpleQueue

        parts = urlsplit(address)
        self._address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": f"headrace/{__version__}"}
        self._key = key
        self._waiting: SimpleQueue[Mapping[str, JSON] | None] = SimpleQueue()
        self._problem = ""
        self._thread = threading.Thread(target=self._work, name="headrace-lineage", daemon=True)
        self._thread.start()

    def send(self, told: Mapping[str, JSON]) -> None:
        self._waiting.put(told)

    def close(self) -> str:
        self._waiting.put(None)
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            return f"lineage: {redacted(self._address)} is slow, and some events were not sent"
        return self._problem

    def _work(self) -> None:
        while (told := self._waiting.get()) is not None:
            if not self._problem:
                self._problem = self._post(told)

    def _post(self, told: Mapping[str, JSON]) -> str:
        """Nothing, or what went wrong."""
        from urllib.error import HTTPError  # only here: with ssl it costs more than a small run
        from urllib.request import Request, urlopen

        try:
            request = Request(self._address, json.dumps(told).encode(), self._headers, method="POST")  # noqa: S310  # http(s)
            if self._key:  # for this address alone, not for one that it may redirect to
                request.add_unredirected_header("Authorization", f"Bearer {self._key}")
            with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
                return ""
        except HTTPError as error:
            with error:
                return f"lineage was not sent: {redacted(self._address)} answers {error.code} {error.reason}"
        except (OSError, ValueError) as error:
            return f"lineage was not sent: {redacted(self._address)}: {redacted(str(getattr(error, 'reason', error)))}"


# ---------------------------------------------------------------- the events of a run


def _new_id() -> str:
    from uuid import uuid4  # as are other imports here: most runs tell nobody, and need not wait for it

    return str(uuid4())


@dataclass
class LineageEvents:
    """Tells a target of a run as it goes: the run itself, and below it each step that had something to do."""

    session: Session
    target: Target
    run: str = field(default_factory=_new_id)
    notes: list[str] = field(default_factory=list[str])
    has_failed: bool = True  # until it is known how it ended
    _runs: dict[Pair, str] = field(default_factory=dict[Pair, str])

    @property
    def job(self) -> tuple[str, str]:
        return str(self.session.config.text("lineage_namespace")), self.session.graph.name

    def started(self) -> None:
        self._send("START", self._whole(), self.run, self.job)

    def ended(self) -> None:
        self._send("FAIL" if self.has_failed else "COMPLETE", self._whole(), self.run, self.job)
        problem = self.target.close()
        self.notes += [problem] if problem else []

    def beside(self, watch: Watcher) -> Watcher:
        """A watcher that tells another one, and then the target."""

        def both(decision: Decision, receipt: Receipt | None) -> None:
            watch(decision, receipt)
            self.watch(decision, receipt)

        return both

    def watch(self, decision: Decision, receipt: Receipt | None) -> None:
        """A watcher of the executor: a step starts, or has ended."""
        if decision.action != "run":
            return
        if receipt is None:
            self._runs[decision.pair] = _new_id()
            self._step("START", decision, None)
        elif decision.pair in self._runs:
            self._step(_KINDS.get(receipt.state, "COMPLETE"), decision, receipt)

    def _step(self, kind: str, decision: Decision, receipt: Receipt | None) -> None:
        namespace, name = self.job
        try:
            facts = facts_of(self.session, self.session.graph.step(decision.step), decision.interval, receipt)
            lineage, error = step_lineage(facts), (receipt.error or "") if receipt else ""
        except Exception as problem:  # noqa: BLE001  # whatever it is, the step goes on
            self.notes.append(f"lineage of `{decision.step}` could not be told: {redacted(str(problem))}")
            return
        parent = (namespace, name, self.run)
        self._send(kind, lineage, self._runs[decision.pair], (namespace, f"{name}.{decision.step}"), parent=parent, error=error)

    def _whole(self) -> Lineage:
        doc = self.session.graph.doc
        facets = {"jobType": facet("JobTypeJobFacet", processingType="BATCH", integration="HEADRACE", jobType="PIPELINE")}
        if doc:
            facets["documentation"] = facet("DocumentationJobFacet", description=doc, contentType="text/markdown")
        return Lineage(job_facets=facets)

    def _send(
        self,
        kind: str,
        lineage: Lineage,
        run: str,
        job: tuple[str, str],
        *,
        parent: tuple[str, str, str] | None = None,
        error: str = "",
    ) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.target.send(event(kind, lineage, time=time, run=run, job=job, parent=parent, error=error))


def nobody(_decision: Decision, _receipt: Receipt | None) -> None:
    """A watcher that is told of nothing."""


def watched(watch: Watcher, decision: Decision, make: Callable[[], Receipt]) -> Receipt:
    """Make a commit outside of a plan's run; `watch` is told of its start and of how it ended."""
    watch(decision, None)
    try:
        receipt = make()
    except HeadraceError as error:
        watch(decision, Receipt(decision.step, decision.kind, decision.interval, "failed", decision.reason, error=redacted(str(error))))
        raise
    watch(decision, receipt)
    return receipt


@contextmanager
def told_lineage(session: Session, plan: Plan) -> Iterator[LineageEvents | None]:
    """The events of carrying out a plan; None where nobody wants them, or where nothing is to be done."""
    target = lineage_target(session.config, os.environ) if plan.to_run else None
    if target is None:
        yield None
        return
    events = LineageEvents(session, target)
    events.started()
    try:
        yield events
    finally:
        events.ended()
