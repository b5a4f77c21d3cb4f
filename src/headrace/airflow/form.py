"""What the form asks that triggers a run: which interval, what to make again, and the settings of the steps.

A setting is empty unless it is filled in, since what the file says may be changed by headrace.toml, which is not read here. The
invariant: a run that is triggered with nothing filled in is an ordinary one.
"""

from __future__ import annotations

from airflow.sdk import Param

from headrace.core.graph import Graph
from headrace.core.step import Setting

__all__ = ["params_of"]

_LONGEST_DEFAULT = 200
_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),  # first: a bool is an int
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (tuple, "array"),
    (dict, "object"),
)


def params_of(graph: Graph) -> dict[str, Param]:
    """The parameters of a DAG: of the run first, then each step's settings under its name."""
    names = [*graph.steps, "all"]
    params = {
        "at": Param(
            None,
            "By its start in UTC, such as 2026-11-20T08. Empty: that of the run, or the last complete one.",
            type=["null", "string"],
            title="Interval",
        ),
        "force": Param(
            [],
            "Steps to make again whatever stands already.",
            type=["null", "array"],  # else the form would mark it as required
            items={"type": "string", "enum": names},
            examples=names,
            title="Make again",
        ),
        "keep": Param(
            False,
            "With steps to make again or other settings, a run is an experiment, written beside the current versions; this makes it current.",
            type=["null", "boolean"],
            title="Keep as current",
        ),
    }
    for step in graph.steps.values():
        for setting in step.settings:
            said = f"{_shown(setting)} in the file. Empty: as the file and headrace.toml say."
            params[f"{step.name}.{setting.name}"] = Param(
                None, said, type=_types(setting), title=setting.name, section=f"Settings of {step.name}"
            )
    return params


def _shown(setting: Setting) -> str:
    text = repr(setting.default)
    return text if len(text) <= _LONGEST_DEFAULT else f"{text[:_LONGEST_DEFAULT]}…"


def _types(setting: Setting) -> list[str]:
    """What JSON may be given for a setting: nothing, or what is like its default."""
    found = next((name for kind, name in _JSON_TYPES if isinstance(setting.default, kind)), None)
    return ["null", *([found] if found else ["string", "number", "boolean", "array", "object"])]
