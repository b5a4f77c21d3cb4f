"""The sections of the report that are not about models: graph, splits, quarantine, receipts.

The invariant: each list is bounded, and what was left out is counted in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace.report.axes import short
from headrace.report.data import Likeness, QuarantinedRecord, QuarantineSection, ReceiptRow, ReportData, SplitSection
from headrace.report.graph_svg import graph_svg
from headrace.report.markup import Markup, clip, join, tag
from headrace.report.tables import Head, capped, count, duration, percent, size, table

__all__ = ["graph_section", "quarantine_section", "read_and_quarantined", "receipts_section", "splits_section"]

_BEYOND_CHANCE = 3.0  # standard errors
_FIRST_COLUMNS = 6


def graph_section(data: ReportData, *, nodes: int) -> Markup | None:
    """The graph, lying on a wide screen and standing on a phone."""
    if not data.nodes:
        return None
    title = tag("h2", "What was made from what")
    if len(data.nodes) > nodes or len(data.edges) > 3 * nodes:
        words = f"The graph has {len(data.nodes):,} steps, too many for a picture here. `headrace show FILE --svg` draws it."
        return tag("section", title, tag("p", words))
    pictures = [
        tag("div", graph_svg(data.nodes, data.edges, title=f"The steps of {clip(data.pipeline, 80)}"), class_="wide"),
        tag("div", graph_svg(data.nodes, data.edges, direction="down", title=f"The steps of {clip(data.pipeline, 80)}"), class_="tall"),
    ]
    return tag("section", title, tag("div", *pictures, class_="card graph scroll", tabindex="0", role="region", aria_label="The graph"))


# ---------------------------------------------------------------- splits


def splits_section(splits: Sequence[SplitSection], *, splits_shown: int, columns: int) -> Markup | None:
    """How many rows lie on which side, and whether the sides are alike."""
    shown = [split for split in splits if split.sides][:splits_shown]
    if not shown:
        return None
    return tag("section", tag("h2", "Splits"), *(_split(split, columns) for split in shown), capped(len(shown), len(splits), "splits"))


def _split(split: SplitSection, columns: int) -> Markup:
    sides = split.sides[:4]
    total = sum(side.rows for side in sides)
    pieces = [tag("i", style=f"flex:{max(side.rows, 0)}") for side in sides if side.rows]
    rows = []
    for index, side in enumerate(sides):
        key = tag("span", class_=f"key k{index}", aria_hidden="true")
        wanted = percent(side.wanted) if side.wanted is not None else None
        rows.append((join([key, clip(side.name, 30)]), f"{side.rows:,}", percent(side.rows / total) if total else None, wanted))
    heads = [Head("side"), Head("rows", is_number=True), Head("share", is_number=True), Head("asked for", is_number=True)]
    return tag(
        "div",
        tag("h3", tag("code", clip(split.table, 80)), f" {clip(split.how, 120)}"),
        tag("div", *pieces, class_="bar", aria_hidden="true"),
        table(f"Sides of {clip(split.table, 80)}", heads, rows, is_narrow=True),
        _likeness(split, columns),
        class_="card",
    )


def _likeness(split: SplitSection, columns: int) -> Markup | None:
    if not split.likeness:
        return None
    sides = [side.name for side in split.sides[:4]]
    heads = [Head("column"), *(Head(f"mean, {clip(side, 30)}", is_number=True) for side in sides), Head("apart", is_number=True), Head("")]
    rows: list[tuple[object, ...]] = []
    judged = sorted(((*_apart(line, split), line) for line in split.likeness), key=lambda item: (not item[1], -(item[0] or 0.0)))
    for apart, beyond, line in judged[:columns]:
        means = [short(line.means[side]) if side in line.means else None for side in sides]
        rows.append((clip(line.column, 60), *means, f"{apart:.2f} σ" if apart is not None else None, "more than chance" if beyond else ""))
    told = "Means by side, and how far they are apart in the column's standard deviations. A split by chance keeps them within three standard errors."
    first = max(sum(1 for _, beyond, _ in judged[:columns] if beyond), _FIRST_COLUMNS)
    parts = [
        tag("h3", "Are the sides alike?"),
        tag("p", told, class_="soft"),
        table("Likeness of the sides", heads, rows[:first], is_narrow=True),
    ]
    if rows[first:]:
        rest = table("The other columns", heads, rows[first:], is_narrow=True)
        parts.append(tag("details", tag("summary", f"{len(rows) - first} more columns, less far apart"), rest))
    return join([*parts, capped(len(rows), len(split.likeness), "columns")])


def _apart(line: Likeness, split: SplitSection) -> tuple[float | None, bool]:
    """The two means farthest apart, in standard deviations, and whether that is more than chance."""
    rows = {side.name: side.rows for side in split.sides}
    means = [(mean, rows[side]) for side, mean in line.means.items() if math.isfinite(mean) and rows.get(side)]
    if len(means) < 2 or not line.deviation or not math.isfinite(line.deviation):
        return None, False
    (low, low_rows), (high, high_rows) = min(means), max(means)
    apart = (high - low) / line.deviation
    return apart, apart > _BEYOND_CHANCE * math.sqrt(1 / low_rows + 1 / high_rows)


# ---------------------------------------------------------------- quarantine


def read_and_quarantined(data: ReportData) -> tuple[int, int]:
    """The records that the sources read in this run, and how many of them they kept aside."""
    sources = {node.name for node in data.nodes if node.kind == "source"} | {section.source for section in data.quarantine}
    rows = [receipt for receipt in data.receipts if receipt.step in sources]
    return sum(receipt.rows_read for receipt in rows), sum(receipt.rows_quarantined for receipt in rows)


def quarantine_section(data: ReportData, *, sources_shown: int, samples: int, reasons: int) -> Markup | None:
    """What was kept aside, by source and reason, with some records as they stood in their files."""
    touched = [source for source in data.quarantine if source.rows_quarantined]
    title = tag("h2", "Quarantine", id="quarantine")
    if not touched:
        read, _ = read_and_quarantined(data)
        if not read:
            return None
        return tag(
            "section", title, tag("p", f"No record was kept aside: each of the {read:,} that were read met its contract.", class_="soft")
        )
    shown = [_source(source, samples, reasons) for source in touched[:sources_shown]]
    return tag("section", title, *shown, capped(len(shown), len(touched), "sources"))


def _source(source: QuarantineSection, samples: int, reasons: int) -> Markup:
    share = percent(source.rows_quarantined / source.rows_read) if source.rows_read else "all"
    told = f"{source.rows_quarantined:,} of {source.rows_read:,} records were kept aside ({share})."
    counts = sorted(source.reasons.items(), key=lambda item: (-item[1], item[0]))[:reasons]
    most = max((number for _, number in counts), default=1) or 1
    rows = [(clip(reason, 200), _meter(number, most)) for reason, number in counts]
    parts = [
        tag("h3", tag("code", clip(source.source, 80))),
        tag("p", told),
        table(f"Reasons, {clip(source.source, 80)}", [Head("reason"), Head("records")], rows, is_narrow=True) if rows else None,
        capped(len(rows), len(source.reasons), "reasons"),
        _samples(source, samples) if source.samples else None,
    ]
    return tag("div", *parts, class_="card")


def _meter(value: int, most: int) -> Markup:
    return tag("span", tag("i", style=f"width:{max(value / most * 9, 0.1):.1f}rem", aria_hidden="true"), f"{value:,}", class_="meter")


def _samples(source: QuarantineSection, samples: int) -> Markup:
    records = source.samples[:samples]
    heads = [
        Head("where"),
        Head("column"),
        Head("reason"),
        *([] if source.masked else [Head("record as it came", is_wide=True, class_="raw mono")]),
    ]
    rows = [_sample(record, source.masked) for record in records]
    masked = (
        f"Masked columns: {', '.join(clip(name, 40) for name in source.masked[:12])}. So no record is shown as it came."
        if source.masked
        else None
    )
    parts = [tag("p", masked, class_="soft") if masked else None, table(f"Samples, {clip(source.source, 80)}", heads, rows)]
    return join([tag("h3", "Some of them"), *parts, capped(len(records), source.rows_quarantined, "records")])


def _sample(record: QuarantinedRecord, masked: Sequence[str]) -> tuple[object, ...]:
    where = tag("code", f"{clip(record.file, 90)}:{record.line}")
    columns = ", ".join(clip(name, 40) for name in record.columns[:6])
    reasons = "; ".join(clip(reason, 160) for reason in record.reasons[:6])
    if not masked:
        return where, columns, reasons, clip(record.raw, 400)
    return where, columns, "kept out: the column is masked" if set(record.columns) & set(masked) or not record.columns else reasons


# ---------------------------------------------------------------- receipts


def receipts_section(receipts: Sequence[ReceiptRow], *, rows: int) -> Markup | None:
    """What each step did, and why it was run or not."""
    if not receipts:
        return None
    shown = _chosen(receipts, rows)
    is_one = len({receipt.interval for receipt in receipts}) == 1
    heads = [
        Head("step"),
        *([] if is_one else [Head("interval")]),
        Head("state"),
        *(Head(name, is_number=True) for name in ("read", "kept", "quarantined", "size", "time")),
    ]
    body = [_receipt(receipt, is_one=is_one) for receipt in shown]
    whole = table("Receipts", [*heads, Head("why", is_wide=True, class_="why")], body)
    errors = [receipt for receipt in shown if receipt.error][1:11]
    told = [
        join([tag("h3", tag("code", clip(receipt.step, 80)), f" {clip(receipt.interval, 60)}"), tag("pre", clip(receipt.error, 3000))])
        for receipt in errors
    ]
    card = tag("div", whole, capped(len(shown), len(receipts), "receipts, the failed ones first of all"), *told, class_="card")
    return tag("section", tag("h2", "Receipts"), card)


def _chosen(receipts: Sequence[ReceiptRow], rows: int) -> list[ReceiptRow]:
    """As many as fit, the failed ones before the others, in the order in which they came."""
    if len(receipts) <= rows:
        return list(receipts)
    by_need = sorted(range(len(receipts)), key=lambda at: ({"failed": 0, "blocked": 1, "made": 2}.get(receipts[at].state, 3), at))
    return [receipts[at] for at in sorted(by_need[:rows])]


def _receipt(receipt: ReceiptRow, *, is_one: bool) -> tuple[object, ...]:
    known = receipt.state if receipt.state in ("made", "cached", "copied", "skipped", "failed", "blocked") else "other"
    return (
        tag("code", clip(receipt.step, 80)),
        *([] if is_one else [clip(receipt.interval, 60)]),
        tag("span", clip(receipt.state, 20), class_=f"state {known}"),
        count(receipt.rows_read),
        count(receipt.rows_kept),
        count(receipt.rows_quarantined),
        size(receipt.size_bytes),
        duration(receipt.seconds),
        clip(receipt.why, 300),
    )
