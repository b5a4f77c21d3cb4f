"""The commit protocol, explored: every interleaving of a few actors that run the lake's own code, and mutants that must be caught."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lake_model import Search, Violation
from lake_mutants import MUTANTS
from lake_scenarios import scenarios


@pytest.mark.parametrize("name", scenarios())
def test_what_always_holds_holds_in_every_interleaving(name: str) -> None:
    assert Search(scenarios()[name]).run().states > 100


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_protocol_without_one_of_its_rules_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenarios()[MUTANTS[mutant]]
    mutant(monkeypatch)
    with pytest.raises(Violation):
        Search(scenario).run()
