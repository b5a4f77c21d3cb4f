"""What a person looks at: the HTML report of a run, and the graph as a picture or as text. Plain values in, text out."""

from headrace.report.data import (
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
from headrace.report.graph_svg import graph_svg
from headrace.report.graph_text import graph_text
from headrace.report.page import render_report

__all__ = [
    "Edge",
    "GateLine",
    "Likeness",
    "ModelSection",
    "Node",
    "QuarantineSection",
    "QuarantinedRecord",
    "ReceiptRow",
    "ReportData",
    "Side",
    "SplitSection",
    "graph_svg",
    "graph_text",
    "render_report",
]
