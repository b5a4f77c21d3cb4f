"""A small run as a report is told of it, and a reader that checks a page's markup."""

from __future__ import annotations

from html.parser import HTMLParser

from headrace.report import (
    Edge,
    GateLine,
    Likeness,
    ModelSection,
    Node,
    QuarantinedRecord,
    QuarantineSection,
    ReceiptRow,
    ReportData,
    Side,
    SplitSection,
)

PLOTS = {
    "predicted": {"actual": [1.0, 2.0, 3.0], "predicted": [1.1, 2.2, 2.7], "rows": 30},
    "residuals": {"predicted": [1.1, 2.2, 2.7], "residual": [-0.1, -0.2, 0.3], "rows": 30},
    "confusion": {"classes": ["no", "yes"], "counts": [[8, 2], [1, 9]]},
    "roc": {"curves": [{"class": "yes", "fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.9, 1.0], "auc": 0.85}]},
    "sizes": {"clusters": [0, 1], "rows": [12, 8]},
    "projection": {"x": [0.0, 1.0, 2.0], "y": [1.0, 0.0, 2.0], "cluster": [0, 1, 1], "explained": [0.7, 0.2]},
    "importance": {"features": ["spent", "orders"], "mean": [0.3, 0.0], "std": [0.05, 0.0], "metric": "r2", "rows": 30},
}


def a_model(**changes: object) -> ModelSection:
    given: dict[str, object] = {
        "name": "shop.value",
        "interval": "2011-01-10",
        "task": "regression",
        "metrics": {"r2": 0.91, "mae": 12.0},
        "champion": {"r2": 0.88, "mae": 11.0},
        "champion_label": "2011-01-03 v1",
        "verdict": "r2 0.91 >= 0.5",
        "passed": True,
        "decision": "promote",
        "location": "models/shop/value/2011/01/10/model.skops",
        "gates": (GateLine(True, "r2 0.91 >= 0.5"),),
        "features": ("orders", "spent"),
        "target": "worth",
        "rows": {"train": 80, "test": 20},
        "settings": {"trees": 100},
        "plots": PLOTS,
    }
    return ModelSection(**{**given, **changes})  # type: ignore[arg-type]


def a_report(**changes: object) -> ReportData:
    given: dict[str, object] = {
        "pipeline": "shop",
        "doc": "Customers of a gift shop.\n\nAnd more.",
        "intervals": ("2011-01-10",),
        "started_at": "2011-01-11T00:00:00Z",
        "ended_at": "2011-01-11T00:00:03Z",
        "lake": "/home/ana/lake",
        "headrace_version": "0.1.0",
        "seconds": 3.0,
        "nodes": (Node("purchases", "source", "bronze", "made"), Node("spending", "table", "silver", "made"), Node("value", "model", "", "made")),
        "edges": (Edge("purchases", "spending", "30d"), Edge("spending", "value")),
        "receipts": (
            ReceiptRow("purchases", "2011-01-10", "made", 1000, 990, 10, 52_000, 0.12, "nothing was made yet"),
            ReceiptRow("spending", "2011-01-10", "cached"),
        ),
        "quarantine": (
            QuarantineSection(
                "purchases", 1000, 10, {"unit_price: less than 0": 10},
                (QuarantinedRecord("day.csv", 7, ("unit_price",), ("unit_price: less than 0",), "7,-1.5"),),
            ),
        ),
        "splits": (
            SplitSection(
                "spending", "by key customer_id", (Side("train", 80, 0.8), Side("test", 20, 0.2)),
                (Likeness("spent", {"train": 10.0, "test": 10.1}, 2.0),),
            ),
        ),
        "models": (a_model(),),
    }  # fmt: skip
    return ReportData(**{**given, **changes})  # type: ignore[arg-type]


class Page(HTMLParser):
    """A page as its elements and its text; raises where an element is closed that is not open."""

    _VOID = frozenset({"meta", "br", "hr", "link", "col"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"nothing is open, and {tag} is closed"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
