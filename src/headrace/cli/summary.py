"""What is said after a run: the models with their metrics and verdicts, what the past still holds of older code, and totals."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from headrace.cli.output import seconds_text, tell
from headrace.core.interval import Interval
from headrace.core.plan import Plan
from headrace.core.receipt import Receipt
from headrace.run.backfill import Ran
from headrace.run.session import Session

__all__ = ["print_summary", "stale_lines"]

_REASONS = 5


def print_summary(session: Session, ran: Ran, *, seconds: float) -> None:
    """Print the last words of a run."""
    tell("")
    models = [r for r in ran.receipts if r.kind == "model" and r.metrics]
    for model in models[-4:]:
        _print_model(model, _promotion_of(ran.receipts, model))
    _print_quarantine(session, ran.receipts)
    for line in stale_lines(ran.plan, session.file.name if session.file else "FILE"):
        tell(line)
    tell(_totals(ran.receipts, seconds))


def stale_lines(plan: Plan, file: str) -> Iterator[str]:
    """What the lake still holds of older code, and the command that makes it again."""
    for name, stale in plan.stale.items():
        many = f"{len(stale):,} other intervals of `{name}` were" if len(stale) > 1 else f"another interval of `{name}` was"
        command = f"headrace backfill {file} --from {stale[0].label} --to {stale[-1].label}"
        yield f"{many} made by other code or settings than today's. Make them again: {command}"


def _print_model(model: Receipt, promotion: Receipt | None) -> None:
    champion = _champion_metrics(promotion)
    tell(click.style(f"{model.step}", bold=True) + f"  {model.interval.label} v{model.version}")
    for name, value in sorted(model.metrics.items()):
        beside = f"   champion {champion[name]:.4g}" if name in champion else ""
        tell(f"  {name:<18} {value:>10.4g}{beside}")
    if promotion is not None and promotion.verdict:
        is_champion = promotion.verdict.get("decision") == "promote"
        mark = click.style("promoted", fg="green") if is_champion else click.style("not promoted", fg="yellow")
        tell(f"  {mark}: {promotion.verdict.get('why')}")
    if model.location:
        tell(f"  model  {model.location}")


def _promotion_of(receipts: Sequence[Receipt], model: Receipt) -> Receipt | None:
    return next(
        (r for r in receipts if r.kind == "promotion" and r.step == f"{model.step}.promotion" and r.interval == model.interval), None
    )


def _champion_metrics(promotion: Receipt | None) -> Mapping[str, float]:
    told = promotion.verdict.get("champion") if promotion else None
    metrics = told.get("metrics") if isinstance(told, Mapping) else None
    return {n: float(v) for n, v in metrics.items() if isinstance(v, int | float)} if isinstance(metrics, Mapping) else {}


def _print_quarantine(session: Session, receipts: Sequence[Receipt]) -> None:
    """Where rows were kept aside: how many, why most of them, and how to look at them."""
    for step in dict.fromkeys(r.step for r in receipts if r.rows_quarantined and r.version):
        found = [r for r in receipts if r.step == step and r.rows_quarantined and r.version]
        count, read = sum(r.rows_quarantined for r in found), sum(r.rows_read for r in found)
        tell(click.style(f"{count:,} of {read:,} rows of `{step}` are in quarantine", fg="yellow"))
        reasons = _reasons(session, step, found)
        for reason, times in sorted(reasons.items(), key=lambda item: -item[1])[:_REASONS]:
            tell(f"  {times:>6,}  {reason}")
        tell(f"  see them: {_command(session, step, found[-1].interval)}")


def _command(session: Session, step: str, interval: Interval) -> str:
    """What to type, where this command was typed, to see what is in quarantine."""
    if session.file is None or session.dataset(step) != step:  # an experiment's rows are in a dataset that no command shows
        name = f"{session.graph.name}.{session.dataset(step)}.quarantine"
        return f"headrace.open_lake({session.lake.uri!r}).read({name!r}, at={interval.label!r})"
    file = session.file.absolute()
    typed = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    words = ["headrace", "quarantine", str(typed), step, "--at", interval.label]
    if session.config.profile != "local":
        words += ["--profile", session.config.profile]
    if session.config.values["lake"].origin == "command line":
        words += ["--lake", session.lake.uri]
    return shlex.join(words)


def _reasons(session: Session, step: str, receipts: Sequence[Receipt]) -> dict[str, int]:
    found: dict[str, int] = {}
    for receipt in receipts:
        told = session.log(step).manifest(receipt.interval, receipt.version or 1).content.details.get("reasons")
        for reason, times in told.items() if isinstance(told, Mapping) else ():
            found[reason] = found.get(reason, 0) + (times if isinstance(times, int) else 0)
    return found


def _totals(receipts: Sequence[Receipt], seconds: float) -> str:
    counts: dict[str, int] = {}
    for receipt in receipts:
        counts[receipt.state] = counts.get(receipt.state, 0) + 1
    order = ("made", "copied", "cached", "skipped", "failed", "blocked")
    said = ", ".join(f"{counts[state]} {state}" for state in order if state in counts) or "nothing to do"
    return f"{said} in {seconds_text(seconds)} s"
