"""The ways to reach MLflow that the suite is run on, each with a reader that looks at what MLflow has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from headrace import plugins

sys.path.insert(0, str(Path(__file__).parent))

from fake_mlflow import FakeMlflow, serve


@dataclass
class Place:
    """One MLflow: the tracker's address, a pipeline's name that no other test uses, and a look at what is there."""

    uri: str
    pipeline: str = field(default_factory=lambda: f"shop{uuid4().hex[:8]}")

    def tracker(self):
        return plugins.load("trackers", "mlflow").open(self.uri, environment={})

    def runs(self) -> list[dict]:
        raise NotImplementedError

    def versions(self, model: str) -> list[dict]:
        raise NotImplementedError

    def aliases(self, model: str) -> dict[str, str]:
        raise NotImplementedError


class Server(Place):
    state: FakeMlflow

    def runs(self):
        experiment = self.state.experiments.get(self.pipeline)
        return [run for run in self.state.runs.values() if run["experiment"] == experiment]

    def versions(self, model):
        return [version for version in self.state.versions if version["name"] == model]

    def aliases(self, model):
        return dict(self.state.models[model]["aliases"])


class Database(Place):
    def _client(self):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def runs(self):
        client = self._client()
        experiment = client.get_experiment_by_name(self.pipeline)
        found = client.search_runs([experiment.experiment_id]) if experiment else []
        return [
            {"status": run.info.status, "start": run.info.start_time, "end": run.info.end_time, **run.data.to_dictionary()} for run in found
        ]

    def versions(self, model):
        return [dict(item) for item in self._client().search_model_versions(f"name = '{model}'")]

    def aliases(self, model):
        return {alias: str(version) for alias, version in self._client().get_registered_model(model).aliases.items()}


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> str:
    """One SQLite file for all tests: making it takes MLflow a second, importing MLflow several."""
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/lake/mlflow.db"


@pytest.fixture
def server() -> Iterator[Server]:
    state = FakeMlflow()
    running = serve(state)
    place = Server(f"http://127.0.0.1:{running.server_address[1]}")
    place.state = state
    yield place
    running.shutdown()
    running.server_close()


@pytest.fixture(params=["server", "database"])
def place(request) -> Place:
    return request.getfixturevalue("server") if request.param == "server" else Database(request.getfixturevalue("database"))
