"""The examples in the docstrings of the report, the outbox and the trackers hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["report.axes", "report.graph_text", "report.markup", "report.tables", "backends.trackers.mlflow"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(f"headrace.{name}"))
    assert result.attempted
    assert not result.failed
