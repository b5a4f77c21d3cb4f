"""What a running Airflow says over its REST API, for `headrace airflow up`. Airflow is not imported here.

The invariant: only the loopback address is asked, never through a proxy, and nothing is changed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["COMPONENTS", "Rest"]

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
_TIMEOUT_S = 30.0
_PAGE = 100


@dataclass
class Rest:
    """An Airflow at an address that lets everyone in, as the simple auth manager does where all are admins."""

    address: str
    token: str = field(default="", repr=False)

    def unhealthy(self, *, since: datetime) -> list[str]:
        """The components that do not work, or have given no sign since a time; `api` when there is no answer at all."""
        try:
            told = self._get("/api/v2/monitor/health")
        except (OSError, ValueError):
            return ["api"]
        return [name for name in COMPONENTS if not _is_well(name, told.get(name) or {}, since)]

    def dags(self) -> list[Mapping[str, Any]]:
        """All DAGs that the files of now have."""
        return [dag for dag in self._all("/api/v2/dags", "dags") if not dag.get("is_stale")]

    def import_errors(self) -> list[Mapping[str, Any]]:
        """The files that can't be read, each with `filename` and `stack_trace`."""
        return self._all("/api/v2/importErrors", "import_errors")

    def _all(self, path: str, key: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            page = self._get(f"{path}?limit={_PAGE}&offset={len(found)}", is_signed=True)
            found += page[key]
            if not page[key] or len(found) >= int(page["total_entries"]):
                return found

    def _get(self, path: str, *, is_signed: bool = False) -> Mapping[str, Any]:
        if is_signed and not self.token:
            self.token = str(self._get("/auth/token")["access_token"])
        headers = {"Authorization": f"Bearer {self.token}"} if is_signed else {}
        request = urllib.request.Request(self.address + path, headers=headers)  # noqa: S310  # always http, on loopback
        with _NO_PROXY.open(request, timeout=_TIMEOUT_S) as answer:
            told = json.loads(answer.read())
        assert isinstance(told, dict)
        return told


_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _is_well(name: str, told: Mapping[str, Any], since: datetime) -> bool:
    if told.get("status") != "healthy":
        return False
    beat = told.get(f"latest_{name}_heartbeat")
    return name == "metadatabase" or (beat is not None and datetime.fromisoformat(str(beat)) >= since)
