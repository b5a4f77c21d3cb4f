"""OpenLineage: what one step read and made, as the plain values of its specification. Pure, and without a library.

A `Lineage` is what an orchestrator's own integration is handed; `event` puts one into a whole event. Where facts come from and where
events go is `headrace.run.lineage_events`. The invariant: what is told was committed or counted; what is not known is left out.
The schemas are at https://openlineage.io/spec, and the names follow https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from headrace import __version__
from headrace.core.interval import Interval
from headrace.core.manifest import InputRef, Manifest, time_text
from headrace.core.ports import JSON
from headrace.core.receipt import Receipt
from headrace.core.step import Predictions, Promotion, Source, Step, Table, TrainedModel
from headrace.run.redaction import redacted

__all__ = ["PRODUCER", "Code", "Facts", "Lineage", "dataset", "event", "facet", "step_lineage"]

PRODUCER = f"https://pypi.org/project/headrace/{__version__}"
_SPEC = "https://openlineage.io/spec"
_VERSIONS = {
    "DataQualityAssertionsDatasetFacet": "1-1-0",
    "DataQualityMetricsDatasetFacet": "1-0-1",
    "DataQualityMetricsInputDatasetFacet": "1-0-3",
    "DatasetTypeDatasetFacet": "1-0-1",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "DocumentationJobFacet": "1-1-0",
    "ErrorMessageRunFacet": "1-0-1",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
    "ParentRunFacet": "1-2-0",
    "ProcessingEngineRunFacet": "1-1-1",
    "SchemaDatasetFacet": "1-2-0",
    "SourceCodeLocationJobFacet": "1-1-0",
    "StorageDatasetFacet": "1-0-1",
    "SymlinksDatasetFacet": "1-0-1",
    "TagsRunFacet": "1-0-0",
}
_MOST_FILES = 50
_MOST_REASONS = 50
_MEASURED = ("rows", "train", "test", "valid")

Facet = dict[str, JSON]
Dataset = dict[str, JSON]


@dataclass(frozen=True)
class Code:
    """Where a step's code is: a file and a line of it; with a git work tree its commit, the file's path in it, and its remote."""

    file: str
    line: int
    commit: str | None = None
    path: str = ""
    remote: str | None = None

    def location(self) -> Facet:
        """As a facet of a job."""
        url = f"file://{self.file}"
        if self.commit and self.remote:
            url = f"{self.remote.removesuffix('.git')}/blob/{self.commit}/{self.path}#L{self.line}"
        told = {"type": "git" if self.commit else "file", "url": url, "path": self.path, "version": self.commit, "repoUrl": self.remote}
        return facet("SourceCodeLocationJobFacet", **{name: value for name, value in told.items() if value})


@dataclass(frozen=True)
class Facts:
    """All that is known of one step of one interval. `layer_of` says in which layer of the lake a dataset (`shop.sums`) lies, if known."""

    pipeline: str
    step: Step
    interval: Interval
    lake: str
    layer_of: Callable[[str], str | None]
    receipt: Receipt | None = None
    manifest: Manifest | None = None
    code: Code | None = None


@dataclass(frozen=True)
class Lineage:
    """Datasets in, datasets out, and the facets of the run and of the job, as OpenLineage has them."""

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    run_facets: Mapping[str, Facet] = field(default_factory=dict[str, Facet])
    job_facets: Mapping[str, Facet] = field(default_factory=dict[str, Facet])

    def __add__(self, other: Lineage) -> Lineage:
        """Of steps that share a task: what one makes and the other reads is no input of both together."""
        made = {_identity(one) for one in (*self.outputs, *other.outputs)}
        inputs = {_identity(one): one for one in (*self.inputs, *other.inputs) if _identity(one) not in made}
        outputs = {_identity(one): one for one in (*self.outputs, *other.outputs)}
        return Lineage(
            tuple(inputs.values()),
            tuple(outputs.values()),
            {**self.run_facets, **other.run_facets},
            {**self.job_facets, **other.job_facets},
        )


def step_lineage(facts: Facts) -> Lineage:
    """What a step read and made. Before it ran (no receipt) that is what its declaration says."""
    return Lineage(tuple(_inputs(facts)), tuple(_outputs(facts)), dict(_run_facets(facts)), dict(_job_facets(facts)))


def event(
    kind: str, lineage: Lineage, *, time: str, run: str, job: tuple[str, str], parent: tuple[str, str, str] | None = None, error: str = ""
) -> dict[str, JSON]:
    """A whole event of a kind (START, COMPLETE, FAIL, ABORT). `job` is a namespace and a name, `parent` those of one and its run's id."""
    facets = dict(lineage.run_facets)
    if parent is not None:
        namespace, name, its_run = parent
        facets["parent"] = facet("ParentRunFacet", run={"runId": its_run}, job={"namespace": namespace, "name": name})
    if error:
        facets["errorMessage"] = facet("ErrorMessageRunFacet", message=redacted(error), programmingLanguage="PYTHON")
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run, "facets": facets},
        "job": {"namespace": job[0], "name": job[1], "facets": dict(lineage.job_facets)},
        "inputs": list(lineage.inputs),
        "outputs": list(lineage.outputs),
    }


def facet(kind: str, **values: JSON) -> Facet:
    """A facet of one of the specification's kinds."""
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{_VERSIONS[kind]}/{kind}.json#/$defs/{kind}", **values}


def dataset(uri: str) -> tuple[str, str]:
    """The namespace and name of what lies at a path or URI.

    >>> dataset("/srv/lake/silver/shop/sums"), dataset("s3://lake/silver/shop/sums")
    (('file', '/srv/lake/silver/shop/sums'), ('s3://lake', 'silver/shop/sums'))
    """
    parts = urlsplit(uri) if "://" in uri else None
    if parts is None or parts.scheme == "file":
        return "file", uri.removeprefix("file://")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}", parts.path.lstrip("/") or "/"


# ---------------------------------------------------------------- what was read


def _inputs(facts: Facts) -> Iterator[Dataset]:
    step, manifest = facts.step, facts.manifest
    if isinstance(step, Source):
        yield from _raw_files(facts, step)
    if isinstance(step, Promotion):
        yield {**_in_lake(facts, f"{facts.pipeline}.{step.model}"), "inputFacets": dict(_gates(facts))}
        return
    if isinstance(step, Predictions):
        told = manifest.content.details.get("model") if manifest else None
        digest = str(told["digest"]) if isinstance(told, Mapping) and "digest" in told else None
        yield _in_lake(facts, f"{facts.pipeline}.{step.model}", version=digest)
    refs = {ref.dataset: ref for ref in manifest.upstream} if manifest else {}
    declared = (read.dataset for read in step.inputs if not isinstance(step, Predictions) or read.dataset == step.data)
    names = refs or dict.fromkeys(f"{facts.pipeline}.{name}" for name in declared)
    for name in names:
        yield _in_lake(facts, name, version=_version_of(refs.get(name)))


def _version_of(ref: InputRef | None) -> str | None:
    """One digest over the contents of all that was read of a dataset."""
    return ref.digest if ref else None


def _raw_files(facts: Facts, step: Source) -> Iterator[Dataset]:
    uris = _uris(facts.manifest)
    if len(uris) > _MOST_FILES:
        uris = sorted({uri.rpartition("/")[0] for uri in uris})[:_MOST_FILES]
    facets = dict(_quality(facts, step)) if len(uris) == 1 else {}
    for uri in uris:
        namespace, name = dataset(uri.partition("?")[0])
        yield {"namespace": namespace, "name": name, "facets": _kinds("FILE"), "inputFacets": facets}


def _uris(manifest: Manifest | None) -> list[str]:
    origin = manifest.receipt.get("origin") if manifest else None
    files = origin.get("files") if isinstance(origin, Mapping) else None
    listed = files if isinstance(files, Sequence) and not isinstance(files, str) else ()
    return [str(file["uri"]) for file in listed if isinstance(file, Mapping)]


def _quality(facts: Facts, step: Source) -> Iterator[tuple[str, Facet]]:
    """Of a source's one file: how many records it held, and how they kept the contract."""
    manifest, receipt = facts.manifest, facts.receipt
    if manifest is None or receipt is None:
        return
    raw = manifest.content.part("raw")
    size = sum(file.bytes for file in raw.files) if raw else 0
    yield "dataQualityMetrics", facet("DataQualityMetricsInputDatasetFacet", rowCount=receipt.rows_read, bytes=size, columnMetrics={})
    columns = {column.name for column in manifest.content.schema.get("rows", ())}
    reasons = manifest.content.details.get("reasons")
    name = step.contract.name if step.contract else "typed rows"
    assertions: list[JSON] = [
        {
            "assertion": "contract",
            "name": name,
            "success": not receipt.rows_quarantined,
            "severity": "warn",
            "expected": "0 rows in quarantine",
            "actual": f"{receipt.rows_quarantined} of {receipt.rows_read}",
        }
    ]
    for reason, count in list(reasons.items() if isinstance(reasons, Mapping) else ())[:_MOST_REASONS]:
        column, _, said = reason.partition(": ")
        told: dict[str, JSON] = {
            "assertion": said if column in columns else reason,
            "success": False,
            "severity": "warn",
            "actual": f"{count} rows",
        }
        assertions.append(told | ({"column": column} if column in columns else {}))
    yield "dataQualityAssertions", facet("DataQualityAssertionsDatasetFacet", assertions=assertions)


def _gates(facts: Facts) -> Iterator[tuple[str, Facet]]:
    verdict = facts.receipt.verdict if facts.receipt else {}
    outcomes = verdict.get("outcomes")
    listed = (
        [one for one in outcomes if isinstance(one, Mapping)] if isinstance(outcomes, Sequence) and not isinstance(outcomes, str) else []
    )
    if listed:
        told: list[JSON] = [
            {"assertion": "gate", "description": str(one.get("text")), "success": bool(one.get("passed")), "severity": "error"}
            for one in listed
        ]
        yield "dataQualityAssertions", facet("DataQualityAssertionsDatasetFacet", assertions=told)


# ---------------------------------------------------------------- what was made


def _outputs(facts: Facts) -> Iterator[Dataset]:
    step, manifest = facts.step, facts.manifest
    if isinstance(step, Promotion):
        if facts.receipt is not None and facts.receipt.verdict.get("decision") == "promote":
            namespace, name = dataset(f"{facts.lake}/champions/{facts.pipeline}/{step.model}")
            yield {"namespace": namespace, "name": name, "facets": _kinds("MODEL"), "outputFacets": {}}
        return
    if manifest is None:
        yield {**_in_lake(facts, f"{facts.pipeline}.{step.name}"), "outputFacets": {}}
        return
    made = _in_lake(facts, manifest.name, version=manifest.content.digest)
    is_new = facts.receipt is not None and facts.receipt.state in ("made", "copied")
    yield {
        **made,
        "facets": {**cast(Facet, made["facets"]), **dict(_facets(facts, manifest))},
        "outputFacets": _statistics(manifest, _MEASURED if not isinstance(step, TrainedModel) else ("model",)) if is_new else {},
    }
    if manifest.content.part("quarantine") is not None:
        namespace, name = dataset(f"{facts.lake}/quarantine/{facts.pipeline}/{manifest.dataset}")
        facets = {**_kinds("TABLE"), "schema": _schema(manifest, "quarantine")}
        yield {
            "namespace": namespace,
            "name": name,
            "facets": facets,
            "outputFacets": _statistics(manifest, ("quarantine",)) if is_new else {},
        }


def _facets(facts: Facts, manifest: Manifest) -> Iterator[tuple[str, Facet]]:
    step = facts.step
    part = next((name for name in (*_MEASURED, "model") if manifest.content.schema.get(name)), None)
    if part:
        yield "schema", _schema(manifest, part)
    if not isinstance(step, TrainedModel):
        yield "storage", facet("StorageDatasetFacet", storageLayer="headrace", fileFormat="parquet")
    nulls = manifest.content.details.get("nulls")
    if isinstance(nulls, Mapping):
        columns = {name: {"nullCount": count} for name, count in nulls.items()}
        yield "dataQualityMetrics", facet("DataQualityMetricsDatasetFacet", rowCount=_rows(manifest, _MEASURED), columnMetrics=columns)
    if isinstance(step, Table) and step.contract is not None:
        kept: list[JSON] = [{"assertion": "contract", "name": step.contract.name, "success": True, "severity": "error"}]
        yield "dataQualityAssertions", facet("DataQualityAssertionsDatasetFacet", assertions=kept)


def _schema(manifest: Manifest, part: str) -> Facet:
    return facet("SchemaDatasetFacet", fields=[{"name": column.name, "type": column.type} for column in manifest.content.schema[part]])


def _statistics(manifest: Manifest, parts: Sequence[str]) -> dict[str, JSON]:
    files = [file for part in manifest.content.parts if part.name in parts for file in part.files]
    rows = _rows(manifest, parts)
    told: dict[str, JSON] = {"size": sum(file.bytes for file in files), "fileCount": len(files)}
    return {"outputStatistics": facet("OutputStatisticsOutputDatasetFacet", **told, **({} if rows is None else {"rowCount": rows}))}


def _rows(manifest: Manifest, parts: Sequence[str]) -> int | None:
    counted = [part.rows for part in manifest.content.parts if part.name in parts and part.rows is not None]
    return sum(counted) if counted else None


def _in_lake(facts: Facts, full_name: str, *, version: str | None = None) -> Dataset:
    """A dataset of the lake: its folder, and its own name (`shop.sums`) as another name for it."""
    pipeline, _, name = full_name.partition(".")
    layer = facts.layer_of(full_name)
    namespace, path = dataset(f"{facts.lake}/{layer}/{pipeline}/{name}") if layer else (f"headrace://{pipeline}", name)
    kind = "MODEL" if layer == "models" else "TABLE"
    facets = _kinds(kind)
    other: JSON = [{"namespace": f"headrace://{pipeline}", "name": name, "type": "TABLE" if kind == "TABLE" else "MODEL"}]
    facets["symlinks"] = facet("SymlinksDatasetFacet", identifiers=other)
    lake_namespace, lake_name = dataset(facts.lake)
    facets["dataSource"] = facet("DatasourceDatasetFacet", name=lake_namespace, uri=_uri(lake_namespace, lake_name))
    if version:
        facets["version"] = facet("DatasetVersionDatasetFacet", datasetVersion=version)
    return {"namespace": namespace, "name": path, "facets": facets}


def _uri(namespace: str, name: str) -> str:
    return f"file://{name}" if namespace == "file" else f"{namespace}/{name}".rstrip("/")


def _kinds(kind: str) -> dict[str, JSON]:
    return {"datasetType": facet("DatasetTypeDatasetFacet", datasetType=kind)}


def _identity(one: Dataset) -> tuple[str, str]:
    return str(one["namespace"]), str(one["name"])


# ---------------------------------------------------------------- the run and the job


def _run_facets(facts: Facts) -> Iterator[tuple[str, Facet]]:
    start, end = time_text(facts.interval.start), time_text(facts.interval.end)
    yield "nominalTime", facet("NominalTimeRunFacet", nominalStartTime=start, nominalEndTime=end)
    yield (
        "processing_engine",
        facet("ProcessingEngineRunFacet", name="headrace", version=__version__, openlineageAdapterVersion=__version__),
    )
    tags = {name: value for name, value in _tags(facts) if value}
    if tags:
        listed: list[JSON] = [{"key": f"headrace.{name}", "value": value, "source": "HEADRACE"} for name, value in tags.items()]
        yield "tags", facet("TagsRunFacet", tags=listed)


def _tags(facts: Facts) -> Iterator[tuple[str, str]]:
    if facts.receipt is not None:
        yield "state", facts.receipt.state
        yield "why", redacted(facts.receipt.why)[:500]
        yield "rows_quarantined", str(facts.receipt.rows_quarantined or "")
        for name, value in list(facts.receipt.metrics.items())[:50]:
            yield f"metric.{name}", repr(value)
    if facts.manifest is not None:
        yield "version", str(facts.manifest.version)
        yield "fingerprint", facts.manifest.content.fingerprint


def _job_facets(facts: Facts) -> Iterator[tuple[str, Facet]]:
    yield "jobType", facet("JobTypeJobFacet", processingType="BATCH", integration="HEADRACE", jobType=facts.step.kind.upper())
    doc = facts.step.doc if isinstance(facts.step, Table | TrainedModel) else ""
    if doc:
        yield "documentation", facet("DocumentationJobFacet", description=doc, contentType="text/markdown")
    if facts.code is not None:
        yield "sourceCodeLocation", facts.code.location()
