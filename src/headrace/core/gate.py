"""Gates: the checks that a model must pass to be promoted.

A gate is a declared check (`at_least`, `at_most`, `no_worse`) or a user's function of the metrics. Judging is pure: metrics
in, a verdict out. The invariant: a check whose metric is missing or not a number fails, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON

__all__ = [
    "METRICS",
    "Check",
    "Gate",
    "GateFunction",
    "Outcome",
    "Verdict",
    "at_least",
    "at_most",
    "higher_is_better",
    "judge",
    "no_worse",
    "plain",
]

METRICS = (
    *("r2", "mae", "rmse"),
    *("accuracy", "f1", "roc_auc", "log_loss"),
    *("silhouette", "inertia", "smallest_cluster", "largest_cluster"),
)
"""What is measured without being asked for: of regression, classification and clustering."""

_LOWER_IS_BETTER = frozenset({"mae", "rmse", "mse", "log_loss", "inertia", "max_error"})

Kind = Literal["at_least", "at_most", "no_worse"]


@dataclass(frozen=True)
class Check:
    """One declared check on one metric."""

    kind: Kind
    metric: str
    value: float = 0.0


GateFunction = Callable[[Mapping[str, float], Mapping[str, float] | None], bool]
Gate = Check | GateFunction


@dataclass(frozen=True)
class Outcome:
    """How one check came out, in words: `r2 0.91 >= 0.5`."""

    passed: bool
    text: str
    metric: str | None = None


@dataclass(frozen=True)
class Verdict:
    """All outcomes; passed if each of them did."""

    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def text(self) -> str:
        if not self.outcomes:
            return "no gate"
        return "; ".join(("" if o.passed else "failed: ") + o.text for o in self.outcomes)


def at_least(metric: str, value: float) -> Check:
    """The model is promoted only if `metric` on the test side is at least `value`."""
    return _check("at_least", metric, value)


def at_most(metric: str, value: float) -> Check:
    """The model is promoted only if `metric` on the test side is at most `value`."""
    return _check("at_most", metric, value)


def no_worse(metric: str, tolerance: float = 0) -> Check:
    """The model is promoted only if `metric` is not worse than the champion's on the same rows, by more than `tolerance`.

    Which direction is worse is known for the built-in metrics; an own metric counts as better when higher. Passes when
    there is no champion, or none that is comparable.
    """
    return _check("no_worse", metric, tolerance)


def plain(gates: Sequence[Gate]) -> list[JSON]:
    """Gates as a verdict keeps them, to tell later whether others are asked for: a function by its name.

    >>> plain([at_least("r2", 0.5)])
    [['at_least', 'r2', 0.5]]
    """
    return [[g.kind, g.metric, g.value] if isinstance(g, Check) else getattr(g, "__name__", "gate") for g in gates]


def _check(kind: Kind, metric: str, value: float) -> Check:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{kind}({metric!r}, {value!r}): the second is a number, such as 0.9.")
    return Check(kind, metric, float(value))


def higher_is_better(metric: str) -> bool:
    return metric not in _LOWER_IS_BETTER


def judge(gates: Sequence[Gate], metrics: Mapping[str, float], champion: Mapping[str, float] | None) -> Verdict:
    """Judge a challenger's metrics against its gates; `champion` holds the champion's metrics on the same rows, if there is one."""
    return Verdict(tuple(_outcome(gate, metrics, champion) for gate in gates))


def _outcome(gate: Gate, metrics: Mapping[str, float], champion: Mapping[str, float] | None) -> Outcome:
    if not isinstance(gate, Check):
        passed = bool(gate(metrics, champion))
        return Outcome(passed, f"{getattr(gate, '__name__', 'gate')} {'holds' if passed else 'does not hold'}")
    value = metrics.get(gate.metric)
    if value is None or not math.isfinite(value):
        known = ", ".join(sorted(metrics)) or "none"
        return Outcome(False, f"{gate.metric} was not measured (metrics: {known})", gate.metric)
    if gate.kind == "at_least":
        return _compared(gate.metric, value, ">=", "<", gate.value, passed=value >= gate.value)
    if gate.kind == "at_most":
        return _compared(gate.metric, value, "<=", ">", gate.value, passed=value <= gate.value)
    return _against_champion(gate, value, champion)


def _compared(metric: str, value: float, holds: str, fails: str, bound: float, *, passed: bool) -> Outcome:
    return Outcome(passed, f"{metric} {value:.4g} {holds if passed else fails} {bound:g}", metric)


def _against_champion(gate: Check, value: float, champion: Mapping[str, float] | None) -> Outcome:
    if champion is None or not math.isfinite(champion.get(gate.metric, math.nan)):
        return Outcome(True, f"{gate.metric} {value:.4g}, no champion to compare with", gate.metric)
    theirs = champion[gate.metric]
    worse_by = theirs - value if higher_is_better(gate.metric) else value - theirs
    passed = worse_by <= gate.value
    allowed = f" (tolerance {gate.value:g})" if gate.value else ""
    return Outcome(
        passed,
        f"{gate.metric} {value:.4g} {'is no worse than' if passed else 'is worse than'} the champion's {theirs:.4g}{allowed}",
        gate.metric,
    )
