"""MLflow: a run for each trained model, a version in the registry, and the aliases `champion` and `challenger`.

Here is what a note becomes in MLflow; how it gets there is `rest` for a server and `database` for SQLite and its like. The
invariant: the same note may come again, at any time and after any interruption, and changes nothing that was told before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headrace.backends.trackers.mlflow.address import address_of, credentials_of
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON, RunNote

__all__ = ["Api", "MlflowTracker", "Told", "masked", "open", "quoted"]

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_\-./ ]")
_LONGEST = 5000  # of a value; MLflow 3 takes 6,000 of a parameter and 8,000 of a tag
_IDENTITY, _CHAMPION, _CHAIN = "headrace.identity", "headrace.champion", "headrace.chain"


@dataclass(frozen=True)
class Told:
    """A run that MLflow has already."""

    run: str
    is_finished: bool
    tags: Mapping[str, str]


class Api(Protocol):
    """The few things that are asked of MLflow; times are milliseconds since 1970."""

    def experiment(self, name: str) -> str:
        """The experiment's id; it is made if it is not there."""
        ...

    def find_run(self, experiment: str, tag: str, value: str) -> Told | None: ...

    def create_run(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, str]) -> str: ...

    def log(self, run: str, parameters: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], at_ms: int) -> None: ...

    def finish(self, run: str, end_ms: int) -> None: ...

    def model_version(self, model: str, source: str, run: str, tags: Mapping[str, str]) -> str:
        """The version that was made from a run; it is made, and the model too, if it is not there."""
        ...

    def model(self, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """A registered model's aliases (to versions) and tags."""
        ...

    def tag_model(self, name: str, key: str, value: str) -> None: ...

    def point(self, name: str, alias: str, version: str) -> None: ...

    def unpoint(self, name: str, alias: str) -> None: ...


def open(  # noqa: A001  # every flavour's module has this function
    uri: str | None, *, environment: Mapping[str, str] | None = None, connection: Connection | None = None
) -> MlflowTracker:
    """The tracker for a server (`http://…`, without importing MLflow) or a database (`sqlite:///…/mlflow.db`).

    A server's user and password come from the address, else from the connection, else from `MLFLOW_TRACKING_USERNAME` and `_PASSWORD`,
    or `MLFLOW_TRACKING_TOKEN`, in `environment` (the process's own unless told). The address is the `uri`, else the connection's.
    """
    if connection is not None:
        uri = uri or address_of(connection)
        environment = credentials_of(connection) or environment
    uri = uri or ""
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    if scheme in ("http", "https"):
        from headrace.backends.trackers.mlflow import rest

        return MlflowTracker(rest.connect(uri, environment), is_remote=True)
    if scheme in ("sqlite", "postgresql", "mysql", "mssql"):
        from headrace.backends.trackers.mlflow import database

        return MlflowTracker(database.connect(uri), is_remote=False)
    raise ConfigurationError(
        f"Tracking with MLflow was asked for at `{masked(uri)}`, which is neither a server nor a database. "
        "Write `http://host:5000`, or `sqlite:////path/to/mlflow.db`, as tracking_uri, or name a tracking_connection. (MLflow 3 refuses to track in a plain folder.)"
    )


def masked(message: str) -> str:
    """A text in which no address shows its user, its password, or what follows a question mark.

    >>> masked("no answer from https://ana:secret@host:5000/x?token=1 (refused)")
    'no answer from https://***@host:5000/x (refused)'
    """
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1", re.sub(r"://[^/\s]*@", "://***@", message))


def quoted(value: str) -> str:
    """A value in MLflow's search language, which has two kinds of quotes and no way to escape either."""
    return f'"{value}"' if "'" in value else f"'{value}'"


class MlflowTracker:
    """Tells MLflow of notes, one after the other."""

    def __init__(self, api: Api, *, is_remote: bool) -> None:
        self._api = api
        self._is_remote = is_remote
        self._experiments: dict[str, str] = {}

    def send(self, notes: Sequence[RunNote]) -> None:
        """Tell of each note in turn. TransientError when MLflow does not answer; what was told before stays told."""
        for note in notes:
            self._send(note)

    def _send(self, note: RunNote) -> None:
        if note.pipeline not in self._experiments:
            self._experiments[note.pipeline] = self._api.experiment(note.pipeline)
        experiment = self._experiments[note.pipeline]
        told = self._api.find_run(experiment, _IDENTITY, note.identity)
        if told and told.is_finished and not _is_news(note, told):
            return
        run = told.run if told else self._api.create_run(experiment, _run_name(note), _ms(note.started_at), {_IDENTITY: note.identity})
        if not (told and told.is_finished):
            self._api.log(run, dict(_parameters(note)), dict(_metrics(note)), dict(_tags(note)), _ms(note.ended_at))
        self._register(note, run)
        # The last word: a run without it is told again from the start.
        self._api.log(run, {}, {}, {_CHAMPION: str(note.is_champion).lower(), **_chain(note)}, _ms(note.ended_at))
        self._api.finish(run, _ms(note.ended_at))

    def _register(self, note: RunNote, run: str) -> None:
        name = _model_name(note)
        version = self._api.model_version(name, _source(note.location, is_remote=self._is_remote), run, {_IDENTITY: note.identity})
        alias = "champion" if note.is_champion else "challenger"
        aliases, tags = self._api.model(name)
        decided = f"{_CHAIN}.{alias}"
        if _number(note.tags.get("chain")) < _number(tags.get(decided)):
            return  # a later decision was told first
        if aliases.get(alias) != version:
            self._api.point(name, alias, version)
        if note.is_champion and aliases.get("challenger") == version:
            self._api.unpoint(name, "challenger")
        if "chain" in note.tags:
            self._api.tag_model(name, decided, note.tags["chain"])


def _is_news(note: RunNote, told: Told) -> bool:
    """Whether a note of a model that was told of says that it became the champion since."""
    was_champion = told.tags.get(_CHAMPION) == "true"
    return note.is_champion and (not was_champion or _number(note.tags.get("chain")) > _number(told.tags.get(_CHAIN)))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _chain(note: RunNote) -> dict[str, str]:
    return {_CHAIN: note.tags["chain"]} if "chain" in note.tags else {}


def _model_name(note: RunNote) -> str:
    return note.model if note.model.startswith(f"{note.pipeline}.") else f"{note.pipeline}.{note.model}"


def _run_name(note: RunNote) -> str:
    return f"{note.model} {note.interval} v{note.version}"


def _source(location: str, *, is_remote: bool) -> str:
    """A server takes no path of a disk that it does not own as a model's source, so such a path gets a scheme of ours."""
    path = location.removeprefix("file://")
    return f"headrace://{path if path.startswith('/') else '/' + path}" if is_remote and "://" not in path else location


def _key(name: str) -> str:
    return _FORBIDDEN.sub("_", name)[:250]


def _parameters(note: RunNote) -> Iterator[tuple[str, str]]:
    for name, value in note.parameters.items():
        yield _key(name), _text(value)


def _text(value: JSON) -> str:
    return str(value)[:_LONGEST]


def _metrics(note: RunNote) -> Iterator[tuple[str, float]]:
    for name, value in note.metrics.items():
        if math.isfinite(value):
            yield _key(name), value


def _tags(note: RunNote) -> Iterator[tuple[str, str]]:
    own = {
        "pipeline": note.pipeline,
        "model": note.model,
        "interval": note.interval,
        "version": str(note.version),
        "location": note.location,
    }
    for name, value in {**note.tags, **own}.items():
        if name != "chain":  # told last, as the mark of a note that was told in full
            yield _key(f"headrace.{name}"), _text(value)
    if "git_commit" in note.tags:
        yield "mlflow.source.git.commit", note.tags["git_commit"]
    unmeasured = sorted(name for name, value in note.metrics.items() if not math.isfinite(value))
    if unmeasured:
        yield "headrace.unmeasured", _text(", ".join(unmeasured))


def _ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
