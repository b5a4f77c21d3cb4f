"""Groups of steps that share a task: which units there are, and which groups can't be one task."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from declared import graph, model, predictions, problems, promotion, source, table
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.grouping import units_of
from headrace.core.step import Policy, Source, Table

S = TypeVar("S", Source, Table)


def grouped(step: S, group: str) -> S:
    return replace(step, policy=Policy(group=group))


def one(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def test_a_step_without_a_group_is_a_unit_of_its_own() -> None:
    units = units_of(graph(source("a"), table("b", "a")).steps)
    assert [(unit.name, unit.steps, unit.reads, unit.is_group) for unit in units.values()] == [
        ("a", ("a",), (), False),
        ("b", ("b",), ("a",), False),
    ]


def test_the_steps_of_a_group_are_one_unit_in_the_graphs_order_that_reads_what_they_read() -> None:
    steps = [grouped(table("d", "b", "c"), "g"), grouped(table("b", "a"), "g"), source("a"), source("c"), table("e", "d")]
    units = units_of(graph(*steps).steps)
    assert units["g"].steps == ("b", "d")
    assert set(units["g"].reads) == {"a", "c"}
    assert units["g"].is_group
    assert units["e"].reads == ("g",)


def test_a_group_that_would_stop_in_its_middle_is_refused_with_what_to_do() -> None:
    steps = [source("a"), grouped(table("b", "a"), "g"), table("x", "b"), grouped(table("c", "x"), "g")]
    assert one(problems(*steps)) == (
        "pipeline.py:1: group='g' can't be one task: `x` reads `b` of the group, and `c` of the group reads `x`, so it would have to stop in its middle for "
        "`x`. Put `x` into the group too, or take `c` out of it."
    )


def test_groups_that_wait_for_each_other_are_refused() -> None:
    steps = [grouped(source("a"), "g"), grouped(table("b", "a"), "h"), grouped(table("c", "b"), "g")]
    assert "group='h' can't be one task: `c` reads `b` of the group, and `b` of the group reads `a`" in one(problems(*steps))


def test_a_groups_name_is_no_steps_and_one_that_airflow_takes() -> None:
    assert "is also the name of a step" in one(problems(source("a"), grouped(table("b", "a"), "a")))
    assert "can't name a group of steps" in one(problems(grouped(source("a"), "no way")))


def test_a_circle_of_steps_is_told_once() -> None:
    assert "in a circle" in one(problems(grouped(table("a", "b"), "g"), table("b", "a")))


def test_a_model_is_promoted_where_it_is_trained() -> None:
    groups = replace(model("groups", "spending"), policy=Policy(group="learn"))
    judged = replace(promotion(groups), policy=groups.policy)
    steps = [source("purchases"), table("spending", "purchases"), groups, judged, predictions("found", "groups", "spending")]
    assert problems(*steps) == []
    assert units_of(graph(*steps).steps)["learn"].steps == ("groups", "groups.promotion")


@given(st.lists(st.tuples(st.sets(st.integers(0, 6), max_size=3), st.sampled_from(["", "g", "h"])), min_size=1, max_size=7))
def test_without_problems_each_unit_can_come_after_what_it_reads(drawn: list[tuple[set[int], str]]) -> None:
    steps = []
    for place, (reads, group) in enumerate(drawn):
        before = [f"s{read}" for read in sorted(reads) if read < place]
        step = table(f"s{place}", *before) if before else source(f"s{place}")
        steps.append(replace(step, policy=Policy(group=group or None)))
    found = problems(*steps)
    done: set[str] = set()
    waiting = dict(units_of({step.name: step for step in steps}))
    while ready := [name for name, unit in waiting.items() if set(unit.reads) <= done]:
        done.update(ready)
        for name in ready:
            del waiting[name]
    assert (found == []) == (not waiting)
