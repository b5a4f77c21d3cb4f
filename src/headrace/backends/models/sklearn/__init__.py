"""scikit-learn as a modelling library: the flavour `sklearn`.

Here is only the front that the port asks for; each verb has a file of its own (`train`, `metrics`, `plots`, `clusters`, `predict`,
`persist`). The invariant: what was fitted is what is measured, saved and used; no verb fits or changes a model after `train`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.backends.models.sklearn import clusters, persist, predict, train
from headrace.backends.models.sklearn.model import own

if TYPE_CHECKING:
    from headrace.core.ports import JSON, FittedModel, Trained, Written
    from headrace.core.step import ModelSpec

__all__ = ["SklearnBackend", "open"]


class SklearnBackend:
    """Trains, measures, stores and uses scikit-learn estimators and whole Pipelines. Stateless; the docstrings are the port's."""

    name = "sklearn"

    def train(self, made: object, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int, is_fitted: bool) -> Trained:
        return train.train(made, spec, sides, seed=seed, is_fitted=is_fitted)

    def measure(self, model: FittedModel, spec: ModelSpec, files: Sequence[Path], *, seed: int) -> Mapping[str, float]:
        return train.measure(own(model), spec, files, seed=seed)

    def plots(self, model: FittedModel, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int) -> Mapping[str, JSON]:
        from headrace.backends.models.sklearn import plots  # only the report asks for it

        return plots.plots(own(model), spec, sides, seed=seed)

    def save(self, model: FittedModel, folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> tuple[str, ...]:
        return persist.save(own(model), folder, trust=trust, is_pickle_allowed=is_pickle_allowed)

    def load(self, folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> FittedModel:
        return persist.load(folder, trust=trust, is_pickle_allowed=is_pickle_allowed)

    def predict(
        self,
        model: FittedModel,
        files: Sequence[Path],
        *,
        target: Path,
        columns: Sequence[str],
        version: str,
        relabel: Mapping[str, JSON] | None = None,
    ) -> Written:
        return predict.predict(own(model), files, target=target, columns=columns, version=version, relabel=relabel)

    def match_clusters(
        self, champion: FittedModel, challenger: FittedModel, files: Sequence[Path], *, relabel: Mapping[str, JSON] | None
    ) -> Mapping[str, JSON]:
        return clusters.match(own(champion), own(challenger), files, relabel=relabel)


def open() -> SklearnBackend:  # noqa: A001  # every flavour is opened by this name
    """The backend; it holds nothing, so one serves all steps."""
    return SklearnBackend()
