"""Telling people: of a task that failed, and of a run that is late. Pipeline, step, interval, what happened, and what to type.

What a notifier is told stands in its context under `headrace`. A webhook is named by an Airflow connection, so that no address and
no token is in a DAG. The invariant: what is told never ends or delays the run; what could not be told is in the log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseNotifier, Connection, Context

from headrace.core.errors import ConfigurationError
from headrace.core.graph import Graph
from headrace.core.interval import format_duration, parse_duration, parse_time, short_time

if TYPE_CHECKING:
    from airflow.sdk.definitions.deadline import DeadlineAlert

__all__ = ["Alert", "AlertTo", "deadline_missed", "with_alerts"]

AlertTo = str | Callable[[Any], object]
"""The id of a connection to a webhook, or any notifier or callback of Airflow's."""

CONTEXT = "headrace"
_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)


class Alert(BaseNotifier):
    """Tells of a failure: in the log, to the webhook of an Airflow `connection`, and to another notifier or callback, `to`.

    The webhook is posted JSON: `text` for people, and under `headrace` the fields `pipeline`, `step`, `interval`, `error`, `fix`.
    """

    def __init__(self, connection: str | None = None, *, to: Callable[[Any], object] | None = None) -> None:
        super().__init__()
        self.connection = connection
        self.to = to

    def notify(self, context: Context) -> None:
        """Tell of the failure that a callback's context is about."""
        told = _failure_in(context)
        cast("dict[str, object]", context)[CONTEXT] = told
        if self.connection:
            _post_to(self.connection, None, told)
        elif self.to is None:
            _log.error("headrace: %s", told["text"])
        if self.to is not None:
            self.to(context)


async def deadline_missed(
    *, pipeline: str, file: str, deadline: str, connections: Sequence[str] = (), context: Mapping[str, Any] | None = None
) -> None:
    """Tell of a run that is not done in time. Airflow's triggerer calls it."""
    from headrace.run.redaction import redacted

    told = _lateness(pipeline, file, deadline, (context or {}).get("dag_run") or {})
    _log.error("headrace: %s", told["text"])
    for identity in connections:
        try:
            found = await Connection.async_get(identity)
        except Exception as error:  # noqa: BLE001  # Airflow's error differs by what asks; it says which connection
            _log.warning("headrace: connection `%s` could not be read: %s", identity, redacted(str(error)))
            continue
        await asyncio.to_thread(_post_to, identity, found, told)


def with_alerts(
    graph: Graph,
    options: Mapping[str, object],
    *,
    alert: AlertTo | Sequence[AlertTo] | None,
    deadline: str | timedelta | None,
) -> dict[str, object]:
    """A DAG's options with who is told: of each task that fails, and of a run that is not done `deadline` after it was queued."""
    found = dict(options)
    alerts = [alert] if isinstance(alert, str) or callable(alert) else list(alert or ())
    if alerts:
        defaults = dict(cast("Mapping[str, object]", found.get("default_args") or {}))
        theirs = defaults.get("on_failure_callback") or []
        ours = [Alert(to) if isinstance(to, str) else Alert(to=to) for to in alerts]
        defaults["on_failure_callback"] = [*(theirs if isinstance(theirs, list | tuple) else [theirs]), *ours]
        found["default_args"] = defaults
    if isinstance(deadline, str | timedelta):
        longest = _time(deadline) if isinstance(deadline, str) else deadline
        found["deadline"] = _deadline(graph, longest, [to for to in alerts if isinstance(to, str)])
    elif deadline is not None:
        found["deadline"] = deadline  # Airflow's own
    return found


def _time(deadline: str) -> timedelta:
    try:
        return parse_duration(deadline)
    except ConfigurationError as error:
        raise ConfigurationError(f"airflow_dag: deadline={deadline!r}: {error}") from None


def _deadline(graph: Graph, longest: timedelta, connections: list[str]) -> DeadlineAlert:
    """Counted from when the run was queued: a partitioned run has no logical date, and a backfill of the past would be late at once."""
    if longest <= timedelta(0):
        raise ConfigurationError(f"airflow_dag: deadline={longest} is no time for a run to be done in. Give one such as deadline='2h'.")
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    told = {
        "pipeline": graph.name,
        "file": Path(graph.where.file).name,
        "deadline": format_duration(longest),
        "connections": connections,
    }
    callback = AsyncCallback(f"{__name__}.deadline_missed", kwargs=told)
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=longest, callback=callback)


# ---------------------------------------------------------------- what is told


def _failure_in(context: Mapping[str, Any]) -> dict[str, Any]:
    """What the task said of its failure; where its process died or Airflow ended it, what Airflow knows."""
    told = context.get(CONTEXT)
    if isinstance(told, dict):
        return told
    from headrace.run.failure import Failure
    from headrace.run.redaction import redacted

    ti, run, dag = context.get("ti"), context.get("dag_run"), context.get("dag")
    pipeline = str(getattr(dag, "dag_id", None) or getattr(ti, "dag_id", ""))
    step = str(getattr(ti, "task_id", None) or pipeline)
    error = redacted(str(context.get("exception") or context.get("reason") or "its task died without a word"))
    fix = "see the task's log: a process that was killed was mostly out of memory. It is tried again while it has retries left; then clear it."
    told = {name: getattr(run, name, None) for name in ("partition_key", "data_interval_start", "run_after")}
    return Failure(pipeline, step, _interval_of(told), error, fix, is_transient=True).as_json()


def _lateness(pipeline: str, file: str, deadline: str, run: Mapping[str, Any]) -> dict[str, Any]:
    interval, state = _interval_of(run), run.get("state") or "not done"
    at = f" --at {interval}" if interval else ""
    fix = f"headrace plan {file}{at} shows what is not made yet; the run {run.get('dag_run_id') or run.get('run_id') or ''} shows what it waits for."
    error = f"It is not done {deadline} after it was queued; its state is {state}."
    text = f"Pipeline `{pipeline}`: the run of {interval or 'an interval'} is late.\n{error}\nWhat to do: {fix}"
    return {"pipeline": pipeline, "step": "", "interval": interval, "error": error, "fix": fix, "is_transient": False, "text": text}


def _interval_of(run: Mapping[str, Any]) -> str:
    """A run's interval by its start, as far as Airflow's own fields tell."""
    time: Any = run.get("partition_key") or run.get("data_interval_start") or run.get("run_after") or ""
    text = str(time.isoformat() if hasattr(time, "isoformat") else time)
    try:
        return short_time(parse_time(text))
    except ConfigurationError:  # a key that somebody made up
        return text


# ---------------------------------------------------------------- the webhook


def _post_to(identity: str, connection: Connection | None, told: Mapping[str, Any]) -> None:
    """Post (the connection is looked for if it is not given), or say in the log why not: never with the address, which may be a secret."""
    try:
        status = _post(
            connection or Connection.get(identity), {"text": told["text"], CONTEXT: {k: v for k, v in told.items() if k != "text"}}
        )
    except urllib.error.HTTPError as error:
        _log.warning("headrace: the webhook of connection `%s` answered %s; nobody was told there", identity, error.code)
    except Exception as error:  # noqa: BLE001  # whatever it is, a failure to tell is no failure of the run
        _log.warning("headrace: nobody was told by connection `%s`: %s", identity, type(error).__name__)
        _log.debug("headrace: connection `%s`", identity, exc_info=True)
    else:
        _log.info("headrace: told by connection `%s` (HTTP %s)", identity, status)


def _post(connection: Connection, document: Mapping[str, object]) -> int:
    extra = connection.extra_dejson
    host = connection.host or ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    url = f"{url.rstrip('/')}:{connection.port}" if connection.port else url
    path = str(extra.get("path") or "")
    url = f"{url.rstrip('/')}/{path.lstrip('/')}" if path else url
    if not url.startswith(("https://", "http://")):
        raise ValueError("a webhook is reached by http or https")
    headers = {"Content-Type": "application/json"}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)  # noqa: S310  # checked above
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        return int(answer.status)
