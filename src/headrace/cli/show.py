"""`headrace show`: the graph of a pipeline, as text or as a picture."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.config import read_config
from headrace.core.ports import JSON
from headrace.core.step import Source, is_published, published_to
from headrace.run.drawing import drawing_of
from headrace.run.loading import load_pipeline

__all__ = ["show"]


@click.command()
@file_argument
@click.option("--svg", metavar="OUT", type=click.Path(path_type=Path), help="Write a picture to this file.")
@lake_options
@as_json
def show(file: Path, svg: Path | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Draw the graph of the pipeline in FILE. No lake is needed, and no data is read."""
    loaded = load_pipeline(file)
    graph = loaded.graph
    read_config(loaded.file, environment=os.environ, profile=profile, overrides={"lake": lake})
    nodes, edges = drawing_of(graph)
    if as_json:
        steps: list[JSON] = [
            {
                "step": s.name,
                "kind": s.kind,
                "every": s.grid.label,
                "reads": [i.dataset for i in s.inputs],
                "settings": {p.name: p.default for p in s.settings},
                "publish": is_published(s),
                "publish_to": published_to(s),
                "group": s.policy.group,
                "defined": str(s.where),
            }
            for s in graph.steps.values()
        ]
        print_json(
            {"pipeline": graph.name, "every": graph.grid.label, "start": graph.start.isoformat() if graph.start else None, "steps": steps}
        )
        return 0
    if svg is not None:
        from headrace.report.graph_svg import graph_svg

        svg.write_text(graph_svg(nodes, edges, title=f"The steps of {graph.name}"), encoding="utf-8")
        tell(f"wrote {svg}")
        return 0
    from headrace.report.graph_text import graph_text

    is_ascii = "utf" not in (sys.stdout.encoding or "").lower()
    tell(f"{graph.name}: every {graph.grid.label}" + (f" from {graph.start:%Y-%m-%d %H:%M}" if graph.start else ""))
    tell(graph_text(nodes, edges, is_ascii=is_ascii))
    places = {s.name: published_to(s) for s in graph.steps.values() if is_published(s)}
    published = [f"{graph.name}.{name}" + (f" (copied to {place})" if place else "") for name, place in places.items()]
    if published:
        tell(f"publishes: {', '.join(published)}")
    others = [f"{s.name} is {s.options.location}" for s in graph.steps.values() if isinstance(s, Source) and s.options.is_dataset]
    if others:
        tell(f"of other pipelines: {', '.join(others)}")
    return 0
