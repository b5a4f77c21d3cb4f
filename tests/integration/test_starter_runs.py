"""What `headrace init` writes runs as it is, on real files, from the raw bytes to predictions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.run.starter import write_starter

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def run(file: Path) -> dict[str, dict[str, object]]:
    """The receipts of a run, by step."""
    command = [sys.executable, "-m", "headrace", "run", file.name, "--json"]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {receipt["step"]: receipt for receipt in json.loads(done.stdout)["receipts"]}


@pytest.mark.data
@pytest.mark.parametrize(
    ("data", "target", "records", "quarantined"),
    [
        ("petrol/petrol_consumption.csv", "Petrol_Consumption", 48, 0),
        ("wine/wine-quality.csv", "quality", 4898, 0),
        ("userdata_multi_format/csv/userdata1.csv", "gender", 1000, 0),
        ("userdata_multi_format/csv/userdata2.csv", None, 998, 2),
    ],
)
def test_a_real_file_is_taken_from_raw_bytes_to_predictions(
    shared_data: Path, tmp_path: Path, data: str, target: str | None, records: int, quarantined: int
) -> None:
    receipts = run(write_starter(shared_data / data, target=target, into=tmp_path))
    assert {receipt["state"] for receipt in receipts.values()} <= {"made", "skipped"}
    assert (receipts["records"]["rows_kept"], receipts["records"]["rows_quarantined"]) == (records, quarantined)


def test_every_kind_of_column_survives_the_way_to_a_model(tmp_path: Path) -> None:
    """Texts, numbers with gaps, booleans, a key, records without a target, and a column called like a word of SQL."""
    draw = random.Random(0)
    lines = ["id,Home Town,order,member,height (cm),price"]
    for number in range(600):
        town, is_member, height = draw.choice(["Bergen", "Oslo", ""]), draw.random() < 0.5, draw.choice(["", f"{draw.gauss(170, 9):.1f}"])
        price = "" if number % 50 == 0 else f"{3 * is_member + number % 7 + draw.random():.2f}"
        lines.append(f"{number},{town},{number % 7},{str(is_member).lower()},{height},{price}")
    (tmp_path / "visits.csv").write_text("\n".join([*lines, ""]))
    receipts = run(write_starter(tmp_path / "visits.csv", target="price", into=tmp_path))
    assert receipts["examples"]["rows_kept"] == 588
    assert receipts["predicted_price"]["rows_kept"] == 588
    metrics = receipts["price_model"]["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["r2"] > 0.8
