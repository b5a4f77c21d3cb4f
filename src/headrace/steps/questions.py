"""The question that a model with `approval=True` asks: which challenger waits for a person's word, and what closed an older question.

Nothing here decides or writes. The invariant: the chain alone tells what is open. It is the newest challenger that waits, unless a later
decision settled who serves, or judged that interval's model again; so there is never more than one open question about a model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.lake.chain import Decision

__all__ = ["Question", "is_answer_to", "is_waiting", "open_question", "question"]


@dataclass(frozen=True)
class Question:
    """A challenger that a person was asked about: the decision that left it waiting, and the one that closed the question, if there is one."""

    asked: Decision
    closer: Decision | None = None

    @property
    def number(self) -> int:
        """The number of the decision that asked."""
        return self.asked.number

    @property
    def is_open(self) -> bool:
        return self.closer is None

    @property
    def answer(self) -> Decision | None:
        """The person's word about this challenger, if that is what closed the question."""
        return self.closer if self.closer and is_answer_to(self.asked, self.closer) else None

    @property
    def closed(self) -> str:
        """Why it is not open any more, in words; empty while it is."""
        closer = self.closer
        if closer is None:
            return ""
        if self.answer:
            return f"it was answered: {closer.who} decided to {closer.kind} it (decision {closer.number}): {closer.why}"
        if is_waiting(closer):
            return f"the newer challenger of {closer.model.label} v{closer.version} superseded it (decision {closer.number})"
        if not _settles(closer):
            return f"the model of {closer.model.label} was judged again (decision {closer.number}): {closer.why}"
        return f"{closer.who} decided to {closer.kind} {closer.model.label} v{closer.version} meanwhile (decision {closer.number}): {closer.why}"


def is_waiting(decision: Decision) -> bool:
    """Whether a decision leaves a challenger that passed its gate to a person."""
    return decision.kind == "reject" and not decision.by_hand and decision.verdict.get("pending") is True


def is_answer_to(asked: Decision, decision: Decision) -> bool:
    """Whether a decision is a person's yes or no to this very challenger."""
    is_about_it = (decision.model, decision.version, decision.digest) == (asked.model, asked.version, asked.digest)
    return decision.by_hand and decision.kind in ("promote", "reject") and is_about_it


def question(newest_first: Iterable[Decision], number: int) -> Question | None:
    """The question that decision `number` asked, and what closed it; None when that decision asked none. Reads back to it and no further."""
    newer: list[Decision] = []
    for decision in newest_first:
        if decision.number == number:
            closer = next((later for later in reversed(newer) if _closes(later, decision)), None)
            return Question(decision, closer) if is_waiting(decision) else None
        newer.append(decision)
    return None


def open_question(newest_first: Iterable[Decision]) -> Question | None:
    """The question that waits for an answer now, if there is one."""
    newer: list[Decision] = []
    for decision in newest_first:
        if _settles(decision):
            return None
        if is_waiting(decision):
            return None if any(_closes(later, decision) for later in newer) else Question(decision)
        newer.append(decision)
    return None


def _closes(later: Decision, asked: Decision) -> bool:
    return _settles(later) or is_waiting(later) or later.model == asked.model


def _settles(decision: Decision) -> bool:
    """Whether a decision says who serves, or is a person's: what was asked before it was asked about another state of things."""
    return decision.kind != "reject" or decision.by_hand
