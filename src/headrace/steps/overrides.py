"""What a person decides about a model: promote, roll back, hold, release, whatever its gate said; and yes or no to the challenger that waits.

Each decision keeps who and why. After a rollback or a hold, runs only challenge until a release. The invariant: a decision that would change
nothing, or that answers a question which is not open, is refused, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from headrace.core.errors import ClosedQuestionError, ModelError, UnknownNameError
from headrace.core.interval import Interval
from headrace.core.manifest import FileEntry
from headrace.core.ports import JSON
from headrace.lake.chain import Chain, Decision
from headrace.lake.files import VanishedError
from headrace.lake.lake import Lake
from headrace.steps.champions import TRIES, Past, lost, model_files, verified_files
from headrace.steps.questions import Question, open_question, question

__all__ = ["Answer", "answer", "hold", "promote_by_hand", "release", "rollback"]

Answer = Literal["promote", "reject"]
_Decide = Callable[[Past], tuple[Decision, Sequence[FileEntry]]]


def promote_by_hand(
    lake: Lake, pipeline: str, model: str, interval: Interval, *, version: int | None = None, who: str, why: str
) -> Decision:
    """Make the model of an interval the champion, whatever its gate said: its current version, unless told."""
    log = lake.log(pipeline, model)
    manifest = log.current(interval) if version is None else log.manifest(interval, version)
    if manifest is None:
        raise ModelError(
            f"There is no model `{pipeline}.{model}` of {interval} to promote. Train it first: headrace run FILE --at {interval.label}"
        )
    files = model_files(manifest)

    def decide(past: Past) -> tuple[Decision, Sequence[FileEntry]]:
        serving = past.serving
        if serving and (serving.model, serving.version) == (manifest.interval, manifest.version):
            raise ModelError(f"{manifest} is the champion already (decision {serving.number}), so there is nothing to promote.")
        judged = past.about(manifest)
        verdict = _settled(judged.verdict) if judged else {}
        return Decision("promote", manifest.interval, manifest.version, manifest.content.digest, who, why, verdict, by_hand=True), files

    return _by_hand(lake.chain(pipeline, model), who, why, decide)


def answer(lake: Lake, pipeline: str, model: str, kind: Answer, *, number: int | None = None, who: str, why: str) -> Decision:
    """Say yes (`promote`) or no (`reject`) to the challenger that waits; `number` names the decision that asked, so that no other is meant.

    The same answer of the same person again gives the decision that stands. ClosedQuestionError when the question is not open any more,
    UnknownNameError when decision `number` asked none.
    """
    name = f"{pipeline}.{model}"

    def decide(past: Past) -> tuple[Decision, Sequence[FileEntry]]:
        asked = _asked(past, number, name)
        given = asked.answer
        if given and (given.kind, given.who, given.why) == (kind, who, why):
            return given, ()
        if not asked.is_open:
            raise ClosedQuestionError(f"The question about `{name}` of decision {asked.number} is closed: {asked.closed}. {_NOW}")
        about = asked.asked
        files = model_files(lake.log(pipeline, model).manifest(about.model, about.version)) if kind == "promote" else ()
        return Decision(kind, about.model, about.version, about.digest, who, why, _settled(about.verdict), by_hand=True), files

    return _by_hand(lake.chain(pipeline, model), who, why, decide)


_NOW = "What waits now: headrace pending FILE"


def _asked(past: Past, number: int | None, name: str) -> Question:
    found = open_question(past) if number is None else question(past, number)
    if found:
        return found
    if number is None:
        raise ClosedQuestionError(f"No challenger of `{name}` waits for a person. {_NOW}")
    raise UnknownNameError(f"Decision {number} about `{name}` left no challenger waiting for a person. {_NOW}")


def _settled(verdict: Mapping[str, JSON]) -> dict[str, JSON]:
    """A run's verdict as a person's decision keeps it: what it was compared with, and no more that it waits."""
    return {name: value for name, value in verdict.items() if name not in ("late", "pending")}


def rollback(lake: Lake, pipeline: str, model: str, *, to: int | None = None, who: str, why: str) -> Decision:
    """Let an earlier champion serve again: the one before the present one, or that of decision `to`. Runs only challenge it until `release`."""

    def decide(past: Past) -> tuple[Decision, Sequence[FileEntry]]:
        target = _earlier(past, f"{pipeline}.{model}") if to is None else _chosen(past, to, f"{pipeline}.{model}")
        files = _remaining(lake, pipeline, model, target)
        return Decision("rollback", target.model, target.version, target.digest, who, why, target.verdict, by_hand=True), files

    return _by_hand(lake.chain(pipeline, model), who, why, decide)


def hold(lake: Lake, pipeline: str, model: str, *, who: str, why: str) -> Decision:
    """Keep the present champion: runs only challenge it, until `release`."""

    def decide(past: Past) -> tuple[Decision, Sequence[FileEntry]]:
        if past.is_held:
            raise ModelError(
                f"`{pipeline}.{model}` is held already, by a rollback or hold that was not released. To end that: headrace release"
            )
        serving = _present(past, f"{pipeline}.{model}", "hold")
        return Decision("hold", serving.model, serving.version, serving.digest, who, why, by_hand=True), ()

    return _by_hand(lake.chain(pipeline, model), who, why, decide)


def release(lake: Lake, pipeline: str, model: str, *, who: str, why: str) -> Decision:
    """End a person's hold, or the one that a rollback is: the next run may promote again."""

    def decide(past: Past) -> tuple[Decision, Sequence[FileEntry]]:
        serving = _present(past, f"{pipeline}.{model}", "release")
        if not past.is_held:
            raise ModelError(f"`{pipeline}.{model}` is not held, so there is nothing to release. Runs promote it by its gate.")
        return Decision("release", serving.model, serving.version, serving.digest, who, why, by_hand=True), ()

    return _by_hand(lake.chain(pipeline, model), who, why, decide)


def _by_hand(chain: Chain, who: str, why: str, decide: _Decide) -> Decision:
    if not who.strip() or not why.strip():
        raise ModelError(
            f"A decision about `{chain.pipeline}.{chain.model}` by hand says who decides and why; got who={who!r}, why={why!r}."
        )
    for _ in range(TRIES):
        past = Past(chain)
        decision, files = decide(past)
        if decision.number:  # it is in the chain already
            return decision
        added = chain.append(decision, after=past.head, files=files)
        if added:
            return added
    raise lost(f"{chain.pipeline}.{chain.model}")


def _present(past: Past, name: str, verb: str) -> Decision:
    if past.serving is None:
        raise ModelError(f"`{name}` has no champion yet, so there is nothing to {verb}. The first run whose gate passes makes one.")
    return past.serving


def _earlier(past: Past, name: str) -> Decision:
    """The newest champion of an earlier model than the present one's."""
    serving = _present(past, name, "go back from")
    crowned = (entry for entry in past if entry.champion)
    found = next((entry for entry in crowned if (entry.model.start, entry.version) < (serving.model.start, serving.version)), None)
    if found is None:
        raise ModelError(f"`{name}` has had no champion before {serving.model} v{serving.version}, so there is nothing to go back to.")
    return found


def _chosen(past: Past, number: int, name: str) -> Decision:
    serving = _present(past, name, "go back from")
    crowned = {entry.number: entry for entry in past if entry.champion}
    if number not in crowned:
        listed = ", ".join(str(known) for known in sorted(crowned))
        raise UnknownNameError(f"Decision {number} about `{name}` made no champion; those that did: {listed}.")
    target = crowned[number]
    if (target.model, target.version) == (serving.model, serving.version):
        raise ModelError(
            f"Decision {number} about `{name}` is of the model that serves now ({serving.model} v{serving.version}), so there is nothing to go back to."
        )
    return target


def _remaining(lake: Lake, pipeline: str, model: str, target: Decision) -> Sequence[FileEntry]:
    """The files of an old champion: its own copy, else those that training committed."""
    for files in (target.files, model_files(lake.log(pipeline, model).manifest(target.model, target.version))):
        try:
            verified_files(lake, files)
            return files
        except VanishedError:
            continue
    raise ModelError(
        f"The files of decision {target.number} about `{pipeline}.{model}` were collected, so it can't serve again. Choose another, or train {target.model} again."
    )
