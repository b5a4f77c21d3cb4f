"""Steps: what a pipeline declares, as frozen values.

A step makes one output per interval of its grid. Nothing here evaluates anything; the graph checks what steps say of each
other, and `headrace.steps` carries them out. The invariant: a step names its inputs, it never holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from headrace.core.contract import Contract
from headrace.core.errors import Where
from headrace.core.gate import Gate
from headrace.core.interval import Grid
from headrace.core.keys import Reference, Unique
from headrace.core.ports import JSON, FrameKind
from headrace.core.split import Split

__all__ = [
    "DATASET",
    "Input",
    "Kind",
    "ModelSpec",
    "Policy",
    "Predictions",
    "Promotion",
    "Setting",
    "Source",
    "SourceOptions",
    "Step",
    "Table",
    "TrainedModel",
    "is_published",
    "published_to",
]

Kind = Literal["source", "table", "model", "promotion", "predictions"]
UserFunction = Callable[..., object]

DATASET = "dataset"
"""The format of a source that is another pipeline's dataset."""


@dataclass(frozen=True)
class Input:
    """A dataset that a step reads.

    `reach` says which of its intervals: None means the step's own; a pair (from, to) counts back from the end of the step's
    interval. `is_newest` reads the one interval that ended last by the end of the step's; `is_within` reads all that end within it.
    """

    parameter: str
    dataset: str
    frame: FrameKind = "frame"
    reach: tuple[timedelta, timedelta] | None = None
    is_newest: bool = False
    is_within: bool = False

    @property
    def is_window(self) -> bool:
        """Whether it reads any number of intervals, each row with its `interval_end`."""
        return self.is_within or self.reach is not None


@dataclass(frozen=True)
class Setting:
    """A parameter with a default: tracked, and set from outside by `--set step.name=value`."""

    name: str
    default: JSON


@dataclass(frozen=True)
class Policy:
    """How a step is run: times to try again, longest run in seconds, and whether it wants a process of its own.

    Steps of one `group` share a task where an orchestrator runs them.
    """

    retries: int = 2
    timeout_s: float | None = None
    has_own_process: bool = False
    group: str | None = None


@dataclass(frozen=True)
class SourceOptions:
    """Where a source lies and how it is read: `format` is a flavour of `backends/sources`.

    With `only_new` an interval takes the files that no interval before it took. A location that ends in a slash is about all files below.
    """

    format: str
    location: str
    options: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    only_new: bool = False

    def __post_init__(self) -> None:
        if self.location.endswith("/"):
            object.__setattr__(self, "location", f"{self.location}**/*")

    @property
    def is_by_interval(self) -> bool:
        return "{start" in self.location or "{end" in self.location

    @property
    def is_dataset(self) -> bool:
        """Whether it is a dataset of another pipeline, and its location that one's full name: `shop.spending`."""
        return self.format == DATASET


@dataclass(frozen=True)
class Source:
    """Raw files, landed unchanged in bronze and read into typed rows; or a dataset of another pipeline, whose rows are taken as they are.

    `wait` is how long a run waits for what is not there yet; None is not at all. Rows that share a key of `unique` are told apart from the
    others after the contract, and so are rows whose values of `references` are not in the datasets that these name, which are the `inputs`.
    """

    name: str
    where: Where
    grid: Grid
    options: SourceOptions
    contract: Contract | None = None
    missing: Literal["fail", "empty"] = "fail"
    max_rejected: float | int = 0.05
    wait: timedelta | None = None
    unique: tuple[Unique, ...] = ()
    references: tuple[Reference, ...] = ()
    policy: Policy = Policy()
    kind: Kind = "source"
    inputs: tuple[Input, ...] = ()
    settings: tuple[Setting, ...] = ()

    @property
    def has_memory(self) -> bool:
        """Whether an interval is made from what the one before remembers: keys over history."""
        return any(key.is_over_history for key in self.unique)


@dataclass(frozen=True)
class Table:
    """Rows made from other rows by the user's function. `is_published` tells other pipelines' schedulers of each interval that is made,
    and `published_to` is where its rows are copied for others to read.
    """

    name: str
    where: Where
    grid: Grid
    function: UserFunction
    inputs: tuple[Input, ...]
    settings: tuple[Setting, ...] = ()
    interval_parameters: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    time: str | None = None
    split: Split | None = None
    contract: Contract | None = None
    layer: Literal["silver", "gold"] = "silver"
    doc: str = ""
    is_published: bool = False
    published_to: str | None = None
    policy: Policy = Policy()
    kind: Kind = "table"


@dataclass(frozen=True)
class ModelSpec:
    """What a model is about: which columns it learns from, and how it is measured.

    `features` is one text (a Series is given) or a tuple (a frame is given). `metrics` are the user's own, by name.
    """

    features: str | tuple[str, ...]
    target: str | None = None
    weight: str | None = None
    metrics: Mapping[str, Callable[..., float]] = field(default_factory=dict[str, Callable[..., float]])
    cv: int | None = None
    key: tuple[str, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (self.features,) if isinstance(self.features, str) else self.features


@dataclass(frozen=True)
class TrainedModel:
    """An estimator fitted on a table's train side. Training is pure: the champion has no part in it."""

    name: str
    where: Where
    grid: Grid
    function: UserFunction
    data: str
    spec: ModelSpec
    inputs: tuple[Input, ...]
    settings: tuple[Setting, ...] = ()
    interval_parameters: tuple[str, ...] = ()
    data_parameter: str | None = None
    gates: tuple[Gate, ...] = ()
    needs_approval: bool = False
    trust: tuple[str, ...] = ()
    is_pickle_allowed: bool = False
    doc: str = ""
    policy: Policy = Policy()
    kind: Kind = "model"


@dataclass(frozen=True)
class Promotion:
    """Judges a trained model against its gate and the champion, in the order of intervals. Its output is a chain entry."""

    name: str
    where: Where
    grid: Grid
    model: str
    inputs: tuple[Input, ...] = ()
    settings: tuple[Setting, ...] = ()
    policy: Policy = Policy()
    kind: Kind = "promotion"


@dataclass(frozen=True)
class Predictions:
    """All rows of a table's interval through the champion as of that interval."""

    name: str
    where: Where
    grid: Grid
    model: str
    data: str
    columns: tuple[str, ...]
    inputs: tuple[Input, ...]
    settings: tuple[Setting, ...] = ()
    is_published: bool = False
    published_to: str | None = None
    policy: Policy = Policy()
    kind: Kind = "predictions"


Step = Source | Table | TrainedModel | Promotion | Predictions


def is_published(step: Step) -> bool:
    """Whether schedulers of other pipelines are told of each interval of a step's dataset."""
    return isinstance(step, Table | Predictions) and step.is_published


def published_to(step: Step) -> str | None:
    """Where the rows of a published dataset are copied for others to read, if anywhere."""
    return step.published_to if isinstance(step, Table | Predictions) and step.is_published else None
