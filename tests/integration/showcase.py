"""A pipeline that has something of everything which the pages of Airflow can show, its files, and one that reads what it publishes.

lay_out(folder)      writes bikes.py, rota.py and the files of six days; on the last day the file is broken
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

from airflow_server import Airflow, until

__all__ = ["APPROVAL", "BROKEN", "DAYS", "GOOD", "Story", "begin", "headrace", "lay_out", "play"]

FIRST = date(2026, 6, 1)
DAYS = tuple(FIRST + timedelta(days=number) for number in range(6))
GOOD = DAYS[1]
BROKEN = DAYS[-1]  # its file counts hires in words
APPROVAL = "bikes.forecast.approval"
_STATIONS = 120

BIKES = '''"""How many bikes will be hired at each station tomorrow.

The model learns from the last four days. **A person promotes it**, so that the vans' drivers are never surprised.
"""

from pydantic import BaseModel, Field

import headrace as hr

bikes = hr.Pipeline("bikes", schedule="@daily", start="2026-06-01")


class Station(BaseModel):
    station: str
    docks: int = Field(gt=0)
    district: str


class Hire(BaseModel):
    station: str
    hires: int = Field(ge=0)
    rain_mm: float = Field(ge=0)


bikes.source("stations", "stations.csv", contract=Station)
bikes.source("counts", "counts/{start:%Y-%m-%d}.csv", contract=Hire)


@bikes.table(key="station", group="prepare")
def demand(counts, stations, busy: int = 40):
    """One row a station and day, with its docks.

    A day is `busy` from 40 hires on.
    """
    return "select *, (hires >= $busy)::int as was_busy from counts join stations using (station)"


@bikes.table(key="district", layer="gold", publish=True)
def districts(demand):
    """Hires a district, for the planners."""
    return "select district, sum(hires) as hires, count(*) as stations from demand group by district"


@bikes.table(key="station", history={"demand": "4d"}, split=hr.by_key(test=0.25), group="prepare")
def lately(demand):
    """What each station did in the last four days, as far as there are four."""
    return """
        select station, any_value(docks) as docks, avg(rain_mm) as rain_mm, avg(was_busy) as busy_share, avg(hires) as hires
        from demand group by station
    """


@bikes.model(
    lately,
    features=["docks", "rain_mm", "busy_share"],
    target="hires",
    gate=[hr.at_least("r2", 0.6), hr.no_worse("mae", tolerance=0.5)],
    approval=True,
)
def forecast(trees: int = 40, deepest: int = 6):
    """Hires of a station in a day, by a random forest."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(trees, max_depth=deepest)


bikes.predict(forecast, lately, name="expected", columns=["hires"])
dag = hr.airflow_dag(bikes, wait="1m", default_args={"owner": "ana"})
'''

ROTA = '''"""Which districts get a second van tomorrow."""

import headrace as hr

rota = hr.Pipeline("rota", start="2026-06-01")
rota.source("districts", hr.dataset("bikes.districts", every="@daily"))


@rota.table(key="district")
def vans(districts):
    """One row a district."""
    return "select district, case when hires > 900 then 2 else 1 end as vans from districts"


dag = hr.airflow_dag(rota)
'''


@dataclass(frozen=True)
class Story:
    """The runs that were: of the good day, of the broken one, and the one in which a person is asked."""

    good: str
    broken: str
    asking: str


def lay_out(folder: Path) -> None:
    """Write the pipelines and their files. One row of each file has no number where one belongs: it is put in quarantine."""
    (folder / "counts").mkdir(parents=True, exist_ok=True)
    docks = {f"s{number:03}": 8 + number % 25 for number in range(_STATIONS)}
    districts = ("Harbour", "Hill", "Market", "Old town")
    with (folder / "stations.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["station", "docks", "district"], *((s, d, districts[d % 4]) for s, d in docks.items())])
    for day in DAYS:
        chance = Random(day.isoformat())
        rain = round(chance.uniform(0, 9), 1)
        with (folder / "counts" / f"{day}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["station", "hires", "rain_mm"])
            for number, (station, places) in enumerate(docks.items()):
                hires = max(0, round(places * (3.2 - 0.15 * rain) + chance.gauss(0, 6)))
                rows.writerow([station, "many" if day == BROKEN else "n/a" if number == 7 else hires, rain])
    (folder / "bikes.py").write_text(BIKES)
    (folder / "rota.py").write_text(ROTA)


def begin(folder: Path, lake: Path) -> None:
    """Make the first day and promote its model, from the command line."""
    headrace(folder, "run", "bikes.py", "--at", str(FIRST), "--no-report", "--lake", str(lake))
    headrace(folder, "approve", "bikes.py", "forecast", "--who", "eva", "--why", "the first one", "--lake", str(lake))


def headrace(folder: Path, *command: str) -> str:
    """Run a command in a folder; what it prints."""
    environment = {**os.environ, "HEADRACE_TRACKING": "none"}
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def play(airflow: Airflow) -> Story:
    """Run the good day and the broken one, and wait until the challenger of the good day asks."""
    for dag in ("bikes", "rota", APPROVAL):
        airflow.dag(dag)
    good = airflow.trigger("bikes", key=f"{GOOD}T00:00:00")
    broken = airflow.trigger("bikes", key=f"{BROKEN}T00:00:00")
    assert airflow.wait("bikes", good) == "success", airflow.story("bikes", good)
    assert airflow.wait("bikes", broken) == "failed", airflow.story("bikes", broken)
    asking = until(lambda: [run["dag_run_id"] for run in airflow.runs(APPROVAL)], "a question", 120)[0]
    airflow.wait_for(APPROVAL, asking, "question", "deferred", "awaiting_input")
    until(lambda: [run for run in airflow.runs("rota") if run["state"] == "success"], "a run that the published dataset starts", 120)
    return Story(good, broken, asking)
