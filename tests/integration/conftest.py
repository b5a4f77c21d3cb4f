"""Tests that need an Airflow come first, on one worker, so that one Airflow runs at a time and the other worker has the rest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)  # after the order was shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    theirs = [item for item in items if item.path.parent == HERE and item.path.name.startswith("test_airflow_")]
    for item in theirs:
        item.add_marker(pytest.mark.xdist_group("airflow"))
        if importlib.util.find_spec("airflow") is None:
            item.add_marker(pytest.mark.skip(reason="Airflow is not installed: pip install 'headrace[airflow]'"))
    first = set(theirs)
    items[:] = theirs + [item for item in items if item not in first]
