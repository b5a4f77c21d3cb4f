"""An MLflow server, spoken to in plain HTTP: a note costs milliseconds, where importing MLflow costs seconds.

The interface is MLflow's REST API 2.0 (https://mlflow.org/docs/latest/rest-api.html). The invariant: no message shows a
user, a password or a token.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from headrace.backends.trackers.mlflow import Told, quoted
from headrace.core.errors import ConfigurationError, HeadraceError, TransientError

__all__ = ["Server", "connect"]

_TIMEOUT_S = 20.0
_BATCH = 100  # parameters and tags that a server takes at once; it takes 1,000 metrics
_KEPT = "The note is kept and told again with the next run, or by `headrace sync`."


def connect(uri: str, environment: Mapping[str, str] | None = None) -> Server:
    """A server by its address; nothing is sent yet."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    if not host:
        raise ConfigurationError(f"The tracking_uri `{parts.scheme}:` names no host. Write `http://host:5000`.")
    address = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    return Server(address, _authorization(parts.username, parts.password, os.environ if environment is None else environment))


def _authorization(user: str | None, password: str | None, environment: Mapping[str, str]) -> str | None:
    if user is None and environment.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {environment['MLFLOW_TRACKING_TOKEN']}"
    name = unquote(user) if user is not None else environment.get("MLFLOW_TRACKING_USERNAME")
    if not name:
        return None
    secret = unquote(password or "") if user is not None else environment.get("MLFLOW_TRACKING_PASSWORD", "")
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


class _RefusedError(HeadraceError):
    """The server answered, and said no; `code` is MLflow's own."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Server:
    """MLflow's REST API, as far as notes need it."""

    def __init__(self, address: str, authorization: str | None) -> None:
        self._address = address
        self._authorization = authorization

    def experiment(self, name: str) -> str:
        try:
            found = self._get("experiments/get-by-name", experiment_name=name)["experiment"]
        except _RefusedError as error:
            if error.code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return str(self._post("experiments/create", name=name)["experiment_id"])
        if found.get("lifecycle_stage") == "deleted":
            self._post("experiments/restore", experiment_id=found["experiment_id"])
        return str(found["experiment_id"])

    def find_run(self, experiment: str, tag: str, value: str) -> Told | None:
        wanted = f"tags.`{tag}` = {quoted(value)}"
        runs = self._post("runs/search", experiment_ids=[experiment], filter=wanted, max_results=1).get("runs", [])
        if not runs:
            return None
        info, data = runs[0]["info"], runs[0].get("data", {})
        return Told(info["run_id"], info["status"] == "FINISHED", {item["key"]: item["value"] for item in data.get("tags", [])})

    def create_run(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        made = self._post("runs/create", experiment_id=experiment, run_name=name, start_time=start_ms, tags=_pairs(tags))
        return str(made["run"]["info"]["run_id"])

    def log(self, run: str, parameters: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], at_ms: int) -> None:
        measured = [{"key": key, "value": value, "timestamp": at_ms, "step": 0} for key, value in metrics.items()]
        for name, items in (("params", _pairs(parameters)), ("tags", _pairs(tags)), ("metrics", measured)):
            for start in range(0, len(items), _BATCH):
                self._post("runs/log-batch", run_id=run, **{name: items[start : start + _BATCH]})

    def finish(self, run: str, end_ms: int) -> None:
        self._post("runs/update", run_id=run, status="FINISHED", end_time=end_ms)

    def model_version(self, model: str, source: str, run: str, tags: Mapping[str, str]) -> str:
        try:
            self._post("registered-models/create", name=model)
        except _RefusedError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        wanted = f"name = {quoted(model)} and run_id = {quoted(run)}"
        made: Sequence[Any] = self._get("model-versions/search", filter=wanted).get("model_versions", [])
        if made:
            return str(made[0]["version"])
        return str(
            self._post("model-versions/create", name=model, source=source, run_id=run, tags=_pairs(tags))["model_version"]["version"]
        )

    def model(self, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        found = self._get("registered-models/get", name=name)["registered_model"]
        aliases = {item["alias"]: str(item["version"]) for item in found.get("aliases", [])}
        return aliases, {item["key"]: item["value"] for item in found.get("tags", [])}

    def tag_model(self, name: str, key: str, value: str) -> None:
        self._post("registered-models/set-tag", name=name, key=key, value=value)

    def point(self, name: str, alias: str, version: str) -> None:
        self._post("registered-models/alias", name=name, alias=alias, version=version)

    def unpoint(self, name: str, alias: str) -> None:
        self._ask("DELETE", "registered-models/alias", json.dumps({"name": name, "alias": alias}).encode())

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        return self._ask("GET", f"{path}?{urlencode(query, quote_via=quote)}", None)

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "User-Agent": "headrace"}
        request = Request(f"{self._address}/api/2.0/mlflow/{path}", data=body, headers=headers, method=method)  # noqa: S310  # http(s), see open
        if self._authorization:  # for this server alone, not for one that it may redirect to
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                answer = json.loads(response.read() or b"{}")
        except HTTPError as error:
            with error:
                raise self._refused(error, path.partition("?")[0]) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise TransientError(f"MLflow at {self._address} does not answer: {reason}. {_KEPT}") from None
        except ValueError:
            raise ConfigurationError(f"{self._address} answers, but not as MLflow does. Is tracking_uri its address?") from None
        return answer if isinstance(answer, dict) else {}

    def _refused(self, error: HTTPError, path: str) -> HeadraceError:
        try:
            told = json.loads(error.read())
            code, message = str(told["error_code"]), str(told.get("message", ""))
        except (ValueError, KeyError, TypeError):
            code, message = "", str(error.reason)
        if error.code in (401, 403):
            return ConfigurationError(
                f"MLflow at {self._address} does not let us in ({error.code}). Name a connection with the user and password as tracking_connection, "
                "or set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            )
        if error.code >= 500 or error.code in (408, 429):
            return TransientError(f"MLflow at {self._address} failed at {path} ({error.code}): {message}. {_KEPT}")
        if not code:
            return ConfigurationError(
                f"{self._address} answers {error.code} to {path}: it is not an MLflow server. Is tracking_uri its address?"
            )
        return _RefusedError(f"MLflow at {self._address} refused {path} ({code}): {message}", code)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
