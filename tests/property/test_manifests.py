"""Of any manifest: its bytes give it back, and its digest is about what was made and not about where, when or by whom."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DamageError
from headrace.core.interval import Grid, Interval, parse_time
from headrace.core.manifest import Content, FileEntry, InputRef, Manifest, Part
from headrace.core.ports import Column

HOURS = Grid.parse("@hourly")
START = parse_time("2026-11-20")

words = st.text("abcé_9 \"\\'\n", min_size=1, max_size=8)
digests = st.integers(0, 2**64).map(lambda n: f"{n:064x}")
plain = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | words, lambda inner: st.lists(inner, max_size=2), max_leaves=4)


@st.composite
def reads(draw: st.DrawFn) -> list[tuple[Interval, int, str]]:
    """Some hours of a few days, with gaps, in any versions and any order."""
    hours = draw(st.lists(st.integers(0, 80), unique=True, min_size=1, max_size=30))
    return [(HOURS.at(START + timedelta(hours=h)), draw(st.integers(1, 3)), draw(digests)) for h in hours]


@st.composite
def parts(draw: st.DrawFn) -> tuple[Part, ...]:
    names = draw(st.lists(st.sampled_from(["rows", "train", "test", "raw", "quarantine"]), unique=True, max_size=3))
    found = []
    for name in names:
        layer = {"raw": "bronze", "quarantine": "quarantine"}.get(name, "silver")
        files = tuple(
            FileEntry(f"{layer}/p/d/{name}-{n:04d}.parquet", draw(digests), draw(st.integers(0, 99)), draw(st.none() | st.integers(0, 9)))
            for n in range(draw(st.integers(1, 2)))
        )
        found.append(Part(name, layer, files, draw(st.none() | st.integers(0, 99))))
    return tuple(found)


contents = st.builds(
    Content,
    kind=st.just("data"),
    step_kind=st.sampled_from(["table", "source"]),
    parts=parts(),
    schema=st.dictionaries(st.sampled_from(["rows", "train"]), st.tuples(st.builds(Column, words, st.just("BIGINT"), st.booleans()))),
    fingerprint=digests,
    fingerprint_parts=st.dictionaries(words, plain, max_size=2),
    inputs=reads().map(lambda read: (InputRef.of("p.d", Interval(START, START + timedelta(days=4)), read),)),
    metrics=st.dictionaries(words, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    details=st.dictionaries(words, plain, max_size=2),
)
receipts = st.dictionaries(words, plain, max_size=2).map(lambda told: {**told, "nonce": "n", "base": 0})
manifests = st.builds(Manifest, st.just("p"), st.just("d"), st.just(HOURS.at(START)), st.integers(1, 9), contents, receipts)


@given(manifests)
def test_a_manifest_is_given_back_by_its_bytes(manifest: Manifest) -> None:
    found = Manifest.from_json(manifest.to_json())
    assert found.to_json() == manifest.to_json()
    assert found.content.digest == manifest.content.digest
    assert [ref.versions_of() for ref in found.content.inputs] == [ref.versions_of() for ref in manifest.content.inputs]
    assert {p.name: p for p in found.content.parts} == {p.name: p for p in manifest.content.parts}


@given(contents, digests)
def test_a_digest_is_about_the_bytes_and_not_about_where_they_lie_or_why_they_were_made(content: Content, other: str) -> None:
    moved = tuple(replace(p, files=tuple(replace(f, key=f"elsewhere/{f.name}") for f in p.files)) for p in content.parts)
    same = replace(content, parts=moved[::-1], fingerprint=other, inputs=(), metrics={"m": 1.0}, details={"x": 1})
    assert same.digest == content.digest
    if content.parts:
        first = content.parts[0]
        changed = replace(first, files=(replace(first.files[0], sha256=f"{int(first.files[0].sha256, 16) + 1:064x}"), *first.files[1:]))
        assert replace(content, parts=(changed, *content.parts[1:])).digest != content.digest


@given(reads())
def test_what_was_read_is_told_back_hour_by_hour_and_the_gaps_are_the_rest(read: list[tuple[Interval, int, str]]) -> None:
    window = Interval(START, START + timedelta(hours=81))
    ref = InputRef.of("p.d", window, read)
    assert ref.versions_of() == {interval: version for interval, version, _ in sorted(read)}
    missing = [hour for gap in ref.gaps() for hour in HOURS.within(gap)]
    assert sorted([*ref.versions_of(), *missing]) == list(HOURS.within(window))
    assert ref == InputRef.of("p.d", window, read[::-1])
    assert len(ref.runs) <= len(read)


@given(manifests, st.sampled_from(["kind", "schema", "parts"]), st.data())
def test_a_manifest_whose_content_was_changed_is_damage(manifest: Manifest, section: str, data: st.DataObject) -> None:
    raw = json.loads(manifest.to_json())
    changed = {"kind": "cleared", "schema": {"rows": [["other", "BIGINT", True]]}, "parts": []}[section]
    if raw["content"][section] == changed:
        return
    raw["content"][section] = changed
    with pytest.raises(DamageError):
        Manifest.from_json(json.dumps(raw).encode())
