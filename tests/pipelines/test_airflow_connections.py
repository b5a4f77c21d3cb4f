"""Connections under Airflow: read as Airflow reads them, given to a task, never to a parse; and no secret anywhere that Airflow keeps things."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from urllib.parse import quote

import pytest
from airflow_home import HERE, make_home, needs_airflow
from canaries import BASIC, KEY, PASSWORD, PIPELINE, TOKEN, URI_PASSWORD, connection, echoing_server, environment, leaks_in, leaks_under
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headrace.core.connection import parse_connection
from headrace.core.errors import ConfigurationError

pytestmark = [pytest.mark.integration, needs_airflow]

_READER = """
import json, logging, os, sys
answers, sys.stdout = sys.stdout, sys.stderr
from airflow.sdk import Connection
from airflow.sdk.log import redact
from headrace.airflow.connections import serve_connections
serve_connections()
logging.disable(logging.CRITICAL)
os.environ.clear()
for line in sys.stdin:
    text = json.loads(line)
    try:
        if text.startswith("print: "):
            answers.write(json.dumps(redact(text)) + chr(10))
            answers.flush()
            continue
        found = Connection.from_json(text, "x") if text.startswith("{") else Connection.from_uri(text, "x")
        told = [found.conn_type, found.host, found.port, found.schema, found.login, found.password, json.loads(found.extra or "{}")]
    except Exception as error:
        told = type(error).__name__
    answers.write(json.dumps(told) + chr(10))
    answers.flush()
"""


@pytest.fixture(scope="module")
def airflow_reads(tmp_path_factory):
    """What Airflow's own Connection makes of a text: a list of its parts, or the name of its error."""
    mine = {**os.environ, "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")), **environment()}
    reader = subprocess.Popen(
        [sys.executable, "-c", _READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=mine,
    )

    def read(text: str) -> object:
        reader.stdin.write(json.dumps(text) + "\n")
        reader.stdin.flush()
        return json.loads(reader.stdout.readline())

    yield read
    reader.stdin.close()
    reader.wait(30)
    reader.stdout.close()


def ours(text: str) -> object:
    try:
        found = parse_connection("x", text, origin="a test")
    except ConfigurationError:
        return "refused"
    return [found.type, found.host, found.port, found.schema, found.login, found.password, dict(found.extra)]


odd = st.text(st.sampled_from("aZ09%/:@?#&=[] +.-_~é漢\"'{}\\,;"), max_size=8)
plain = st.text(st.sampled_from("aZ09.-_~"), max_size=6)
encoded = st.builds(lambda text: "".join(f"%{byte:02X}" for byte in text.encode()), odd)
part = st.one_of(plain, encoded, st.builds(lambda a, b: a + b, plain, encoded))
schemes = st.sampled_from(["aws", "postgres", "postgresql", "google-cloud-platform", "my_type", "http", "HTTPS", "s3", "a.b+c"])
queries = st.one_of(
    st.just(""),
    st.dictionaries(plain, part, max_size=3).map(lambda found: "?" + "&".join(f"{k}={v}" for k, v in found.items())),
    st.sampled_from(["?__extra__=%7B%22a%22%3A%20%7B%22b%22%3A%20%5B1%5D%7D%7D", "?a=1&a=2", "?a", "?x=%7B%22y%22%3A1%7D"]),
)


@st.composite
def uris(draw):
    """URIs as people write them, with parts missing or empty, and with a host that has a protocol of its own."""
    user = draw(st.sampled_from(["", "{}@", "{}:{}@", ":{}@", ":@", "@"])).replace("{}", "\0")
    while "\0" in user:
        user = user.replace("\0", draw(part), 1)
    host = draw(st.one_of(part, st.sampled_from(["", "db.Example.org", "%2Fvar%2Frun%2FPG", "[::1]"])))
    port = draw(st.sampled_from(["", ":5432", ":", ":0"]))
    path = draw(st.one_of(st.just(""), st.builds("/{}".format, part), st.just("/a/b")))
    protocol = draw(st.sampled_from(["", "", "", "https://"]))
    return f"{draw(schemes)}://{protocol}{user}{host}{port}{path}{draw(queries)}"


documents = st.fixed_dictionaries(
    {},
    optional={
        "conn_type": schemes,
        "host": odd,
        "login": st.none() | odd,
        "password": odd,
        "schema": odd,
        "port": st.sampled_from([5432, "5432", 0, "", None]),
        "extra": st.sampled_from(["", '{"a": 1}', {"a": {"b": [1, "é"]}}, {}, None]),
        "description": odd,
    },
)


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(uris(), documents.map(json.dumps), st.builds("{}://{}".format, schemes, odd)))
def test_a_variable_means_to_us_what_it_means_to_airflow(airflow_reads, text):
    theirs = airflow_reads(text.strip())
    if isinstance(theirs, str):
        assert ours(text) == "refused", (text, theirs)
        return
    if theirs[0] is None:
        theirs[0] = ""  # ours has no type then
    assume(not (text.startswith("{") and theirs[2] == 0))
    assert ours(text) == theirs, text


def test_airflow_masks_what_headrace_knows_to_be_secret(airflow_reads):
    """Line by line or whole, as the order of its own set has it: what is between two lines may stay, however it is spelt."""
    for secret in (TOKEN, PASSWORD, KEY.splitlines()[1], URI_PASSWORD, json.dumps(PASSWORD)[1:-1], quote(TOKEN)):
        shown = airflow_reads(f"print: it was {secret}!")
        lines = re.sub(r"\u2028|%E2%80%A8|\\u2028", "", shown)
        assert re.sub(r"(\*\*\*)+", "***", lines) == "print: it was ***!", shown


# ---------------------------------------------------------------- parsing


_BACKEND = """
from pathlib import Path

from airflow.secrets import BaseSecretsBackend


class Telltale(BaseSecretsBackend):
    def get_connection(self, conn_id, team_name=None):
        Path(__file__).with_name("asked").write_text(conn_id)
        raise RuntimeError("a connection was asked for")
"""

_LIBRARY = """
from pathlib import Path

Path(__file__).with_name("asked").write_text("a library for buckets")
raise ImportError("it was imported")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An Airflow with the pipeline that fails in many ways, whose tracker is named by a connection."""
    made = make_home(tmp_path_factory.mktemp("airflow"))
    (made.dags / "leaks.py").write_text(PIPELINE)
    (made.dags / "headrace.toml").write_text('[local]\ntracking = "mlflow"\ntracking_connection = "my_tracker"\nconnection = "my_lake"\n')
    return made


@pytest.mark.parametrize("lake", ["lake", "s3://shop/lake"])
def test_no_connection_is_read_and_no_lake_opened_while_a_file_is_parsed(home, tmp_path, lake):
    (tmp_path / "telltale.py").write_text(_BACKEND)
    (tmp_path / "obstore.py").write_text(_LIBRARY)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    backend = {"AIRFLOW__SECRETS__BACKEND": "telltale.Telltale", "PYTHONPATH": paths, "HEADRACE_LAKE": lake}
    parsed = home.parse(**backend, **environment(), AIRFLOW_CONN_MY_TRACKER="http://a://b://broken", AIRFLOW_CONN_MY_LAKE="{")
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {"leaks"}
    assert not leaks_in("the serialized DAG", json.dumps(parsed).encode())
    assert not (tmp_path / "asked").exists()


# ---------------------------------------------------------------- a run

_RUN = """
import json, os, runpy, sys
from airflow.models.connection import Connection
from airflow.utils.session import create_session

told = json.loads(os.environ.pop("CONNECTION_TO_ADD"))
with create_session() as session:
    session.add(Connection(conn_id="my_tracker", **{**told, "extra": json.dumps(told["extra"])}))
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def ran(home):
    """A run of that DAG, whose connection only Airflow knows: what it answered and printed, and how the tracker was asked."""
    pytest.importorskip("sklearn", reason="the extra `sklearn` is not installed")
    asked = {"file": str(home.dags / "leaks.py"), "answer": str(home.folder / "answer"), "runs": [{"dag": "leaks", "key": "2026-01-02"}]}
    (home.folder / "asked").write_text(json.dumps(asked))
    with echoing_server() as (server, seen):
        more = {"HEADRACE_TRACKING": "mlflow", "CONNECTION_TO_ADD": json.dumps(connection(server)), **environment()}
        events = {"type": "file", "log_file_path": str(home.folder / "lineage.jsonl"), "append": True}
        more["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(events)
        command = [sys.executable, "-c", _RUN, str(HERE / "airflow_runs.py"), str(home.folder / "asked")]
        done = subprocess.run(command, env=home.environment(**more), cwd=home.folder, capture_output=True, check=False, timeout=280)
        end = time.monotonic() + 30
        while not (home.folder / "lake/outbox/last-error.txt").exists() and time.monotonic() < end:
            time.sleep(0.1)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-6000:]
    assert (home.folder / "lineage.jsonl").exists() == (importlib.util.find_spec("openlineage") is not None)
    return json.loads((home.folder / "answer").read_text())[0], done.stdout + done.stderr, seen


def test_a_task_finds_the_connection_in_airflow_and_the_tracker_is_asked_with_it(ran):
    answer, _, seen = ran
    assert answer["tasks"]["line"]["state"] == "success"
    failing = ("plain", "keyed", "chained", "grouped", "apart", "slow", "sql")
    assert {answer["tasks"][name]["state"] for name in failing} == {"failed"}
    assert "raised ValueError: no answer: ***" in answer["tasks"]["plain"]["told"]["error"]
    assert seen[0].startswith(f"Basic {BASIC}")


def test_airflow_keeps_no_secret_in_any_log_table_or_file(ran, home):
    _, printed, _ = ran
    assert not leaks_in("printed", printed)
    assert not leaks_under(home.folder, ignored=frozenset({"connection"}))
    assert (home.folder / "lake/reports/leaks").is_dir()


def test_airflows_provider_tells_what_each_task_read_and_made(ran, home):
    pytest.importorskip("openlineage.client", reason="the extra `openlineage` is not installed")
    told = [json.loads(line) for line in (home.folder / "lineage.jsonl").read_text().splitlines()]
    ended = {one["job"]["name"]: one for one in told if one["eventType"] in ("COMPLETE", "FAIL")}
    good, line, plain = (ended[f"leaks.{name}"] for name in ("good", "line", "plain"))

    (made,) = good["outputs"]
    assert (made["namespace"], made["name"]) == ("file", str(home.folder / "lake/silver/leaks/good"))
    assert [field["name"] for field in made["facets"]["schema"]["fields"]] == ["x", "y", "g"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 40
    assert good["run"]["facets"]["nominalTime"]["nominalStartTime"].startswith("2026-01-02T00:00:00")
    assert good["run"]["facets"]["parent"]["job"]["name"] == "leaks"
    assert [one["name"] for one in line["inputs"]] == [made["name"]]
    assert line["inputs"][0]["facets"]["version"]["datasetVersion"]
    assert line["outputs"][0]["facets"]["datasetType"]["datasetType"] == "MODEL"
    assert plain["eventType"] == "FAIL"
    assert "raised ValueError: no answer: ***" in plain["run"]["facets"]["errorMessage"]["message"]
    assert [one["name"] for one in plain["inputs"]] == [made["name"]]
