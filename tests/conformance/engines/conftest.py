"""The engines that the suite runs on: each has a maker here, and inherits every test."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from headrace.core.ports import Engine

FLAVOURS = ("duckdb",)


@pytest.fixture(scope="session", params=FLAVOURS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    module = importlib.import_module(f"headrace.backends.engines.{request.param}")
    temp: Path = tmp_path_factory.mktemp("spill")
    return module.open(memory="1GB", threads=2, temp=temp)
