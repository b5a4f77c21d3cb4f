"""What headrace costs inside Airflow: reading a pipeline file, reading one of 500 steps, and one task.

    python benchmarks/on_airflow.py [--steps 500] [--rounds 5]

All are CPU seconds of one process, taken around the very call. A file is read by Airflow's DagBag after `import airflow.sdk` and after it
has read a plain DAG, so that what Airflow does once is not counted. A task is run by `dag.test()`, an empty operator's first, then
ours for the first time in that process, as a worker would: what its engine costs to import was paid before, and is told by itself. Each
round is a process of its own with its own seed of hashes; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import middle, print_table

SHOP = '''
"""Orders of a shop."""
import headrace as hr
from pydantic import BaseModel

shop = hr.Pipeline("shop", schedule="@daily", start="2026-01-01")


class Order(BaseModel):
    customer: int
    price: float


shop.source("orders", "orders/{start:%Y-%m-%d}.csv", contract=Order)


@shop.table(key="customer", history={"orders": "30d"})
def spending(orders: hr.Frame, least: float = 0.0) -> str:
    return "select customer, sum(price) as spent from orders where price >= $least group by customer"


@shop.table(layer="gold")
def total(spending: hr.Frame) -> str:
    return "select sum(spent) as spent from spending"


dag = hr.airflow_dag(shop)
'''
EMPTY = """
from airflow.sdk import DAG, BaseOperator


class Nothing(BaseOperator):
    def execute(self, context):
        pass


with DAG("empty"):
    for number in range(4):
        Nothing(task_id=f"nothing_{number}")
"""
ONE = """
import headrace as hr

one = hr.Pipeline("one", schedule="@daily", start="2026-01-01")


@one.table
def first(when: hr.Interval) -> str:
    return "select 1 as n"


@one.table
def second(when: hr.Interval) -> str:
    return "select 2 as n"


dag = hr.airflow_dag(one)
"""
BUDGETS = {"parse": 0.050, "parse_many": 1.0, "task": 0.150}


def many_text(steps: int) -> str:
    """A pipeline in which each step reads the two before it, with a setting each."""
    parts = ['import headrace as hr\n\nmany = hr.Pipeline("many", schedule="@daily", start="2026-01-01")\n']
    for n in range(steps):
        reads = "".join(f"step_{before:03}: hr.Frame, " for before in range(max(0, n - 2), n))
        parts.append(
            f'\n\n@many.table\ndef step_{n:03}({reads}limit: int = {n}) -> str:\n    """Step {n}."""\n    return "select {n} as n"\n'
        )
    return "".join(parts) + "\n\ndag = hr.airflow_dag(many)\n"


def plain_text(steps: int) -> str:
    """As many empty tasks in the same order, without parameters and without headrace."""
    return f"""
from airflow.sdk import DAG, BaseOperator

with DAG("plain"):
    tasks = []
    for n in range({steps}):
        tasks.append(BaseOperator(task_id=f"step_{{n:03}}"))
        if n:
            tasks[-1].set_upstream(tasks[max(0, n - 2):n])
"""


# ---------------------------------------------------------------- in a process of its own


def parsing(folder: Path) -> dict[str, Any]:
    """Read the files, each for the first time in this process."""
    started = time.process_time()
    import airflow.sdk  # noqa: F401

    imported = time.process_time() - started
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    stored: Any = SerializedDagModel

    def read(name: str) -> tuple[float, Any]:
        bag: Any = DagBag(dag_folder=str(folder), collect_dags=False)
        started = time.process_time()
        bag.process_file(str(folder / name), safe_mode=False)
        taken = time.process_time() - started
        assert not bag.import_errors, bag.import_errors
        return taken, next(iter(bag.dags.values()))

    read("empty_dag.py")
    told: dict[str, Any] = {"import": imported, "engine": load_engine()}
    for what, name in (("parse", "shop_dag.py"), ("parse_many", "many_dag.py"), ("parse_plain", "plain_dag.py")):
        told[what], dag = read(name)
        started = time.process_time()
        serialized = DagSerialization.to_dict(dag)
        told[f"serialize_{what}"] = time.process_time() - started
        told[f"version_{what}"] = stored.hash(serialized)
    return told


def load_engine() -> float:
    """Import the engine and use it once: the seconds that it takes."""
    started = time.process_time()
    import duckdb

    duckdb.connect().execute("select 1").fetchall()
    return time.process_time() - started


def running(folder: Path) -> dict[str, Any]:
    """Run the empty tasks, then ours, each timed around Airflow's call."""
    import airflow.sdk.definitions.dag
    from airflow.dag_processing.dagbag import DagBag

    bag: Any = DagBag(dag_folder=str(folder), collect_dags=False)
    for name in ("empty_dag.py", "one_dag.py"):
        bag.process_file(str(folder / name), safe_mode=False)
    assert not bag.import_errors, bag.import_errors
    taken: dict[str, float] = {}
    definitions: Any = airflow.sdk.definitions.dag
    run_task = definitions._run_task  # noqa: SLF001  # what `dag.test()` calls for each task

    def timed(*arguments: Any, **options: Any) -> Any:
        started = time.process_time()
        found = run_task(*arguments, **options)
        taken[options["ti"].task_id if "ti" in options else arguments[0].task_id] = time.process_time() - started
        return found

    definitions._run_task = timed  # noqa: SLF001
    assert str(bag.dags["empty"].test().state) == "success"
    load_engine()  # not counted
    assert str(bag.dags["one"].test().state) == "success"
    empty = middle([seconds for name, seconds in taken.items() if name.startswith("nothing")][1:])  # the first one imports what all need
    first, second = (seconds - empty for name, seconds in taken.items() if name in ("first", "second"))  # in the order in which they ran
    return {"empty": empty, "task": first, "next": second, "record": taken["run-record"] - empty}


# ---------------------------------------------------------------- from outside


def environment(folder: Path, seed: int) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "HEADRACE_")) and k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "HEADRACE_LAKE": str(folder / f"lake-{seed}"),
        "HEADRACE_TRACKING": "none",
        "PYTHONHASHSEED": str(seed),
    }


def child(folder: Path, seed: int, *command: str) -> str:
    done = subprocess.run([sys.executable, *command], env=environment(folder, seed), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def measured(folder: Path, rounds: int) -> dict[str, list[Any]]:
    """What each round told; the first fills the caches of bytecode and is not counted."""
    child(folder, 0, "-m", "airflow", "db", "migrate")
    told: dict[str, list[Any]] = {}
    for number in range(rounds + 1):
        for part in ("parsing", "running"):
            answer = folder / "answer.json"
            child(folder, number, __file__, "--part", part, "--folder", str(folder))
            for name, value in json.loads(answer.read_text()).items():
                if number:
                    told.setdefault(name, []).append(value)
    return told


def row(label: str, values: list[float], *, budget: float | None = None) -> list[object]:
    value = middle(values)
    of_budget = [f"{budget:.3f}", f"{value / budget:.2f}"] if budget else ["", ""]
    return [label, f"{value:.3f}", f"{min(values):.3f}", f"{max(values):.3f}", *of_budget]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", choices=["parsing", "running"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        found = parsing(options.folder) if options.part == "parsing" else running(options.folder)
        (options.folder / "answer.json").write_text(json.dumps(found))
        return
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        texts = {"shop": SHOP, "empty": EMPTY, "one": ONE, "many": many_text(options.steps), "plain": plain_text(options.steps)}
        for stem, text in texts.items():
            (folder / f"{stem}_dag.py").write_text(text)
        told = measured(folder, options.rounds)
    header = ["", "CPU s", "least", "most", "budget", "of budget"]
    rows = [
        row("import airflow.sdk", told["import"]),
        row("a pipeline of 3 steps, over that", told["parse"], budget=BUDGETS["parse"]),
        row(f"a pipeline of {options.steps} steps, over that", told["parse_many"], budget=BUDGETS["parse_many"]),
        row(f"{options.steps} empty tasks without headrace, over that", told["parse_plain"]),
        row(f"{options.steps} steps, serialized by Airflow", told["serialize_parse_many"]),
    ]
    print_table("Reading a file", header, rows)
    versions = {len(set(told[f"version_{what}"])) for what in ("parse", "parse_many")}
    print(f"\nVersions of a DAG in {options.rounds} processes with other seeds of hashes: {max(versions)}")
    rows = [
        row("an empty task", told["empty"]),
        row("importing DuckDB and connecting", told["engine"]),
        row("a step, over both", told["task"], budget=BUDGETS["task"]),
        row("the next step in the same process, over an empty task", told["next"]),
        row("the run record and the report, over an empty task", told["record"]),
    ]
    print_table("One task", header, rows)
    if max(versions) > 1:
        sys.exit("the serialized DAG differs from one process to the next")


if __name__ == "__main__":
    main()
