"""The registry: a run judges a trained model against its gate and the champion, and appends what follows to the chain.

What a person decides is in `overrides`; who serves, in `champions`. The invariant: a run's model never displaces one of a later interval,
nor what a person decided until that person releases it; and each decision says what it was compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path

from headrace.core.errors import DataError, StepError
from headrace.core.gate import Check, Gate, GateFunction, Outcome, Verdict, judge, plain
from headrace.core.manifest import Manifest
from headrace.core.ports import JSON, FittedModel, ModelBackend
from headrace.core.step import TrainedModel
from headrace.lake.chain import Decision, DecisionKind
from headrace.lake.lake import Lake
from headrace.steps.champions import PART, TRIES, Past, champion_as_of, is_late, lost, model_files, open_champion
from headrace.steps.questions import open_question

__all__ = ["Challenge", "champion_as_of", "is_outdated", "open_champion", "promote"]


@dataclass(frozen=True)
class Challenge:
    """A trained model that wants to serve: its step, its commit, and the files of the table that it was measured on, by side."""

    step: TrainedModel
    manifest: Manifest
    sides: Mapping[str, Sequence[Path]]

    @property
    def gates(self) -> Sequence[Gate]:
        return [gate if isinstance(gate, Check) else _guarded(gate, self.step.name) for gate in self.step.gates]

    @property
    def measured(self) -> Sequence[Path]:
        return self.sides["test"] if "test" in self.sides else self.sides["rows"]

    @property
    def rows(self) -> Sequence[Path]:
        return [path for files in self.sides.values() for path in files]

    @property
    def seed(self) -> int:
        seed = self.manifest.content.details.get("seed")
        return seed if isinstance(seed, int) else 0


def _guarded(gate: GateFunction, model: str) -> GateFunction:
    """A user's gate, at whose boundary what it raises becomes a StepError."""

    @wraps(gate)
    def guarded(metrics: Mapping[str, float], champion: Mapping[str, float] | None) -> bool:
        try:
            return bool(gate(metrics, champion))
        except Exception as error:
            name = getattr(gate, "__name__", "gate")
            raise StepError(
                f"The gate `{name}` of `{model}` raised {type(error).__name__}: {error}. It is given the metrics {', '.join(sorted(metrics))} "
                f"and {'no champion (None)' if champion is None else 'those of the champion'}."
            ) from error

    return guarded


def promote(lake: Lake, challenge: Challenge, backend: ModelBackend, *, who: str) -> Decision:
    """Judge a trained model and append what follows: `promote` if its gate passes and nothing objects, else `reject` with the reason.

    A model that was decided about already gets no second entry, unless other gates rejected it than today's. When another decision lands meanwhile, it is judged again; LostRaceError
    after a few times.
    """
    manifest = challenge.manifest
    for _ in range(TRIES):
        past = Past(lake.chain(manifest.pipeline, manifest.dataset))
        decided = past.about(manifest)
        if decided and not is_outdated(decided, challenge.step):
            return decided
        decision = _judged(lake, challenge, backend, past, who)
        added = past.chain.append(decision, after=past.head, files=model_files(manifest) if decision.kind == "promote" else ())
        if added:
            return added
    raise lost(manifest.name)


def is_outdated(decision: Decision, step: TrainedModel) -> bool:
    """Whether a run rejected a model by other gates than the step has now. What was promoted, or was late, or was said by a person, stands."""
    gates = decision.verdict.get("gates")
    is_open = decision.kind == "reject" and not decision.by_hand and not is_late(decision)
    return is_open and gates is not None and gates != plain(step.gates)


def _judged(lake: Lake, challenge: Challenge, backend: ModelBackend, past: Past, who: str) -> Decision:
    manifest, step = challenge.manifest, challenge.step
    objection = past.chain.objection(manifest.interval, after=past.head)
    comes_late = objection is not None and not past.is_held
    comparison = _compare(lake, challenge, backend, champion_as_of(past, manifest.interval.end) if comes_late else past.serving)
    verdict = comparison.verdict
    told: dict[str, JSON] = {"passed": verdict.passed, "text": verdict.text, "gates": plain(step.gates), **comparison.told()}
    kind: DecisionKind = "reject"
    why = verdict.text
    if verdict.passed and objection:
        why = f"{verdict.text}, but {objection}"
        told["late"] = comes_late and not step.needs_approval
    elif verdict.passed and step.needs_approval:
        waiting = open_question(past)
        told["pending"] = waiting is None or waiting.asked.model.start <= manifest.interval.start
        why = f"waits for a person: headrace approve FILE {step.name} --why …. {verdict.text}"
        if waiting and not told["pending"]:
            why = f"{verdict.text}, but the challenger of a later interval, {waiting.asked.model}, waits for a person"
    elif verdict.passed:
        kind = "promote"
    return Decision(kind, manifest.interval, manifest.version, manifest.content.digest, who, why, told)


@dataclass(frozen=True)
class _Comparison:
    """How a challenger stands beside its rival: `theirs` are the rival's metrics on the same rows, or `not_comparable` says why there are none."""

    verdict: Verdict
    metrics: Mapping[str, float]
    rival: Decision | None = None
    theirs: Mapping[str, float] | None = None
    not_comparable: str | None = None
    relabel: Mapping[str, JSON] | None = None

    def told(self) -> dict[str, JSON]:
        found: dict[str, JSON] = {"metrics": dict(self.metrics), "outcomes": [asdict(outcome) for outcome in self.verdict.outcomes]}
        if self.rival:
            found["champion"] = {
                "number": self.rival.number,
                "interval": str(self.rival.model),
                "version": self.rival.version,
                "metrics": None if self.theirs is None else dict(self.theirs),
                "not_comparable": self.not_comparable,
            }
        return found | ({"relabel": dict(self.relabel)} if self.relabel else {})


def _compare(lake: Lake, challenge: Challenge, backend: ModelBackend, rival: Decision | None) -> _Comparison:
    """Measure both on the same rows, as far as that means something, and judge."""
    manifest, gates = challenge.manifest, challenge.gates
    metrics = manifest.content.metrics
    if rival is None:
        return _Comparison(judge(gates, metrics, None), metrics)
    if rival.digest == manifest.content.digest:
        return _Comparison(judge(gates, metrics, metrics), metrics, rival, metrics, relabel=_relabel_of(rival))
    difference = _difference(lake, manifest, rival)
    if difference:
        return _Comparison(judge(gates, metrics, None), metrics, rival, not_comparable=difference)
    return _measured_beside(lake, challenge, backend, rival)


def _measured_beside(lake: Lake, challenge: Challenge, backend: ModelBackend, rival: Decision) -> _Comparison:
    manifest, step = challenge.manifest, challenge.step
    metrics = manifest.content.metrics
    champion = open_champion(
        lake, manifest.pipeline, manifest.dataset, rival, backend, trust=step.trust, is_pickle_allowed=step.is_pickle_allowed
    )
    try:
        theirs = backend.measure(champion, step.spec, challenge.measured, seed=challenge.seed)
    except DataError as error:
        said = f"it can't be measured on these rows: {error}"
        return _Comparison(judge(challenge.gates, metrics, None), metrics, rival, not_comparable=said)
    on_same: Mapping[str, float] = metrics
    relabel = None
    if step.spec.cv:
        on_same = backend.measure(_open_own(lake, challenge, backend), step.spec, challenge.measured, seed=challenge.seed)
    if champion.card["task"] == "clustering":
        relabel = backend.match_clusters(champion, _open_own(lake, challenge, backend), challenge.rows, relabel=_relabel_of(rival))
    return _Comparison(_judge_beside(challenge.gates, metrics, on_same, theirs), metrics, rival, theirs, relabel=relabel)


def _judge_beside(
    gates: Sequence[Gate], metrics: Mapping[str, float], on_same: Mapping[str, float], theirs: Mapping[str, float]
) -> Verdict:
    """`no_worse` compares on the same rows, which under cross-validation are not those of the metrics that are told; other gates judge these."""
    outcomes: list[Outcome] = []
    for gate in gates:
        is_beside = isinstance(gate, Check) and gate.kind == "no_worse"
        outcomes.extend(judge([gate], on_same if is_beside else metrics, theirs).outcomes)
    return Verdict(tuple(outcomes))


def _open_own(lake: Lake, challenge: Challenge, backend: ModelBackend) -> FittedModel:
    paths = lake.read_paths(challenge.manifest, PART, verify=True)
    return backend.load(paths[0].parent, trust=challenge.step.trust, is_pickle_allowed=challenge.step.is_pickle_allowed)


def _relabel_of(decision: Decision) -> Mapping[str, JSON] | None:
    relabel = decision.verdict.get("relabel")
    return relabel if isinstance(relabel, Mapping) else None


def _difference(lake: Lake, manifest: Manifest, rival: Decision) -> str | None:
    """Why a champion's metrics would mean something else; None when they are comparable."""
    ours = manifest.content.details.get("about")
    theirs = lake.log(manifest.pipeline, manifest.dataset).manifest(rival.model, rival.version).content.details.get("about")
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return "it does not tell what it is about"
    changed = [what for what in sorted({*ours, *theirs}) if ours.get(what) != theirs.get(what)]
    return "; ".join(f"its {what} was {_shown(theirs.get(what))}, and is {_shown(ours.get(what))} now" for what in changed) or None


def _shown(value: JSON) -> str:
    if value is None:
        return "none"
    return ", ".join(str(item) for item in value) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
