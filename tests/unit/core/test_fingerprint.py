"""Fingerprints: what counts as the same work, and how a change is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from declared import days, model, source, table
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.fingerprint import FORMAT, Recipe, changes, declaration_of, interval_text, seed_of, uses_interval
from headrace.core.interval import Interval
from headrace.core.split import by_key, by_time
from headrace.core.step import Input, Policy

RECIPE = Recipe("c0de", {"function `f`": "aa"}, {"clusters": 5}, {"key": ["id"]}, None)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)
recipes = st.builds(
    Recipe,
    st.text(max_size=4),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
    st.dictionaries(st.text(max_size=4), plain, max_size=3),
    st.just({"key": ["id"]}),
    st.none() | st.just("2026"),
)


@given(recipes)
def test_what_a_manifest_kept_of_a_recipe_never_differs_from_that_recipe(recipe: Recipe) -> None:
    kept = json.loads(json.dumps(recipe.parts()))
    assert changes(kept, recipe) == []


@given(recipes, recipes)
def test_recipes_have_equal_fingerprints_only_if_no_change_is_told(a: Recipe, b: Recipe) -> None:
    same = a.code == b.code and changes(json.loads(json.dumps(a.parts())), b) == []
    assert (a.fingerprint({}) == b.fingerprint({})) == same


def test_a_fingerprint_covers_code_settings_declaration_interval_and_inputs() -> None:
    others = [
        replace(RECIPE, code="other").fingerprint({"a": "1"}),
        replace(RECIPE, settings={"clusters": 6}).fingerprint({"a": "1"}),
        replace(RECIPE, declaration={"key": ["other"]}).fingerprint({"a": "1"}),
        replace(RECIPE, interval="2026").fingerprint({"a": "1"}),
        RECIPE.fingerprint({"a": "2"}),
        RECIPE.fingerprint({"b": "1"}),
    ]
    assert len({RECIPE.fingerprint({"a": "1"}), *others}) == 7


def test_the_words_for_its_parts_of_code_are_not_in_a_fingerprint() -> None:
    assert replace(RECIPE, code_parts={}).fingerprint({}) == RECIPE.fingerprint({})


def test_a_change_is_told_in_words() -> None:
    kept = {**RECIPE.parts(), "format": 0}
    now = replace(RECIPE, settings={"clusters": 6, "seed": "x" * 60}, declaration={"key": ["id", "day"]}, interval="2026")
    assert changes(kept, now) == [
        f"headrace's format 0 -> {FORMAT}",
        "setting `clusters` 5 -> 6",
        f'setting `seed` null -> "{"x" * 36}…',
        "`key` changed",
        "its use of the interval changed",
    ]


def test_what_shapes_no_output_is_not_declared() -> None:
    step = table("t", "rows_", key=("id",))
    for other in (
        replace(step, policy=Policy(retries=9, timeout_s=1.0)),
        replace(step, doc="told"),
        replace(step, where=step.where.__class__("other.py", 99)),
    ):
        assert declaration_of(other) == declaration_of(step)
    trained = model("m", "rows_", "a")
    assert declaration_of(replace(trained, gates=(bool,), needs_approval=True)) == declaration_of(trained)  # type: ignore[arg-type]


def test_what_shapes_the_output_is_declared() -> None:
    step = table("t", "rows_", key=("id",), time="at")
    others = [
        replace(step, key=("other",)),
        replace(step, time="then"),
        replace(step, layer="gold"),
        replace(step, split=by_key(test=0.2)),
        replace(step, split=by_key(test=0.3)),
        replace(step, split=by_key("id", test=0.2)),
        replace(step, split=by_time(test="7d")),
        replace(step, split=by_time(test="7d", gap="1d")),
        replace(step, inputs=(Input("rows_", "rows_", "arrow"),)),
        replace(step, inputs=(Input("rows_", "rows_", reach=days(30)),)),
        replace(step, inputs=(Input("rows_", "rows_", reach=days(60, 30)),)),
        replace(step, inputs=(Input("rows_", "rows_", is_within=True),)),
        replace(step, inputs=(Input("rows_", "rows_", is_newest=True),)),
    ]
    told = {json.dumps(declaration_of(s)) for s in (step, *others)}
    assert len(told) == 1 + len(others)


def test_the_interval_counts_only_where_the_step_uses_it() -> None:
    assert uses_interval(source("s", "{start:%Y-%m-%d}.csv"))
    assert not uses_interval(source("s", "rows.csv"))
    assert not uses_interval(table("t", "s"))
    assert uses_interval(replace(table("t", "s"), interval_parameters=("when",)))
    assert uses_interval(table("t", split=by_time(test="7d"), time="at"))
    assert uses_interval(table("t", Input("s", "s", reach=(timedelta(days=30), timedelta(0)))))
    assert uses_interval(table("t", Input("s", "s", is_within=True)))
    assert not uses_interval(model("m", "t"))


def test_an_interval_is_written_with_both_ends() -> None:
    day = interval_text(Interval.of("2026-11-20", "2026-11-21"))
    assert day == "2026-11-20T00:00:00+00:00/2026-11-21T00:00:00+00:00"


def test_a_seed_is_31_bits_and_depends_on_step_and_work() -> None:
    seeds = {seed_of(step, work) for step in ("a", "b") for work in ("x", "y")}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of("a", "x") == seed_of("a", "x")
