"""The report: what its first screen says, that it is safe to open, and that it stays small."""

from __future__ import annotations

import itertools
import re
from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import PLOTS, Page, a_model, a_report

from headrace.report import (
    Edge,
    Likeness,
    Node,
    QuarantinedRecord,
    QuarantineSection,
    ReceiptRow,
    ReportData,
    SplitSection,
    render_report,
)
from headrace.report.page import MAX_BYTES

HOSTILE = "</style></svg><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & \x00\x1b[2J\u202e"


def poisoned(value: object) -> object:
    """The same value with every text in it replaced by a hostile one."""
    if isinstance(value, str):
        return HOSTILE
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: poisoned(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, tuple | list):
        return type(value)(poisoned(item) for item in value)
    if isinstance(value, dict):
        return {key if key in KEPT else HOSTILE: poisoned(item) for key, item in value.items()}
    return value


KEPT = frozenset({*PLOTS, *(key for plot in PLOTS.values() for key in plot), "class", "fpr", "tpr", "auc", "train", "test"})


def test_the_first_screen_says_what_was_promoted_and_how_it_stands_to_the_champion():
    text = Page(render_report(a_report())).text
    assert "shop.value is the new champion" in text
    assert "▲ 0.03 better" in text
    assert "▲ 1 worse" in text  # mae went up


@pytest.mark.parametrize(
    ("decision", "words"), [("reject", "shop.value was not promoted"), ("hold", "the champion is held"), ("", "shop.value was trained")]
)
def test_a_model_that_was_not_promoted_is_said_so(decision, words):
    assert words in Page(render_report(a_report(models=(a_model(decision=decision, passed=False),)))).text


def test_a_failed_step_comes_before_everything_else():
    failed = ReceiptRow("spending", "2011-01-10", "failed", error="step `spending` has no column `spent`.\nDid you mean `spend`?")
    text = Page(render_report(a_report(receipts=(failed, ReceiptRow("value", "2011-01-10", "blocked"))))).text
    assert text.index("spending failed") < text.index("is the new champion")
    assert "Did you mean `spend`?" in text
    assert "1 step after it did not run" in text


def test_what_is_zero_is_not_counted_on_the_first_screen():
    text = Page(render_report(a_report())).text
    assert "0 failed" not in text
    assert "0 skipped" not in text


def test_a_run_that_had_nothing_to_do_says_so():
    data = a_report(models=(), receipts=(ReceiptRow("spending", "2011-01-10", "cached"),))
    assert "Nothing to do: all outputs were up to date" in Page(render_report(data)).text


def test_a_run_without_anything_is_a_page_too():
    page = Page(render_report(ReportData("shop", "", (), "", "", "", "")))
    assert "Nothing was run" in page.text


def test_nothing_that_a_user_wrote_becomes_markup():
    page = render_report(poisoned(a_report()))
    names = {name for name, _ in Page(page).elements}
    assert not names & {"script", "img", "iframe", "object", "embed", "link", "form", "a"}
    assert page.count("</style>") == 3  # the page's own and the two pictures'
    assert "\x00" not in page
    assert "\u202e" not in page


def test_no_attribute_is_an_event_or_a_link():
    page = Page(render_report(poisoned(a_report())))
    attributes = {name for _, given in page.elements for name in given}
    assert not {name for name in attributes if name.startswith("on") or name in ("href", "src", "action", "data")}


def test_the_page_asks_the_network_for_nothing():
    page = render_report(a_report())
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a format
    assert "@import" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page.replace("&#x27;", "'")


def test_the_same_run_gives_the_same_bytes():
    assert render_report(a_report()) == render_report(a_report())


def test_headings_do_not_skip_a_level():
    levels = [int(name[1]) for name, _ in Page(render_report(a_report())).elements if re.fullmatch(r"h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_table_cell_that_names_others_has_a_scope_and_every_picture_a_title():
    page = Page(render_report(a_report()))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    pictures = [attributes for attributes in page.all("svg") if attributes.get("aria-hidden") != "true"]
    assert pictures
    assert all(attributes.get("role") == "img" for attributes in pictures)
    assert len(page.all("title")) >= len(pictures)


def test_masked_columns_keep_raw_text_and_reasons_out():
    record = QuarantinedRecord("people.csv", 3, ("email",), ("email: 'ana@secret' is no address",), "3,ana@secret,Lisbon")
    source = QuarantineSection("people", 10, 1, {"email: no address": 1}, (record,), masked=("email",))
    page = render_report(a_report(quarantine=(source,)))
    assert "ana@secret" not in page
    assert "Masked columns: email" in Page(page).text


def test_a_quarantine_that_is_empty_is_one_sentence():
    page = Page(render_report(a_report(quarantine=(), receipts=(ReceiptRow("purchases", "x", "made", 1234, 1234),))))
    assert "No record was kept aside: each of the 1,234 that were read met its contract." in page.text


def test_the_unlikeliest_columns_come_first_and_are_marked():
    lines = (Likeness("alike_one", {"train": 1.0, "test": 1.0}, 1.0), Likeness("unlike_one", {"train": 0.0, "test": 3.0}, 1.0))
    split = replace(a_report().splits[0], likeness=lines)
    text = Page(render_report(a_report(splits=(split,)))).text
    assert text.index("unlike_one") < text.index("alike_one")
    assert text.count("more than chance") == 1


def test_what_is_left_out_is_counted():
    receipts = (*tuple(ReceiptRow("purchases", str(day), "cached") for day in range(5000)), ReceiptRow("late", "x", "failed", error="boom"))
    text = Page(render_report(a_report(receipts=receipts))).text
    assert "400 of 5,001 receipts" in text
    assert "late" in text
    assert "boom" in text


def test_a_vast_run_gives_a_page_under_a_megabyte():
    long = "'" * 4000  # six bytes each in HTML
    many = 400
    model = a_model(
        name=long,
        verdict=long,
        location=long,
        features=(long,) * many,
        metrics={f"{long}{index}": float(index) for index in range(many)},
        settings={f"{index}{long}": long for index in range(many)},
        notes=(long,) * many,
        plots={
            "predicted": {"actual": [float(i) for i in range(20_000)], "predicted": [float(i) for i in range(20_000)]},
            "confusion": {"counts": [[1] * 60] * 60, "classes": [long] * 60},
            "roc": {"curves": [{"class": long, "fpr": [i / 5000 for i in range(5000)], "tpr": [i / 5000 for i in range(5000)]}] * 60},
            "sizes": {"clusters": list(range(500)), "rows": [3] * 500},
            "projection": {"x": [float(i) for i in range(20_000)], "y": [1.0] * 20_000, "cluster": [i % 40 for i in range(20_000)]},
            "importance": {"features": [long] * many, "mean": [1.0] * many, "std": [0.1] * many},
        },
    )
    record = QuarantinedRecord(long, 1, (long,) * 9, (long,) * 9, long)
    data = a_report(
        pipeline=long,
        doc=long,
        lake=long,
        nodes=tuple(Node(f"{index}{long}", long, long) for index in range(80)),
        edges=tuple(Edge(f"{index}{long}", f"{index + 1}{long}", long) for index in range(79)),
        receipts=(ReceiptRow(long, long, "failed", 1, 1, 1, 1, 1.0, long, long),) * many,
        quarantine=(QuarantineSection(long, 9, 9, {f"{index}{long}": 1 for index in range(many)}, (record,) * many),) * 60,
        splits=(SplitSection(long, long, a_report().splits[0].sides, (Likeness(long, {"train": 1.0}, 1.0),) * many),) * 60,
        models=(model,) * 40,
        notes=(long,) * many,
    )
    page = render_report(data)
    assert len(page.encode()) < MAX_BYTES
    Page(page)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(KEPT)), inner, max_size=4),
    max_leaves=20,
)
numbers = st.lists(st.floats() | st.integers(-(10**30), 10**30), max_size=12)
curve = st.fixed_dictionaries({"class": st.text(max_size=5), "fpr": numbers, "tpr": numbers}, optional={"auc": st.floats()})
plots = st.fixed_dictionaries(
    {},
    optional={
        "predicted": json | st.fixed_dictionaries({"actual": numbers, "predicted": numbers}, optional={"rows": st.integers()}),
        "residuals": json | st.fixed_dictionaries({"predicted": numbers, "residual": numbers}),
        "confusion": json | st.fixed_dictionaries({"classes": json, "counts": st.lists(numbers, max_size=4)}),
        "roc": json | st.fixed_dictionaries({"curves": st.lists(curve, max_size=3)}),
        "sizes": json | st.fixed_dictionaries({"clusters": json, "rows": numbers}),
        "projection": json | st.fixed_dictionaries({"x": numbers, "y": numbers, "cluster": numbers}, optional={"explained": numbers}),
        "importance": json | st.fixed_dictionaries({"features": st.lists(st.text(max_size=5)), "mean": numbers, "std": numbers}),
    },
)


@given(
    plots,
    st.dictionaries(st.text(max_size=12), st.floats(), max_size=6),
    st.none() | st.dictionaries(st.text(max_size=12), st.floats(), max_size=6),
)
def test_any_plots_and_metrics_give_a_whole_page(given_plots, metrics, champion):
    page = render_report(a_report(models=(a_model(plots=given_plots, metrics=metrics, champion=champion),)))
    Page(page)
    assert '="nan' not in page
    assert '="inf' not in page


def test_every_plot_that_a_backend_gives_is_drawn():
    text = Page(render_report(a_report())).text
    for caption in (
        "Predicted against actual",
        "Residuals",
        "Confusion matrix",
        "ROC curve",
        "Cluster sizes",
        "Projection",
        "Permutation importance",
    ):
        assert caption in text
    assert "3 of 30 rows, drawn by lot" in text
    assert "first component (70 % of the variance)" in text
    assert "1 other features make no difference" in text


def test_a_plot_that_was_skipped_is_left_out():
    page = Page(render_report(a_report(models=(a_model(plots={"roc": {"skipped": "no probabilities"}, "importance": None}),))))
    assert "ROC" not in page.text


def test_several_classes_have_a_curve_each_and_a_legend():
    curves = [{"class": name, "fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "auc": 0.5} for name in ("red", "green", "blue")]
    page = Page(render_report(a_report(models=(a_model(plots={"roc": {"curves": curves}}),))))
    assert "green: AUC 0.500" in page.text
    assert len([path for path in page.all("path") if (path.get("class") or "").startswith("curve")]) == 3


@given(st.text(max_size=60))
def test_any_text_gives_a_whole_page(words):
    record = QuarantinedRecord(words, 1, (words,), (words,), words)
    quarantine = QuarantineSection(words, 5, 1, {words: 1}, (record,))
    page = render_report(a_report(pipeline=words, doc=words, quarantine=(quarantine,), nodes=(Node(words, words, words, words),), edges=()))
    Page(page)
    page.encode()
