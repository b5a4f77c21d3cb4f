"""Lineage: whole events that OpenLineage's own classes take, of what was committed, sent without ever failing a step."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headrace.config import read_config
from headrace.core.errors import ConfigurationError
from headrace.run.lineage import Code, Lineage, dataset, event, facet
from headrace.run.lineage_events import lineage_target

SHOP = '''
"""A shop."""

from pydantic import BaseModel, Field

import headrace as hr

shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")


class Order(BaseModel):
    amount: int = Field(ge=0)
    note: str | None = None


class Amount(BaseModel):
    amount: int


shop.source("orders", "orders.csv", contract=Order, max_rejected=5)


@shop.table(key="amount", contract=Amount)
def amounts(orders):
    """Amounts alone."""
    return "select amount from orders"


@shop.table(layer="gold")
def broken(amounts):
    raise ValueError("no such luck")


@shop.table
def after(broken):
    return "select 1 as n"
'''


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "OPENLINEAGE"))}
    command = [sys.executable, "-m", "headrace", "run", "shop.py", "--at", "2026-01-02", "--no-report", *words]
    return subprocess.run(command, cwd=folder, env={**kept, "HEADRACE_TRACKING": "none", **environment}, capture_output=True, text=True)


def shop(folder: Path) -> Path:
    (folder / "shop.py").write_text(SHOP)
    (folder / "orders.csv").write_text("amount,note\n1,a\n2,\n-3,c\nx,d\n")
    (folder / ".git" / "refs").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("0123456789012345678901234567890123456789\n")
    (folder / ".git" / "config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = git@example.org:ana/shop.git\n')
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The events of a run in which one step fails, and then of one in which only what failed is tried again."""
    folder = shop(tmp_path_factory.mktemp("shop"))
    for _ in range(2):
        done = run(folder, HEADRACE_LINEAGE="file:told/lineage.jsonl")
        assert done.returncode == 1, done.stderr
    found = [json.loads(line) for line in (folder / "told/lineage.jsonl").read_text().splitlines()]
    second = next(at for at, one in enumerate(found) if at and one["eventType"] == "START" and one["job"]["name"] == "shop")
    return folder, found[:second], found[second:]


def of(events: list[dict], job: str, kind: str) -> dict:
    (found,) = [one for one in events if one["job"]["name"] == job and one["eventType"] == kind]
    return found


def test_a_run_and_each_step_that_had_something_to_do_start_and_end(ran):
    _, first, second = ran
    assert [(one["eventType"], one["job"]["name"]) for one in first] == [
        ("START", "shop"),
        ("START", "shop.orders"),
        ("COMPLETE", "shop.orders"),
        ("START", "shop.amounts"),
        ("COMPLETE", "shop.amounts"),
        ("START", "shop.broken"),
        ("FAIL", "shop.broken"),
        ("FAIL", "shop"),
    ]
    assert [one["job"]["name"] for one in second] == ["shop", "shop.broken", "shop.broken", "shop"]
    whole = first[0]["run"]["runId"]
    assert {one["run"]["facets"]["parent"]["run"]["runId"] for one in first[1:-1]} == {whole}
    assert first[1]["run"]["runId"] == first[2]["run"]["runId"] != whole
    assert second[0]["run"]["runId"] != whole


def test_a_source_tells_how_many_records_kept_its_contract(ran):
    folder, first, _ = ran
    (read,) = of(first, "shop.orders", "COMPLETE")["inputs"]
    assert (read["namespace"], read["name"]) == ("file", str(folder / "orders.csv"))
    assert read["inputFacets"]["dataQualityMetrics"]["rowCount"] == 4
    assertions = read["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert assertions[0] == {
        "assertion": "contract",
        "name": "Order",
        "success": False,
        "severity": "warn",
        "expected": "0 rows in quarantine",
        "actual": "2 of 4",
    }
    assert [(one["column"], one["assertion"], one["success"]) for one in assertions[1:]] == [
        ("amount", "is below 0 (ge=0)", False),
        ("amount", "is not an integer of 64 bits or fewer", False),
    ]


def test_what_was_made_has_its_folder_schema_rows_version_and_own_name(ran):
    folder, first, _ = ran
    told = of(first, "shop.amounts", "COMPLETE")
    (read,), (made,) = told["inputs"], told["outputs"]
    assert read["name"] == str(folder / "lake/silver/shop/orders")
    assert (made["namespace"], made["name"]) == ("file", str(folder / "lake/silver/shop/amounts"))
    facets = made["facets"]
    assert facets["schema"]["fields"] == [{"name": "amount", "type": "BIGINT"}]
    assert facets["symlinks"]["identifiers"] == [{"namespace": "headrace://shop", "name": "amounts", "type": "TABLE"}]
    assert facets["dataQualityMetrics"]["columnMetrics"] == {"amount": {"nullCount": 0}}
    assert facets["dataQualityAssertions"]["assertions"][0]["success"] is True
    manifest = json.loads(next((folder / "lake/log/shop/amounts/2026/01").glob("02T*")).read_text())["content"]
    assert facets["version"]["datasetVersion"] == manifest["digest"]
    assert read["facets"]["version"]["datasetVersion"] == manifest["inputs"][0]["digest"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert made["outputFacets"]["outputStatistics"]["size"] == manifest["parts"][0]["files"][0]["bytes"]
    (_, quarantined) = of(first, "shop.orders", "COMPLETE")["outputs"]
    assert quarantined["name"] == str(folder / "lake/quarantine/shop/orders")
    assert quarantined["outputFacets"]["outputStatistics"]["rowCount"] == 2


def test_the_run_has_its_interval_and_state_and_the_job_its_words_and_place(ran):
    _, first, _ = ran
    told = of(first, "shop.amounts", "COMPLETE")
    nominal = told["run"]["facets"]["nominalTime"]
    assert (nominal["nominalStartTime"], nominal["nominalEndTime"]) == ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z")
    tags = {one["key"]: one["value"] for one in told["run"]["facets"]["tags"]["tags"]}
    assert (tags["headrace.state"], tags["headrace.version"]) == ("made", "1")
    assert told["job"]["facets"]["documentation"]["description"] == "Amounts alone."
    commit = "0123456789012345678901234567890123456789"
    place = told["job"]["facets"]["sourceCodeLocation"]
    assert place["url"].startswith(f"https://example.org/ana/shop/blob/{commit}/shop.py#L")
    assert place["version"] == commit


def test_a_failure_tells_its_message(ran):
    _, first, _ = ran
    message = of(first, "shop.broken", "FAIL")["run"]["facets"]["errorMessage"]["message"]
    assert "`broken` raised ValueError: no such luck" in message


# ---------------------------------------------------------------- valid against the specification's classes


def classes() -> dict[str, type]:
    """OpenLineage's own classes, which its makers generate from the specification, by their names."""
    generated = pytest.importorskip("openlineage.client.generated", reason="the extra `openlineage` is not installed")
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for name, value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).items():
            if isinstance(value, type):
                found[name] = value
    return found


def test_openlineages_own_classes_take_every_event_and_facet_in_the_same_versions(ran):
    known = classes()
    _, first, second = ran
    facets = [one for told in (*first, *second) for one in facets_in(told)]
    assert len(facets) > 60
    for one in facets:
        url = one["_schemaURL"]
        kind = known[url.rpartition("/")[2]]
        values = {name: value for name, value in one.items() if not name.startswith("_")}
        assert kind(**values)._get_schema() == url
    for told in (*first, *second):
        uuid.UUID(told["run"]["runId"])
        assert datetime.fromisoformat(told["eventTime"]).tzinfo is not None
        assert told["schemaURL"] == known["RunEvent"]._get_schema()
        assert known["EventType"](told["eventType"])
        known["RunEvent"](
            eventTime=told["eventTime"],
            producer=told["producer"],
            run=known["Run"](**told["run"]),
            job=known["Job"](**told["job"]),
            inputs=[known["InputDataset"](**one) for one in told["inputs"]],
            outputs=[known["OutputDataset"](**one) for one in told["outputs"]],
        )


PINNED = {  # what the specification requires, and its types
    "SchemaDatasetFacet": {"fields": list},
    "OutputStatisticsOutputDatasetFacet": {"rowCount": int, "size": int, "fileCount": int},
    "DataQualityAssertionsDatasetFacet": {"assertions": list},
    "DataQualityMetricsInputDatasetFacet": {"columnMetrics": dict, "rowCount": int},
    "DataQualityMetricsDatasetFacet": {"columnMetrics": dict, "rowCount": int},
    "NominalTimeRunFacet": {"nominalStartTime": str},
    "ParentRunFacet": {"run": dict, "job": dict},
    "ErrorMessageRunFacet": {"message": str, "programmingLanguage": str},
    "JobTypeJobFacet": {"processingType": str, "integration": str},
    "SourceCodeLocationJobFacet": {"type": str, "url": str},
    "DocumentationJobFacet": {"description": str},
    "ProcessingEngineRunFacet": {"version": str},
    "DatasetVersionDatasetFacet": {"datasetVersion": str},
    "DatasetTypeDatasetFacet": {"datasetType": str},
    "StorageDatasetFacet": {"storageLayer": str},
    "DatasourceDatasetFacet": {"name": str, "uri": str},
    "SymlinksDatasetFacet": {"identifiers": list},
    "TagsRunFacet": {"tags": list},
}


def test_every_facet_has_what_the_specification_requires(ran):
    _, first, second = ran
    seen = set()
    for one in (found for told in (*first, *second) for found in facets_in(told)):
        kind = one["_schemaURL"].rpartition("/")[2]
        seen.add(kind)
        assert one["_producer"].startswith("https://")
        for name, type_ in PINNED[kind].items():
            assert type(one[name]) is type_, (kind, name)
        for inner in one.get("assertions", ()):
            assert type(inner["assertion"]) is str
            assert type(inner["success"]) is bool
    assert seen == set(PINNED)


def facets_in(value: object):
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for inner in value.values():
            yield from facets_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from facets_in(inner)


# ---------------------------------------------------------------- pure parts


def test_names_follow_the_naming_rules():
    assert dataset("file:///srv/x") == ("file", "/srv/x")
    assert dataset("s3://bucket/a/b.csv") == ("s3://bucket", "a/b.csv")
    assert dataset("https://ana:secret@host/a") == ("https://host", "a")


def test_steps_of_one_task_do_not_read_what_they_made_themselves():
    def one(name):
        return {"namespace": "file", "name": name, "facets": {}}

    total = Lineage((one("a"),), (one("b"),)) + Lineage((one("b"), one("c")), (one("d"),))
    assert [found["name"] for found in total.inputs] == ["a", "c"]
    assert [found["name"] for found in total.outputs] == ["b", "d"]


def test_code_outside_of_git_is_a_file():
    assert Code("/x/shop.py", 3, path="shop.py").location()["url"] == "file:///x/shop.py"


def test_an_error_is_told_without_addresses_users(monkeypatch):
    told = event("FAIL", Lineage(), time="2026-01-02T00:00:00Z", run=str(uuid.uuid4()), job=("n", "j"), error="https://ana:pw@h/x")
    assert "ana:pw" not in json.dumps(told)
    assert facet("TagsRunFacet", tags=[])["_schemaURL"].endswith("facets/1-0-0/TagsRunFacet.json#/$defs/TagsRunFacet")


# ---------------------------------------------------------------- sending


@pytest.fixture
def collector():
    """A server that takes events, or refuses them: its address, what it got, and the status to answer."""
    got: list[tuple[str, str | None, dict]] = []
    status = [201]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            self.send_response(status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", got, status
    server.shutdown()
    server.server_close()


def target(folder: Path, wanted: str | None, **environment: str):
    (folder / "headrace.toml").write_text("" if wanted is None else f"[local]\nlineage = {json.dumps(wanted)}\n")
    return lineage_target(read_config(folder / "shop.py", environment={}), environment)


def test_events_are_posted_in_order_with_the_key_and_none_is_left_behind(tmp_path, collector):
    address, got, _ = collector
    sending = target(tmp_path, None, OPENLINEAGE_URL=address, OPENLINEAGE_API_KEY="k3y-of-mine")
    for number in range(20):
        sending.send({"n": number})
    assert sending.close() == ""
    assert [told["n"] for _, _, told in got] == list(range(20))
    assert {(path, key) for path, key, _ in got} == {("/api/v1/lineage", "Bearer k3y-of-mine")}


def test_a_setting_comes_before_the_variables_of_openlineage(tmp_path, collector):
    address, got, _ = collector
    assert target(tmp_path, "none", OPENLINEAGE_URL=address) is None
    assert target(tmp_path, None, OPENLINEAGE_URL=address, OPENLINEAGE_DISABLED="true") is None
    assert target(tmp_path, None) is None
    sending = target(tmp_path, f"{address}/other/place")
    sending.send({})
    sending.close()
    assert [path for path, _, _ in got] == ["/other/place"]


def test_a_server_that_refuses_or_is_down_is_told_of_once_without_secrets(tmp_path, collector):
    address, got, status = collector
    status[0] = 503
    sending = target(tmp_path, address.replace("://", "://ana:hunter2-x@") + "/x?token=hunter2-y")
    sending.send({})
    sending.send({})
    said = sending.close()
    assert "answers 503" in said
    assert "hunter2" not in said
    assert len(got) == 1
    down = target(tmp_path, "http://127.0.0.1:9/x")
    down.send({})
    assert "refused" in down.close()


def test_an_address_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="neither an http"):
        target(tmp_path, "kafka://ana:hunter2@host/topic")


def test_a_run_goes_on_when_events_can_not_be_sent_and_says_so(tmp_path):
    done = run(shop(tmp_path), "--only", "amounts", OPENLINEAGE_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "lineage was not sent: http://127.0.0.1:9/api/v1/lineage" in done.stdout
    (tmp_path / "told").mkdir()
    done = run(tmp_path, "--only", "amounts", "--force", "amounts", HEADRACE_LINEAGE="told")
    assert done.returncode == 0, done.stderr
    assert "lineage could not be written" in done.stdout
