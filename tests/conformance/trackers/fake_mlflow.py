"""An MLflow server in memory, as strict as the real one (3.17.2) was seen to be where it matters to a tracker.

It refuses what the real one refuses: paths of its disk as a model's source, more than 100 parameters at once, changed parameters,
names with other characters, an alias to be deleted that is not in the body. It stands in for no more than that.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class RefusedError(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.status = status


class FakeMlflow:
    """The server's state; its methods are its endpoints, named by method and path."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict] = {}
        self.models: dict[str, dict] = {}
        self.versions: list[dict] = []
        self.requests: list[tuple[str, str | None]] = []
        self.failing: set[str] = set()
        self.password: str | None = None

    def get_experiments_get_by_name(self, experiment_name):
        if experiment_name not in self.experiments:
            raise RefusedError("RESOURCE_DOES_NOT_EXIST", 404)
        return {"experiment": {"experiment_id": self.experiments[experiment_name], "lifecycle_stage": "active"}}

    def post_experiments_create(self, name):
        self.experiments[name] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[name]}

    def post_runs_create(self, experiment_id, run_name, start_time, tags):
        run = f"run{len(self.runs)}"
        found = {item["key"]: item["value"] for item in tags}
        self.runs[run] = {"experiment": experiment_id, "status": "RUNNING", "tags": found, "params": {}, "metrics": {}, "start": start_time}
        return {"run": {"info": {"run_id": run}}}

    def post_runs_search(self, experiment_ids, filter, max_results):  # noqa: A002  # the API's own name
        key, value = re.fullmatch(r"tags\.`(.+)` = ['\"](.+)['\"]", filter).groups()
        found = [(name, run) for name, run in self.runs.items() if run["experiment"] in experiment_ids and run["tags"].get(key) == value]
        shown = [
            {"info": {"run_id": name, "status": run["status"]}, "data": {"tags": _pairs(run["tags"])}} for name, run in found[:max_results]
        ]
        return {"runs": shown} if shown else {}

    def post_runs_log_batch(self, run_id, params=(), metrics=(), tags=()):
        run = self.runs[run_id]
        if len(params) > 100 or len(tags) > 100 or any(re.search(r"[^\w\-./ :]", item["key"], re.ASCII) for item in (*params, *metrics)):
            raise RefusedError("INVALID_PARAMETER_VALUE")
        if any(run["params"].get(item["key"], item["value"]) != item["value"] for item in params):
            raise RefusedError("INVALID_PARAMETER_VALUE")
        run["params"].update({item["key"]: item["value"] for item in params})
        run["tags"].update({item["key"]: item["value"] for item in tags})
        run["metrics"].update({item["key"]: item["value"] for item in metrics})
        return {}

    def post_runs_update(self, run_id, status, end_time):
        self.runs[run_id].update(status=status, end=end_time)
        return {}

    def post_registered_models_create(self, name):
        if name in self.models:
            raise RefusedError("RESOURCE_ALREADY_EXISTS")
        self.models[name] = {"aliases": {}, "tags": {}}
        return {}

    def get_registered_models_get(self, name):
        model = self.models[name]
        aliases = [{"alias": alias, "version": version} for alias, version in model["aliases"].items()]
        return {"registered_model": {"name": name, "aliases": aliases, "tags": _pairs(model["tags"])}}

    def post_registered_models_set_tag(self, name, key, value):
        self.models[name]["tags"][key] = value
        return {}

    def post_registered_models_alias(self, name, alias, version):
        self.models[name]["aliases"][alias] = version
        return {}

    def delete_registered_models_alias(self, name, alias):
        del self.models[name]["aliases"][alias]
        return {}

    def get_model_versions_search(self, filter):  # noqa: A002  # the API's own name
        name, run = re.fullmatch(r"name = '(.+)' and run_id = '(.+)'", filter).groups()
        found = [version for version in self.versions if version["name"] == name and version["run_id"] == run]
        return {"model_versions": found} if found else {}

    def post_model_versions_create(self, name, source, run_id, tags):
        if source.startswith(("/", "file:")) or "://" not in source:
            raise RefusedError("INVALID_PARAMETER_VALUE")
        number = str(1 + sum(1 for version in self.versions if version["name"] == name))
        self.versions.append({"name": name, "version": number, "source": source, "run_id": run_id, "tags": tags})
        return {"model_version": self.versions[-1]}

    def answer(self, method: str, path: str, authorization: str | None, body: bytes) -> tuple[int, dict]:
        self.requests.append((path, authorization))
        parts = urlsplit(path)
        name = parts.path.removeprefix("/api/2.0/mlflow/")
        if self.password and authorization != self.password:
            return 401, {}
        if name in self.failing:
            return 503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}
        endpoint = getattr(self, f"{method.lower()}_{re.sub('[-/]', '_', name)}", None)
        if endpoint is None or not parts.path.startswith("/api/2.0/mlflow/"):
            return 404, {}
        given = dict(parse_qsl(parts.query)) if method == "GET" else json.loads(body or b"{}")
        try:
            return 200, endpoint(**given)
        except RefusedError as error:
            return error.status, {"error_code": str(error), "message": "refused"}


def _pairs(values):
    return [{"key": key, "value": value} for key, value in values.items()]


def serve(state: FakeMlflow) -> ThreadingHTTPServer:
    """Starts a server on a free port of this machine; end it with `shutdown` and `server_close`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, told = state.answer(self.command, self.path, self.headers.get("Authorization"), body)
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server
