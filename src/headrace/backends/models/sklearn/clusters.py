"""Clusters keep their numbers: a new model's clusters are matched to the champion's by the rows that they share.

The invariant: a mapping is one to one, and a cluster that shares no row with a champion's gets a number that none of those has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.optimize import linear_sum_assignment

from headrace.backends.models.sklearn import rows
from headrace.backends.models.sklearn.model import SklearnModel, last_step
from headrace.backends.models.sklearn.predict import check_features, predicted, shown
from headrace.core.ports import JSON

__all__ = ["assign", "match"]


def match(
    champion: SklearnModel, challenger: SklearnModel, files: Sequence[Path], *, relabel: Mapping[str, JSON] | None
) -> dict[str, JSON]:
    """The number to show for each of the challenger's clusters; see the port."""
    check_features(champion, files)
    check_features(challenger, files)
    shared: dict[tuple[int, int], int] = {}
    for batch in rows.batches(files, [feature.name for feature in {*champion.features, *challenger.features}]):
        table = pa.Table.from_batches([batch])
        theirs, ours = shown(predicted(champion, table)[0], relabel), predicted(challenger, table)[0]
        pairs, counts = np.unique(np.stack([ours, theirs]), axis=1, return_counts=True)
        for mine, other, rows_shared in zip(*pairs.tolist(), counts.tolist(), strict=True):
            shared[mine, other] = shared.get((mine, other), 0) + rows_shared
    taken = set(shown(np.arange(_clusters(champion)), relabel).tolist())
    return dict(assign(shared, range(_clusters(challenger)), taken))


def assign(shared: Mapping[tuple[int, int], int], clusters: Sequence[int], taken: set[int]) -> dict[str, int]:
    """The one-to-one mapping that keeps the most rows under their number; `shared` counts rows by (new cluster, old number).

    The Hungarian method (Kuhn, 1955), as scipy has it.
    """
    mine = sorted({*clusters, *(new for new, _ in shared)})
    theirs = sorted({*taken, *(old for _, old in shared)})
    table = np.array([[shared.get((new, old), 0) for old in theirs] for new in mine]).reshape(len(mine), len(theirs))
    places = zip(*(side.tolist() for side in linear_sum_assignment(table, maximize=True)), strict=True)
    found = {mine[row]: theirs[column] for row, column in places if table[row, column]}
    free = (number for number in count() if number not in theirs)
    return {str(new): found[new] if new in found else next(free) for new in mine}


def _clusters(model: SklearnModel) -> int:
    last: Any = last_step(model.estimator)
    centres = getattr(last, "cluster_centers_", None)
    return len(centres) if centres is not None else int(last.n_components)
