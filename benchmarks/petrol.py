"""examples/petrol.py end to end, against the bare pandas + scikit-learn script that does the same without any promise.

    python benchmarks/petrol.py [--rounds 5] [--data petrol_consumption.csv]

Each round runs the bare script, then headrace on an empty lake, then headrace again. The metrics, the verdict and where the model lies
are shown before the report is written, and the budget is for that moment; the time until the report is there as well has a line of its own.
Tracking is off: its sender is a process of its own, which would still be at work while the next program is measured.
Without the course's file the same number of rows is drawn: neither program's time depends on what is in them.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from measuring import HEADRACE, Usage, measured, middle, print_table

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "petrol.py"
COURSE = Path(__file__).resolve().parents[2] / "shared" / "data" / "petrol" / "petrol_consumption.csv"
HEADER = "Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption"

BARE = """
import sys
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rows = pd.read_csv(sys.argv[1])
features, target = rows.drop(columns="Petrol_Consumption"), rows["Petrol_Consumption"]
x_train, x_test, y_train, y_test = train_test_split(features, target, test_size=0.2, random_state=0)
model = make_pipeline(StandardScaler(), RandomForestRegressor(20, random_state=0))
model.fit(x_train, y_train)
predicted = model.predict(x_test)
print(r2_score(y_test, predicted), mean_absolute_error(y_test, predicted), root_mean_squared_error(y_test, predicted))
folder = Path(sys.argv[2])
folder.mkdir()
joblib.dump(model, folder / "model.joblib")
rows.assign(prediction=model.predict(features)).to_parquet(folder / "predictions.parquet")
"""


def drawn(rows: int = 48) -> str:
    draw = random.Random(0)
    lines = [
        f"{draw.uniform(5, 10):.2f},{draw.randint(3000, 5400)},{draw.randint(400, 18000)},{draw.uniform(0.4, 0.8):.4f},{draw.randint(340, 970)}"
        for _ in range(rows)
    ]
    return "\n".join([HEADER, *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=COURSE)
    options = parser.parse_args()
    taken: dict[str, list[Usage]] = {"bare script": [], "headrace run": [], "headrace run, cached": []}
    shown = "5 made in"  # the last line before the report
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        (folder / "petrol.csv").write_text(options.data.read_text() if options.data.is_file() else drawn())
        (folder / "bare.py").write_text(BARE)
        ours = {"HEADRACE_SOURCES_STATES": str(folder / "petrol.csv"), "HEADRACE_TRACKING": "none"}
        for number in range(options.rounds + 1):
            run = (HEADRACE, "run", str(EXAMPLE), "--lake", f"lake-{number}")
            measurements = {
                "bare script": measured(sys.executable, "bare.py", "petrol.csv", f"bare-{number}", cwd=folder),
                "headrace run": measured(*run, cwd=folder, environment=ours, until=shown),
                "headrace run, cached": measured(*run, cwd=folder, environment=ours),
            }
            if number:  # the first round warms the disk's cache
                for name, usage in measurements.items():
                    taken[name].append(usage)
    rows: list[list[object]] = []
    bare_s = middle([u.wall_s for u in taken["bare script"]])
    bare_cpu_s = middle([u.cpu_s for u in taken["bare script"]])
    for name, usages in taken.items():
        wall, cpu, peak = middle([u.wall_s for u in usages]), middle([u.cpu_s for u in usages]), middle([u.peak_mb for u in usages])
        label = name
        if name == "headrace run":
            early = middle([u.shown_s for u in usages])
            rows.append([f"{name}, until its results are shown", f"{early:.2f}", f"{early / bare_s:.2f}", "1.50", "", "", ""])
            label = f"{name}, until its report is written"
        rows.append([label, f"{wall:.2f}", f"{wall / bare_s:.2f}", "", f"{cpu:.2f}", f"{cpu / bare_cpu_s:.2f}", f"{peak:.0f}"])
    header = ["", "wall s", "x bare", "budget", "CPU s", "x bare", "peak MB"]
    print_table(f"Petrol end to end, medians of {options.rounds}", header, rows)


if __name__ == "__main__":
    main()
