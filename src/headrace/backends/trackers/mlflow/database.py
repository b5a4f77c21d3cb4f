"""MLflow's own database, SQLite in the lake's folder unless told otherwise, through MLflow's client.

Importing MLflow costs seconds, and opening a new database more: this belongs in a process that nobody waits for. The
invariant: MLflow prints nothing, warns of nothing and reports nothing to its makers.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.backends.trackers.mlflow import Told, masked, quoted
from headrace.core.errors import ConfigurationError, HeadraceError, MissingLibraryError, TransientError

__all__ = ["Database", "connect"]


def connect(uri: str) -> Database:
    """The database at a URI; a new SQLite file is made with its folder. MissingLibraryError naming the extra."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    path = _sqlite_path(uri)
    with _quiet(uri):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingLibraryError(
                f"Tracking in {masked(uri)} needs `{error.name}`, which is not installed. Install it with: pip install 'headrace[mlflow]'"
            ) from error
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)  # opens it, and makes its tables
    return Database(client, uri, str(path.parent / "mlflow-artifacts") if path else None)


def _sqlite_path(uri: str) -> Path | None:
    found = re.match(r"sqlite(?:\+\w+)?:///(.+)", uri)
    return Path(found[1].partition("?")[0]) if found else None


@contextmanager
def _quiet(uri: str) -> Iterator[None]:
    """MLflow without its warnings, and its errors as ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (HeadraceError, MemoryError):
            raise
        except Exception as error:
            raise _ours(error, uri) from error


def _ours(error: Exception, uri: str) -> HeadraceError:
    words = masked(str(error).partition("\n")[0])[:500]
    if "database is locked" in str(error):
        return TransientError(
            f"MLflow's database {masked(uri)} is locked by another process: {words}. Try again, or `headrace sync` later."
        )
    return ConfigurationError(
        f"MLflow could not use the database {masked(uri)}: {words}. Is it one, and can this user write it? See tracking_uri."
    )


class Database:
    """MLflow's client, as far as notes need it."""

    def __init__(self, client: Any, uri: str, artifacts: str | None) -> None:
        self._client = client
        self._uri = uri
        self._artifacts = artifacts

    def experiment(self, name: str) -> str:
        with _quiet(self._uri):
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return str(self._client.create_experiment(name, artifact_location=self._artifacts))
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)

    def find_run(self, experiment: str, tag: str, value: str) -> Told | None:
        with _quiet(self._uri):
            runs = self._client.search_runs([experiment], f"tags.`{tag}` = {quoted(value)}", max_results=1)
        return Told(runs[0].info.run_id, runs[0].info.status == "FINISHED", dict(runs[0].data.tags)) if runs else None

    def create_run(self, experiment: str, name: str, start_ms: int, tags: Mapping[str, str]) -> str:
        with _quiet(self._uri):
            return str(self._client.create_run(experiment, start_time=start_ms, tags=dict(tags), run_name=name).info.run_id)

    def log(self, run: str, parameters: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str], at_ms: int) -> None:
        with _quiet(self._uri):
            from mlflow.entities import Metric, Param, RunTag

            self._client.log_batch(
                run,
                metrics=[Metric(key, value, at_ms, 0) for key, value in metrics.items()],
                params=[Param(key, value) for key, value in parameters.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )

    def finish(self, run: str, end_ms: int) -> None:
        with _quiet(self._uri):
            self._client.set_terminated(run, "FINISHED", end_ms)

    def model_version(self, model: str, source: str, run: str, tags: Mapping[str, str]) -> str:
        with _quiet(self._uri):
            named = f"name = {quoted(model)}"
            if not self._client.search_registered_models(named, max_results=1):
                self._client.create_registered_model(model)
            made = self._client.search_model_versions(f"{named} and run_id = {quoted(run)}", max_results=1)
            version = made[0] if made else self._client.create_model_version(model, source, run, tags=dict(tags))
            return str(version.version)

    def model(self, name: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        with _quiet(self._uri):
            found = self._client.get_registered_model(name)
            return {alias: str(version) for alias, version in found.aliases.items()}, dict(found.tags)

    def tag_model(self, name: str, key: str, value: str) -> None:
        with _quiet(self._uri):
            self._client.set_registered_model_tag(name, key, value)

    def point(self, name: str, alias: str, version: str) -> None:
        with _quiet(self._uri):
            self._client.set_registered_model_alias(name, alias, version)

    def unpoint(self, name: str, alias: str) -> None:
        with _quiet(self._uri):
            self._client.delete_registered_model_alias(name, alias)
