"""Plans: what is decided of what was seen, and the reason in words."""

from __future__ import annotations

from dataclasses import replace

from headrace.core.interval import Interval
from headrace.core.plan import Decision, Plan, Seen, decide

DAY = Interval.of("2026-11-20", "2026-11-21")
BEFORE = Interval.of("2026-11-19", "2026-11-20")


def seen(step: str, *reads: str, **more: object) -> Seen:
    return Seen(step, "table", DAY, reads=tuple((r, DAY) for r in reads), **more)  # type: ignore[arg-type]


def actions(*look: Seen) -> dict[str, tuple[str, str]]:
    return {d.step: (d.action, d.reason) for d in decide("shop", look).decisions}


def test_what_is_not_made_runs() -> None:
    assert actions(seen("a"), seen("b", "a", version=1)) == {"a": ("run", "not made yet"), "b": ("run", "`a` will be made")}


def test_what_is_only_read_runs_when_it_is_not_made_and_says_so() -> None:
    assert actions(seen("a", is_target=False)) == {"a": ("run", "not made yet, and read by what was asked for")}


def test_what_is_only_read_and_made_is_left_alone_whatever_changed() -> None:
    assert actions(seen("a", is_target=False, version=1, changes=("code",))) == {"a": ("skip", "made")}


def test_what_did_not_change_is_skipped() -> None:
    assert actions(seen("a", version=3), seen("b", "a", version=1)) == {"a": ("skip", "nothing changed"), "b": ("skip", "nothing changed")}


def test_every_change_is_named() -> None:
    assert actions(seen("a", version=1, changes=("helper `f` changed", "`key` changed"))) == {
        "a": ("run", "helper `f` changed; `key` changed")
    }


def test_what_is_forced_runs_and_so_do_its_readers() -> None:
    found = actions(seen("a", version=1, is_forced=True), seen("b", "a", version=1), seen("c", "b", version=1))
    assert [reason for _, reason in found.values()] == ["forced", "`a` will be made", "`b` will be made"]


def test_several_inputs_that_will_be_made_are_listed_once_each() -> None:
    look = (seen("b"), seen("a"), seen("c"), seen("d", "b", "a", "c", "a", version=1))
    assert actions(*look)["d"] == ("run", "`a`, `b` and `c` will be made")


def test_what_cannot_be_there_waits_and_so_does_all_that_reads_it() -> None:
    found = actions(seen("a", absent="too early"), seen("b", "a"), seen("c", "b", version=1, is_forced=True), seen("d"))
    assert found["a"] == ("wait", "too early")
    assert found["b"] == ("wait", "`a` is not there: too early")
    assert found["c"][0] == "wait"
    assert found["d"][0] == "run"


def test_what_is_settled_is_never_made_again_and_its_readers_go_on() -> None:
    found = actions(seen("a", version=2, settled="gone by retention", is_forced=True), seen("b", "a"))
    assert found == {"a": ("skip", "gone by retention"), "b": ("run", "not made yet")}


def test_a_plan_is_plain_json() -> None:
    plan = Plan("shop", (Decision("a", "table", DAY, "run", "forced", 2, reads=(("b", BEFORE),)),), {"a": (BEFORE,)})
    assert plan.as_json() == {
        "pipeline": "shop",
        "decisions": [
            {
                "step": "a",
                "kind": "table",
                "interval": "2026-11-20",
                "action": "run",
                "reason": "forced",
                "version": 2,
                "is_target": True,
                "obstacle": None,
            }
        ],
        "to_run": 1,
        "stale_past_intervals": {"a": {"count": 1, "first": BEFORE.label, "last": BEFORE.label}},
    }


def test_what_stands_and_is_not_published_runs_and_its_reader_does_not() -> None:
    unpublished = seen("a", version=3, unpublished="not published in there yet")
    assert actions(unpublished, seen("b", "a", version=1)) == {"a": ("run", "not published in there yet"), "b": ("skip", "nothing changed")}


def test_what_changed_and_is_not_published_runs_because_it_changed() -> None:
    both = seen("a", version=3, changes=("`key` changed",), unpublished="not published in there yet")
    assert actions(both, seen("b", "a", version=1)) == {"a": ("run", "`key` changed"), "b": ("run", "`a` will be made")}


def test_what_will_fail_is_foreseen_and_so_is_what_that_blocks() -> None:
    past = Seen("a", "source", BEFORE, is_target=False, version=1)
    unfit = {past.pair: "it was made otherwise"}
    found = decide("shop", (past, seen("a", version=None, unfit=unfit), seen("b", "a", version=1), seen("c", "b"), seen("d"))).decisions
    assert [(d.step, d.action, d.obstacle, d.is_blocked) for d in found[1:]] == [
        ("a", "run", "it was made otherwise", False),
        ("b", "run", "`a` (2026-11-20) will fail", True),
        ("c", "run", "`b` (2026-11-20) will fail", True),
        ("d", "run", "", False),
    ]


def test_what_is_unfit_is_no_obstacle_where_it_is_made_again_or_nothing_is_made_of_it() -> None:
    past = Seen("a", "source", BEFORE, version=1, changes=("`unique` changed",))
    one = Seen("a", "source", DAY, reads=(past.pair,), unfit={past.pair: "it was made otherwise"})
    assert [d.obstacle for d in decide("shop", (past, one)).decisions] == ["", ""]
    assert [d.obstacle for d in decide("shop", (replace(past, changes=()), replace(one, version=1))).decisions] == ["", ""]
