from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import DBSCAN, KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from headrace.core.errors import DataError, ModelError, StepError
from headrace.core.step import ModelSpec

REGRESSION = ModelSpec(("a", "b"), "y")


def trained(backend, write, made, spec=REGRESSION, *, train=None, test=None, seed=1, is_fitted=False):
    sides = {"train": [write("train", train or write.numbers(80))], "test": [write("test", test or write.numbers(20, seed=9))]}
    return backend.train(made, spec, sides, seed=seed, is_fitted=is_fitted)


def test_a_regressor_is_measured_on_the_test_side(backend, write):
    found = trained(backend, write, LinearRegression())

    assert set(found.metrics) == {"r2", "mae", "rmse"}
    assert found.metrics["r2"] > 0.9
    assert found.model.card["measured_on"] == "20 test rows"


def test_only_the_train_side_is_fitted(backend, write):
    seen = []

    class Recorder(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            seen.append(x["a"].tolist())
            self.fitted_ = True
            return self

        def predict(self, x):
            return np.arange(len(x), dtype=float)

    train = write.numbers(30)
    trained(backend, write, Recorder(), train=train)

    assert seen == [train["a"].tolist()]


def test_the_metrics_are_those_of_scikit_learn_on_the_same_rows(backend, write):
    train, test = pd.DataFrame(write.numbers(80)), pd.DataFrame(write.numbers(20, seed=9))
    bare = RandomForestRegressor(random_state=5).fit(train[["a", "b"]], train["y"])

    found = trained(backend, write, RandomForestRegressor(random_state=5))

    assert found.metrics["r2"] == bare.score(test[["a", "b"]], test["y"])


def test_features_are_given_in_the_order_that_was_declared(backend, write):
    found = trained(backend, write, LinearRegression(), ModelSpec(("b", "a"), "y"))

    assert found.model.estimator.feature_names_in_.tolist() == ["b", "a"]


def test_a_single_text_feature_is_given_as_a_series(backend, write):
    train = {"words": ["good fine", "bad poor"] * 10, "y": ["yes", "no"] * 10}
    found = trained(
        backend, write, make_pipeline(TfidfVectorizer(), LogisticRegression()), ModelSpec("words", "y"), train=train, test=train
    )

    assert found.metrics["accuracy"] == 1
    assert found.model.card["classes"] == ["no", "yes"]


def test_random_states_that_were_left_open_are_seeded_however_deep(backend, write):
    made = make_pipeline(StandardScaler(), RandomForestRegressor(n_estimators=3))

    found = trained(backend, write, made, seed=11)

    assert found.model.estimator.steps[-1][1].random_state == 11
    assert made.steps[-1][1].random_state is None  # what the user made is left as it was


def test_a_random_state_of_the_users_stays(backend, write):
    assert trained(backend, write, RandomForestRegressor(3, random_state=2)).model.estimator.random_state == 2


def test_weights_reach_the_last_step_of_nested_pipelines(backend, write):
    train = {"a": [0.0, 0.0], "y": [0.0, 10.0], "w": [1.0, 3.0]}
    made = make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LinearRegression()))

    found = trained(backend, write, made, ModelSpec(("a",), "y", weight="w"), train=train, test={**train, "y": [1.0, 2.0]})

    assert found.model.estimator.predict(pd.DataFrame({"a": [0.0]}))[0] == pytest.approx(7.5)


def test_weights_for_an_estimator_that_takes_none_are_refused(backend, write):
    train = {**write.numbers(10), "w": [1.0] * 10}
    with pytest.raises(ModelError, match=r"`KNeighborsRegressor` takes no weights, and the model declares weight='w'"):
        trained(backend, write, KNeighborsRegressor(), ModelSpec(("a", "b"), "y", weight="w"), train=train, test=train)


def test_cross_validation_gives_means_and_deviations_over_all_sides(backend, write):
    found = trained(backend, write, LinearRegression(), ModelSpec(("a", "b"), "y", cv=4))

    assert set(found.metrics) == {"r2", "r2_std", "mae", "mae_std", "rmse", "rmse_std"}
    assert found.model.card["measured_on"] == "4-fold cross-validation over 100 rows"


def test_cross_validation_never_has_a_key_in_two_folds(backend, write):
    folds = []

    def keys(model, x, y):
        folds.append(set(x["group"]))
        return 0.0

    rows = {**write.numbers(40), "group": np.arange(40) % 8}
    spec = ModelSpec(("a", "group"), "y", metrics={"keys": keys}, cv=4, key=("group",))
    backend.train(LinearRegression(), spec, {"rows": [write("rows", rows)]}, seed=1, is_fitted=False)

    assert sum(len(fold) for fold in folds) == len(set.union(*folds)) == 8


def test_without_a_split_the_metrics_are_said_to_be_on_fitted_rows(backend, write):
    found = backend.train(LinearRegression(), REGRESSION, {"rows": [write("rows", write.numbers(30))]}, seed=1, is_fitted=False)

    assert found.model.card["measured_on"] == "30 rows it was fitted on"
    assert "measured on the rows it was fitted on" in found.notes[0]


def test_a_model_that_the_function_fitted_is_only_measured(backend, write):
    rows = pd.DataFrame(write.numbers(30, seed=4))
    fitted = Ridge().fit(rows[["a", "b"]], rows["y"])

    assert trained(backend, write, fitted, is_fitted=True).model.estimator is fitted


def test_an_unfitted_model_from_a_function_that_reads_rows_is_refused(backend, write):
    with pytest.raises(ModelError, match="reads its training rows but returned an unfitted `Ridge`"):
        trained(backend, write, Ridge(), is_fitted=True)


@pytest.mark.parametrize(
    ("made", "spec", "said"),
    [
        (None, REGRESSION, "returned nothing, and a scikit-learn estimator"),
        (Ridge, REGRESSION, r"returned the class `Ridge` and not an object of it. Write `Ridge\(\)`"),
        (Ridge(), ModelSpec(("a",)), r"`Ridge` learns a target \(regression\), and the model declares none"),
        (KMeans(2), REGRESSION, "`KMeans` groups rows and learns no target"),
        (KMeans(2), ModelSpec(("a",), cv=3), "cross-validation .* has nothing to compare with"),
        (DBSCAN(), ModelSpec(("a",)), "`DBSCAN` has no `predict`"),
        (IsolationForest(), ModelSpec(("a",)), "neither a regressor, a classifier nor a clusterer"),
        (make_pipeline(FunctionTransformer(lambda x: x), Ridge()), REGRESSION, "is a lambda: a model file holds functions by their name"),
    ],
)
def test_what_is_no_model_is_refused_before_fitting(backend, write, made, spec, said):
    with pytest.raises(ModelError, match=said):
        trained(backend, write, made, spec)


@pytest.mark.parametrize(
    ("made", "change", "said"),
    [
        (LogisticRegression(), {"y": ["x"] * 80}, r"is a single class on the train side: 'x' in all 80 rows"),
        (Ridge(), {"y": [2.5] * 80}, r"is a constant on the train side: 2.5 in all 80 rows"),
        (Ridge(), {"y": [None, 1.0] * 40}, r"The target `y` is null in 40 of 80 rows of the train side. .*`where y is not null`"),
        (Ridge(), {"y": ["a", "b"] * 40}, r"holds texts and a regressor learns numbers"),
        (LogisticRegression(), {}, r"has fractions such as .*, and a classifier learns classes"),
        (
            Ridge(),
            {"a": [None, 1.0] * 40},
            r"refused because of nulls: `a` is null in 40 of 80 rows. `Ridge` takes none here. .*SimpleImputer",
        ),
        (Ridge(), {"a": ["x", "y"] * 40}, r"these features are not numbers: `a` .*OneHotEncoder"),
    ],
)
def test_rows_that_cannot_be_learnt_are_told_by_column_and_count(backend, write, made, change, said):
    with pytest.raises(DataError, match=said):
        trained(backend, write, made, train={**write.numbers(80), **change})


def test_a_side_without_rows_is_refused(backend, write):
    with pytest.raises(DataError, match="The test side has no rows, so there is nothing to measure"):
        trained(backend, write, Ridge(), test={name: values[:0] for name, values in write.numbers(2).items()})


def test_a_missing_column_is_told_with_the_nearest(backend, write):
    with pytest.raises(DataError, match=r"needs `spend`, and the train rows have no such column. Did you mean `spent`\?"):
        trained(backend, write, Ridge(), ModelSpec(("spend",), "y"), train={"spent": [1.0], "y": [1.0]})


@pytest.mark.parametrize(
    ("made", "spec", "rows", "said"),
    [
        (KMeans(5), ModelSpec(("a",)), {"a": [1.0, 2.0]}, "5 clusters need at least 5 rows, and the train side has 2"),
        (Ridge(), ModelSpec(("a",), "y", cv=5), {"a": [1.0, 2.0], "y": [1.0, 2.0]}, "a row for each, and there are 2 rows"),
        (LogisticRegression(), ModelSpec(("a",), "y", cv=3), {"a": [1.0] * 5, "y": [0, 0, 0, 1, 1]}, "the class 1 has 2"),
    ],
)
def test_too_few_rows_are_told(backend, write, made, spec, rows, said):
    with pytest.raises(DataError, match=said):
        backend.train(made, spec, {"rows": [write("rows", rows)]}, seed=1, is_fitted=False)


def test_what_the_estimator_raises_of_its_own_is_its_cause(backend, write):
    class Broken(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            raise RuntimeError("no licence")

        def predict(self, x):
            return x

    with pytest.raises(StepError, match=r"Fitting on 80 rows failed in `Broken`: RuntimeError: no licence") as caught:
        trained(backend, write, Broken())
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_density_model_with_predict_counts_as_clusters(backend, write):
    found = trained(backend, write, GaussianMixture(2), ModelSpec(("a", "b")))

    assert found.metrics["smallest_cluster"] + found.metrics["largest_cluster"] == 20


def test_decimals_and_booleans_with_nulls_become_numbers(backend, write):
    from decimal import Decimal

    rows = {"price": [Decimal("1.50"), Decimal("2.25")] * 10, "flag": [True, False] * 10, "y": [1.0, 2.0] * 10}
    found = trained(backend, write, Ridge(), ModelSpec(("price", "flag"), "y"), train=rows, test=rows)

    assert found.model.card["features"] == [{"name": "price", "type": "DECIMAL(3,2)"}, {"name": "flag", "type": "BOOLEAN"}]


def test_rows_by_side_are_on_the_card(backend, write):
    assert trained(
        backend, write, LinearSVC(), train=write.numbers(80, classes=["n", "y"]), test=write.numbers(20, classes=["n", "y"])
    ).model.card["rows"] == {
        "train": 80,
        "test": 20,
    }


def test_the_fit_times_of_a_search_do_not_reach_the_model(backend, write):
    from sklearn.model_selection import GridSearchCV

    found = trained(backend, write, GridSearchCV(Ridge(), {"alpha": [1, 2]}))

    assert found.model.estimator.refit_time_ == 0
    assert not found.model.estimator.cv_results_["mean_fit_time"].any()


def test_trees_of_a_forest_take_nulls(backend, write):
    train = {**write.numbers(80, classes=["n", "y"]), "a": [None, 1.0] * 40}

    assert trained(backend, write, RandomForestClassifier(3), train=train, test=train).metrics["accuracy"] > 0.5
