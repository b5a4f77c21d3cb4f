"""Reports out of a lake in a bucket, on Airflow's server: by a connection that only Airflow has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from airflow_home import make_home, needs_airflow
from canaries import leaks_in
from object_servers import s3_server, why_no
from test_airflow_waits import inside, write

from headrace.run.session import open_lake_at

pytestmark = [
    pytest.mark.integration,
    needs_airflow,
    pytest.mark.skipif(bool(why_no("versitygw")), reason=why_no("versitygw")),
]


def test_a_report_is_shown_with_the_connection_and_it_is_said_where_the_lake_can_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    home = make_home(tmp_path / "home")
    file = write(home, "shown")
    with s3_server(tmp_path) as s3:
        lake = f"s3://{s3.bucket}/lake"
        with monkeypatch.context() as owner:
            for name, value in s3.environment.items():
                owner.setenv(name, value)
            owner.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
            open_lake_at(lake).store.replace("reports/shown/2026/01/01/00/00-1440m.html", b"<h1>A report</h1>")
        secret = "cAnArY-of-this-test"
        user = s3.user("AKIAcAnArY", {"Version": "2012-10-17", "Statement": _may_read(s3.bucket)}, secret)
        way_in = {"login": user.access_key, "password": secret, "extra": json.dumps({"region_name": s3.region})}
        told = {"AIRFLOW__HEADRACE__LAKES": lake, "AIRFLOW__HEADRACE__ENDPOINT": s3.endpoint, "HEADRACE_PROFILE": "prod"}
        found = inside(home, "bucket_reports", file, "shown", CONNECTION_TO_ADD=json.dumps(way_in), **told)
    status, text = found["report"]
    assert (status, text) == (200, "<h1>A report</h1>"), found
    assert found["in the second"] == found["report"]
    assert [found[name][0] for name in ("not written", "other prefix")] == [404, 404]
    for name in ("other keys", "no connection"):
        assert found[name] == [503, '{"detail":"A lake could not be read. The log of Airflow\'s API server says why."}']
    assert not leaks_in("answers", json.dumps(found).encode())


def _may_read(bucket: str) -> list[dict[str, object]]:
    objects = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}
    return [objects, {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{bucket}"}]
