"""A model in the report: its verdict and key metrics for the first screen, and its own section with plots.

The invariant: which way a metric is better is the gate's knowledge (`core.gate`), and a metric that is neither is only told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from headrace.core.gate import higher_is_better
from headrace.report.axes import short
from headrace.report.data import ModelSection
from headrace.report.markup import Markup, clip, join, tag
from headrace.report.plots import Bounds, draw
from headrace.report.tables import Head, count, table

__all__ = ["key_metrics", "model_section", "verdict_card"]

_FIRST = ("r2", "roc_auc", "silhouette", "accuracy", "f1", "mae", "rmse", "log_loss", "inertia")
_TOLD_ONLY = frozenset({"smallest_cluster", "largest_cluster", "clusters", "rows"})
_TITLES = {
    "promote": "{name} is the new champion",
    "reject": "{name} was not promoted",
    "hold": "{name} was not promoted: the champion is held",
    "challenge": "{name} is a challenger",
    "rollback": "{name} was rolled back",
    "release": "{name} may be promoted again",
}
_MAX_METRICS = 60
_TILES = 4
_SIDES = ("train", "valid", "test", "rows")


def verdict_card(model: ModelSection) -> Markup:
    """What a reader wants first: was it promoted, why, and its key metrics beside the champion's."""
    name = tag("code", clip(model.name, 80))
    before, _, after = _TITLES.get(model.decision, "{name} was trained").partition("{name}")
    tone, mark = _tone(model)
    title = tag("h2", tag("span", mark, class_="mark", aria_hidden="true"), before, name, after, tag("small", clip(model.interval, 60)))
    tiles = tag("dl", *(_tile(metric, model) for metric in key_metrics(model.metrics)[:_TILES]), class_="tiles")
    return tag("section", title, _why(model), tiles if model.metrics else None, class_=f"card verdict {tone}")


def key_metrics(metrics: Mapping[str, float]) -> list[str]:
    """The metrics' names: a user's own first, then the task's, the telling ones before the others."""
    rank = {name: index for index, name in enumerate(_FIRST)}
    own = [name for name in metrics if name not in rank and name not in _TOLD_ONLY]
    return [
        *sorted(own)[:2],
        *sorted((n for n in metrics if n in rank), key=rank.__getitem__),
        *sorted(own)[2:],
        *sorted(_TOLD_ONLY & metrics.keys()),
    ]


def model_section(model: ModelSection, bounds: Bounds, *, lines: int = 40) -> Markup:
    """The whole story of one model: checks, metrics, plots, what it was made from."""
    drawn = draw(model.plots, bounds)
    parts = [
        tag("h2", "Model ", tag("code", clip(model.name, 80))),
        tag("p", _summary(model), class_="soft"),
        _gates(model),
        _metrics_table(model) if len(model.metrics) > _TILES or model.champion is not None else None,
        tag("div", *drawn, class_="plots") if drawn else None,
        _about(model, lines),
        *(tag("p", tag("small", clip(note, 500))) for note in model.notes[:10]),
    ]
    return tag("section", parts[0], parts[1], tag("div", *parts[2:], class_="card"))


def _tone(model: ModelSection) -> tuple[str, str]:
    if model.decision == "promote":
        return "good", "✓"
    if model.passed is False:
        return "bad", "✗"
    return ("warn", "◦") if model.decision else ("", "")


def _why(model: ModelSection) -> Markup:
    verdict = clip(model.verdict, 600)
    if model.champion is not None and model.champion_label:
        beside = f"Compared with the champion {clip(model.champion_label, 80)} on the same rows."
    else:
        beside = clip(model.champion_note, 300) or ("" if "no champion" in verdict else "There was no champion to compare with.")
    sentence = f"Gate: {verdict.rstrip('.')}. " if verdict else ""
    return tag("p", sentence, tag("span", beside, class_="soft"))


def _tile(metric: str, model: ModelSection) -> Markup:
    tone, change = _change(metric, model)
    value = model.metrics[metric]
    return tag("div", tag("dt", _spoken(metric)), tag("dd", short(value), tag("small", change, class_=tone or "soft") if change else None))


def _change(metric: str, model: ModelSection) -> tuple[str, str]:
    """How a metric stands to the champion's: a tone (`up` is better, `down` worse) and words with an arrow."""
    value, theirs = model.metrics[metric], (model.champion or {}).get(metric)
    if theirs is None or not math.isfinite(theirs) or not math.isfinite(value):
        return "", ""
    difference = value - theirs
    if abs(difference) <= 1e-9 * max(abs(value), abs(theirs), 1e-9):
        return "", "= champion's"
    arrow = "▲" if difference > 0 else "▼"
    if metric in _TOLD_ONLY:
        return "", f"champion's {short(theirs)}"
    is_better = (difference > 0) == higher_is_better(metric)
    return ("up" if is_better else "down"), f"{arrow} {short(abs(difference), 2)} {'better' if is_better else 'worse'}"


def _spoken(metric: str) -> str:
    return {"r2": "R²", "mae": "MAE", "rmse": "RMSE", "roc_auc": "ROC AUC", "f1": "F1"}.get(metric, clip(metric, 40).replace("_", " "))


def _summary(model: ModelSection) -> str:
    sides = [*(side for side in _SIDES if side in model.rows), *(side for side in list(model.rows)[:8] if side not in _SIDES)]
    rows = [f"{model.rows[side]:,} rows" if side == "rows" else f"{model.rows[side]:,} {clip(side, 20)} rows" for side in sides]
    return " · ".join(part for part in (clip(model.task, 40), clip(model.interval, 60), *rows) if part)


def _gates(model: ModelSection) -> Markup | None:
    if not model.gates:
        return None
    lines = []
    for gate in model.gates[:20]:
        mark = tag("b", "✓" if gate.passed else "✗", class_="up" if gate.passed else "down")
        lines.append(tag("li", mark, clip(gate.text, 300), tag("small", "" if gate.passed else " — failed")))
    return join([tag("h3", "Gate"), tag("ul", *lines, class_="gates")])


def _metrics_table(model: ModelSection) -> Markup:
    names = key_metrics(model.metrics)[:_MAX_METRICS]
    if model.champion is None:
        return join(
            [
                tag("h3", "Metrics"),
                table(
                    "Metrics",
                    [Head("metric"), Head("value", is_number=True)],
                    [(_spoken(n), short(model.metrics[n])) for n in names],
                    is_narrow=True,
                ),
            ]
        )
    heads = [Head("metric"), Head("this model", is_number=True), Head("champion", is_number=True), Head("change", is_number=True)]
    rows = []
    for name in names:
        tone, change = _change(name, model)
        theirs = short(model.champion[name]) if name in model.champion else None
        rows.append((_spoken(name), short(model.metrics[name]), theirs, tag("span", change, class_=tone or "soft") if change else None))
    return join([tag("h3", "Metrics on the test side"), table("Metrics", heads, rows, is_narrow=True)])


def _about(model: ModelSection, lines: int) -> Markup | None:
    shown = [tag("code", clip(name, 60)) for name in model.features[:lines]]
    rest = f" and {len(model.features) - lines:,} more" if len(model.features) > lines else ""
    settings = [join([tag("code", clip(name, 60)), " = ", clip(str(value), 120)]) for name, value in list(model.settings.items())[:lines]]
    facts: list[tuple[str, object]] = [
        ("Target", tag("code", clip(model.target, 80)) if model.target else None),
        (f"Features ({count(len(model.features))})", join([join(shown, ", "), rest]) if shown else None),
        ("Settings", join(settings, ", ") if settings else None),
        ("Published at", tag("code", clip(model.location, 400)) if model.location else None),
    ]
    rows = [tag("dt", name) + tag("dd", value) for name, value in facts if value is not None]
    return tag("dl", *map(Markup, rows), class_="about") if rows else None
