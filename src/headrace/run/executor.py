"""Carrying out a plan: each pair once, after what it reads, several at a time, with retries.

The in-process runner is a loop over a plan, and stays one. The invariant: a failing step stops what depends on it and nothing else,
and every pair that was asked for ends with exactly one receipt.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from headrace.core.arrival import Late, told_late
from headrace.core.errors import is_transient
from headrace.core.graph import Pair
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt, State
from headrace.core.step import Promotion
from headrace.lake.layout import chain_key, slot_key
from headrace.run.child import execute_in_child
from headrace.run.execute import execute_step, receipt_of
from headrace.run.promotion import promotion_receipt
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.waiting import WaitingRoom

__all__ = ["Outcome", "Watcher", "confirm_standing", "run_plan", "standing_receipt"]

Watcher = Callable[[Decision, Receipt | None], None]
"""Told of each pair as it starts (no receipt yet) and as it ends; before, with a decision to `wait`, of what a source waits for."""

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
        self._before: dict[Pair, Pair] = {}
        self._over: set[Pair] = set()
        last: dict[str, Pair] = {}
        for pair in sorted(running, key=lambda p: p[1]):
            if isinstance(session.graph.steps[pair[0]], Promotion):
                if pair[0] in last:
                    self._next[last[pair[0]]], self._before[pair] = pair, last[pair[0]]
                    self._needs[pair].add(last[pair[0]])
                last[pair[0]] = pair

    def ready(self) -> list[Pair]:
        return [p for p, needed in self._needs.items() if not needed]

    def done(self, pair: Pair) -> list[Pair]:
        """The pairs that may start now that this one is made."""
        self._over.add(pair)
        return [*self._freed(pair, self._readers[pair]), *self._passed_on(pair)]

    def lost(self, pair: Pair) -> tuple[list[Pair], list[Pair]]:
        """The pairs that can't be made since this one is not, however far; and those that may start all the same."""
        stopped = [p for p in self._readers[pair] if self._needs.pop(p, None) is not None]
        for one in stopped:
            stopped.extend(p for p in self._readers[one] if self._needs.pop(p, None) is not None)
        self._over.update((pair, *stopped))
        return stopped, [p for one in sorted((pair, *stopped), key=lambda p: p[1]) for p in self._passed_on(one)]

    def _passed_on(self, pair: Pair) -> list[Pair]:
        """A promotion's turn goes to the next; one that is given up before it came leaves the next waiting for the one before."""
        following, before = self._next.get(pair), self._before.get(pair)
        if following is None:
            return []
        if before is None or before in self._over:
            return self._freed(pair, [following])
        self._next[before], self._before[following] = following, before
        if following in self._needs:
            self._needs[following] = (self._needs[following] - {pair}) | {before}
        return []

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
    run = _Run(session, plan, watch)
    for decision in plan.decisions:
        if decision.action != "run" and decision.is_target:
            run.note(decision, standing_receipt(session, decision))
    confirm_standing(session, plan)
    workers = jobs or session.config.number("jobs") or min(os.cpu_count() or 1, 4)
    if workers == 1 or len(plan.to_run) == 1:
        run.serially()
    else:
        run.in_threads(workers)
    return run.outcome_of(plan)


class _Run:
    """A plan while it is carried out: what ended how, and what may start."""

    def __init__(self, session: Session, plan: Plan, watch: Watcher) -> None:
        self._session = session
        self._watch = watch
        self._decisions = {d.pair: d for d in plan.decisions}
        self._receipts: dict[Pair, Receipt] = {}
        self._outcome = Outcome()
        self._board = _Board(session, plan)
        self._ready = deque(self._board.ready())
        self._room = WaitingRoom(session, lambda decision: watch(decision, None))

    def note(self, decision: Decision, receipt: Receipt) -> None:
        self._receipts[decision.pair] = receipt
        self._watch(decision, receipt)

    def serially(self) -> None:
        try:
            while self._ready or self._room:
                self._let_in()
                decision = self._started()
                if decision is not None:
                    self._ended(decision, *_attempted(self._session, decision, self._room.late.get(decision.pair)))
                elif self._room:
                    self._room.sleep()
        except KeyboardInterrupt:
            self._outcome.is_interrupted = True

    def in_threads(self, workers: int) -> None:
        pool = ThreadPoolExecutor(workers, thread_name_prefix="headrace")
        running: dict[Future[tuple[Receipt, BaseException | None]], Decision] = {}
        try:
            while self._ready or running or self._room:
                self._let_in()
                while len(running) < workers and (decision := self._started()) is not None:
                    running[pool.submit(_attempted, self._session, decision, self._room.late.get(decision.pair))] = decision
                if not running and self._room:
                    self._room.sleep()
                done, _ = wait(running, timeout=self._room.pause_s, return_when=FIRST_COMPLETED)
                for future in done:
                    self._ended(running.pop(future), *future.result())
        except KeyboardInterrupt:
            self._outcome.is_interrupted = True
            for future, decision in running.items():
                self._ended(decision, *future.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def outcome_of(self, plan: Plan) -> Outcome:
        """Every pair that was asked for has its receipt, in the plan's order."""
        if self._outcome.is_interrupted:
            for decision in plan.to_run:
                unmade = Receipt(decision.step, decision.kind, decision.interval, "skipped", "interrupted before it was made")
                self._receipts.setdefault(decision.pair, unmade)
        self._outcome.receipts = [self._receipts[d.pair] for d in plan.decisions if d.pair in self._receipts]
        return self._outcome

    def _let_in(self) -> None:
        """What was waited for, and is there."""
        self._ready.extend(decision.pair for decision in self._room.leaving())

    def _started(self) -> Decision | None:
        """The next pair that can start now; what waits for something outside is put aside meanwhile."""
        while self._ready:
            decision = self._decisions[self._ready.popleft()]
            if not self._room.holds(decision):
                self._watch(decision, None)
                return decision
        return None

    def _ended(self, decision: Decision, receipt: Receipt, error: BaseException | None) -> None:
        """Note how a pair ended, and what follows from it for those that read it."""
        self.note(decision, receipt)
        if error is None and receipt.state != "skipped":
            self._ready.extend(self._board.done(decision.pair))
            return
        if error is not None:
            self._outcome.errors[decision.pair] = error
        stopped, freed = self._board.lost(decision.pair)
        state: State = "blocked" if error is not None else "skipped"
        why = f"`{decision.step}` ({decision.interval.label}) {'failed' if error is not None else receipt.why}"
        for pair in stopped:
            self.note(self._decisions[pair], Receipt(pair[0], self._decisions[pair].kind, pair[1], state, why))
        self._ready.extend(freed)


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


def _attempted(session: Session, decision: Decision, late: Late | None = None) -> tuple[Receipt, BaseException | None]:
    """One pair, tried again while its errors may pass. `late` says that it was waited for in vain."""
    policy = session.graph.steps[decision.step].policy
    started = time.perf_counter()
    attempts = 0
    while True:
        attempts += 1
        try:
            carry_out = execute_in_child if policy.has_own_process and session.file is not None else execute_step
            with told_late(late, decision.step, decision.interval):
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
    return redacted(str(error).strip()) or type(error).__name__


def _pause_s(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret
