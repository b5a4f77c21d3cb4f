"""Real runs behind a policy: each request is held against it as it is made, and what of the policy was never needed is counted afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from commands import headrace
from iam_evaluator import allows, missing, superfluous
from iam_store import GuardedStore
from pydantic import BaseModel

import headrace as hr
from headrace.config import Config, Value, read_config
from headrace.core.errors import ConfigurationError, HeadraceError, LakeError, NotReadyError, TooManyRejectedError, UnknownNameError
from headrace.core.forgetting import forgotten_key
from headrace.core.graph import Graph
from headrace.lake.collect import collect, plan_collection
from headrace.lake.lake import Lake
from headrace.run.backfill import carry_out, experiment_of
from headrace.run.forgotten import Entry, noted
from headrace.run.observe import Request
from headrace.run.permissions import Asked, permissions
from headrace.run.reading import OpenLake
from headrace.run.record import pinned_slots
from headrace.run.session import Session, utc_now
from headrace.run.story import tell_story
from headrace.testing import Lab


class Order(BaseModel):
    id: str
    price: str


DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
LAKE = "s3://acme-lake/prod"


def config(**values: str) -> Config:
    read = read_config(None, environment={}, overrides={"lake": LAKE})
    return replace(read, values={**read.values, **{name: Value(value, "a test") for name, value in values.items()}})


def documents(graph: Graph, asked: Asked = Asked(), **values: str) -> dict[str, Any]:  # noqa: B008  # frozen
    """The policies as IAM would get them, by purpose."""
    return {one.purpose: one.policy.to_json() if one.policy else None for one in permissions(graph, config(**values), asked)}


def bar(folder: Path, **declared: Any) -> hr.Pipeline:
    """A pipeline with a step of each kind."""
    pipeline = hr.Pipeline("bar", schedule="@daily", start=DAYS[0])
    pipeline.source("orders", hr.csv(str(folder / "{start:%Y-%m-%d}.csv"), **declared), max_rejected=1)

    @pipeline.table(key="id", split=hr.by_key(test=0.5))
    def rows(orders):
        return "select id, price, price * 2 as paid from orders"

    @pipeline.table(layer="gold")
    def total(rows):
        return "select sum(paid) as paid from rows"

    @pipeline.model(rows, features=["price"], target="paid")
    def line():
        from sklearn.linear_model import LinearRegression

        return LinearRegression()

    pipeline.predict(line, rows, name="guesses")
    return pipeline


def reader() -> hr.Pipeline:
    """A pipeline that reads another's datasets: one in silver, one in gold."""
    pipeline = hr.Pipeline("office", schedule="@daily", start=DAYS[0])
    pipeline.source("rows", hr.dataset("bar.rows"))
    pipeline.source("guesses", hr.dataset("bar.guesses"))

    @pipeline.table
    def both(rows, guesses):
        return "select count(*) as n from rows join guesses using (id)"

    return pipeline


@pytest.fixture(autouse=True)
def no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TRACKING", "none")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    lines = "".join(f"{n},{n % 7}.5\n" for n in range(40))
    for day in DAYS[:2]:
        (tmp_path / f"{day}.csv").write_text(f"id,price\n{lines}{'x,y,z' if day == DAYS[1] else ''}\n")
    (tmp_path / f"{DAYS[2]}.csv").write_text("id,price\n1,2.5,9\n2,3.5,9\n3,4.5\n")
    return tmp_path


def on(pipeline: hr.Pipeline, store: GuardedStore) -> Lab:
    """A pipeline's lab, with its lake in a store."""
    lab = Lab(pipeline)
    lab._lake = Lake.open(store, clock=utc_now)
    lab.session = lab._session()
    return lab


def carried_out(session: Session, lab: Lab, day: str, *, forced: Sequence[str] = ()) -> Mapping[str, Exception]:
    """Run a day and write its report; what each step raised."""
    run = lab.interval(day)
    ran = carry_out(session, Request([run], forced=frozenset(forced)), jobs=1)
    story = tell_story(session, ran, [run], started=time.time(), has_report=True)
    assert not [line for line in story.lines if "could not" in line]
    return {step: error for (step, _), error in ran.outcome.errors.items() if isinstance(error, Exception)}


def forget_somebody(pipeline: hr.Pipeline, store: GuardedStore) -> None:
    """As whoever may do that has done: a key that no row holds."""
    session = replace(Lab(pipeline).session, lake=Lake.open(store.inner, clock=utc_now))
    noted(
        session.lake,
        session.graph.name,
        lambda record: record.with_entry(Entry(forgotten_key({("id",): "nobody"}, record.salt), "", "")),
        who="",
    )


def every_way_of_running(folder: Path, store: GuardedStore) -> None:
    """Two days of equal rows; a source that is refused, and one that is declared in another way; experiments. What is there is met again."""
    again = frozenset(bar(folder).graph().steps)
    outputs = frozenset(["total", "guesses"])
    for day, experiment, forced in (
        *product(DAYS[:2], [frozenset[str]()] * 2, [()]),
        *product(DAYS[:2], [outputs], [()]),
        *product(DAYS[1:], [again] * 2, [tuple(again)]),
        *product(DAYS[2:], [frozenset[str]()] * 2, [()]),
    ):
        lab = on(bar(folder), store)
        errors = carried_out(experiment_of(lab.session, experiment), lab, day, forced=forced)
        assert all(isinstance(error, TooManyRejectedError) for error in errors.values())
        assert bool(errors) == (day == DAYS[2])
    forget_somebody(bar(folder), store)
    lab = on(bar(folder, null_words=["none"]), store)
    assert carried_out(lab.session, lab, DAYS[1]) == {}


def test_steps_ask_for_all_that_their_policy_allows_and_for_nothing_else(files: Path) -> None:
    pipeline = bar(files)
    strict = documents(pipeline.graph(), Asked(only_new=True))["steps"]
    store = GuardedStore(strict)
    every_way_of_running(files, store)
    assert superfluous(strict, store.recorded) == []
    plain, wide = (documents(pipeline.graph(), asked)["steps"] for asked in (Asked(), Asked(wide=True)))
    assert superfluous(plain, store.recorded) == []
    assert [missing(policy, store.recorded) for policy in (strict, plain, wide)] == [[], [], []]


def test_a_pipeline_reads_of_another_what_it_declares_and_puts_nothing_there(files: Path) -> None:
    made = on(bar(files), GuardedStore(documents(bar(files).graph())["steps"]))
    carried_out(made.session, made, DAYS[0])
    policy = documents(reader().graph())["steps"]
    assert isinstance(made._lake.store, GuardedStore)
    store = GuardedStore(policy, over=made._lake.store)
    lab = on(reader(), store)
    assert carried_out(lab.session, lab, DAYS[0]) == {}
    assert missing(policy, store.recorded) == []
    assert [line for line in superfluous(policy, store.recorded) if "bar" in line] == [
        "s3:ListBucket arn:aws:s3:::acme-lake prod/gold/bar/rows/*",  # nobody but `bar` knows which of its datasets are in gold
        "s3:ListBucket arn:aws:s3:::acme-lake prod/silver/bar/guesses/*",
        "s3:GetObject arn:aws:s3:::acme-lake/prod/gold/bar/rows/*",
        "s3:GetObject arn:aws:s3:::acme-lake/prod/silver/bar/guesses/*",
    ]
    for error in carried_out(lab.session, lab, DAYS[1]).values():
        assert isinstance(error, NotReadyError)
        assert "headrace backfill FILE --from 2026-01-02" in str(error)


def test_of_a_source_that_takes_each_file_once_the_same_is_enough(files: Path) -> None:
    drop = hr.Pipeline("drop", schedule="@daily", start=DAYS[0])
    drop.source("found", hr.csv(str(files / "*-0[12].csv"), only_new=True), contract=Order)

    @drop.table(history={"found": "2d"})
    def counted(found):
        return "select count(*) as n from found"

    policy = documents(drop.graph())["steps"]
    store = GuardedStore(policy)
    again = frozenset(drop.graph().steps)
    for day, experiment in product(DAYS[:2], [frozenset[str](), again, again]):
        lab = on(drop, store)
        assert carried_out(experiment_of(lab.session, experiment), lab, day, forced=tuple(experiment)) == {}
    assert missing(policy, store.recorded) == []
    assert allows(policy, "s3:GetObject", "arn:aws:s3:::acme-lake/prod/bronze/drop/found/x")
    assert not allows(policy, "s3:GetObject", "arn:aws:s3:::acme-lake/prod/bronze/drop/found.experiment/x")


def test_an_endpoint_asks_for_its_champion_and_for_nothing_else(files: Path) -> None:
    policy = documents(bar(files).graph())["endpoint"]
    store = GuardedStore(policy, over=_with_data(files))
    estimator: Any = OpenLake(Lake.open(store, clock=utc_now, read_only=True)).model("bar.line")
    assert estimator.coef_[0] == pytest.approx(2.0)
    assert superfluous(policy, store.recorded) == []


def test_a_reader_asks_for_its_predictions_and_is_refused_the_rest(files: Path) -> None:
    policy = documents(bar(files).graph())["readers"]
    store = GuardedStore(policy, over=_with_data(files))
    lake = OpenLake(Lake.open(store, clock=utc_now, read_only=True))
    assert lake.read("bar.guesses").num_rows == 40
    assert superfluous(policy, store.recorded) == []
    for name in ("bar.rows", "bar.orders.quarantine", "bar.total"):
        with pytest.raises(LakeError, match="not allowed"):
            lake.read(name)
    with pytest.raises(LakeError, match="not allowed"):
        lake.model("bar.line")


def test_readers_of_named_datasets_read_those(files: Path) -> None:
    policy = documents(bar(files).graph(), Asked(reads=("rows", "total", "orders")))["readers"]
    store = GuardedStore(policy, over=_with_data(files))
    lake = OpenLake(Lake.open(store, clock=utc_now, read_only=True))
    assert lake.read("bar.rows.train").num_rows + lake.read("bar.rows.test").num_rows == 40
    assert lake.read("bar.total").num_rows == 1
    assert lake.read("bar.orders").num_rows == 40
    assert superfluous(policy, store.recorded) == []


def test_what_a_reader_may_not_list_is_no_reason_to_say_that_the_lake_is_empty(files: Path) -> None:
    store = GuardedStore(documents(bar(files).graph(), Asked(reads=("rows",)))["readers"], over=_with_data(files))
    lake = OpenLake(Lake.open(store, clock=utc_now, read_only=True))
    with pytest.raises(UnknownNameError, match="is no part of"):
        lake.read("bar.rows.trian")


def test_a_collector_asks_for_all_that_its_policy_allows_and_for_nothing_else(files: Path) -> None:
    pipeline = bar(files)
    made = _with_data(files)
    writer = GuardedStore(documents(pipeline.graph())["steps"], over=made)
    lab = on(pipeline, writer)
    for _ in range(2):
        carried_out(lab.session, lab, DAYS[0], forced=tuple(pipeline.graph().steps))
    orphan = lab._lake.log("bar", "rows").attempt(lab.interval(DAYS[2]))
    orphan.file("rows", layer="silver").write_bytes(b"left behind")
    writer.publish(list(orphan._staged))
    policy = documents(pipeline.graph())["collector"]
    store = GuardedStore(policy, over=made)
    lake = Lake.open(store, clock=utc_now, read_only=True)
    collect(lake, plan_collection(lake, keep=0, pinned=pinned_slots(lake), champions=1))
    assert missing(policy, store.recorded) == []
    assert [line for line in superfluous(policy, store.recorded) if "Delete" not in line] == []
    assert any(one.action == "s3:DeleteObject" for one in store.recorded)


def test_nobody_but_the_collector_may_delete_and_nobody_but_steps_may_put_data(files: Path) -> None:
    graph = bar(files).graph()
    key = "arn:aws:s3:::acme-lake/prod/silver/bar/rows/x"
    found = documents(graph)
    assert [who for who, policy in found.items() if allows(policy, "s3:DeleteObject", key)] == ["collector"]
    assert [who for who, policy in found.items() if allows(policy, "s3:PutObject", key)] == ["steps"]


# ---------------------------------------------------------------- the command


def test_the_command_prints_one_document_to_hand_on_or_all_of_them(project: Path, tmp_path: Path) -> None:
    asked = ("iam", project / "examples" / "shop.py", "--lake", LAKE)
    all_four = headrace(*asked, "--json", cwd=tmp_path)
    assert list(all_four.document) == ["steps", "collector", "endpoint", "readers"]
    assert "source `purchases` is not on S3" in all_four.err
    alone = headrace(*asked, "--for", "readers", cwd=tmp_path)
    assert alone.document == all_four.document["readers"]
    assert alone.err.startswith("readers, for readers of `shop.customer_groups`: ")
    assert not (tmp_path / "lake").exists()


# ---------------------------------------------------------------- what can't be had


def test_a_pipeline_without_models_has_no_policy_for_endpoints_and_readers() -> None:
    pipeline = hr.Pipeline("plain", schedule="@daily", start=DAYS[0])

    @pipeline.table
    def ones():
        return "select 1 as one"

    found = {one.purpose: one for one in permissions(pipeline.graph(), config(), Asked())}
    assert (found["endpoint"].policy, found["readers"].policy) == (None, None)
    assert "--reads NAME" in found["readers"].notes[0]


@pytest.mark.parametrize(
    ("way_in", "said"),
    [({"connection": "partner"}, "by the connection `partner`"), ({"endpoint": "https://s3.partner.example"}, "at an endpoint of its own")],
)
def test_a_source_that_others_let_in_is_not_in_the_policy_and_what_it_needs_is_said(way_in: dict[str, str], said: str) -> None:
    pipeline = hr.Pipeline("bar", schedule="@daily", start=DAYS[0])
    pipeline.source("orders", "s3://partner/out/{start:%Y-%m-%d}.csv")
    settings = replace(config(), ways_in={"orders": {name: Value(value, "a test") for name, value in way_in.items()}})
    steps = permissions(pipeline.graph(), settings, Asked())[0]
    assert steps.policy is not None
    assert "partner" not in json.dumps(steps.policy.to_json())
    assert steps.notes[0] == (
        f"source `orders` is reached {said}, so nothing is allowed for it here. Whoever that is needs s3:GetObject on "
        "`partner/out/????-??-??.csv`, and s3:ListBucket on `partner` for the prefix `out/*`."
    )


def test_a_source_with_the_connection_of_the_lake_is_in_the_policy() -> None:
    pipeline = hr.Pipeline("bar", schedule="@daily", start=DAYS[0])
    pipeline.source("orders", "s3://raw/all.csv")
    ours = config(connection="ours")
    settings = replace(ours, ways_in={"orders": {"connection": ours.values["connection"], "region": Value("eu-west-1", "a test")}})
    steps = permissions(pipeline.graph(), settings, Asked())[0]
    assert steps.policy is not None
    assert allows(steps.policy.to_json(), "s3:GetObject", "arn:aws:s3:::raw/all.csv")


def test_a_model_is_not_read_as_rows(files: Path) -> None:
    with pytest.raises(UnknownNameError, match="is no dataset that one reads rows of but a model"):
        documents(bar(files).graph(), Asked(reads=("line",)))


@pytest.mark.parametrize(
    ("lake", "said"), [("/data/lake", "no IAM policy is needed"), ("gs://b/p", "objectViewer"), ("az://b/p", "Data Reader")]
)
def test_a_lake_elsewhere_is_an_error_that_says_what_to_do_there(files: Path, lake: str, said: str) -> None:
    read = read_config(None, environment={}, overrides={"lake": lake})
    with pytest.raises(ConfigurationError, match=said):
        permissions(bar(files).graph(), read, Asked())


def _with_data(files: Path) -> GuardedStore:
    store = GuardedStore(documents(bar(files).graph())["steps"])
    lab = on(bar(files), store)
    errors: Mapping[str, HeadraceError | Exception] = carried_out(lab.session, lab, DAYS[0])
    assert errors == {}
    return store
