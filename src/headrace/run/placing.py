"""Where a pipeline's sources lie and its datasets are published, once the settings have had their say.

The invariant: what comes out is a graph that was checked again wherever a setting changed it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headrace.config import Config
from headrace.core.errors import ConfigurationError, did_you_mean, nearest_name
from headrace.core.graph import Graph
from headrace.core.source_options import dataset_name_problem, options_for
from headrace.core.source_problems import source_problems
from headrace.core.step import Predictions, Source, Step, Table, is_published

__all__ = ["placed"]


def placed(graph: Graph, config: Config, folder: Path) -> Graph:
    """A graph whose sources lie, and whose datasets are published, where the settings say; a relative place starts at `folder`.

    ConfigurationError for a place that can't be.
    """
    _check_locations(graph, config)
    _check_published(graph, config)
    return replace(graph, steps={name: _placed(step, graph.name, config, folder) for name, step in graph.steps.items()})


def _check_locations(graph: Graph, config: Config) -> None:
    sources = {s.name.lower(): s.name for s in graph.steps.values() if isinstance(s, Source)}
    named = {**{name: given for name, of_it in config.ways_in.items() for given in of_it.values()}, **config.locations}
    for name, value in named.items():
        if name.lower() not in sources and (name in graph.steps or nearest_name(name, sources) is not None):
            raise ConfigurationError(f"{value.origin}: there is no source `{name}`. {did_you_mean(name, sources.values())}")


def _check_published(graph: Graph, config: Config) -> None:
    """A file that pipelines share may name another's datasets, unless the name is all but one of ours."""
    ours = {name for name, step in graph.steps.items() if is_published(step)}
    for name, value in config.published.items():
        if name in graph.steps and name not in ours:
            raise ConfigurationError(
                f"{value.origin}: publish.{name}: `{name}` is not published. Declare it with publish=True in the pipeline."
            )
        if name not in ours and nearest_name(name, ours) is not None:
            raise ConfigurationError(f"{value.origin}: publish.{name}: no such dataset is published. {did_you_mean(name, ours)}")


def _placed(step: Step, pipeline: str, config: Config, folder: Path) -> Step:
    """A source that lies where the settings say, if they say so: a dataset may so become a file. And a dataset that is published there."""
    if isinstance(step, Table | Predictions):
        said = config.published[step.name].value if step.name in config.published else step.published_to
        place = said if isinstance(said, str) else None
        if place is not None and "://" not in place:
            place = str((folder / Path(place).expanduser()).absolute())
        return replace(step, published_to=place)
    if not isinstance(step, Source):
        return step
    value = config.locations.get(step.name) or config.locations.get(step.name.lower())
    if value is None:
        return step
    location = str(value.value)
    is_file = step.options.is_dataset and dataset_name_problem(location) != ""
    try:
        placed = replace(step, options=options_for(location) if is_file else replace(step.options, location=location))
    except ConfigurationError as error:
        raise ConfigurationError(f"{value.origin}: {error}") from None
    problem = next(source_problems(placed, pipeline), None)
    if problem is not None:
        raise ConfigurationError(f"{value.origin}: {problem.message}")
    return placed
