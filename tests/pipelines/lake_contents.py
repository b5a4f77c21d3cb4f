"""What a lake holds, without what differs from one writer to the next: to be compared with another lake's."""

from __future__ import annotations

from typing import Any

from headrace.lake.lake import Lake

__all__ = ["contents", "decisions"]


def contents(lake: Lake) -> dict[str, tuple[str, str, str]]:
    """Kind, content digest and fingerprint of every version that was committed, by place; run records, which tell of times, by place only."""
    found = {}
    for name in lake.datasets():
        pipeline, _, dataset = name.partition(".")
        log = lake.log(pipeline, dataset)
        for interval, versions in log.versions(None).items():
            for version in versions:
                content = log.manifest(interval, version).content
                told = (content.kind, content.digest, content.fingerprint)
                found[f"{name} {interval} v{version}"] = ("", "", "") if dataset == "_runs" else told
    return found


def decisions(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """What was decided about each model, in order: all but when, and where the champion's copy lies."""
    found = {}
    for name in lake.chains():
        pipeline, _, model = name.partition(".")
        found[name] = [
            (
                one.number,
                one.kind,
                one.model,
                one.version,
                one.digest,
                one.why,
                one.verdict,
                one.serving,
                one.previous,
                one.is_held,
                [(file.name, file.sha256, file.bytes) for file in one.files],
            )
            for one in lake.chain(pipeline, model).entries()
        ]
    return found
