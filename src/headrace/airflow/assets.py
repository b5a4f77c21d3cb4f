"""Published datasets as Airflow's assets: their names, the events of their intervals, and nothing of what triggers whom.

An asset's name and URI are 1:1 in a whole deployment, or tasks fail: both are made here, from the dataset's full name alone, so that
no profile, lake or connection is asked when a file is parsed. The invariant: an event is about one whole interval of the dataset, and
its partition key is that interval's start in UTC, in the form in which the key of a partitioned run is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from headrace.core.errors import ConfigurationError
from headrace.core.interval import Interval
from headrace.core.ports import JSON
from headrace.core.source_options import dataset_name_problem

if TYPE_CHECKING:
    from airflow.sdk import Asset, BaseOperator, Context

    from headrace.core.receipt import Receipt
    from headrace.run.session import Session

__all__ = ["asset", "key_of", "publish", "stay_silent", "uri_of"]

_GROUP = "headrace"
_TOLD = (
    "step",
    "state",
    "cached",
    "intervals",
    "version",
    "rows_read",
    "rows_kept",
    "rows_quarantined",
    "size_bytes",
    "fingerprint",
    "metrics",
    "verdict",
)


def uri_of(name: str) -> str:
    """The URI of a dataset's asset; its name is the dataset's full name. ConfigurationError for what is no dataset's name.

    >>> uri_of("shop.spending")
    'headrace://shop/spending'
    """
    problem = dataset_name_problem(name)
    if problem:
        raise ConfigurationError(f"asset({name!r}): {problem}")
    pipeline, _, dataset = name.partition(".")
    return f"headrace://{pipeline}/{dataset}"


def asset(name: str) -> Asset:
    """The asset of a published dataset."""
    from airflow.sdk import Asset

    return Asset(name=name, uri=uri_of(name), group=_GROUP)


def key_of(interval: Interval) -> str:
    """The partition key of an interval: its start in UTC, as `CronPartitionTimetable` writes it.

    >>> key_of(Interval.of("2026-01-02", "2026-01-03"))
    '2026-01-02T00:00:00'
    """
    return f"{interval.start:%Y-%m-%dT%H:%M:%S}"


def publish(
    operator: BaseOperator, context: Context, session: Session, step: str, told: Mapping[str, JSON], receipts: Sequence[Receipt]
) -> None:
    """Let a task's success tell of what its step made: an event for each interval, with a small extra. An experiment is not told of."""
    name = f"{session.graph.name}.{step}"
    if all(getattr(outlet, "name", None) != name for outlet in operator.outlets):
        return
    keys = [key_of(receipt.interval) for receipt in receipts if receipt.state in ("made", "copied", "cached")]
    if not keys or step in session.experiment:
        stay_silent(operator, [name])
        return
    event = context["outlet_events"][asset(name)]
    event.extra = {key: cast(Any, told[key]) for key in _TOLD if key in told}
    if hasattr(event, "add_partitions"):  # from Airflow 3.3 on; before, an event has the key of its run
        event.add_partitions(keys)


def stay_silent(operator: BaseOperator, names: Sequence[str]) -> None:
    """Take outlets away from a task that runs: its success says nothing of those datasets."""
    operator.outlets = [outlet for outlet in operator.outlets if getattr(outlet, "name", None) not in names]
