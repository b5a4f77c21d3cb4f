"""The ports: what headrace asks of the outside world, as protocols and the plain values that cross them.

A flavour is one class in one file under `backends/<port>/` that satisfies a protocol here; its module has a function
`open(...)` that makes it. Nothing here does any work. The invariant: no value that crosses a port shows a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, Self

from headrace.core.interval import Interval

if TYPE_CHECKING:
    from headrace.core.contract import Contract
    from headrace.core.counted import Counted
    from headrace.core.records import Record
    from headrace.core.split import Split
    from headrace.core.step import ModelSpec

__all__ = [
    "JSON",
    "Bound",
    "Column",
    "CountedRecords",
    "Engine",
    "EngineSession",
    "FittedModel",
    "FrameKind",
    "InputFiles",
    "Landed",
    "Matches",
    "ModelBackend",
    "Origin",
    "RawFile",
    "ReadResult",
    "RunNote",
    "Schema",
    "SourceFormat",
    "Tracker",
    "Trained",
    "WriteOrder",
    "Written",
]

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]


# ---------------------------------------------------------------- tables, as every port describes them


@dataclass(frozen=True)
class Column:
    """A column of a table: `type` is a DuckDB type name (`BIGINT`, `DOUBLE`, `VARCHAR`, `TIMESTAMP WITH TIME ZONE`, …)."""

    name: str
    type: str
    nullable: bool = True


Schema = tuple[Column, ...]


# ---------------------------------------------------------------- origins: where raw files come from


@dataclass(frozen=True)
class RawFile:
    """A file at its origin. `mark` changes when its bytes may have: size and modification time, or an ETag.

    It is empty where nothing tells of a change but reading. `size_bytes` is None where the size is known when the file was read and not before.
    `uri` is told and kept, so it holds no secret: an address that does is the `way` in, for the origin that found the file and nobody else.
    """

    uri: str
    size_bytes: int | None
    mark: str
    modified_at: datetime | None = None
    way: str = field(default="", repr=False, compare=False)

    @property
    def name(self) -> str:
        """The last part of the path; that of an address on the web is without its query."""
        if not self.uri.lower().startswith(("http://", "https://")):
            return self.uri.rsplit("/", 1)[-1]
        path = self.uri.partition("://")[2].partition("?")[0].partition("/")[2]
        return path.rsplit("/", 1)[-1].lstrip(".") or "file"


class Origin(Protocol):
    """Finds and opens raw files by location; never writes to them. `concurrency` is how many files may be open at the same time."""

    concurrency: int

    def find(self, location: str) -> Sequence[RawFile]:
        """The files that a path or pattern (`*`, `?`, `**`) names now, in the order of their names; empty if there are none.

        SourceError where the location can't be looked at, such as a pattern where nothing can be listed; TransientError where trying
        again may help.
        """
        ...

    def open(self, file: RawFile) -> BinaryIO:
        """The bytes of a file that was found, to its end. What breaks off, is gone or is another by now is a SourceError or a TransientError."""
        ...


# ---------------------------------------------------------------- source formats: from raw bytes to typed rows and a quarantine


class CountedRecords(Protocol):
    """Counts the records of one file while its bytes land, apart from any parser that will keep them."""

    def feed(self, chunk: bytes) -> None:
        """The next raw bytes, as they came (compressed ones too)."""
        ...

    def finish(self) -> int:
        """The number of data records (no header, no blank lines); SourceError when the bytes are not such a file."""
        ...


@dataclass(frozen=True)
class Landed:
    """A raw file in bronze: `path` is a local file with its bytes, `records` what was counted while it landed.

    `called` is its name in the lake where that is not the path's own. The records that begin at `left_out` do not count: others stand in their
    place, in files that are `mended`, by a person, and begin with the columns' names. `counted` is what its counter knows of these very bytes.
    """

    uri: str
    path: Path
    sha256: str
    size_bytes: int
    records: int
    called: str = ""
    left_out: frozenset[int] = frozenset()
    is_mended: bool = False
    counted: Counted | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.called or self.path.name

    @property
    def records_that_count(self) -> int:
        return self.records - len(self.left_out)


@dataclass(frozen=True)
class ReadResult:
    """What reading made: `rows` and `quarantine` files exist, and rows_read == rows_kept + rows_quarantined was checked.

    `reasons` counts records by reason, without their values, the most frequent first; `examples` has one of each. `read_as` says of each file how it
    was read. `own` are the columns that files without a contract show. `hidden` counts lines in rejected records that may be some; of rows is `rows_written`.
    """

    rows_read: int
    rows_kept: int
    rows_quarantined: int
    schema: Schema
    undeclared: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    examples: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()
    read_as: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict[str, Mapping[str, JSON]])
    own: Schema = ()
    hidden: int = 0
    rows_written: int | None = None


class SourceFormat(Protocol):
    """One file format.

    The quarantine has the columns QUARANTINE and a row for each record that was not kept; `line`, from 1, is where the record starts.
    """

    def counter(self, file_name: str, options: Mapping[str, JSON]) -> CountedRecords: ...

    def read(
        self,
        files: Sequence[Landed],
        *,
        contract: Contract | None,
        options: Mapping[str, JSON],
        rows: Path,
        quarantine: Path,
        recorded: Contract | None = None,
    ) -> ReadResult:
        """Write the typed rows and the quarantine of all `files` as Parquet: by a contract, else by what is `recorded`, else as they show."""
        ...

    def header(self, path: Path, options: Mapping[str, JSON]) -> tuple[str, ...]:
        """The column names of a file."""
        ...

    def records(self, path: Path, options: Mapping[str, JSON]) -> Iterator[Record]:
        """Every data record of a file with its place, in the order in which `read` takes them."""
        ...


# ---------------------------------------------------------------- engines: what evaluates tables

FrameKind = Literal["frame", "duckdb", "arrow", "polars", "polars_lazy", "pandas", "ibis"]
Bound = None | bool | int | float | str | datetime


@dataclass(frozen=True)
class InputFiles:
    """One input of a step: the files of each interval that it reads, in time's order, and the columns they share.

    With `stamped`, each row gets a column `interval_end: TIMESTAMP WITH TIME ZONE`, the end of its interval. `rows` counts all, if known.
    """

    name: str
    files: tuple[tuple[Interval, tuple[Path, ...]], ...]
    schema: Schema
    stamped: bool = False
    rows: int | None = None


@dataclass(frozen=True)
class WriteOrder:
    """How a table's result is to be written: `paths` by side (`rows` alone when there is no split)."""

    paths: Mapping[str, Path]
    key: tuple[str, ...] = ()
    split: Split | None = None
    interval: Interval | None = None
    contract: Contract | None = None
    time: str | None = None


@dataclass(frozen=True)
class Written:
    """What was written: rows by side, and the columns. `details` holds figures for the report, such as null counts."""

    rows: Mapping[str, int]
    schema: Schema
    details: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


@dataclass(frozen=True)
class Matches:
    """Rows of a file that were looked for: how many there are, and the first of them, each with its number in the file from 0."""

    count: int
    rows: tuple[tuple[int, Mapping[str, object]], ...]


class EngineSession(Protocol):
    """One step's work on an engine. Use as a context manager: leaving it frees what it held."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def give(self, source: InputFiles, kind: FrameKind) -> object:
        """The input as the kind of object that the function's annotation asks for; nothing is copied that need not be."""
        ...

    def write(self, result: object, order: WriteOrder, *, values: Mapping[str, Bound]) -> Written:
        """Evaluate what a table's function returned (SQL text, a relation, Arrow, Polars, pandas, Ibis, a list of dicts) and write it as Parquet.

        `values` are bound to `$name` in SQL. NaN becomes NULL. Rows are sorted where the engine's own order would be free.
        DataError when the columns, the key, the contract or the split can't be met.
        """
        ...


class Engine(Protocol):
    """Evaluates tables."""

    name: str

    def session(self, *, work: Path) -> EngineSession:
        """A session that keeps its files, if it needs any, in the folder `work`; sessions beside it keep theirs there too."""
        ...

    def bind(self, sql: str, tables: Mapping[str, Schema], values: Mapping[str, Bound]) -> Schema:
        """The columns that a query would give over empty tables; DataError naming the unknown column, table or setting and the nearest."""
        ...

    def read(self, files: Sequence[Path], kind: FrameKind) -> object:
        """Parquet files as one table."""
        ...

    def find(self, file: Path, key: Mapping[str, str], *, most: int) -> Matches | None:
        """The rows of a Parquet file that hold a key: in each of its columns a value, which is given as a text. None when it lacks a column."""
        ...

    def profile(self, sides: Mapping[str, Sequence[Path]]) -> Mapping[str, JSON]:
        """Figures that compare the sides of a split, by column: null shares, means, how many values differ."""
        ...


# ---------------------------------------------------------------- models


class FittedModel(Protocol):
    """A fitted estimator with what is needed to use it: features and their types, task, classes; opaque to the floors above."""

    @property
    def card(self) -> Mapping[str, JSON]:
        """Task, features and types, target, classes, library versions: what is written beside the model as JSON."""
        ...

    @property
    def estimator(self) -> object: ...


@dataclass(frozen=True)
class Trained:
    """What training made. `metrics` are measured on the test side; what was left out, and why, is in `notes`."""

    model: FittedModel
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()


class ModelBackend(Protocol):
    """One modelling library."""

    def train(self, made: object, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int, is_fitted: bool) -> Trained:
        """Fit `made` (an unfitted estimator) on the train side and measure it on the test side; with `is_fitted` only measure.

        `sides` has `train`, `test` and perhaps `valid`, or `rows` alone when the table has no split.
        """
        ...

    def measure(self, model: FittedModel, spec: ModelSpec, files: Sequence[Path], *, seed: int) -> Mapping[str, float]:
        """The same metrics on other rows: how a champion is judged beside its challenger."""
        ...

    def plots(self, model: FittedModel, spec: ModelSpec, sides: Mapping[str, Sequence[Path]], *, seed: int) -> Mapping[str, JSON]:
        """The bounded data that the report draws, by plot, from the test side (`rows` without a split); costs time, so asked for after the results.

        regression: `predicted` {actual, predicted, rows}, `residuals` {predicted, residual, rows}. classification: `confusion`
        {classes, counts}, `roc` {curves: [{class, fpr, tpr, auc}]}. clustering: `sizes` {clusters, rows}, `projection` {x, y, cluster, explained}.
        all: `importance` {features, mean, std, metric, rows}. A plot that can't be drawn is {skipped: why}.
        """
        ...

    def save(self, model: FittedModel, folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> tuple[str, ...]:
        """Write the model into `folder`; the names of the files written (`model.skops`, `model.json`)."""
        ...

    def load(self, folder: Path, *, trust: Sequence[str], is_pickle_allowed: bool) -> FittedModel:
        """Read a model whose digest was verified; ModelError naming types that are not trusted."""
        ...

    def predict(
        self,
        model: FittedModel,
        files: Sequence[Path],
        *,
        target: Path,
        columns: Sequence[str],
        version: str,
        relabel: Mapping[str, JSON] | None = None,
    ) -> Written:
        """Stream rows through the model into Parquet: `columns` of the data, `prediction`, `probability` (classifiers), `model_version`."""
        ...

    def match_clusters(
        self, champion: FittedModel, challenger: FittedModel, files: Sequence[Path], *, relabel: Mapping[str, JSON] | None
    ) -> Mapping[str, JSON]:
        """For each of the challenger's cluster numbers the number it is to be shown under, so that clusters keep the champion's."""
        ...


# ---------------------------------------------------------------- trackers


@dataclass(frozen=True)
class RunNote:
    """What a tracker is told of one trained model: all plain values."""

    identity: str
    pipeline: str
    model: str
    interval: str
    version: int
    parameters: Mapping[str, JSON]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    location: str
    is_champion: bool
    started_at: str
    ended_at: str


class Tracker(Protocol):
    """An experiment tracker. `send` is at least once: the same note may come again and must not make a second run."""

    def send(self, notes: Sequence[RunNote]) -> None: ...
