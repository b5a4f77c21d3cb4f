"""What always holds, for a store's value: as it is seen, and as a power cut would leave it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from lake_model import Violation, World

from headrace.core.manifest import Manifest
from headrace.lake.layout import parse_slot

_parsed: dict[bytes, Manifest] = {}


def parsed(data: bytes) -> Manifest:
    if data not in _parsed:
        _parsed[data] = Manifest.from_json(data)
    return _parsed[data]


def logs(objects: Mapping[str, bytes]) -> dict[tuple[Any, ...], dict[int, Manifest]]:
    """The versions of each interval of each dataset."""
    found: dict[tuple[Any, ...], dict[int, Manifest]] = {}
    for key, data in objects.items():
        slot = parse_slot(key)
        if slot:
            found.setdefault(slot[:3], {})[slot.version] = parsed(data)
    return found


def what_always_holds(world: World) -> None:
    """The protocol's list, for a store's value: seen now, and as it would be after a power cut."""
    objects = dict(world.objects)
    _check_logs(objects)
    left = {key: data for key, data in objects.items() if key in world.durable}
    _check_logs(left)


def _check_logs(objects: dict[str, bytes]) -> None:
    found = logs(objects)
    for name, versions in found.items():
        if sorted(versions) != list(range(1, len(versions) + 1)):
            raise Violation(f"{name} has the versions {sorted(versions)}")
        standing = [m for m in (versions[v] for v in sorted(versions)) if m.kind != "fence"]
        if standing and standing[-1].kind == "data":
            _check_files(standing[-1], objects)
        for older, newer in pairwise(standing):
            if older.kind == newer.kind == "data":
                _check_order(older, newer)
        for manifest in versions.values():
            _check_inputs(manifest, found)


def _check_files(manifest: Manifest, objects: dict[str, bytes]) -> None:
    for part in manifest.content.parts:
        for file in part.files:
            if file.key not in objects:
                raise Violation(f"{manifest} is current, and its file is gone: {file.key}")
            if hashlib.sha256(objects[file.key]).hexdigest() != file.sha256:
                raise Violation(f"{manifest} is current, and its file is not what it says: {file.key}")


def _check_order(older: Manifest, newer: Manifest) -> None:
    if newer.base != newer.version - 1:
        raise Violation(f"{newer} was made by someone who had seen version {newer.base} only")
    if newer.content.fingerprint == older.content.fingerprint:
        raise Violation(f"{newer} was made again for the same fingerprint as {older}")
    for old, new in zip(older.content.inputs, newer.content.inputs, strict=True):
        for interval, version in old.versions_of().items():
            if new.versions_of().get(interval, version) < version:
                raise Violation(f"{newer} was made from {new.dataset} v{new.versions_of()[interval]}, {older} from v{version}")


def _check_inputs(manifest: Manifest, found: Mapping[tuple[Any, ...], Mapping[int, Manifest]]) -> None:
    for ref in manifest.content.inputs:
        for interval, version in ref.versions_of().items():
            if version not in found.get((*ref.dataset.split("."), interval), {}):
                raise Violation(f"{manifest} was made from {ref.dataset} v{version}, which is not there")
