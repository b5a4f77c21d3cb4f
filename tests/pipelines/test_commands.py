"""The command line: exit codes, JSON, names that are misspelt, settings and where they came from, and what is never written or shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Said

Headrace = Callable[..., Said]

STEPS = '''\
"""Numbers, doubled."""
import headrace as hr

steps = hr.Pipeline("steps", start="2026-01-01")
steps.source("given", "given/{start:%Y-%m-%d}.csv")


@steps.table
def doubled(given, by: int = 2):
    return "select x * $by as x from given"


@steps.table
def checked(doubled, least: int = 0):
    if least > 100:
        raise ValueError("too much to ask")
    return "select x from doubled"
'''
RECEIPT = {"step", "interval", "state", "rows_read", "rows_kept", "rows_quarantined", "seconds", "cached", "why"}


@pytest.fixture(autouse=True)
def _steps(folder: Path) -> None:
    (folder / "steps.py").write_text(STEPS)
    (folder / "given").mkdir()
    for day in (1, 2):
        (folder / "given" / f"2026-01-0{day}.csv").write_text(f"x\n{day}\n{day}\n")


def run(headrace: Headrace, *more: str) -> Said:
    return headrace("run", "steps.py", "--at", "2026-01-01", "--no-report", "--json", *more)


def states(said: Said) -> dict[str, str]:
    return {r["step"]: r["state"] for r in said.document["receipts"]}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


# ---------------------------------------------------------------- exit codes


def test_a_run_that_is_done_exits_with_0_and_says_what_each_step_did(headrace: Headrace) -> None:
    said = run(headrace)
    assert said.code == said.document["exit_code"] == 0, said.err
    assert states(said) == {"given": "made", "doubled": "made", "checked": "made"}
    assert all(set(r) >= RECEIPT for r in said.document["receipts"])
    assert (said.receipt("given")["rows_read"], said.receipt("given")["rows_kept"]) == (2, 2)
    assert states(run(headrace)) == {"given": "cached", "doubled": "cached", "checked": "cached"}


def test_a_failed_step_exits_with_1_and_is_still_one_document(headrace: Headrace) -> None:
    said = run(headrace, "--set", "checked.least=101", "--keep")
    assert said.code == said.document["exit_code"] == 1
    assert states(said) == {"given": "made", "doubled": "made", "checked": "failed"}
    assert "ValueError: too much to ask (steps.py:16)" in said.receipt("checked")["error"]
    assert set(said.receipt("checked")) >= RECEIPT


def test_the_users_traceback_is_shown_to_people(headrace: Headrace) -> None:
    said = headrace("run", "steps.py", "--at", "2026-01-01", "--no-report", "--set", "checked.least=101")
    assert said.code == 1
    assert 'raise ValueError("too much to ask")' in said.err
    assert "headrace/run/" not in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["rnu"], 2, "There is no command `rnu`. Did you mean `run`?"),
        (["run"], 2, "Missing argument 'FILE'"),
        (["run", "steps.py", "--att", "x"], 2, "No such option"),
        (["run", "setps.py"], 2, "The folder has: steps.py"),
        (["run", "steps.py", "--at", "soon"], 2, "`soon` is not a time"),
        (["run", "steps.py", "--at", "2025-12-31"], 2, "is before pipeline `steps` starts, at 2026-01-01"),
        (["run", "steps.py", "--at", "2999-01-01"], 2, "is not over yet. The last complete one is"),
        (["run", "steps.py", "--profile", "prod"], 2, "Profile `prod` was asked for, but there is no headrace.toml"),
        (["run", "steps.py", "--set", "doubled.by"], 2, "write it as step.parameter=value"),
        (["run", "steps.py", "--set", "doubled.by=two"], 2, "`doubled.by` is of type int (default 2), and 'two' is not"),
        (["run", "steps.py", "--set", "doubled.bye=2"], 3, "step `doubled` has no setting `bye`. Did you mean `by`?"),
        (
            ["run", "steps.py", "--set", "double.by=2"],
            3,
            "--set names the step `double`, which `steps` does not have. Did you mean `doubled`?",
        ),
        (["run", "steps.py", "--only", "double"], 3, "has no step of that name. Did you mean `doubled`?"),
        (["run", "steps.py", "--force", "double"], 3, "Did you mean `doubled`?"),
        (["run", "steps.py"], 3, "No --at was given, so this is about the last complete interval"),
        (["plan", "steps.py", "--only", "double"], 3, "Did you mean `doubled`?"),
        (["backfill", "steps.py", "--from", "2026-01-02", "--to", "2026-01-01"], 2, "--from 2026-01-02 is after --to 2026-01-01"),
        (["backfill", "steps.py", "--only", "double"], 3, "Did you mean `doubled`?"),
    ],
)
def test_what_is_wrong_with_a_command_is_told_with_its_code(headrace: Headrace, arguments: list[str], code: int, text: str) -> None:
    if arguments[:2] == ["run", "steps.py"] and "--at" not in arguments and len(arguments) > 2:
        arguments = [*arguments, "--at", "2026-01-01"]
    said = headrace(*arguments)
    assert said.code == code, said.err
    assert text in said.err
    assert said.out == ""


def test_a_wrong_pipeline_exits_with_2_and_every_problem(headrace: Headrace, folder: Path) -> None:
    (folder / "steps.py").write_text(STEPS.replace("def doubled(given,", "def doubled(givn,").replace('"given/', '"{day}/'))
    said = headrace("run", "steps.py", "--at", "2026-01-01")
    assert said.code == 2
    assert said.err.startswith("error: 2 problems in the pipeline:\n  steps.py:5: ")
    assert "Did you mean `given`?" in said.err


def test_a_file_that_cannot_be_imported_exits_with_2_and_its_line(headrace: Headrace, folder: Path) -> None:
    (folder / "steps.py").write_text(STEPS + "\n\nimport no_such_module_anywhere\n")
    said = headrace("plan", "steps.py")
    assert said.code == 2
    assert "steps.py:20: the file can't be imported: ModuleNotFoundError: No module named 'no_such_module_anywhere'" in said.err
    (folder / "steps.py").write_text("def broken(:\n")
    assert "steps.py:1: invalid syntax: def broken(:" in headrace("plan", "steps.py").err


# ---------------------------------------------------------------- plans


def test_a_plan_writes_nothing_and_runs_nothing(headrace: Headrace, folder: Path) -> None:
    assert run(headrace).code == 0
    (folder / "steps.py").write_text(STEPS.replace("x * $by", "x + $by"))
    before = tree(folder)
    said = headrace("plan", "steps.py", "--at", "2026-01-01", "--json", "--set", "checked.least=1")
    assert said.code == 0
    assert {d["step"]: d["action"] for d in said.document["decisions"]} == {"given": "skip", "doubled": "run", "checked": "run"}
    assert headrace("plan", "steps.py", "--at", "2026-01-02").code == 0
    assert tree(folder) == before


def test_a_plan_of_a_lake_that_is_not_there_makes_none(headrace: Headrace, folder: Path) -> None:
    said = headrace("plan", "steps.py", "--at", "2026-01-01", "--json")
    assert said.document["to_run"] == 3
    assert not (folder / "lake").exists()


def test_what_a_step_prints_stays_out_of_the_document(headrace: Headrace, folder: Path) -> None:
    (folder / "steps.py").write_text(
        STEPS.replace("    if least", "    print('a word of the step')\n    if least") + "print('a word of the file')\n"
    )
    said = run(headrace)
    assert said.document["exit_code"] == 0
    assert "a word of the step" in said.err
    assert "a word of the file" in said.err


def test_files_and_quarantine_are_named_by_part(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    by_name = headrace("files", "steps.py", "given.raw", "--at", "2026-01-01").out.split()
    assert [Path(path).name for path in by_name] == ["2026-01-01.csv"]
    import headrace as hr

    clean = hr.open_lake(folder / "lake").read("steps.given.quarantine", "2026-01-01")
    assert (clean.num_rows, clean.column_names) == (0, ["file", "line", "byte_offset", "columns", "reasons", "raw", "raw_size"])


def test_an_experiment_is_named_and_cleared(headrace: Headrace) -> None:
    run(headrace)
    said = headrace("run", "steps.py", "--at", "2026-01-01", "--no-report", "--set", "doubled.by=3")
    assert "experiment: steps.doubled.experiment, steps.checked.experiment written" in said.out
    assert headrace("clear", "steps.py", "doubled.experiment", "--at", "2026-01-01").code == 0


def test_another_schedule_on_the_same_datasets_is_refused(headrace: Headrace, folder: Path) -> None:
    run(headrace)
    (folder / "steps.py").write_text(STEPS.replace('start="2026-01-01"', 'schedule="@weekly", start="2026-01-01"'))
    said = headrace("run", "steps.py", "--at", "2026-01-04", "--no-report")
    assert said.code != 0
    assert "belongs to" in said.err


def test_only_runs_a_step_with_what_it_still_needs(headrace: Headrace) -> None:
    said = run(headrace, "--only", "doubled")
    assert states(said) == {"given": "made", "doubled": "made"}


# ---------------------------------------------------------------- experiments


def test_what_is_set_for_one_run_stays_beside_unless_it_is_kept(headrace: Headrace, folder: Path) -> None:
    import headrace as hr

    def read(name: str) -> list[int]:
        return [row["x"] for row in hr.open_lake(folder / "lake").read(name).to_pylist()]

    run(headrace)
    assert states(run(headrace, "--set", "doubled.by=10")) == {"given": "cached", "doubled": "made", "checked": "made"}
    assert (read("steps.checked"), read("steps.checked.experiment")) == ([2, 2], [10, 10])
    assert set(states(run(headrace)).values()) == {"cached"}
    run(headrace, "--set", "doubled.by=10", "--keep")
    assert read("steps.checked") == [10, 10]
    forced = run(headrace, "--force", "all")
    assert forced.receipt("doubled")["state"] == "made"
    assert read("steps.doubled.experiment") == [2, 2]


# ---------------------------------------------------------------- backfills


def test_a_backfill_says_what_failed_and_why_and_goes_on_when_it_is_mended(headrace: Headrace, folder: Path) -> None:
    said = headrace("backfill", "steps.py", "--to", "2026-01-03", "--no-report", "--json")
    assert said.code == 1
    assert [(r["step"], r["state"]) for r in said.document["receipts"] if r["interval"] == "2026-01-03"] == [
        ("given", "failed"),
        ("doubled", "blocked"),
        ("checked", "blocked"),
    ]
    (folder / "given" / "2026-01-03.csv").write_text("x\n3\n")
    again = headrace("backfill", "steps.py", "--to", "2026-01-03", "--no-report")
    assert again.code == 0
    assert "3 intervals from 2026-01-01 to 2026-01-03: 3 of 9 steps to run" in again.out


# ---------------------------------------------------------------- settings


def test_the_doctor_says_where_each_setting_came_from(headrace: Headrace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "headrace.toml").write_text('[local]\nmemory = "1GB"\njobs = 2\n[local.sources.given]\nlocation = "a.csv"\n')
    monkeypatch.setenv("HEADRACE_JOBS", "3")
    said = headrace("doctor", "steps.py", "--lake", "elsewhere", "--json")
    assert said.code == 0, said.out
    settings = {name: (told["value"], told["from"]) for name, told in said.document["settings"].items()}
    toml = f"{folder / 'headrace.toml'}, [local]"
    assert settings["lake"] == (str(folder / "elsewhere"), "command line")
    assert settings["jobs"] == ("3", "HEADRACE_JOBS")
    assert settings["memory"] == ("1GB", toml)
    assert settings["engine"] == ("duckdb", "default")
    assert said.document["sources"] == {"given": {"value": "a.csv", "from": toml}}


def test_a_setting_of_a_step_comes_from_the_file_unless_the_command_says_otherwise(headrace: Headrace, folder: Path) -> None:
    (folder / "headrace.toml").write_text("[local.settings.doubled]\nby = 7\n")
    said = headrace("plan", "steps.py", "--at", "2026-01-01", "--json")
    assert said.code == 0
    assert run(headrace).code == 0
    assert states(run(headrace, "--set", "doubled.by=7"))["doubled"] in ("made", "cached")
    (folder / "headrace.toml").write_text("[local.settings.doubled]\nbye = 7\n")
    assert "headrace.toml: step `doubled` has no setting `bye`. Did you mean `by`?" in headrace("plan", "steps.py").err


def test_no_secret_is_shown(headrace: Headrace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "headrace.toml").write_text('[local]\ntracking_uri = "https://me:hunter2@mlflow.example/?token=hunter2"\n')
    monkeypatch.setenv("HEADRACE_SOURCES_GIVEN", "s3://me:hunter2@bucket/{start:%Y-%m-%d}.csv")
    for arguments in (
        ["doctor", "steps.py", "--lake", "s3x://me:hunter2@bucket/lake"],
        ["doctor", "steps.py", "--lake", "s3x://me:hunter2@bucket/lake", "--json"],
        ["run", "steps.py", "--at", "2026-01-01", "--lake", "s3x://me:hunter2@bucket/lake"],
        ["run", "steps.py", "--at", "2026-01-01", "--no-report"],
        ["run", "steps.py", "--at", "2026-01-01", "--no-report", "--json"],
    ):
        said = headrace(*arguments)
        assert said.code in (1, 2)
        assert "hunter2" not in said.out + said.err
