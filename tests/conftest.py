"""What every test shares: how hard hypothesis tries, and where the real data sets are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parents[1]

_slow_machine = [HealthCheck.too_slow, HealthCheck.data_too_large]
_is_ci = bool(os.environ.get("CI"))  # the same examples each time there: what was merged stays green; a developer's runs go on looking
settings.register_profile("default", max_examples=25, deadline=None, suppress_health_check=_slow_machine, derandomize=_is_ci)
settings.register_profile("ci", max_examples=100, deadline=None, suppress_health_check=_slow_machine, derandomize=_is_ci, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`, all tests on a real Airflow are one worker's, so that one Airflow runs at a time; other files go anywhere.

    (xdist's own groups are in the ids of tests, where pytest 9.2 does not let them be.)
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "airflow" if "/integration/test_airflow_" in file else file

    return Grouped(config, log)


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the source tree."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the project; tests that need it are skipped where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data sets are not in {folder}")
    return folder
