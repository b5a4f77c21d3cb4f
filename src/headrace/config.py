"""Settings: where a pipeline runs and with what, from the command line, the environment, headrace.toml and the defaults.

They are read once, into a frozen value in which each setting remembers where it came from. The first that says something wins:
command line, `HEADRACE_*` variable, the profile in headrace.toml, default. The invariant: nothing here is shown with a secret in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.core.access import size_of
from headrace.core.errors import ConfigurationError, did_you_mean, nearest_name
from headrace.core.ports import JSON
from headrace.core.redaction import masked

__all__ = ["DEFAULTS", "Config", "Value", "masked", "read_config"]

FILE = "headrace.toml"

DEFAULTS: Mapping[str, tuple[JSON, str]] = {
    "lake": (
        "lake",
        "folder or URI under which all commits live; a relative one is beside headrace.toml, or else beside the pipeline file",
    ),
    "engine": ("duckdb", "what evaluates tables: a flavour of backends/engines"),
    "memory": (None, "most memory the engine may take, and the reading of a source, such as 4GB; defaults of their own unless set"),
    "threads": (None, "threads of the engine, and of a source that is read; one for each core unless set"),
    "temp": (None, "folder for what does not fit into memory"),
    "jobs": (None, "steps that run at the same time; the number of cores, at most 4, unless set"),
    "tracking": ("auto", "mlflow, none, or auto: mlflow where the extra `mlflow` is installed"),
    "tracking_uri": (None, "an MLflow server or database; SQLite in the lake's folder unless set"),
    "tracking_connection": (None, "the connection with the tracker's address, user, password or token"),
    "connection": (None, "the connection with which a lake that is no folder is reached"),
    "endpoint": (None, "the address of an S3 server that is not Amazon's, or of an emulator; AWS_ENDPOINT_URL_S3 unless set"),
    "region": (None, "the region of the bucket; AWS_REGION, or that of the profile, unless set"),
    "encryption": (None, "how S3 encrypts what is put: AES256, aws:kms or aws:kms:dsse; as the bucket has it unless set"),
    "kms_key": (None, "the key for aws:kms; the account's own unless set"),
    "requester_pays": (False, "whether this account pays for its requests to S3"),
    "cache": (None, "folder for local copies of a bucket's files; headrace in the user's cache folder unless set"),
    "cache_size": ("20GB", "most that is kept there for the next run"),
    "patience_s": (120, "seconds for which a request to a bucket is tried again that is not answered, or with an error of the server"),
    "lineage": (None, "where OpenLineage events go: an http(s) address, file:PATH, or none; OPENLINEAGE_URL unless set"),
    "lineage_namespace": ("headrace", "the namespace of jobs in OpenLineage events"),
    "mask": ([], "columns that reports show masked"),
}
_SLIPPED = re.compile(r"(s3|gs|gcs|az|azure|abfss?|file|memory):(?!//)(.*)", re.IGNORECASE)
_NUMBERS = frozenset({"threads", "jobs", "patience_s"})
_SECTIONS = frozenset({"sources", "settings", "publish"})
_OF_A_SOURCE: Mapping[str, str] = {
    "location": "data/prices.csv",
    "connection": "my_site",
    "max_size": "20GB",
    "endpoint": "http://127.0.0.1:9000",
    "region": "eu-west-1",
    "requester_pays": "true",
}


@dataclass(frozen=True)
class Value:
    """A setting's value and where it came from."""

    value: JSON
    origin: str


@dataclass(frozen=True)
class Config:
    """Frozen settings. `folder` is where relative paths start. By source: `locations` say where it lies, `ways_in` how it is reached there."""

    profile: str
    folder: Path
    values: Mapping[str, Value]
    locations: Mapping[str, Value] = field(default_factory=dict[str, Value])
    ways_in: Mapping[str, Mapping[str, Value]] = field(default_factory=dict[str, Mapping[str, Value]])
    settings: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict[str, Mapping[str, JSON]])
    published: Mapping[str, Value] = field(default_factory=dict[str, Value])

    def text(self, name: str) -> str | None:
        value = self.values[name].value
        return None if value is None else str(value)

    def number(self, name: str) -> int | None:
        value = self.values[name].value
        return None if value is None else int(str(value))

    def names(self, name: str) -> tuple[str, ...]:
        value = self.values[name].value
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(str(v) for v in value) if isinstance(value, list) else ()

    @property
    def lake_uri(self) -> str:
        """The lake as a URI or an absolute path."""
        value = str(self.values["lake"].value)
        return value if "://" in value else str((self.folder / Path(value).expanduser()).absolute())

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={masked(str(v.value))!r}" for n, v in self.values.items() if v.value is not None)
        return f"Config(profile={self.profile!r}, {shown})"


def read_config(
    pipeline_file: Path | None,
    *,
    environment: Mapping[str, str],
    profile: str | None = None,
    overrides: Mapping[str, JSON] | None = None,
) -> Config:
    """The settings for a pipeline file. ConfigurationError lists every place that was looked at."""
    start = (pipeline_file.parent if pipeline_file else Path.cwd()).absolute()
    file = _find(start)
    named = profile or environment.get("HEADRACE_PROFILE")
    table = _profile(file, named)
    values = {name: Value(default, "default") for name, (default, _) in DEFAULTS.items()}
    label = f"{file}, [{named or 'local'}]"
    for name, value in table.items():
        if name in _SECTIONS:
            continue
        if name not in DEFAULTS:
            raise ConfigurationError(f"{label}: there is no setting `{name}`. {did_you_mean(name, [*DEFAULTS, *_SECTIONS])}")
        values[name] = Value(value, label)
    for name in DEFAULTS:
        variable = f"HEADRACE_{name.upper()}"
        if environment.get(variable):
            values[name] = Value(environment[variable], variable)
    _check_variables(environment)
    folder = file.parent if file else start
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name] = Value(_from_here(name, value), "command line")
    if values["lake"].origin == "HEADRACE_LAKE":
        values["lake"] = Value(_from_here("lake", values["lake"].value), "HEADRACE_LAKE")
    _check_numbers(values)
    _check_lake(values["lake"])
    locations, ways_in = _sources(table, label, environment)
    return Config(named or "local", folder, values, locations, ways_in, _settings(table, label), _published(table, label))


def _from_here(name: str, value: JSON) -> JSON:
    """A path given on the command line or in the environment is relative to where the command was given."""
    if name == "lake" and isinstance(value, str) and "://" not in value and not _SLIPPED.match(value):
        return str(Path(value).expanduser().absolute())
    return value


def _find(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if (folder / ".git").exists():
            return None
    return None


def _profile(file: Path | None, named: str | None) -> Mapping[str, JSON]:
    if file is None:
        if named and named != "local":
            raise ConfigurationError(
                f"Profile `{named}` was asked for, but there is no {FILE} beside the pipeline file or in a folder above it. Write one with [{named}]."
            )
        return {}
    import tomllib

    try:
        profiles = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read as TOML: {error}.") from error
    strays = [name for name, value in profiles.items() if not isinstance(value, dict)]
    if strays:
        raise ConfigurationError(f"{file}: `{strays[0]}` stands outside a profile. Settings belong under one, such as [local].")
    if named and named != "local" and named not in profiles:
        raise ConfigurationError(f"{file} has no profile `{named}`. {did_you_mean(named, profiles)}")
    found = profiles.get(named or "local", {})
    return found if isinstance(found, dict) else {}


def _sources(
    table: Mapping[str, JSON], label: str, environment: Mapping[str, str]
) -> tuple[dict[str, Value], dict[str, Mapping[str, Value]]]:
    found: dict[str, Value] = {}
    ways_in: dict[str, Mapping[str, Value]] = {}
    sections = table.get("sources", {})
    for name, section in sections.items() if isinstance(sections, dict) else ():
        given = _source(section, f"{label}: sources.{name}")
        if "location" in given:
            found[name] = Value(str(given.pop("location")), label)
        if given:
            ways_in[name] = {key: Value(value, label) for key, value in given.items()}
    for variable, value in environment.items():
        if variable.startswith("HEADRACE_SOURCES_") and value:
            said = variable.removeprefix("HEADRACE_SOURCES_").lower()
            name = next((known for known in found if known.lower() == said), said)
            found[name] = Value(value if "://" in value else str(Path(value).expanduser().absolute()), variable)
    return found, ways_in


def _source(section: JSON, label: str) -> dict[str, JSON]:
    """What is said of one source."""
    if not isinstance(section, dict) or not section:
        raise ConfigurationError(f'{label} is a section, with location = "…" and what else is to be said: {", ".join(_OF_A_SOURCE)}.')
    given = dict(section)
    for name, value in given.items():
        if name not in _OF_A_SOURCE:
            raise ConfigurationError(f"{label} has no setting `{name}`. {did_you_mean(name, _OF_A_SOURCE)}")
        is_switch = name == "requester_pays" and isinstance(value, bool)
        if not is_switch and (not isinstance(value, str) or not value):
            raise ConfigurationError(f'{label}.{name} is a text between quotes, such as {name} = "{_OF_A_SOURCE[name]}".')
    if "max_size" in given:
        try:
            size_of(str(given["max_size"]))
        except ConfigurationError as error:
            raise ConfigurationError(f"{label}.max_size: {error}") from None
    return given


def _settings(table: Mapping[str, JSON], label: str) -> dict[str, Mapping[str, JSON]]:
    sections = table.get("settings", {})
    if not isinstance(sections, dict) or any(not isinstance(s, dict) for s in sections.values()):
        raise ConfigurationError(f"{label}: settings are given a step at a time, such as [local.settings.groups] with clusters = 6.")
    return {name: dict(section) for name, section in sections.items() if isinstance(section, dict)}


def _published(table: Mapping[str, JSON], label: str) -> dict[str, Value]:
    """Where datasets are copied for others to read, by name; False for nowhere."""
    section = table.get("publish", {})
    if not isinstance(section, dict) or any(value is not False and (not isinstance(value, str) or not value) for value in section.values()):
        raise ConfigurationError(
            f'{label}: publish takes a place for each dataset, such as spending = "s3://bucket/prefix", or false for none.'
        )
    return {name: Value(value, label) for name, value in section.items()}


def _check_variables(environment: Mapping[str, str]) -> None:
    """A variable that is all but one of ours is a slip of the pen."""
    known = {f"HEADRACE_{name.upper()}" for name in DEFAULTS} | {"HEADRACE_PROFILE", "HEADRACE_USER"}
    for name in environment:
        if name.startswith("HEADRACE_") and not name.startswith("HEADRACE_SOURCES_") and name not in known:
            meant = nearest_name(name.removeprefix("HEADRACE_"), (k.removeprefix("HEADRACE_") for k in known))
            if meant:
                raise ConfigurationError(f"The variable {name} is not known. Did you mean HEADRACE_{meant}?")


def _check_lake(lake: Value) -> None:
    """An address with a slash too few is no folder."""
    slipped = _SLIPPED.match(str(lake.value))
    if slipped:
        meant = f"{slipped[1]}://{slipped[2] if slipped[1].lower() == 'file' else slipped[2].lstrip('/')}"
        raise ConfigurationError(f"lake = {str(lake.value)!r} from {lake.origin} is neither a folder nor an address. Did you mean {meant}?")


def _check_numbers(values: Mapping[str, Value]) -> None:
    for name in _NUMBERS:
        value = values[name].value
        if value is not None and (not str(value).isdigit() or int(str(value)) < 1):
            raise ConfigurationError(f"`{name}` must be a whole number above 0, got {value!r} from {values[name].origin}.")
