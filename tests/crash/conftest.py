"""Crash tests lose what was not synced by calculation, so the real disk need not be waited for."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _syncing_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
