"""examples/petrol.py under its profile `prod`: the file in a bucket, the lake in another, nothing but a name of the profile given.

The buckets of examples/headrace.toml are made on a real S3 server; credentials and its address come from the environment.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import headrace
from example_runs import EXAMPLES, FOLDER
from object_servers import S3Server, s3_server, why_no

import headrace as hr
from headrace.core.errors import UnknownNameError

pytestmark = [pytest.mark.integration, pytest.mark.skipif(bool(why_no("versitygw")), reason=why_no("versitygw"))]

AT = "2026-11-20T08"
LAKE = "s3://acme-lake/prod"
MODEL = "models/petrol/forest/2026/11/20/08/"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The bucket of the lake; that of the incoming files has one in it."""
    folder = tmp_path_factory.mktemp("petrol")
    with s3_server(folder / "server") as s3:
        found = s3.with_bucket("acme-lake")
        incoming = s3.with_bucket("acme-raw")
        (folder / "drawn").mkdir()
        EXAMPLES["petrol"].draw(folder / "drawn")
        for file in (folder / "drawn").iterdir():
            incoming.client().put_object(Bucket=incoming.bucket, Key=f"petrol/{file.name}", Body=file.read_bytes())
        yield found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of examples/, so that whatever is written beside them is seen."""
    shutil.copytree(FOLDER, tmp_path / "examples", ignore=shutil.ignore_patterns("lake", "__pycache__"))
    return tmp_path


@pytest.fixture
def variables(lake: S3Server, project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = {**lake.environment, "XDG_CACHE_HOME": str(project / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def objects(lake: S3Server, prefix: str) -> dict[str, bytes]:
    client = lake.client()
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=lake.bucket, Prefix=prefix).get("Contents", ())]
    return {key: client.get_object(Bucket=lake.bucket, Key=key)["Body"].read() for key in keys}


def test_the_model_is_published_under_its_hour_and_read_back_by_name_and_by_key(
    lake: S3Server, project: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "examples/petrol.py", "--profile", "prod", "--at", AT, "--json")
    said = headrace(*words, cwd=project, env={"HEADRACE_TRACKING": "auto", **variables})
    assert said.code == 0, said.err
    assert said.document["lake"] == LAKE
    assert said.document["traffic"]["requests"] > 0
    assert said.receipt("forest")["location"].startswith(f"{LAKE}/{MODEL}")
    left = {file.relative_to(project).parts[0] for file in project.rglob("*") if file.is_file()}
    assert left == {"examples", "cache"}
    assert {file.name for file in (project / "examples").iterdir()} == {file.name for file in FOLDER.iterdir() if file.is_file()}

    opened = hr.open_lake(LAKE)
    manifest = opened.manifest("petrol.forest", at=AT)
    found = objects(lake, f"prod/{MODEL}")
    for part in manifest.content.parts:
        for file in part.files:
            assert hashlib.sha256(found[f"prod/{file.key}"]).hexdigest() == file.sha256
    model: Any = opened.model("petrol.forest", at=AT)
    champion: Any = opened.model("petrol.forest")
    rows = opened.read("petrol.consumption", to="pandas")[["petrol_tax", "average_income", "paved_highways", "licensed_share"]]
    assert (model.predict(rows) == champion.predict(rows)).all()
    assert (model.predict(rows) == opened.read("petrol.expected", to="pandas")["prediction"]).all()

    monkeypatch.chdir(project / "examples")
    by_profile = hr.open_lake(profile="prod")
    assert by_profile.uri == LAKE
    assert by_profile.read("petrol.expected").num_rows == 48


def test_a_lake_that_is_not_where_one_looks_is_said_with_its_address(lake: S3Server, variables: dict[str, str]) -> None:
    with pytest.raises(UnknownNameError, match=f"There is no lake at {LAKE}/elsewhere"):
        hr.open_lake(f"{LAKE}/elsewhere")
