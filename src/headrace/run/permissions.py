"""What each of those who come to a lake on S3 needs there, from the steps of a pipeline: whoever runs them, collects, serves or reads.

Which prefixes an activity lists, gets and puts is known here and nowhere else; the tests run pipelines against it, request by request. The
invariant: whoever runs steps, serves or reads can delete nothing, and whoever serves or reads can put nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from headrace.config import Config, Value
from headrace.core.errors import ConfigurationError, UnknownNameError
from headrace.core.graph import Graph
from headrace.core.iam import LARGEST, Grant, KmsKey, Policy, Verb, literal, partition_of, policy_of
from headrace.core.location import shape_of, stem_of
from headrace.core.published import SUCCESS
from headrace.core.redaction import masked
from headrace.core.step import Predictions, Promotion, Source, Step, Table, TrainedModel, published_to
from headrace.lake.layout import LAKE_KEY, LAYERS, chain_prefix, champion_prefix, data_prefix, log_prefix
from headrace.run.access import flavour_of
from headrace.run.forgotten import FORGOTTEN
from headrace.run.record import RUNS

__all__ = ["PURPOSES", "Asked", "Permissions", "Purpose", "permissions"]

Purpose = Literal["steps", "collector", "endpoint", "readers"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

_READ: frozenset[Verb] = frozenset({"list", "read"})
_ENTRY: frozenset[Verb] = frozenset({"list", "read", "enter"})
_DATA: frozenset[Verb] = frozenset({"list", "read", "write"})
_SHOWN: frozenset[Verb] = frozenset({"list", "write"})  # for others: no step reads it
_KEPT: frozenset[Verb] = frozenset({"write"})


@dataclass(frozen=True)
class Asked:
    """What the policies are asked for besides the pipeline: the account of a key that is named by its id or alias; whether entries may only
    be put where there is none; whether a pipeline's folders are allowed as a whole; and the datasets for readers, if not the predictions.
    """

    account: str | None = None
    partition: str | None = None
    only_new: bool = False
    wide: bool = False
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Permissions:
    """The policy for one purpose, and what is to be said of it. None where the pipeline has nothing of the kind."""

    purpose: Purpose
    about: str
    policy: Policy | None
    notes: tuple[str, ...] = ()


def permissions(graph: Graph, config: Config, asked: Asked) -> tuple[Permissions, ...]:
    """The smallest policies for a pipeline on its lake, one a purpose. The graph's sources are where the settings place them.

    ConfigurationError for a lake that is not on S3, in words that say what to do there. No lake is opened.
    """
    writer = _writer(config, asked)
    return (
        writer.written(
            "steps", f"for the steps of `{graph.name}`", _steps(graph, config, writer.lake)[asked.wide :], tuple(_notes(graph, config))
        ),
        writer.written("collector", f"for `headrace gc`, which is about all pipelines in {config.lake_uri}", _collector(writer.lake)),
        _endpoint(graph, writer),
        _readers(graph, writer, asked.reads),
    )


# ---------------------------------------------------------------- writing


@dataclass(frozen=True)
class _Form:
    """One way to write a policy; `widened` says what it allows beyond the need, to be shorter."""

    grants: tuple[Grant, ...]
    widened: str = ""


@dataclass(frozen=True)
class _Writer:
    """What the policies of a pipeline have in common, and the choice of a form that fits."""

    lake: _Lake
    partition: str
    key: KmsKey | None
    only_new: bool
    told: tuple[str, ...]

    def written(self, purpose: Purpose, about: str, forms: Sequence[_Form], notes: tuple[str, ...] = ()) -> Permissions:
        """The narrowest of `forms` that IAM takes, with what was widened to make it fit; the last, if none does."""
        policies = [policy_of(form.grants, partition=self.partition, key=self.key, only_new=self.only_new) for form in forms]
        chosen = next((n for n, policy in enumerate(policies) if policy.size <= LARGEST), len(forms) - 1)
        policy, widened = policies[chosen], forms[chosen].widened
        if policy.size > LARGEST:
            said = f"It has more characters than the {LARGEST:,} that IAM takes in one policy: ask for less, or divide it."
        elif chosen > 0:
            said = f"Narrower it would have {policies[0].size:,} characters, more than IAM takes, so it allows {widened}."
        else:
            said = f"It allows {widened}." if widened else ""
        return Permissions(purpose, about, policy, (*notes, *([said] if said else []), *self.told))


def _writer(config: Config, asked: Asked) -> _Writer:
    lake = _lake_of(config)
    region = _setting(config, "region")
    partition = asked.partition or partition_of(region)
    key, told = _key(config, partition, region, asked.account)
    return _Writer(lake, partition, key, asked.only_new, told)


# ---------------------------------------------------------------- the lake's address


@dataclass(frozen=True)
class _Lake:
    bucket: str
    root: str

    def grant(self, path: str, verbs: frozenset[Verb]) -> Grant:
        """Something of the lake: what a text that ends in `/` or `.` begins, or one key."""
        return Grant(self.bucket, literal(self.root) + path + ("*" if path.endswith(("/", ".")) else ""), verbs)

    def readable(self, *paths: str) -> tuple[Grant, ...]:
        return tuple(self.grant(path, _READ) for path in paths)


_OTHERS = {
    "gs": (
        "on Google Cloud Storage, where no IAM policy is printed. The nearest predefined roles, given on the bucket: "
        "roles/storage.objectViewer with roles/storage.objectCreator for steps, roles/storage.objectUser for `headrace gc` (it deletes), "
        "roles/storage.objectViewer for endpoints and readers, narrowed by a condition on resource.name."
    ),
    "az": (
        "on Azure, where no IAM policy is printed. The nearest built-in roles, given on the container: Storage Blob Data Contributor for steps "
        "(a custom role without …/blobs/delete is nearer) and for `headrace gc`, Storage Blob Data Reader for endpoints and readers."
    ),
}
_SCHEMES = {"gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "abfs": "az", "abfss": "az", "adl": "az"}


def _lake_of(config: Config) -> _Lake:
    uri = config.lake_uri
    scheme, is_uri, rest = uri.partition("://")
    if is_uri and scheme == "s3":
        bucket, _, root = rest.partition("/")
        return _Lake(bucket, f"{root.strip('/')}/" if root.strip("/") else "")
    if scheme in _SCHEMES:
        raise ConfigurationError(f"The lake {uri} is {_OTHERS[_SCHEMES[scheme]]}")
    raise ConfigurationError(
        f"The lake {uri} (from {config.values['lake'].origin}) is not on S3, so no IAM policy is needed: who may read and write a folder is said "
        "by its file system. For a lake in a bucket name it: --lake s3://bucket/prefix, or the --profile that has it."
    )


def _key(config: Config, partition: str, region: str | None, account: str | None) -> tuple[KmsKey | None, tuple[str, ...]]:
    """The key that objects are encrypted with, and what can't be known of it."""
    named = _setting(config, "kms_key")
    if not named:
        return None, ()
    key = KmsKey.of(named, partition=partition, region=region, account=account)
    vague = [what for what, n in (("region", 3), ("account", 4)) if key.arn.split(":")[n] == "*"]
    if not vague:
        return key, ()
    return key, (f"`kms_key` does not say the key's {' and '.join(vague)}, so any is allowed: name the key by its ARN.",)


def _setting(config: Config, name: str) -> str | None:
    return config.text(name) if name in config.values else None


# ---------------------------------------------------------------- steps


def _steps(graph: Graph, config: Config, lake: _Lake) -> list[_Form]:
    """From the narrowest form to the shortest."""
    own = dict(_own(graph))
    whole: dict[str, frozenset[Verb]] = {}
    for path, verbs in own.items():
        whole[_shortened(path)] = whole.get(_shortened(path), frozenset()) | verbs
    others = list(_of_others(graph))
    wider = list(dict.fromkeys(_shortened(path) for path in others))
    sources = tuple(grant for source in _sources(graph) if not _stranger(source, config) for grant in _source(source))
    places = {step.name: place for step in graph.steps.values() if (place := published_to(step)) is not None}
    named = tuple(grant for name, place in places.items() for grant in _published(place, f"{graph.name}/{name}"))
    shelves = tuple(grant for place in dict.fromkeys(places.values()) for grant in _published(place, graph.name))

    def form(own: Mapping[str, frozenset[Verb]], read: Sequence[str], others: tuple[Grant, ...], widened: str = "") -> _Form:
        mine = [lake.grant(path, verbs) for path, verbs in own.items()]
        return _Form((lake.grant(LAKE_KEY, _ENTRY), *mine, *lake.readable(*read), *others), widened)

    said = f"the folders of pipeline `{graph.name}` as a whole, and not each dataset by its name"
    more = f"{said}; those of the pipelines that it reads"
    return [
        form(own, others, (*named, *sources)),
        form(whole, others, (*shelves, *sources), said),
        form(whole, wider, (*shelves, *sources), more),
        form(whole, wider, (*shelves, *_gathered(sources)), f"{more}; one folder of each bucket with sources"),
    ]


def _own(graph: Graph) -> Iterator[tuple[str, frozenset[Verb]]]:
    """What the steps of a pipeline make: entries, which are put once, and files."""
    name = graph.name
    yield log_prefix(name, RUNS), _ENTRY
    yield log_prefix(name, FORGOTTEN), _READ
    for step in graph.steps.values():
        if not isinstance(step, Promotion):
            yield from ((path, _ENTRY) for path in _with_beside(log_prefix(name, step.name)))
            yield from _files(name, step)
        if isinstance(step, TrainedModel):
            yield chain_prefix(name, step.name), _ENTRY
            yield champion_prefix(name, step.name), _DATA
    yield f"reports/{name}/", _SHOWN


def _files(pipeline: str, step: Step) -> Iterator[tuple[str, frozenset[Verb]]]:
    """Where the files of a step lie.

    A source is part of an experiment where it is made again, from its origin: what lands then is not read again, but for a snapshot's, of
    which the interval after it may have a copy.
    """
    yield from ((path, _DATA) for path in _with_beside(data_prefix(_rows_in(step), pipeline, step.name)))
    if isinstance(step, Source) and not step.options.is_dataset:
        bronze, beside = _with_beside(data_prefix("bronze", pipeline, step.name))
        yield bronze, _DATA
        yield beside, _KEPT if step.options.is_by_interval or step.options.only_new else _DATA
        names = (step.name, f"{step.name}.experiment")
        yield from ((data_prefix("quarantine", pipeline, name), _DATA) for name in names)
        yield from ((data_prefix("quarantine", pipeline, f"{name}.refused"), _KEPT) for name in names)


def _with_beside(folder: str) -> tuple[str, str]:
    """The folder of a dataset, and what is beside it under its name: of experiments and refusals. No step's name has a dot."""
    return folder, f"{folder[:-1]}."


def _rows_in(step: Step) -> str:
    """The layer that the rows of a step's dataset are in, or its models."""
    if isinstance(step, Source):
        return "silver"
    if isinstance(step, Table):
        return step.layer
    return "models" if isinstance(step, TrainedModel) else "gold"


def _of_others(graph: Graph) -> Iterator[str]:
    """What is read of other pipelines' datasets. Whether one is in silver or gold is known to its own pipeline only."""
    for step in graph.steps.values():
        if isinstance(step, Source) and step.options.is_dataset:
            pipeline, _, dataset = step.options.location.partition(".")
            yield log_prefix(pipeline, dataset)
            yield from (data_prefix(layer, pipeline, dataset) for layer in ("silver", "gold"))


def _shortened(path: str) -> str:
    """The folder of a pipeline, of the folder of one of its datasets: `log/shop/spending/` is in `log/shop/`."""
    return "/".join(path.split("/")[:2]) + "/"


def _published(place: str, folder: str) -> Iterator[Grant]:
    """What is copied beside the lake: of it all, only the mark of an interval is read again, which says what the copy is of."""
    if flavour_of(place) != "s3":
        return
    bucket, _, root = place.partition("://")[2].partition("/")
    under = "/".join(part for part in (literal(root.strip("/")), folder) if part)
    yield Grant(bucket, f"{under}/*", _SHOWN)
    yield Grant(bucket, f"{under}/*/{SUCCESS}", frozenset({"read"}))


def _sources(graph: Graph) -> Iterator[Source]:
    """The sources that are files."""
    return (step for step in graph.steps.values() if isinstance(step, Source) and not step.options.is_dataset)


def _source(source: Source) -> Iterator[Grant]:
    """A source on S3: its files are got, and found by listing; one that is named whole is only asked for."""
    if flavour_of(source.options.location) != "s3":
        return
    bucket, _, key = source.options.location.partition("://")[2].partition("/")
    shape, stem = shape_of(key), stem_of(key)
    if shape.endswith("/") or not shape:
        shape += "*"
    folder = stem if stem == key and not shape.endswith("*") else f"{stem.rpartition('/')[0]}/*".removeprefix("/")
    yield Grant(bucket, shape.replace("$", "${$}"), frozenset({"read"}))
    yield Grant(bucket, folder.replace("$", "${$}"), frozenset({"list"}))


def _stranger(source: Source, config: Config) -> str:
    """By whom a source is reached, in words, where that is not who reaches the lake; empty where it is."""
    ways_in: Mapping[str, Value] = config.ways_in.get(source.name) or config.ways_in.get(source.name.lower()) or {}
    own = ways_in.get("connection")
    if own is not None and own.value != config.values["connection"].value:
        return f"by the connection `{own.value}`"
    return "at an endpoint of its own" if "endpoint" in ways_in else ""


def _gathered(grants: Sequence[Grant]) -> Iterator[Grant]:
    """The same, by the one folder that all of a bucket's are in."""
    for bucket in dict.fromkeys(grant.bucket for grant in grants):
        folders = [re.split(r"[*?]|\$\{", grant.pattern)[0].split("/")[:-1] for grant in grants if grant.bucket == bucket]
        shared = []
        for names in zip(*folders, strict=False):
            if len(set(names)) > 1:
                break
            shared.append(names[0])
        yield Grant(bucket, "".join(f"{name}/" for name in shared) + "*", _READ)


def _notes(graph: Graph, config: Config) -> Iterator[str]:
    """What a policy says nothing of, or more than one would think."""
    for source in _sources(graph):
        stranger, location = _stranger(source, config), masked(source.options.location)
        if flavour_of(source.options.location) != "s3":
            yield f"source `{source.name}` is not on S3 (`{location}`): nothing is allowed for it."
        elif stranger:
            yield f"source `{source.name}` is reached {stranger}, so nothing is allowed for it here. Whoever that is needs {_told(source)}."
        elif any(grant.pattern == "*" for grant in _source(source)):
            yield f"source `{source.name}` is at the root of its bucket, so all keys of that bucket may be listed."
    for step in graph.steps.values():
        place = published_to(step)
        if place is not None and flavour_of(place) != "s3":
            yield f"`{step.name}` is published in `{masked(place)}`, which is not on S3: nothing is allowed for it."


def _told(source: Source) -> str:
    """What reaching a source needs, in words."""
    read, listed = _source(source)
    return f"s3:GetObject on `{read.bucket}/{read.pattern}`, and s3:ListBucket on `{listed.bucket}` for the prefix `{listed.pattern}`"


# ---------------------------------------------------------------- who else comes


def _collector(lake: _Lake) -> list[_Form]:
    """It reads what decides, spoils the slots of the unfinished with fences, and deletes files; it reads none of them."""
    entries = (lake.grant(LAKE_KEY, _READ), lake.grant("log/", _ENTRY), lake.grant("chain/", _READ))
    return [_Form((*entries, *(lake.grant(f"{top}/", frozenset({"list", "delete"})) for top in (*LAYERS, "champions"))))]


def _endpoint(graph: Graph, writer: _Writer) -> Permissions:
    models = [step.name for step in graph.steps.values() if isinstance(step, TrainedModel)]
    about = "for an endpoint that serves " + (_named(f"{graph.name}.{model}" for model in models) if models else "a champion")
    if not models:
        return Permissions("endpoint", about, None, (f"pipeline `{graph.name}` has no model, so there is nothing to serve.",))
    paths = [prefix(graph.name, model) for model in models for prefix in (chain_prefix, champion_prefix)]
    whole = list(dict.fromkeys(_shortened(path) for path in paths))
    forms = [
        _Form(writer.lake.readable(LAKE_KEY, *chosen), widened)
        for chosen, widened in ((paths, ""), (whole, f"the champions of pipeline `{graph.name}` as a whole"))
    ]
    return writer.written("endpoint", about, forms)


def _readers(graph: Graph, writer: _Writer, names: Sequence[str]) -> Permissions:
    chosen = [graph.step(name) for name in names] or [step for step in graph.steps.values() if isinstance(step, Predictions)]
    about = "for readers of " + (_named(f"{graph.name}.{step.name}" for step in chosen) if chosen else "predictions")
    wrong = next((step for step in chosen if isinstance(step, TrainedModel | Promotion)), None)
    if wrong is not None:
        raise UnknownNameError(f"`{wrong.name}` is no dataset that one reads rows of but a {wrong.kind}. A model is read by an endpoint.")
    if not chosen:
        said = f"pipeline `{graph.name}` makes no predictions. Name the datasets that are to be read: --reads NAME."
        return Permissions("readers", about, None, (said,))
    paths = [path for step in chosen for path in (log_prefix(graph.name, step.name), data_prefix(_rows_in(step), graph.name, step.name))]
    return writer.written("readers", about, [_Form(writer.lake.readable(LAKE_KEY, *paths))])


def _named(names: Iterable[str]) -> str:
    listed = [f"`{name}`" for name in names]
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
