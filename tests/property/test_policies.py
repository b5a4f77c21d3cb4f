"""Policies: what must hold whatever the pipeline, its lake and its sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iam_evaluator import allows

import headrace as hr
from headrace.config import Value, read_config
from headrace.core.graph import Graph
from headrace.core.iam import LARGEST
from headrace.core.interval import Interval, parse_time
from headrace.core.location import resolve
from headrace.core.step import Predictions, Promotion, Source, Step, Table, TrainedModel
from headrace.lake.layout import LAKE_KEY, LAYERS, attempt_folder, chain_key, champion_folder, owner_key, slot_key
from headrace.run.permissions import Asked, Permissions, permissions

NONCE = "9f" * 16
DAY = Interval(parse_time("2026-11-20"), parse_time("2026-11-21"))

names = st.from_regex(r"[a-z][a-z0-9_]{0,11}", fullmatch=True)
roots = st.sampled_from(["", "prod", "team/a*b", "a$b/c?d", "x" * 60])
locations = st.sampled_from(
    ["rows.csv", "s3://raw/all.csv", "s3://raw/a/{start:%Y/%m/%d}/*.csv", "s3://raw/in/**/x-{end:%H}.csv", "s3://other/{start}.csv"]
)
asked = st.builds(Asked, only_new=st.booleans(), wide=st.booleans())


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A pipeline with some of each kind of step."""
    pipeline = hr.Pipeline(draw(names), schedule="@daily", start="2026-01-01")
    taken = draw(st.lists(names, min_size=4, max_size=12, unique=True))
    sources = [pipeline.source(f"s_{name}", draw(locations)) for name in taken[: len(taken) // 3 + 1]]
    if draw(st.booleans()):
        pipeline.source("other", hr.dataset("elsewhere.rows"))
    for name in taken[len(sources) :]:
        made = pipeline.table(name=f"t_{name}", layer=draw(st.sampled_from(["silver", "gold"])))(_rows)
        if draw(st.booleans()):

            def fitted() -> object:
                return None

            fitted.__name__ = f"m_{name}"
            model = pipeline.model(made, features=["x"], target="y")(fitted)
            if draw(st.booleans()):
                pipeline.predict(model, made, name=f"p_{name}")
    return pipeline.graph()


def _rows() -> str:
    return "select 1 as x, 2 as y"


def policies(graph: Graph, root: str, how: Asked) -> dict[str, Permissions]:
    read = read_config(None, environment={}, overrides={"lake": f"s3://lake/{root}"})
    config = replace(read, values={**read.values, "kms_key": Value("alias/lake", "a test")})
    return {one.purpose: one for one in permissions(graph, config, how)}


def document(one: Permissions) -> dict[str, Any]:
    return one.policy.to_json() if one.policy else {"Statement": []}


def steps_keys(graph: Graph) -> Iterator[tuple[str, str]]:
    """What the layout has for a pipeline's datasets, each with what is done to it."""
    yield LAKE_KEY, "entry"
    yield slot_key(graph.name, "_runs", DAY, 1), "entry"
    for step in graph.steps.values():
        if isinstance(step, Promotion):
            continue
        datasets = [step.name, f"{step.name}.experiment"]
        layers = {Source: ("bronze", "silver", "quarantine"), TrainedModel: ("models",), Predictions: ("gold",)}.get(type(step), ())
        if isinstance(step, Table):
            layers = (step.layer,)
        if isinstance(step, Source) and step.options.is_dataset:
            layers = ("silver",)
        for dataset in datasets:
            yield owner_key(graph.name, dataset), "entry"
            yield slot_key(graph.name, dataset, DAY, 7), "entry"
            for layer in layers:
                yield f"{attempt_folder(layer, graph.name, dataset, DAY, 7, NONCE)}/rows.parquet", "file"
        if isinstance(step, Source) and not step.options.is_dataset:
            yield f"{attempt_folder('quarantine', graph.name, f'{step.name}.refused', DAY, 1, NONCE)}/quarantine.parquet", "file"
        if isinstance(step, TrainedModel):
            yield chain_key(graph.name, step.name, 42), "entry"
            yield f"{champion_folder(graph.name, step.name, 42, NONCE)}/model.skops", "file"


def arn(root: str, key: str) -> str:
    return f"arn:aws:s3:::lake/{root}/{key}" if root else f"arn:aws:s3:::lake/{key}"


@given(graphs(), roots, asked)
def test_steps_may_put_every_key_of_their_datasets_and_read_what_they_need(graph: Graph, root: str, how: Asked) -> None:
    policy = document(policies(graph, root, how)["steps"])
    for key, kind in steps_keys(graph):
        context = {"s3:if-none-match": "*"} if kind == "entry" else {}
        assert allows(policy, "s3:PutObject", arn(root, key), context), key
        if kind == "entry":
            assert allows(policy, "s3:GetObject", arn(root, key)), key
            assert allows(policy, "s3:ListBucket", "arn:aws:s3:::lake", {"s3:prefix": f"{root}/{key}".removeprefix("/")}), key
            assert not how.only_new or not allows(policy, "s3:PutObject", arn(root, key)), key


@given(graphs(), roots, asked)
def test_only_the_collector_may_delete_and_never_an_entry(graph: Graph, root: str, how: Asked) -> None:
    found = policies(graph, root, how)
    for key, kind in steps_keys(graph):
        may = [who for who, one in found.items() if allows(document(one), "s3:DeleteObject", arn(root, key))]
        assert may == (["collector"] if kind == "file" else []), key


@given(graphs(), roots, asked)
def test_an_endpoint_reads_champions_and_no_data(graph: Graph, root: str, how: Asked) -> None:
    policy = document(policies(graph, root, how)["endpoint"])
    for key, _ in steps_keys(graph):
        is_own = key.startswith(("chain/", "champions/")) or (key == LAKE_KEY and bool(policy["Statement"]))
        assert allows(policy, "s3:GetObject", arn(root, key)) == is_own, key
        assert not any(allows(policy, action, arn(root, key), {"s3:if-none-match": "*"}) for action in ("s3:PutObject", "s3:DeleteObject"))


@given(graphs(), roots, asked)
def test_readers_read_predictions_and_nothing_else(graph: Graph, root: str, how: Asked) -> None:
    policy = document(policies(graph, root, how)["readers"])
    predictions = {step.name for step in graph.steps.values() if isinstance(step, Predictions)}
    for key, _ in steps_keys(graph):
        is_of_predictions = key.startswith(("log/", "gold/")) and key.split("/")[2] in predictions
        is_own = is_of_predictions or (key == LAKE_KEY and bool(predictions))
        assert allows(policy, "s3:GetObject", arn(root, key)) == is_own, key
        assert not allows(policy, "s3:PutObject", arn(root, key), {"s3:if-none-match": "*"})


@given(graphs(), roots, asked)
def test_of_other_pipelines_steps_may_put_nothing_and_read_what_they_declare(graph: Graph, root: str, how: Asked) -> None:
    policy = document(policies(graph, root, how)["steps"])
    reads = any(isinstance(step, Source) and step.options.is_dataset for step in graph.steps.values())
    for layer in LAYERS:
        for pipeline in ("elsewhere", f"{graph.name}2"):
            key = arn(root, f"{attempt_folder(layer, pipeline, 'rows', DAY, 1, NONCE)}/rows.parquet")
            assert not allows(policy, "s3:PutObject", key, {"s3:if-none-match": "*"})
            assert allows(policy, "s3:GetObject", key) == (reads and pipeline == "elsewhere" and layer in ("silver", "gold"))


@given(graphs(), roots, asked, st.integers(0, 400))
def test_steps_may_get_the_files_of_their_sources_and_put_none(graph: Graph, root: str, how: Asked, days: int) -> None:
    policy = document(policies(graph, root, how)["steps"])
    day = Interval(DAY.start + timedelta(days=days), DAY.end + timedelta(days=days))
    for step in graph.steps.values():
        if not isinstance(step, Source) or not step.options.location.startswith("s3://"):
            continue
        bucket, _, key = (
            resolve(step.options.location.replace("**/", "deep/er/").replace("*", "x"), day).removeprefix("s3://").partition("/")
        )
        assert allows(policy, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        assert allows(policy, "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": key})
        assert not allows(policy, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}", {"s3:if-none-match": "*"})


@given(
    graphs(), roots, asked, st.sampled_from(["s3://others", "s3://others/for/a*l", "s3://lake/given", "/srv/given", "gs://others/given"])
)
def test_of_what_is_published_steps_may_put_all_and_get_the_marks_alone(graph: Graph, root: str, how: Asked, place: str) -> None:
    steps = {name: _published(step, place) for name, step in graph.steps.items()}
    found = policies(replace(graph, steps=steps), root, how)
    policy = document(found["steps"])
    for name, step in steps.items():
        if not isinstance(step, Table | Predictions):
            continue
        folder = f"arn:aws:s3:::{place.removeprefix('s3://')}/{graph.name}/{name}/interval_start=2026-11-20"
        bucket, _, prefix = folder.removeprefix("arn:aws:s3:::").partition("/")
        is_there = place.startswith("s3://")
        assert allows(policy, "s3:PutObject", f"{folder}/rows-0000.parquet") == is_there
        assert allows(policy, "s3:PutObject", f"{folder}/_SUCCESS") == allows(policy, "s3:GetObject", f"{folder}/_SUCCESS") == is_there
        assert allows(policy, "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": f"{prefix}/"}) == is_there
        assert any(f"`{name}` is published in" in note for note in found["steps"].notes) != is_there
        for who, one in found.items():
            assert not allows(document(one), "s3:GetObject", f"{folder}/rows-0000.parquet"), who
            assert not allows(document(one), "s3:DeleteObject", f"{folder}/rows-0000.parquet"), who


def _published(step: Step, place: str) -> Step:
    return replace(step, is_published=True, published_to=place) if isinstance(step, Table | Predictions) else step


@given(graphs(), roots, asked)
def test_what_steps_are_allowed_fits_into_a_policy_and_says_so_where_it_was_widened(graph: Graph, root: str, how: Asked) -> None:
    _check_size(graph, root, how)


@pytest.mark.parametrize("tables", [5, 40, 160])
def test_a_large_pipeline_fits_too(tables: int) -> None:
    pipeline = hr.Pipeline("large", schedule="@daily", start="2026-01-01")
    for n in range(tables):
        pipeline.source(f"s{n}", f"s3://raw/{n}/{{start}}.csv")
        pipeline.source(f"d{n}", hr.dataset(f"elsewhere.rows{n}"))
        pipeline.table(name=f"t{n}")(_rows)
    notes = _check_size(pipeline.graph(), "prod", Asked())
    said = {5: "not each dataset by its name.", 40: "those of the pipelines that it reads.", 160: "one folder of each bucket"}
    assert said[tables] in notes[0]
    assert f"{LARGEST:,}" not in notes[0]


def _check_size(graph: Graph, root: str, how: Asked) -> tuple[str, ...]:
    steps = policies(graph, root, how)["steps"]
    assert steps.policy is not None
    assert steps.policy.size <= LARGEST
    is_whole = allows(steps.policy.to_json(), "s3:GetObject", arn(root, f"log/{graph.name}/unheard_of/owner"))
    assert any("as a whole" in note for note in steps.notes) == is_whole
    return steps.notes
