"""The environment of a local Airflow's processes. Pure.

Variables that the user has set are kept, Airflow's and headrace's, but for what makes this Airflow local and this home's own. The
invariant: nothing listens but on 127.0.0.1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.airflow.home import Home
from headrace.core.ports import JSON

__all__ = ["DATABASE", "Wanted", "surroundings"]

_REFRESH_S = 5
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_ADMINS = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@dataclass(frozen=True)
class Wanted:
    """What a local Airflow is asked to be. `folder` and `home` are absolute; with `git`, `git_folder` is the one within the repository.

    `database` is an SQLAlchemy URL, or None for SQLite in the home; `lake` and `profile` are headrace's, None for what its settings say.
    `shown` is the lake whose reports the server shows, where `lake` does not say it; `reached` is how, for one in a bucket: the names and
    values of settings, without secrets.
    """

    folder: Path
    home: Path
    git: str | None = None
    branch: str = "main"
    git_folder: str | None = None
    port: int | None = None
    database: str | None = None
    lake: str | None = None
    profile: str | None = None
    shown: str | None = None
    reached: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout_s: float = 300.0


def surroundings(wanted: Wanted, home: Home, *, port: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment: ours by default, over it the user's own, over that what has to be so."""
    return {**_defaults(), **_sqlite(home, environment), **environment, **_own(wanted, home, port, environment)}


def _defaults() -> dict[str, str]:
    """What suits one machine and one person. The user's AIRFLOW__… variables win."""
    return {
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__MIGHT_CONTAIN_DAG_CALLABLE": "headrace.airflow.discovery.calls_airflow_dag",
        "AIRFLOW__CORE__PARALLELISM": str(max(4, os.cpu_count() or 1)),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(6 * _REFRESH_S),  # one that was changed is read at once
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": str(_REFRESH_S),
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",  # at the default of 5 s tasks fail before they start on a busy machine
    }


def _sqlite(home: Home, environment: Mapping[str, str]) -> dict[str, str]:
    """A database in the home, unless the user has named one, in any of Airflow's ways."""
    is_named = any(name in environment for name in (DATABASE, f"{DATABASE}_CMD", f"{DATABASE}_SECRET"))
    return {} if is_named else {DATABASE: home.database}


def _own(wanted: Wanted, home: Home, port: int, environment: Mapping[str, str]) -> dict[str, str]:
    address = f"http://127.0.0.1:{port}"
    own = {
        "AIRFLOW_HOME": str(home.folder),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__AUTH_MANAGER": _ADMINS,
        "AIRFLOW__CORE__DAGS_FOLDER": str(home.shown),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([_bundle(wanted, home)]),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home.bundles),
        "NO_PROXY": _joined(",", "127.0.0.1,localhost", environment.get("NO_PROXY") or environment.get("no_proxy")),
    }
    own["no_proxy"] = own["NO_PROXY"]
    if wanted.git is None:  # Airflow looks for modules in the folder that it was given, which is a link's parent
        own["PYTHONPATH"] = _joined(os.pathsep, str(wanted.folder), environment.get("PYTHONPATH"))
    asked = {DATABASE: wanted.database, "HEADRACE_LAKE": wanted.lake, "HEADRACE_PROFILE": wanted.profile}
    asked["AIRFLOW__HEADRACE__LAKES"] = environment.get("AIRFLOW__HEADRACE__LAKES") or wanted.lake or wanted.shown
    for name, value in wanted.reached.items():
        variable = f"AIRFLOW__HEADRACE__{name.upper()}"
        asked[variable] = environment.get(variable) or value
    return own | {name: value for name, value in asked.items() if value is not None}


def _bundle(wanted: Wanted, home: Home) -> dict[str, JSON]:
    if wanted.git is None:
        kwargs: dict[str, JSON] = {"path": str(home.shown), "refresh_interval": _REFRESH_S}
        return {"name": home.bundle, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": kwargs}
    kwargs = {"repo_url": wanted.git, "tracking_ref": wanted.branch, "refresh_interval": _REFRESH_S}
    if wanted.git_folder:
        kwargs["subdir"] = wanted.git_folder
    return {"name": home.bundle, "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": kwargs}


def _joined(separator: str, own: str, theirs: str | None) -> str:
    return f"{own}{separator}{theirs}" if theirs else own
