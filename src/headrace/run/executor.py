"""Carrying out a plan: each pair once, after what it reads, several at a time, with retries.

The in-process runner is a loop over a plan, and stays one. The invariant: a failing step stops what depends on it and nothing else,
and every pair that was asked for ends with exactly one receipt.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from headrace.core.errors import is_transient
from headrace.core.graph import Pair
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt, State
from headrace.core.step import Promotion
from headrace.lake.layout import chain_key, slot_key
from headrace.run.child import execute_in_child
from headrace.run.execute import execute_step, receipt_of
from headrace.run.promotion import promotion_receipt
from headrace.run.session import Session

__all__ = ["Outcome", "Watcher", "confirm_standing", "run_plan", "standing_receipt"]

Watcher = Callable[[Decision, Receipt | None], None]
"""Told of each pair as it starts (no receipt yet) and as it ends."""

_BARE = "it asks for a process of its own or a timeout, which only the command line gives"
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


@dataclass
class Outcome:
    """How a plan was carried out: receipts in the plan's order, and the errors behind those that failed."""

    receipts: list[Receipt] = field(default_factory=list[Receipt])
    errors: dict[Pair, BaseException] = field(default_factory=dict[Pair, BaseException])
    is_interrupted: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.errors) or self.is_interrupted


class _Board:
    """Which pairs wait for which: readers for what they read, and each promotion for the one before it of the same model.

    A promotion only waits its turn: it goes on however the one before it ended.
    """

    def __init__(self, session: Session, plan: Plan) -> None:
        running = {d.pair: d for d in plan.to_run}
        self._needs: dict[Pair, set[Pair]] = {p: {r for r in d.reads if r in running} for p, d in running.items()}
        self._readers: dict[Pair, list[Pair]] = {p: [] for p in running}
        for pair, needed in self._needs.items():
            for need in needed:
                self._readers[need].append(pair)
        self._next: dict[Pair, Pair] = {}
        last: dict[str, Pair] = {}
        for pair in sorted(running, key=lambda p: p[1]):
            if isinstance(session.graph.steps[pair[0]], Promotion):
                if pair[0] in last:
                    self._next[last[pair[0]]] = pair
                    self._needs[pair].add(last[pair[0]])
                last[pair[0]] = pair

    def ready(self) -> list[Pair]:
        return [p for p, needed in self._needs.items() if not needed]

    def done(self, pair: Pair) -> list[Pair]:
        """The pairs that may start now that this one is made."""
        return [*self._freed(pair, self._readers[pair]), *self._passed_on(pair)]

    def lost(self, pair: Pair) -> tuple[list[Pair], list[Pair]]:
        """The pairs that can't be made since this one is not, however far; and those that may start all the same."""
        stopped = [p for p in self._readers[pair] if self._needs.pop(p, None) is not None]
        for one in stopped:
            stopped.extend(p for p in self._readers[one] if self._needs.pop(p, None) is not None)
        return stopped, [p for one in (pair, *stopped) for p in self._passed_on(one)]

    def _passed_on(self, pair: Pair) -> list[Pair]:
        return self._freed(pair, [self._next[pair]] if pair in self._next else [])

    def _freed(self, pair: Pair, followers: Iterable[Pair]) -> list[Pair]:
        freed = []
        for follower in followers:
            needed = self._needs.get(follower)
            if needed:
                needed.discard(pair)
                if not needed:
                    freed.append(follower)
        return freed


def run_plan(session: Session, plan: Plan, *, jobs: int | None = None, watch: Watcher = lambda _decision, _receipt: None) -> Outcome:
    """Carry out a plan. Never raises for a step that fails: its receipt says so, and `errors` has the exception.

    Ctrl-C lets the steps that are running end, starts no more, and says so in the outcome; a second one is raised at once. Nothing partial
    is left by either.
    """
    by_pair = {d.pair: d for d in plan.decisions}
    receipts: dict[Pair, Receipt] = {}
    outcome = Outcome()
    for decision in plan.decisions:
        if decision.action != "run" and decision.is_target:
            receipts[decision.pair] = standing_receipt(session, decision)
            watch(decision, receipts[decision.pair])
    confirm_standing(session, plan)
    board = _Board(session, plan)
    workers = jobs or session.config.number("jobs") or min(os.cpu_count() or 1, 4)
    runner = _serially if workers == 1 or len(plan.to_run) == 1 else _in_threads
    runner(session, board, by_pair, receipts, outcome, watch, workers)
    if outcome.is_interrupted:
        for decision in plan.to_run:
            unmade = Receipt(decision.step, decision.kind, decision.interval, "skipped", "interrupted before it was made")
            receipts.setdefault(decision.pair, unmade)
    outcome.receipts = [receipts[d.pair] for d in plan.decisions if d.pair in receipts]
    return outcome


def _serially(
    session: Session,
    board: _Board,
    by_pair: Mapping[Pair, Decision],
    receipts: dict[Pair, Receipt],
    outcome: Outcome,
    watch: Watcher,
    _: int,
) -> None:
    ready = deque(board.ready())
    try:
        while ready:
            decision = by_pair[ready.popleft()]
            watch(decision, None)
            receipt, error = _attempted(session, decision)
            ready.extend(_ended(decision, receipt, error, board, by_pair, receipts, outcome, watch))
    except KeyboardInterrupt:
        outcome.is_interrupted = True


def _in_threads(
    session: Session,
    board: _Board,
    by_pair: Mapping[Pair, Decision],
    receipts: dict[Pair, Receipt],
    outcome: Outcome,
    watch: Watcher,
    workers: int,
) -> None:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="headrace")
    ready = deque(board.ready())
    running: dict[Future[tuple[Receipt, BaseException | None]], Decision] = {}
    try:
        while ready or running:
            while ready and len(running) < workers:
                decision = by_pair[ready.popleft()]
                watch(decision, None)
                running[pool.submit(_attempted, session, decision)] = decision
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                decision = running.pop(future)
                receipt, error = future.result()
                ready.extend(_ended(decision, receipt, error, board, by_pair, receipts, outcome, watch))
    except KeyboardInterrupt:
        outcome.is_interrupted = True
        for future, decision in running.items():
            receipt, error = future.result()
            _ended(decision, receipt, error, board, by_pair, receipts, outcome, watch)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _ended(
    decision: Decision,
    receipt: Receipt,
    error: BaseException | None,
    board: _Board,
    by_pair: Mapping[Pair, Decision],
    receipts: dict[Pair, Receipt],
    outcome: Outcome,
    watch: Watcher,
) -> Iterable[Pair]:
    """Note how a pair ended; the pairs that may start now."""
    receipts[decision.pair] = receipt
    watch(decision, receipt)
    if error is None and receipt.state != "skipped":
        return board.done(decision.pair)
    if error is not None:
        outcome.errors[decision.pair] = error
    stopped, freed = board.lost(decision.pair)
    state: State = "blocked" if error is not None else "skipped"
    why = f"`{decision.step}` ({decision.interval.label}) {'failed' if error is not None else receipt.why}"
    for pair in stopped:
        receipts[pair] = Receipt(pair[0], by_pair[pair].kind, pair[1], state, why)
        watch(by_pair[pair], receipts[pair])
    return freed


def confirm_standing(session: Session, plan: Plan) -> None:
    """Make durable what the run says stands already: another process may have put it a moment ago."""
    keys: list[str] = []
    for decision in plan.decisions:
        if decision.action == "skip" and decision.is_target and decision.version is not None:
            if isinstance(session.graph.steps[decision.step], Promotion):
                keys.append(chain_key(session.graph.name, decision.step.removesuffix(".promotion"), decision.version))
            else:
                keys.append(slot_key(session.graph.name, session.dataset(decision.step), decision.interval, decision.version))
    if keys:
        session.lake.store.confirm(keys)


def standing_receipt(session: Session, decision: Decision) -> Receipt:
    """The receipt of a pair that needs nothing done."""
    step = session.graph.steps[decision.step]
    if decision.action == "wait":
        return Receipt(decision.step, decision.kind, decision.interval, "skipped", decision.reason)
    if isinstance(step, Promotion):
        manifest = session.catalog.current(session.dataset(step.model), decision.interval)
        decided = session.decisions.about(step.model, decision.interval, manifest.content.digest) if manifest else None
        return promotion_receipt(session, step, decision.interval, decided)
    manifest = session.catalog.current(session.dataset(decision.step), decision.interval)
    if manifest is None:
        return Receipt(decision.step, decision.kind, decision.interval, "cached", decision.reason, decision.version)
    return replace(receipt_of(session, step, manifest), why=decision.reason)


def _attempted(session: Session, decision: Decision) -> tuple[Receipt, BaseException | None]:
    """One pair, tried again while its errors may pass."""
    policy = session.graph.steps[decision.step].policy
    started = time.perf_counter()
    attempts = 0
    while True:
        attempts += 1
        try:
            carry_out = execute_in_child if policy.has_own_process and session.file is not None else execute_step
            receipt = carry_out(session, decision.step, decision.interval, is_forced=decision.is_forced)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # a step may raise anything (Polars panics are BaseExceptions); it becomes a receipt
            if is_transient(error) and attempts <= policy.retries:
                session.sleep(_pause_s(attempts))
                continue
            seconds = time.perf_counter() - started
            failed = Receipt(
                decision.step,
                decision.kind,
                decision.interval,
                "failed",
                decision.reason,
                seconds=seconds,
                error=_told(error),
                attempts=attempts,
            )
            return failed, error
        is_bare = policy.has_own_process and session.file is None
        notes = (*receipt.notes, _BARE) if is_bare and receipt.state == "made" else receipt.notes
        return replace(receipt, why=_why(decision, receipt), attempts=attempts, notes=notes), None


def _why(decision: Decision, receipt: Receipt) -> str:
    if receipt.state == "made" and not receipt.why:
        return decision.reason
    return receipt.why or decision.reason


def _told(error: BaseException) -> str:
    text = str(error).strip()
    return text or type(error).__name__


def _pause_s(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
