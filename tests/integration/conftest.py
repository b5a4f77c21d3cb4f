"""Tests that need an Airflow are skipped where there is none."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("airflow") is not None:
        return
    for item in items:
        if item.path.parent == HERE and item.path.name.startswith("test_airflow_"):
            item.add_marker(pytest.mark.skip(reason="Airflow is not installed: pip install 'headrace[airflow]'"))
