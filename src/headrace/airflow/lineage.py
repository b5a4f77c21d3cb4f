"""Lineage for Airflow's OpenLineage provider: what a task's steps read and made, in the provider's own classes.

The provider asks an operator once its task has ended, and only where it is set up; nothing of it is imported before. The invariant:
it is told what `headrace run` would tell, of the commits that the task made or found.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.core.interval import Interval
from headrace.core.receipt import Receipt
from headrace.run.lineage import PRODUCER, Lineage, facet, step_lineage
from headrace.run.lineage_events import code_at, facts_of
from headrace.run.session import Session

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

__all__ = ["Taken", "lineage_before", "lineage_of"]


@dataclass
class Taken:
    """A step's turn in a task: its receipts once it was taken, none if it failed."""

    session: Session
    run: Interval
    receipts: Sequence[Receipt] = ()


def lineage_before(file: str) -> OperatorLineage[Any, Any]:
    """What is known before a task runs: where its code is."""
    return _theirs(Lineage(job_facets={"sourceCodeLocation": code_at(Path(file), 1).location()}))


def lineage_of(turns: Mapping[str, Taken]) -> OperatorLineage[Any, Any]:
    """What the turns of a task came to."""
    total = Lineage()
    for name, taken in turns.items():
        step = taken.session.graph.step(name)
        told: list[tuple[Interval, Receipt | None]] = [(receipt.interval, receipt) for receipt in taken.receipts]
        known = told or [(interval, None) for interval in taken.session.graph.intervals_for(step, taken.run)]
        for interval, receipt in known:
            total = total + step_lineage(facts_of(taken.session, step, interval, receipt))
    facets = dict(total.run_facets)
    facets.pop("processing_engine", None)  # the provider's own: Airflow
    if turns:
        run = next(iter(turns.values())).run
        facets["nominalTime"] = facet("NominalTimeRunFacet", nominalStartTime=run.start.isoformat(), nominalEndTime=run.end.isoformat())
    return _theirs(Lineage(total.inputs, total.outputs, facets, total.job_facets))


def _theirs(lineage: Lineage) -> OperatorLineage[Any, Any]:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset

    run, job = _facets(lineage.run_facets), _facets(lineage.job_facets)
    job.pop("jobType", None)  # the provider's own: a task of Airflow
    return OperatorLineage(
        inputs=[_dataset(InputDataset, one) for one in lineage.inputs],
        outputs=[_dataset(OutputDataset, one) for one in lineage.outputs],
        run_facets=run,
        job_facets=job,
    )


def _dataset(kind: type, told: Mapping[str, Any]) -> Any:
    facets = {name: _facets(value) for name, value in told.items() if isinstance(value, Mapping)}
    return kind(**{**told, **facets})


def _facets(told: Mapping[str, Any]) -> dict[str, Any]:
    """Facets in the classes of the client, which merges some of them with its own; those that it does not know are left out."""
    made = ((name, _facet(value)) for name, value in told.items())
    return {name: one for name, one in made if one is not None}


def _facet(told: Mapping[str, Any]) -> Any:
    kind = str(told["_schemaURL"]).rpartition("/")[2]
    home = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removesuffix("Facet")).lower()
    try:
        module = importlib.import_module(f"openlineage.client.generated.{home}")
    except ImportError:  # the client is older than the facet
        return None
    values = {name: value for name, value in told.items() if not name.startswith("_")}
    if kind == "TagsRunFacet":
        values["tags"] = [module.TagsRunFacetFields(**tag) for tag in values["tags"]]
    return getattr(module, kind)(**values, producer=PRODUCER)
