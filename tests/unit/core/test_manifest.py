"""Manifests: canonical bytes, digests that ignore what does not matter, runs of versions."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import DamageError, NewerFormatError
from headrace.core.interval import Interval
from headrace.core.manifest import Column, Content, FileEntry, InputRef, Manifest, Part, canonical_json, digest_of

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FOLDER = "gold/shop/sums/2026/11/20/08/00-60m.000003-" + "9f" * 16


def hour(n: int) -> Interval:
    return Interval(START + HOUR * n, START + HOUR * (n + 1))


def content(**changes: object) -> Content:
    files = (FileEntry(f"{FOLDER}/rows-0000.parquet", "ab" * 32, 10, 3), FileEntry(f"{FOLDER}/rows-0001.parquet", "cd" * 32, 20, 4))
    ref = InputRef.of("shop.purchases", Interval(START, START + HOUR * 4), [(hour(0), 1, "aa"), (hour(1), 1, "bb"), (hour(3), 2, "cc")])
    whole = Content(
        "data",
        "table",
        (Part("rows", "gold", files, 7), Part("quarantine", "quarantine", (), 0)),
        {"rows": (Column("a", "BIGINT", nullable=False), Column("b", "VARCHAR"))},
        "fp",
        {"code": "x"},
        (ref,),
        None,
        {"r2": 0.5},
        {"note": "ünïcode"},
    )
    return replace(whole, **changes)


def manifest(**changes: object) -> Manifest:
    receipt = {"nonce": "9f" * 16, "base": 2, "created_at": "2026-11-20T09:00:00+00:00"}
    return Manifest("shop", "sums", Interval.of("2026-11-20T08", "2026-11-20T09"), 3, content(**changes), receipt)


def test_a_manifest_reads_back_as_it_was_written() -> None:
    written = manifest()
    read = Manifest.from_json(written.to_json())
    assert replace(read, content=written.content, receipt=written.receipt) == written
    assert read.to_json() == written.to_json()
    assert read.content.part("rows") == written.content.part("rows")
    assert (read.nonce, read.base, read.name, str(read)) == ("9f" * 16, 2, "shop.sums", "shop.sums [2026-11-20T08, 2026-11-20T09) v3")


def test_its_bytes_are_canonical() -> None:
    raw = json.loads(manifest().to_json())
    assert manifest().to_json() == canonical_json(raw)
    assert list(raw) == ["content", "receipt"]
    assert b": " not in manifest().to_json()


def test_the_digest_ignores_paths_layers_inputs_and_the_order_of_parts() -> None:
    parts = content().parts
    moved = tuple(
        replace(part, layer="silver", files=tuple(replace(file, key=f"elsewhere/{file.name}") for file in part.files))
        for part in reversed(parts)
    )
    assert content(parts=moved, inputs=(), metrics={}, details={}, fingerprint="other").digest == content().digest


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "fence", "parts": ()},
        {"schema": {}},
        {"parts": content().parts[:1]},
        {"parts": (replace(content().parts[0], name="train"), content().parts[1])},
        {"parts": (replace(content().parts[0], files=content().parts[0].files[::-1]), content().parts[1])},
        {
            "parts": (
                replace(content().parts[0], files=(replace(content().parts[0].files[0], rows=4), content().parts[0].files[1])),
                content().parts[1],
            )
        },
    ],
)
def test_the_digest_tells_contents_apart(changes: dict[str, object]) -> None:
    assert content(**changes).digest != content().digest


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    raw = json.loads(manifest().to_json())
    raw["content"] = {"format": 2, "something": "new"}
    with pytest.raises(NewerFormatError, match=r"`log/x` has format 2, .* formats up to 1\. Upgrade headrace"):
        Manifest.from_json(canonical_json(raw), source="`log/x`")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"content":{"format":1}}', b'{"content":3,"receipt":4}'])
def test_what_is_no_manifest_is_damage(data: bytes) -> None:
    with pytest.raises(DamageError, match="`log/x` is not a manifest"):
        Manifest.from_json(data, source="`log/x`")


def test_a_changed_file_digest_is_damage() -> None:
    with pytest.raises(DamageError, match="It was changed after it was written"):
        Manifest.from_json(manifest().to_json().replace(b"ab" * 32, b"ba" * 32))


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        manifest(metrics={"r2": float("nan")}).to_json()


def test_a_content_refuses_unknown_kinds_double_names_and_parts_of_nothing() -> None:
    with pytest.raises(ValueError, match="the kinds are data, fence, cleared, expired"):
        Content("other")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two parts of the same name"):
        Content("data", parts=(Part("a", "gold", ()), Part("a", "silver", ())))
    with pytest.raises(ValueError, match="`fence` has no parts"):
        Content("fence", parts=(Part("a", "gold", ()),))


def test_the_main_part_is_rows_or_the_only_one() -> None:
    assert content().part() == content().parts[0]
    assert content().rows == 7
    assert Content("data", parts=(Part("model", "models", ()),)).part().name == "model"
    assert Content("data", parts=(Part("train", "gold", ()), Part("test", "gold", ()))).part() is None
    assert Content("fence").rows is None


@given(st.dictionaries(st.integers(0, 60), st.tuples(st.integers(1, 3), st.sampled_from("abc"))))
def test_run_lengths_lose_nothing(read: dict[int, tuple[int, str]]) -> None:
    window = Interval(START, START + HOUR * 61)
    ref = InputRef.of("shop.a", window, [(hour(n), version, digest) for n, (version, digest) in read.items()])
    assert ref.versions_of() == {hour(n): read[n][0] for n in sorted(read)}
    assert ref.count == len(read)
    assert ref.digest == digest_of([read[n][1] for n in sorted(read)])
    gaps = {n for n in range(61) for gap in ref.gaps() if gap.contains(hour(n))}
    assert gaps == set(range(61)) - set(read)
    assert sum((gap.length for gap in ref.gaps()), timedelta(0)) == HOUR * (61 - len(read))
    assert Manifest.from_json(manifest(inputs=(ref,)).to_json()).content.inputs == (ref,)


def test_a_month_of_hours_in_one_version_is_one_run() -> None:
    ref = InputRef.of("shop.a", Interval(START, START + HOUR * 720), [(hour(n), 2 if n == 300 else 1, "x") for n in range(720)])
    assert [(run.count, run.version) for run in ref.runs] == [(300, 1), (1, 2), (419, 1)]
    assert len(canonical_json([str(run) for run in ref.runs])) < 1000
