"""The report of a run as one HTML text: no script, no network, under a megabyte, readable on paper and on a phone.

Its first screen says what came out: the verdict, the key metrics beside the champion's, what was made, cached, kept aside. The
invariant: `render_report` always returns a page under `MAX_BYTES`; where the data is too much, it draws less of it and says so.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from headrace.report.data import ReportData
from headrace.report.markup import Markup, clip, join, raw, tag
from headrace.report.model_section import model_section, verdict_card
from headrace.report.plots import Bounds
from headrace.report.sections import graph_section, quarantine_section, read_and_quarantined, receipts_section, splits_section
from headrace.report.tables import capped, duration, percent, size

__all__ = ["MAX_BYTES", "render_report"]

MAX_BYTES = 1_000_000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class _Detail:
    """How much of everything is shown."""

    plots: Bounds
    models: int
    receipts: int
    samples: int
    reasons: int
    columns: int
    sources: int
    splits: int
    nodes: int
    notes: int


_DETAILS = (
    _Detail(Bounds(), models=12, receipts=400, samples=20, reasons=20, columns=60, sources=30, splits=20, nodes=80, notes=40),
    _Detail(
        Bounds(points=300, bars=12, classes=8),
        models=6,
        receipts=150,
        samples=8,
        reasons=10,
        columns=20,
        sources=12,
        splits=8,
        nodes=40,
        notes=20,
    ),
    _Detail(
        Bounds(points=60, bars=8, classes=5), models=2, receipts=40, samples=3, reasons=5, columns=8, sources=4, splits=3, nodes=20, notes=5
    ),
)


def render_report(data: ReportData) -> str:
    """The whole page, ready to be written to a file as UTF-8."""
    page = ""
    for detail in _DETAILS:
        page = "<!doctype html>\n" + _page(data, detail)
        if len(page.encode()) < MAX_BYTES:
            break
    return page


def _page(data: ReportData, detail: _Detail) -> Markup:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=raw(_POLICY)),
        tag("title", f"{clip(data.pipeline, 80)} · {_intervals(data)}"),
        tag("style", raw(_style())),
    )
    models = data.models[: detail.models]
    main = tag(
        "main",
        _outcome(data, detail),
        graph_section(data, nodes=detail.nodes),
        *(model_section(model, detail.plots, lines=detail.notes) for model in models),
        _more_models(data, detail),
        quarantine_section(data, sources_shown=detail.sources, samples=detail.samples, reasons=detail.reasons),
        splits_section(data.splits, splits_shown=detail.splits, columns=detail.columns),
        receipts_section(data.receipts, rows=detail.receipts),
        _notes(data, detail),
    )
    return tag("html", head, tag("body", _header(data), main, _footer(data)), lang="en")


@cache
def _style() -> str:
    return files("headrace.report").joinpath("style.css").read_text(encoding="utf-8")


def _intervals(data: ReportData) -> str:
    if not data.intervals:
        return "no interval"
    first = clip(data.intervals[0], 60)
    return first if len(data.intervals) == 1 else f"{first} to {clip(data.intervals[-1], 60)}, {len(data.intervals):,} intervals"


def _time(told: str) -> str:
    """An ISO time in UTC as a person would write it."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)$", r"\1 \2 UTC", clip(told, 40))


def _header(data: ReportData) -> Markup:
    facts = [("Interval", _intervals(data)), ("Ended", _time(data.ended_at))]
    if data.seconds is not None:
        facts.append(("Took", duration(data.seconds)))
    return tag(
        "header",
        tag("p", "headrace · report of a run", class_="brand"),
        tag("h1", clip(data.pipeline, 120)),
        tag("p", clip(data.doc.strip().partition("\n")[0], 300), class_="doc") if data.doc.strip() else None,
        tag("ul", *(tag("li", f"{name} ", tag("b", value)) for name, value in facts), class_="facts"),
    )


# ---------------------------------------------------------------- the first screen


def _outcome(data: ReportData, detail: _Detail) -> Markup:
    """Verdicts, worst news first, and the counts of the run under them."""
    cards = [_failure(data), *(verdict_card(model) for model in data.models[: min(detail.models, 4)])]
    if not any(cards):
        cards = [_plain_outcome(data)]
    return join([*cards, _counts(data)])


def _failure(data: ReportData) -> Markup | None:
    failed = [receipt for receipt in data.receipts if receipt.state == "failed"]
    if not failed:
        return None
    blocked = sum(1 for receipt in data.receipts if receipt.state == "blocked")
    steps = list(dict.fromkeys(receipt.step for receipt in failed))
    names = join((tag("code", clip(step, 80)) for step in steps[:3]), ", ")
    more = f" and {len(steps) - 3:,} more" if len(steps) > 3 else ""
    title = tag("h2", tag("span", "✗", class_="mark", aria_hidden="true"), names, more, " failed")
    times = f"{len(failed):,} intervals failed. " if len(failed) > len(steps) else ""
    told = f"{times}{blocked:,} {'step' if blocked == 1 else 'steps'} after it did not run." if blocked else times
    error = next((receipt.error for receipt in failed if receipt.error), "")
    parts = [tag("p", told) if told else None, tag("pre", clip(error, 4000)) if error else None]
    return tag("section", title, *parts, class_="card verdict bad")


def _plain_outcome(data: ReportData) -> Markup:
    made = sum(1 for receipt in data.receipts if receipt.state in ("made", "copied"))
    if not data.receipts:
        words = "Nothing was run"
    elif made:
        words = f"Done: {made:,} {'output' if made == 1 else 'outputs'} made"
    else:
        words = "Nothing to do: all outputs were up to date"
    tone = "good" if data.receipts else "warn"
    mark = tag("span", "✓" if data.receipts else "◦", class_="mark", aria_hidden="true")
    return tag("section", tag("h2", mark, words), class_=f"card verdict {tone}")


def _counts(data: ReportData) -> Markup | None:
    """What there is to count, and nothing that is zero."""
    states = Counter(receipt.state for receipt in data.receipts)
    items: list[Markup] = []
    for state, tone in (("made", None), ("copied", None), ("cached", None), ("skipped", "care"), ("failed", "alert"), ("blocked", "alert")):
        if states[state]:
            items.append(tag("li", tag("b", f"{states[state]:,}"), state, class_=tone))
    read, quarantined = read_and_quarantined(data)
    if read:
        items.append(tag("li", tag("b", f"{read:,}"), "records read"))
    if quarantined:
        share = f"kept aside ({percent(quarantined / read)})" if read else "kept aside"
        items.append(tag("li", tag("b", f"{quarantined:,}"), share, class_="care"))
    written = sum(receipt.size_bytes for receipt in data.receipts if receipt.state == "made")
    if written:
        items.append(tag("li", tag("b", size(written)), "written"))
    return tag("ul", *items, class_="counts") if items else None


def _more_models(data: ReportData, detail: _Detail) -> Markup | None:
    rest = data.models[detail.models :]
    if not rest:
        return None
    names = join((tag("code", clip(model.name, 80)) for model in rest[:40]), ", ")
    return tag("p", f"{len(rest):,} more models were trained and have no section here: ", names, "." if len(rest) <= 40 else ", …")


def _notes(data: ReportData, detail: _Detail) -> Markup | None:
    if not data.notes:
        return None
    return tag(
        "section",
        tag("h2", "Notes"),
        tag("ul", *(tag("li", clip(note, 600)) for note in data.notes[: detail.notes])),
        capped(min(len(data.notes), detail.notes), len(data.notes), "notes"),
    )


def _footer(data: ReportData) -> Markup:
    lake = tag("p", "The rows, models and records told of here lie in the lake ", tag("code", clip(data.lake, 400)), ".")
    return tag(
        "footer",
        lake,
        tag(
            "p",
            f"Started {_time(data.started_at)}, ended {_time(data.ended_at)}. Made by headrace {clip(data.headrace_version, 40)}.",
        ),
    )
