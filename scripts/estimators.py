"""Writes the list of scikit-learn's estimators that `headrace.backends.models.sklearn.estimators` holds."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sklearn.utils import all_estimators

TARGET = Path(__file__).resolve().parents[1] / "src/headrace/backends/models/sklearn/estimators.py"


def main() -> None:
    """Keep all above the table, and write the table anew."""
    by_module: dict[str, list[str]] = defaultdict(list)
    for _, estimator in all_estimators():
        by_module[estimator.__module__.removeprefix("sklearn.")].append(estimator.__name__)
    head = TARGET.read_text(encoding="utf-8").partition("ESTIMATORS: Mapping")[0]
    lines = [f'    "{module}": "{" ".join(sorted(names))}",' for module, names in sorted(by_module.items())]
    TARGET.write_text(head + "ESTIMATORS: Mapping[str, str] = {\n" + "\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
