"""What a model file may hold: headrace's own list of types, beside what skops itself trusts, and a check of tree indices.

Found by fitting and storing every estimator of scikit-learn 1.9 and the Pipelines that people write. The list is code, never taken
from a model file. The invariant: nothing on it can run code of the file's choosing when it is loaded, and what scikit-learn indexes
by without looking (trees) is looked at here before a model is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from headrace.core.errors import ModelError

__all__ = ["TRUSTED", "check_indices"]

_DISTANCES = (
    *("Euclidean", "SEuclidean", "Manhattan", "Chebyshev", "Minkowski", "Mahalanobis", "Hamming", "Canberra", "BrayCurtis", "Jaccard"),
    *("Haversine", "Dice", "RogersTanimoto", "RussellRao", "SokalMichener", "SokalSneath"),
)
_KERNELS = (
    "CompoundKernel",
    "ConstantKernel",
    "DotProduct",
    "Exponentiation",
    "ExpSineSquared",
    "Matern",
    "Product",
    "RationalQuadratic",
    "RBF",
    "Sum",
    "WhiteKernel",
)

_BY_REASON: Mapping[str, tuple[str, ...]] = {
    "trees: arrays of nodes, whose indices check_indices verifies": (
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._ball_tree.BallTree",
    ),
    "values: hold numbers, or other objects that are audited by themselves": (
        *(f"sklearn.metrics._dist_metrics.{name}Distance{bits}" for name in _DISTANCES for bits in (32, 64)),
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        "builtins.object",
        "functools.partial",
        "numpy.dtype",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csc.csc_matrix",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        *(
            f"sklearn.model_selection._split.{name}"
            for name in ("GroupKFold", "KFold", "ShuffleSplit", "StratifiedKFold", "TimeSeriesSplit")
        ),
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    ),
    "functions: compute on arrays, touch no file, call nothing they are given": (
        *(f"numpy.{name}" for name in ("clip", "max", "mean", "median", "min", "nan_to_num", "round", "sum")),
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        *(f"sklearn.feature_selection._univariate_selection.{name}" for name in ("chi2", "f_classif", "f_regression", "r_regression")),
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        *(
            f"sklearn.metrics._classification.{name}"
            for name in ("accuracy_score", "balanced_accuracy_score", "f1_score", "log_loss", "precision_score", "recall_score")
        ),
        "sklearn.metrics._ranking.average_precision_score",
        "sklearn.metrics._ranking.roc_auc_score",
        *(
            f"sklearn.metrics._regression.{name}"
            for name in (
                "max_error",
                "mean_absolute_error",
                "mean_squared_error",
                "median_absolute_error",
                "r2_score",
                "root_mean_squared_error",
            )
        ),
        "sklearn.utils.validation.check_array",
    ),
}

TRUSTED: tuple[str, ...] = tuple(name for names in _BY_REASON.values() for name in names)


def check_indices(estimator: object) -> None:
    """Verify the indices of every tree inside a loaded model. A forged one would make scikit-learn read outside its arrays.

    See https://github.com/scikit-learn/scikit-learn/pull/34558. Raises ModelError.
    """
    for found, features in _trees(estimator, None, set()):
        name = type(found).__name__
        if not _CHECKS[name](found, features):
            raise ModelError(
                f"The model file holds a `{name}` whose indices point outside it, so the file was damaged or forged. It is not used; train the model again."
            )


def _trees(found: Any, features: int | None, seen: set[int]) -> Iterator[tuple[Any, int | None]]:
    """All trees below an object, each with the number of features that its estimator lets through."""
    if id(found) in seen or isinstance(found, (str, bytes, int, float, type, type(None))):
        return
    seen.add(id(found))
    if type(found).__name__ in _CHECKS and type(found).__module__.startswith("sklearn."):
        yield found, features
    elif isinstance(found, (list, tuple, set)) or (isinstance(found, np.ndarray) and found.dtype == object):
        for item in found.tolist() if isinstance(found, np.ndarray) else found:
            yield from _trees(item, features, seen)
    elif isinstance(found, dict):
        for item in found.values():
            yield from _trees(item, features, seen)
    elif hasattr(found, "__dict__"):
        own = [count for count in (getattr(found, "n_features_in_", None), features) if count is not None]
        for name, item in vars(found).items():
            passed_on = (
                min(own) if own and name in ("estimators_", "tree_", "_predictors") and not hasattr(found, "estimators_features_") else None
            )
            yield from _trees(item, passed_on, seen)


def _is_sound_tree(tree: Any, features: int | None) -> bool:
    left, right, split_by = tree.children_left, tree.children_right, tree.feature
    is_leaf = left == -1
    return _is_sound(left, right, split_by, is_leaf, tree.n_features if features is None else min(features, tree.n_features))


def _is_sound_predictor(predictor: Any, features: int | None) -> bool:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"] != 0
    by_category = ~is_leaf & (nodes["is_categorical"] != 0)
    has_bitsets = (nodes["bitset_idx"][by_category] < len(predictor.raw_left_cat_bitsets)).all()
    most = features if features is not None else int(nodes["feature_idx"].max(initial=0)) + 1
    return bool(has_bitsets) and _is_sound(nodes["left"], nodes["right"], nodes["feature_idx"], is_leaf, most)


def _is_sound(left: Any, right: Any, split_by: Any, is_leaf: Any, features: int) -> bool:
    """Each inner node's children come after it (so no walk goes round) and lie inside; its feature exists."""
    numbers = np.arange(len(left))
    inner = ~is_leaf
    children = (left[inner], right[inner])
    inside = all(((child > numbers[inner]) & (child < len(left))).all() for child in children)
    return len(left) > 0 and bool(inside) and bool(((split_by[inner] >= 0) & (split_by[inner] < features)).all())


def _is_sound_search_tree(tree: Any, _: int | None) -> bool:
    data, order, nodes = (np.asarray(array) for array in tree.get_arrays()[:3])
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    spans = ((starts >= 0) & (starts <= ends) & (ends <= len(data))).all()
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    return bool(spans) and bool(((order >= 0) & (order < len(data))).all()) and bool((2 * inner + 2 < len(nodes)).all())


_CHECKS = {"Tree": _is_sound_tree, "TreePredictor": _is_sound_predictor, "KDTree": _is_sound_search_tree, "BallTree": _is_sound_search_tree}
