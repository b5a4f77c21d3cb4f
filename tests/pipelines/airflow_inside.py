"""What only Airflow's own code can show, in a process of its own: `python airflow_inside.py NAME FILE DAG`, answered in JSON on the last line.

Nothing is started: functions of Airflow are called on a migrated database, as its scheduler, command line and triggerer would.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.backfill import AirflowException, Backfill, ReprocessBehavior, _create_backfill
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.ti_deps.dep_context import DepContext
from airflow.ti_deps.deps.prev_dagrun_dep import PrevDagrunDep
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType


def stored(file: str) -> DagBag:
    """The file's DAGs, put into the database as the DAG processor does."""
    bag = DagBag(dag_folder=file)
    assert not bag.import_errors, bag.import_errors
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag


def backfills(file: str, dag_id: str) -> dict[str, Any]:
    """What becomes of backfills forwards and backwards, and whether the runs of one wait for each other."""
    stored(file)
    found = {"backwards": created(dag_id, is_backwards=True), "forwards": created(dag_id, is_backwards=False)}
    with create_session() as session:
        runs = session.query(DagRun).filter_by(dag_id=dag_id, run_type="backfill").order_by(DagRun.run_after).all()
        found["runs"] = [run.run_id for run in runs]
        found["keys"] = [run.partition_key for run in runs]
        found["blocked"] = []
        for run in runs:
            run.dag = SerializedDagModel.get_dag(dag_id, session=session)
            for ti in run.get_task_instances(session=session):
                ti.task = run.dag.get_task(ti.task_id)
                states = PrevDagrunDep().get_dep_statuses(ti, DepContext(), session=session)
                found["blocked"] += [f"{run.run_id} {ti.task_id}" for state in states if not state.passed]
    return found


def created(dag_id: str, *, is_backwards: bool) -> str:
    try:
        _create_backfill(
            dag_id=dag_id,
            from_date=datetime(2026, 1, 2, tzinfo=UTC),
            to_date=datetime(2026, 1, 4, tzinfo=UTC),
            max_active_runs=1,
            reverse=is_backwards,
            dag_run_conf={},
            triggering_user_name="test",
            reprocess_behavior=ReprocessBehavior.FAILED,
            run_on_latest_version=True,
        )
    except AirflowException as error:
        return f"{type(error).__name__}: {error}"
    with create_session() as session:
        for backfill in session.query(Backfill):
            backfill.completed_at = datetime.now(UTC)
    return "created"


def deadlines(file: str, dag_id: str) -> dict[str, Any]:
    """What is stored of a DAG with a deadline, when it is parsed twice, and what a run of it gets and says when it is late."""
    stored(file)
    bag = stored(file)
    with create_session() as session:
        versions = session.query(SerializedDagModel).filter_by(dag_id=dag_id).count()
        dag = SerializedDagModel.get_dag(dag_id, session=session)
        assert dag is not None
        run = dag.create_dagrun(
            run_id="late",
            run_after=datetime.now(UTC),
            run_type="manual",
            triggered_by=DagRunTriggeredByType.CLI,
            state="queued",
            partition_key="2026-01-02T00:00:00",
            partition_date=datetime(2026, 1, 2, tzinfo=UTC),
            session=session,
        )
        session.flush()
        (deadline,) = session.query(Deadline).filter_by(dagrun_id=run.id)
        after = deadline.deadline_time - run.queued_at
        deadline.handle_miss(session=session)
        data = dict(deadline.callback.data)
    assert bag
    return {
        "versions": versions,
        "after_s": round(after / timedelta(seconds=1)),
        "events": asyncio.run(fired(data["path"], data["kwargs"])),
    }


async def fired(path: str, kwargs: dict[str, Any]) -> list[Any]:
    """The events of Airflow's trigger that calls a callback."""
    from airflow.triggers.callback import CallbackTrigger

    return [event.payload async for event in CallbackTrigger(path, kwargs).run()]


# ---------------------------------------------------------------- our own parts that need Airflow


def triggers(file: str, pipeline: str) -> dict[str, Any]:
    """What comes of waiting for commits that are there, not there, made meanwhile, and in a lake that can't be reached."""
    import headrace.airflow.trigger as module
    from headrace.core.interval import Interval
    from headrace.run.execute import execute_step
    from headrace.run.opening import open_pipeline

    module._FIRST_PAUSE_S = 0.05
    session = open_pipeline(Path(file))
    lake = session.lake.uri
    days = [[f"2026-01-0{day}T00:00:00+00:00", f"2026-01-0{day + 1}T00:00:00+00:00"] for day in (1, 2, 3)]
    execute_step(session, "events", Interval.of(*days[0]))

    async def event(where: str, day: int, *, wait_s: float, meanwhile: bool = False) -> Any:
        until = datetime.now(UTC) + timedelta(seconds=wait_s)
        path, arguments = module.CommitsTrigger(where, pipeline, [["events", *days[day]]], until.isoformat()).serialize()
        trigger = getattr(module, path.rpartition(".")[2])(**arguments)
        waiting = asyncio.ensure_future(anext(trigger.run()))
        if meanwhile:
            await asyncio.sleep(0.2)
            assert not waiting.done()
            await asyncio.to_thread(execute_step, session, "events", Interval.of(*days[day]))
        return (await waiting).payload

    async def events() -> dict[str, Any]:
        return {
            "there": await event(lake, 0, wait_s=60),
            "not there": await event(lake, 1, wait_s=0.5),
            "made meanwhile": await event(lake, 1, wait_s=60, meanwhile=True),
            "no lake": await event(f"{lake}-elsewhere", 2, wait_s=60),
        }

    return asyncio.run(events())


def directions(file: str, _: str) -> dict[str, Any]:
    """What a step of a classic run says of the backfill that it is in."""
    from types import SimpleNamespace

    from headrace.airflow.waiting import check_direction
    from headrace.core.errors import ConfigurationError
    from headrace.run.opening import open_pipeline

    session = open_pipeline(Path(file))
    asked = []

    def said(step: str, run_type: str, queued: int) -> str:
        def count(**what: Any) -> int:
            asked.append(what["run_ids"])
            return queued

        ti = SimpleNamespace(dag_id="classic", get_dr_count=count)
        run = SimpleNamespace(run_type=run_type, data_interval_start=datetime(2026, 1, 3, tzinfo=UTC))
        try:
            check_direction({"ti": ti, "dag_run": run}, session, step)  # type: ignore[typeddict-item]
        except ConfigurationError as error:
            return str(error)
        return ""

    return {
        "backwards": said("recent", "backfill", 1),
        "forwards": said("recent", "backfill", 0),
        "needs no past": said("events", "backfill", 1),
        "scheduled": said("recent", "scheduled", 1),
        "asked": asked,
    }


def reports(file: str, pipeline: str) -> dict[str, Any]:
    """What Airflow's server answers to who asks for a report, and for other things."""
    import os

    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    from headrace.airflow.links import model_url, report_url

    stored(file)
    lake = Path(os.environ["HEADRACE_LAKE"])
    client = TestClient(create_app(apps="core"), raise_server_exceptions=False)
    month = lake / "reports" / pipeline / "2026" / "01"
    report = next(month.rglob("*.html"))
    name = str(report.relative_to(lake))
    linked = month / "09" / "00" / "00-1440m.html"
    linked.parent.mkdir(parents=True)
    linked.symlink_to("/etc/hostname")

    def asked(path: str, role: str | None) -> list[Any]:
        headers = {}
        if role is not None:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role if role != "nobody" else None))
            headers = {"Authorization": f"Bearer {token}"}
        answer = client.get(f"/headrace/{path}", headers=headers)
        return [answer.status_code, answer.headers.get("Content-Security-Policy", ""), answer.text]

    found = {
        "viewer": asked(name, "viewer"),
        "nobody": asked(name, "nobody"),
        "unknown": asked(name, None),
        "link out": asked(str(linked.relative_to(lake)), "viewer"),
        "other file": asked("headrace.json", "viewer"),
        "upwards": asked(f"reports/{pipeline}/..%2F..%2Fheadrace.json", "viewer"),
        "not written": asked(name.replace("-1440m", "-1441m"), "viewer"),
    }
    found["model pages"] = [
        model_url(tracker, "shop.groups") for tracker in (None, "sqlite:///mlflow.db", "http://u:hunter2@mlflow:5000/base/", "https://m")
    ]
    os.environ["AIRFLOW__API__BASE_URL"] = "http://airflow.example/base"
    found["address"] = report_url(name)
    os.environ.pop("HEADRACE_LAKE")
    return found | {"no lake told": asked(name, "viewer")}


def bucket_reports(file: str, pipeline: str) -> dict[str, Any]:
    """What Airflow's server answers of a report in a bucket, with connections that its database alone has: by the right one, and others."""
    import os

    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # as in Airflow's own main module of that server
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models.connection import Connection
    from starlette.testclient import TestClient

    stored(file)
    told = json.loads(os.environ.pop("CONNECTION_TO_ADD"))
    with create_session() as session:
        session.add(Connection(conn_id="my_aws", conn_type="aws", **told))
        session.add(Connection(conn_id="my_other", conn_type="aws", **{**told, "password": "another"}))
    client = TestClient(create_app(apps="core"), raise_server_exceptions=False)
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="viewer", role="viewer"))
    lake = os.environ["AIRFLOW__HEADRACE__LAKES"]

    def asked(day: int, connection: str = "my_aws", lakes: str = lake) -> list[Any]:
        os.environ["AIRFLOW__HEADRACE__CONNECTION"], os.environ["AIRFLOW__HEADRACE__LAKES"] = connection, lakes
        address = f"/headrace/reports/{pipeline}/2026/01/{day:02}/00/00-1440m.html"
        answer = client.get(address, headers={"Authorization": f"Bearer {token}"})
        return [answer.status_code, answer.text]

    return {
        "report": asked(1),
        "not written": asked(2),
        "other keys": asked(1, "my_other"),
        "no connection": asked(1, "my_none"),
        "other prefix": asked(1, lakes=f"{lake}/elsewhere"),
        "in the second": asked(1, lakes=f"{lake}/elsewhere, {lake}"),
    }


CASES = {
    "bucket_reports": bucket_reports,
    "backfills": backfills,
    "deadlines": deadlines,
    "directions": directions,
    "reports": reports,
    "triggers": triggers,
}

if __name__ == "__main__":
    name, file, dag_id = sys.argv[1:]
    answer = CASES[name](file, dag_id)
    Path("answer").write_text(json.dumps(answer, default=str))
