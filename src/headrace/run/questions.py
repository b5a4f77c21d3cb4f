"""What waits for a person, as it is shown to one, and the answer: the same for a terminal and for an orchestrator's form.

The invariant: all that is told of a challenger is what its decision says, so everyone who is asked sees the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc

from headrace.core.errors import UnknownNameError, did_you_mean
from headrace.core.ports import JSON
from headrace.core.step import TrainedModel
from headrace.lake.chain import Decision
from headrace.run.redaction import redacted
from headrace.run.session import Session, utc_now
from headrace.run.tracking import queue_decision
from headrace.steps import overrides
from headrace.steps.questions import Question, open_question, question

__all__ = ["Challenger", "answer", "challenger_of", "checked_model", "find_question", "subject", "text", "waiting"]

_MOST = 40  # metrics that are shown


@dataclass(frozen=True)
class Challenger:
    """What a person is told before the answer. `theirs` are the champion's metrics on the same rows, None where there are none to compare."""

    pipeline: str
    model: str
    doc: str
    question: Question
    metrics: Mapping[str, float]
    outcomes: tuple[tuple[bool, str], ...]
    location: str
    champion: str = ""
    theirs: Mapping[str, float] | None = None
    not_comparable: str = ""

    @property
    def asked(self) -> Decision:
        return self.question.asked

    @property
    def name(self) -> str:
        return f"{self.pipeline}.{self.model}"

    def to_json(self) -> dict[str, JSON]:
        return {
            "model": self.model,
            "number": self.asked.number,
            "interval": self.asked.model.label,
            "version": self.asked.version,
            "asked_at": self.asked.decided_at.isoformat() if self.asked.decided_at else None,
            "verdict": str(self.asked.verdict.get("text", "")),
            "metrics": dict(self.metrics),
            "champion": self.champion or None,
            "champion_metrics": None if self.theirs is None else dict(self.theirs),
            "not_comparable": self.not_comparable or None,
            "location": self.location,
        }


def waiting(session: Session) -> list[Challenger]:
    """The challengers of a pipeline that wait for a person, at most one a model."""
    models = [step.name for step in session.graph.steps.values() if isinstance(step, TrainedModel)]
    found = ((model, open_question(session.decisions.newest_first(model))) for model in models)
    return [challenger_of(session, model, asked) for model, asked in found if asked]


def find_question(session: Session, model: str, number: int | None = None) -> Question | None:
    """The question that decision `number` about a model asked, or the one that is open; None if there is none."""
    newest_first = session.decisions.newest_first(model)
    return open_question(newest_first) if number is None else question(newest_first, number)


def challenger_of(session: Session, model: str, asked: Question) -> Challenger:
    """What a question is about."""
    step, verdict = session.graph.step(checked_model(session, model)), asked.asked.verdict
    champion = _mapping(verdict.get("champion"))
    outcomes = verdict.get("outcomes")
    part = session.log(model).manifest(asked.asked.model, asked.asked.version).content.part("model")
    theirs = champion.get("metrics")
    return Challenger(
        session.graph.name,
        model,
        cleandoc(step.doc) if isinstance(step, TrainedModel) else "",
        asked,
        _numbers(verdict.get("metrics")),
        tuple((bool(o.get("passed")), str(o.get("text"))) for o in map(_mapping, outcomes if isinstance(outcomes, list) else ())),
        redacted(f"{session.lake.uri}/{part.files[0].folder}") if part and part.files else "",
        f"{champion['interval']} v{champion['version']} (decision {champion['number']})" if champion else "",
        _numbers(theirs) if isinstance(theirs, Mapping) else None,
        str(champion.get("not_comparable") or ""),
    )


def answer(session: Session, model: str, kind: overrides.Answer, *, number: int | None = None, who: str, why: str) -> Decision:
    """Say yes or no to the challenger that waits, and tell the tracker: see `headrace.steps.overrides.answer`."""
    name = checked_model(session, model)
    decision = overrides.answer(session.lake, session.graph.name, name, kind, number=number, who=who, why=why)
    queue_decision(session, name, decision, at=utc_now())
    return decision


def checked_model(session: Session, model: str) -> str:
    """The name of a model of the pipeline. UnknownNameError, with the nearest one, for another."""
    models = [s.name for s in session.graph.steps.values() if isinstance(s, TrainedModel)]
    if model not in models:
        raise UnknownNameError(f"Pipeline `{session.graph.name}` has no model `{model}`. {did_you_mean(model, models)}")
    return model


# ---------------------------------------------------------------- in words


def subject(challenger: Challenger) -> str:
    """The question in one line."""
    return f"Shall {challenger.name} of {challenger.asked.model.label} v{challenger.asked.version} serve?"


def text(challenger: Challenger) -> str:
    """All that a person is told, in Markdown."""
    asked = challenger.asked
    checks = [f"- {'✓' if passed else '✗'} {_plain(said)}" for passed, said in challenger.outcomes] or ["- no gate"]
    facts = [
        f"- interval: {asked.model.label}, version {asked.version}",
        f"- champion now: {challenger.champion or 'none'}",
        *([f"- not comparable: {_plain(challenger.not_comparable)}"] if challenger.not_comparable else []),
        f"- model: `{challenger.location}`",
        f"- asked by decision {asked.number} of {challenger.name}"
        + (f", {asked.decided_at:%Y-%m-%d %H:%M} UTC" if asked.decided_at else ""),
    ]
    doc = [_plain(challenger.doc), ""] if challenger.doc else []
    return "\n".join([*doc, *_table(challenger), "", "Its gate:", "", *checks, "", "What it is:", "", *facts])


def _table(challenger: Challenger) -> list[str]:
    theirs = challenger.theirs or {}
    lines = ["| metric | challenger | champion |", "| --- | ---: | ---: |"]
    for name, value in list(challenger.metrics.items())[:_MOST]:
        beside = f"{theirs[name]:.4g}" if name in theirs else "·"
        lines.append(f"| {_plain(name)} | {value:.4g} | {beside} |")
    hidden = len(challenger.metrics) - _MOST
    return [*lines, *([f"| and {hidden} more | | |"] if hidden > 0 else [])]


def _plain(said: str) -> str:
    """A text that can't end a table's cell, nor be a template."""
    return said.replace("|", "\\|").replace("{{", "{ {").replace("{%", "{ %")


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _numbers(value: JSON) -> dict[str, float]:
    return {name: float(number) for name, number in _mapping(value).items() if isinstance(number, int | float)}
