"""Is a tumour benign? From the measurements of 569 tumours that come with scikit-learn to a checked, published model.

Run it: headrace run examples/tumours.py
"""

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

import headrace as hr

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

tumours = hr.Pipeline("tumours")

MEASURES = "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension".split()
COLUMNS = [f"{kind}_{measure}" for kind in ("mean", "error", "worst") for measure in MEASURES] + ["benign"]
FEATURES = ["mean_radius", "mean_texture", "mean_concave_points", "worst_radius", "worst_texture", "worst_area", "worst_concave_points"]


class Tumour(BaseModel):
    mean_radius: float = Field(gt=0)
    mean_texture: float = Field(gt=0)
    mean_concave_points: float = Field(ge=0)
    worst_radius: float = Field(gt=0)
    worst_texture: float = Field(gt=0)
    worst_area: float = Field(gt=0)
    worst_concave_points: float = Field(ge=0)
    benign: bool


# The file has a line about itself in place of a header, so the columns are named here.
measurements = hr.csv("package://sklearn.datasets/data/breast_cancer.csv", names=COLUMNS, skip=1)
tumours.source("measured", measurements, contract=Tumour)


@tumours.table(key="tumour", split=hr.by_key(test=0.25))
def cells(measured: hr.Frame) -> str:
    """One row a tumour; it has no number in the file, so its measurements name it."""
    return f"select md5(concat_ws(' ', mean_radius, mean_texture, worst_area, worst_texture)) as tumour, * from {measured}"


@tumours.model(
    cells,
    features=FEATURES,
    target="benign",
    gate=[hr.at_least("roc_auc", 0.95), hr.no_worse("f1", tolerance=0.01)],
)
def forest(trees: int = 100, deepest: int = 8) -> "RandomForestClassifier":
    """A random forest; its size and depth can be set: headrace run … --set forest.trees=300"""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_depth=deepest)


diagnoses = tumours.predict(forest, cells, name="diagnoses", columns=["benign"])

dag = hr.airflow_dag(tumours)  # nothing, unless Airflow is reading the file
