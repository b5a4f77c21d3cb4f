"""`headrace airflow check`: read a file as Airflow does, and say what is wrong with it and what it costs."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.options import as_json, file_argument
from headrace.cli.output import is_terminal, print_json, print_table, tell
from headrace.run.redaction import redacted, redacted_values

__all__ = ["check"]


@click.command()
@file_argument
@click.option("--dags", metavar="FOLDER", type=click.Path(path_type=Path), help="The DAGs folder or bundle.  [the folder of FILE]")
@as_json
def check(file: Path, dags: Path | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Read FILE as Airflow does: errors, warnings, what parsing and its imports cost, and clashes with the other files of its folder.

    Exit code 2 if Airflow could not run it, 0 with warnings only.
    """
    from headrace.airflow.check import check_file

    checked = check_file(file, folder=dags)
    if as_json:
        print_json(
            {
                "file": str(checked.file),
                "airflow": checked.airflow,
                "cpu_s": checked.cpu_s,
                "wall_s": checked.wall_s,
                "limit_s": checked.limit_s,
                "dags": [dict(dag) for dag in checked.dags],
                "imports": list(checked.imports),
                "findings": redacted_values([finding.document() for finding in checked.findings]),
            }
        )
        return 2 if checked.errors else 0
    cost = f"{checked.cpu_s:.2f} s CPU, {checked.wall_s:.2f} s in all"
    tell(f"{checked.file.name}, read by Airflow {checked.airflow}: {cost}, besides Airflow's own start\n")
    if checked.dags:
        rows = [
            (str(d["id"]), str(d["tasks"]), str(d["schedule"]), str(d["start"] or "·"), ", ".join(d["params"] or "·"))  # type: ignore[arg-type]
            for d in checked.dags
        ]
        print_table(("DAG", "tasks", "schedule", "start", "parameters"), rows, right=[1])
        tell("")
    for finding in checked.findings:
        tell(f"{_coloured(finding.level)}  {f'{finding.where}: ' if finding.where else ''}{redacted(finding.message)}")
        for line in redacted(finding.detail).splitlines():
            tell(f"    {line}")
    warnings = len(checked.findings) - checked.errors
    tell(f"{checked.errors} errors, {warnings} warnings" if checked.findings else f"{_coloured('ok')}  nothing to say")
    return 2 if checked.errors else 0


def _coloured(word: str) -> str:
    colours = {"error": "red", "warning": "yellow", "ok": "green"}
    return click.style(word, fg=colours[word]) if is_terminal() else word
