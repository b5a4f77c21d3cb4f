from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from headrace.backends.models.sklearn import persist
from headrace.backends.models.sklearn.model import SklearnModel
from headrace.backends.models.sklearn.trusted import TRUSTED, check_indices
from headrace.core.errors import ModelError, NewerFormatError
from headrace.core.step import ModelSpec

SPEC = ModelSpec(("a", "b"), "y")


def doubled(x):
    return x * 2


def model(backend, write, made, count=60):
    sides = {"rows": [write("rows", write.numbers(count, classes=["n", "y"]))]}
    return backend.train(made, SPEC, sides, seed=1, is_fitted=False).model


def saved(backend, found, folder: Path, **said) -> Path:
    folder.mkdir(exist_ok=True)
    backend.save(found, folder, **{"trust": (), "is_pickle_allowed": False, **said})
    return folder


def loaded(backend, folder: Path, **said):
    return backend.load(folder, **{"trust": (), "is_pickle_allowed": False, **said})


@pytest.mark.parametrize(
    "made",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5),
        GradientBoostingClassifier(n_estimators=5),
        HistGradientBoostingClassifier(max_iter=5),
        KNeighborsClassifier(),
        make_pipeline(FunctionTransformer(np.exp), LogisticRegression()),
    ],
    ids=lambda made: type(made[-1] if hasattr(made, "steps") else made).__name__,
)
def test_a_loaded_model_predicts_as_the_saved_one(backend, write, tmp_path, made):
    found = model(backend, write, made)
    rows = pd.DataFrame(write.numbers(200, seed=8))[["a", "b"]]

    again = loaded(backend, saved(backend, found, tmp_path / "m"))

    assert (again.estimator.predict_proba(rows) == found.estimator.predict_proba(rows)).all()
    assert {**again.card, "file": "", "versions": ""} == {**found.card, "file": "", "versions": ""}


def test_the_card_tells_the_versions_it_was_written_with(backend, write, tmp_path):
    folder = saved(backend, model(backend, write, LogisticRegression()), tmp_path / "m")

    assert set(json.loads((folder / "model.json").read_text())["versions"]) == {"python", "scikit-learn", "numpy", "skops"}


def test_a_type_that_is_not_trusted_is_named_with_how_to_trust_it(backend, write, tmp_path):
    found = model(backend, write, make_pipeline(FunctionTransformer(doubled), LogisticRegression()))
    name = f"{doubled.__module__}.doubled"

    with pytest.raises(ModelError, match=rf'does not trust: "{name}".*trust=\["{name}"\]'):
        saved(backend, found, tmp_path / "m")
    folder = saved(backend, found, tmp_path / "m", trust=(name,))
    with pytest.raises(ModelError, match=name):
        loaded(backend, folder)


def test_the_list_of_trusted_types_is_never_taken_from_the_file(backend, write, tmp_path):
    folder = saved(backend, model(backend, write, LogisticRegression()), tmp_path / "m")
    with ZipFile(folder / "model.skops") as source:
        schema, files = json.loads(source.read("schema.json")), {name: source.read(name) for name in source.namelist()}
    schema["content"]["content"]["C"] = {"__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "__id__": 999}
    schema["trusted"] = ["os.system"]
    with ZipFile(folder / "model.skops", "w") as target:
        for name, data in {**files, "schema.json": json.dumps(schema)}.items():
            target.writestr(name, data)

    with pytest.raises(ModelError, match=r'does not trust: "os\.system"'):
        loaded(backend, folder)


def test_no_trusted_function_reaches_files_or_processes():
    assert not [name for name in TRUSTED if name.split(".")[0] not in ("builtins", "functools", "numpy", "scipy", "sklearn")]


def test_a_pickle_needs_the_users_word_at_both_ends(backend, write, tmp_path):
    found = model(backend, write, make_pipeline(FunctionTransformer(np.vectorize(float)), LogisticRegression()))
    with pytest.raises(ModelError):
        saved(backend, found, tmp_path / "m")

    folder = saved(backend, found, tmp_path / "m", is_pickle_allowed=True)

    assert json.loads((folder / "model.json").read_text())["file"] == "model.pkl"
    with pytest.raises(ModelError, match="is a pickle, which can run any code"):
        loaded(backend, folder)
    assert loaded(backend, folder, is_pickle_allowed=True).estimator.classes_.tolist() == ["n", "y"]


def test_what_skops_can_hold_is_no_pickle_even_when_that_is_allowed(backend, write, tmp_path):
    found = model(backend, write, LogisticRegression())

    assert backend.save(found, tmp_path, trust=(), is_pickle_allowed=True) == ("model.skops", "model.json")


def test_a_forged_tree_is_not_used(backend, write, tmp_path):
    found = model(backend, write, RandomForestClassifier(2))
    folder = saved(backend, found, tmp_path / "m")
    with ZipFile(folder / "model.skops") as source:
        files = {name: source.read(name) for name in source.namelist()}
    for name, data in files.items():
        if b"left_child" in data[:400]:
            array = np.load(io.BytesIO(data)).copy()
            array["left_child"][0] = 10_000_000
            buffer = io.BytesIO()
            np.save(buffer, array)
            files[name] = buffer.getvalue()
    with ZipFile(folder / "model.skops", "w") as target:
        for name, data in files.items():
            target.writestr(name, data)

    with pytest.raises(ModelError, match="holds a `Tree` whose indices point outside it"):
        loaded(backend, folder)


@pytest.mark.parametrize("field", ["left", "right", "feature_idx"])
def test_a_forged_boosted_tree_is_not_used(backend, write, field):
    found = model(backend, write, HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5))
    found.estimator._predictors[0][0].nodes[field][0] = 1_000_000

    with pytest.raises(ModelError, match="holds a `TreePredictor`"):
        check_indices(found.estimator)


def test_a_tree_with_more_features_than_its_model_lets_through_is_not_used(backend, write):
    forest = RandomForestRegressor(2, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 9)), np.arange(50.0))
    forest.n_features_in_ = 1

    with pytest.raises(ModelError, match="holds a `Tree`"):
        check_indices(forest)


def test_a_card_of_a_newer_format_is_refused(tmp_path):
    (tmp_path / "model.json").write_text('{"format": 2}')
    with pytest.raises(NewerFormatError, match="has format 2, and this headrace knows formats up to 1"):
        persist.load(tmp_path, trust=(), is_pickle_allowed=False)


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"There is no model card `model\.json`"):
        persist.load(tmp_path, trust=(), is_pickle_allowed=False)


def test_a_file_of_other_versions_that_cannot_be_read_names_both(backend, write, tmp_path):
    folder = saved(backend, model(backend, write, LogisticRegression()), tmp_path / "m")
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, "versions": {**card["versions"], "scikit-learn": "0.9"}}))
    with ZipFile(folder / "model.skops") as source:
        files = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(files["schema.json"])
    schema["protocol"] = 99
    with ZipFile(folder / "model.skops", "w") as target:
        for name, data in {**files, "schema.json": json.dumps(schema)}.items():
            target.writestr(name, data)

    with pytest.raises(
        ModelError, match=r"It was written with scikit-learn 0\.9 \(here .*\)\. Install these versions, or train the model again"
    ):
        loaded(backend, folder)


def test_saving_twice_gives_the_same_bytes(backend, write, tmp_path):
    digests = set()
    for name in ("one", "two"):
        folder = saved(backend, model(backend, write, RandomForestClassifier(5)), tmp_path / name)
        digests.add(hashlib.sha256((folder / "model.skops").read_bytes() + (folder / "model.json").read_bytes()).hexdigest())

    assert len(digests) == 1


TRAIN = """
import hashlib, sys
from pathlib import Path
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from headrace.backends.models.sklearn import open as flavour
from headrace.core.step import ModelSpec

folder = Path(sys.argv[1])
backend = flavour()
words = make_pipeline(TfidfVectorizer(stop_words=["the", "a", "of"]), LogisticRegression())
for made, spec in ((RandomForestClassifier(5), ModelSpec(("a", "b"), "y")), (HistGradientBoostingClassifier(max_iter=5), ModelSpec(("a", "b"), "y")), (words, ModelSpec("w", "y"))):
    found = backend.train(made, spec, {"rows": [folder / "rows.parquet"]}, seed=1, is_fitted=False)
    backend.save(found.model, folder, trust=(), is_pickle_allowed=False)
    print(hashlib.sha256((folder / "model.skops").read_bytes()).hexdigest())
"""


@pytest.mark.integration
def test_two_processes_write_the_same_bytes(write, tmp_path):
    write("rows", {**write.numbers(60, classes=["n", "y"]), "w": ["the cat", "a dog of"] * 30})

    printed = {
        subprocess.run(
            [sys.executable, "-c", TRAIN, str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1


def test_ids_of_stop_words_do_not_reach_the_file(tmp_path):
    texts = ["the cat", "a dog"] * 5
    files = []
    for name in ("one", "two"):
        estimator = make_pipeline(TfidfVectorizer(stop_words=["".join(letters) for letters in ("the", "a")]), Ridge()).fit(texts, range(10))
        (tmp_path / name).mkdir()
        persist.save(SklearnModel(estimator, {"format": 1, "versions": {}}), tmp_path / name, trust=(), is_pickle_allowed=False)
        files.append((tmp_path / name / "model.skops").read_bytes())

    assert files[0] == files[1]
