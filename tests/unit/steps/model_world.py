"""A real lake in memory, and a backend whose models are one number each: the metric it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace.backends.stores.memory import MemoryStore
from headrace.core.errors import Where
from headrace.core.gate import at_least
from headrace.core.interval import Grid, Interval
from headrace.core.manifest import Content
from headrace.core.step import ModelSpec, TrainedModel
from headrace.lake.chain import Chain
from headrace.lake.lake import Lake
from headrace.steps.champions import champion_as_of
from headrace.steps.registry import Challenge, promote

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Number:
    value: float
    card: Mapping[str, object]
    estimator: object = None


class Backend:
    """A model of value v measures v on any rows, less what the rows say."""

    def measure(self, model, spec, files, *, seed):
        return {"r2": model.value - sum(float(path.name) for path in files)}

    def load(self, folder, *, trust, is_pickle_allowed):
        read = json.loads((folder / "model.json").read_text())
        return Number(read["value"], {"task": read.get("task", "regression")})

    def match_clusters(self, champion, challenger, files, *, relabel):
        return {"0": len(files), "1": 0}


def day(number: int) -> Interval:
    return Interval.of(f"2026-11-{number:02d}", f"2026-11-{number + 1:02d}")


class World:
    def __init__(self) -> None:
        self.lake = Lake.open(MemoryStore(), clock=lambda: NOW)
        self.step = TrainedModel(
            "price", Where("p.py", 1), Grid.parse("@daily"), lambda: None, "rows", ModelSpec(("a",), "y"), (), gates=(at_least("r2", 0.5),)
        )
        self.backend = Backend()

    def train(self, number: int, value: float, **about: object):
        """Commit a model of a day whose metric is `value`."""
        log = self.lake.log("shop", "price")
        attempt = log.attempt(day(number))
        told = {"task": "regression", "features": ["a"], "target": "y", "split": None} | about
        attempt.file("model", layer="models", name="model.json").write_text(
            json.dumps({"value": value, "day": number, "task": told["task"]})
        )
        part = attempt.part("model", "models")
        content = Content("data", "model", (part,), {}, f"{number}{value}", metrics={"r2": value}, details={"about": told, "seed": 1})
        return attempt.commit(content)

    def judge(self, number: int, value: float, *, test: float = 0.0, **about: object):
        """Train and judge; `test` is what the rows take off a champion's metric."""
        return promote(
            self.lake,
            Challenge(self.step, self.train(number, value, **about), {"train": [Path("0")], "test": [Path(str(test))]}),
            self.backend,
            who="run",
        )

    @property
    def chain(self) -> Chain:
        return self.lake.chain("shop", "price")

    def serving(self):
        champion = self.chain.champion()
        return champion.model if champion else None

    def as_of(self, number: int):
        found = champion_as_of(reversed(self.chain.entries()), day(number).end)
        return found.model if found else None
