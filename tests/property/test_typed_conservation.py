"""No typed record is lost: each of a file's records is kept or quarantined, once, and those with planted defects are the ones that are not kept."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.avro import open as open_avro
from headrace.backends.sources.parquet import open as open_parquet
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import SourceError
from headrace.core.ports import Landed, SourceFormat

CONTRACT = Contract(
    "Sale", (ContractField("n", "n", "int"), ContractField("amount", "amount", "int", ge=0), ContractField("text", "text", "str"))
)
GOOD = [(1.0, b"x"), (0.0, b""), (2.0**60, "é".encode())]
BAD = [(-1.0, b"x"), (1.5, b"x"), (None, b"x"), (float("nan"), b"x"), (float("inf"), b"x"), (1.0, None), (1.0, b"\xff"), (-1.5, b"\xfe")]


def read(format_: SourceFormat, folder: Path, data: bytes) -> tuple[Landed, list[dict[str, object]], list[dict[str, object]]]:
    path, rows, quarantine = folder / "file", folder / "rows.parquet", folder / "quarantine.parquet"
    path.write_bytes(data)
    counter = format_.counter(path.name, {})
    counter.feed(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    format_.read([landed], contract=CONTRACT, options={}, rows=rows, quarantine=quarantine)
    return landed, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def parquet_file(records: Sequence[tuple[float | None, bytes | None]], group: int) -> bytes:
    table = pa.table({
        "n": pa.array(range(1, len(records) + 1), pa.int64()),
        "amount": pa.array([amount for amount, _ in records], pa.float64()),
        "text": pa.array([text for _, text in records], pa.binary()).view(pa.string()),
    })  # fmt: skip
    file = io.BytesIO()
    parquet.write_table(table, file, row_group_size=group, write_statistics=False)
    return file.getvalue()


def avro_schema(text: str) -> dict[str, object]:
    types = {"n": "long", "amount": ["null", "double"], "text": ["null", text]}
    return {"type": "record", "name": "Sale", "fields": [{"name": name, "type": type_} for name, type_ in types.items()]}


def avro_file(records: Sequence[tuple[float | None, bytes | None]], group: int) -> bytes:
    """Blocks of so many records. Texts are written as bytes, as which they are the same, so that some are no texts."""
    own = [{"n": n, "amount": amount, "text": text} for n, (amount, text) in enumerate(records, 1)]
    file, written_as = io.BytesIO(), fastavro.parse_schema(avro_schema("bytes"))
    fastavro.writer(file, avro_schema("string"), [], codec="deflate", sync_marker=b"the block's end\n")
    for at in range(0, len(own), group):
        block = io.BytesIO()
        for record in own[at : at + group]:
            fastavro.schemaless_writer(block, written_as, record)
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        data = deflater.compress(block.getvalue()) + deflater.flush()
        fastavro.schemaless_writer(file, "long", len(own[at : at + group]))
        fastavro.schemaless_writer(file, "bytes", data)
        file.write(b"the block's end\n")
    return file.getvalue()


FORMATS = {"parquet": (open_parquet, parquet_file), "avro": (open_avro, avro_file)}


@pytest.mark.parametrize("name", FORMATS)
@given(
    plan=st.lists(st.sampled_from([True, True, False]).flatmap(lambda good: st.sampled_from(GOOD if good else BAD)), max_size=60),
    group=st.integers(1, 20),
)
@settings(max_examples=40)
def test_planted_defects_are_found_each_at_its_number_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, name: str, plan: list[tuple[float | None, bytes | None]], group: int
) -> None:
    opened, written = FORMATS[name]
    landed, rows, quarantine = read(opened(), tmp_path_factory.mktemp("planted"), written(plan, group))
    assert landed.records == len(plan)
    assert [row["n"] for row in rows] == [n for n, record in enumerate(plan, 1) if record in GOOD]
    bad = [n for n, record in enumerate(plan, 1) if record not in GOOD]
    assert [row["line"] for row in quarantine] == bad
    assert [json.loads(row["raw"])["n"] for row in quarantine] == bad  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMATS)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4), cut=st.floats(0, 1) | st.just(1.0))
@settings(max_examples=60)
def test_a_file_with_damage_is_refused_or_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[float, int]], cut: float
) -> None:
    opened, written = FORMATS[name]
    data = bytearray(written([*GOOD, *BAD] * 3, 10))
    for at, value in edits:
        data[min(int(at * len(data)), len(data) - 1)] = value
    try:
        landed, rows, quarantine = read(opened(), tmp_path_factory.mktemp("damaged"), bytes(data[: int(cut * len(data))]))
    except SourceError:
        return
    assert landed.records == len(rows) + len(quarantine)


WORDS = ["record", "array", "map", "fixed", "enum", "int", "long", "bytes", "string", "null", "decimal", "uuid", "R", "a"]
KEYS = ["type", "name", "fields", "items", "values", "size", "symbols", "logicalType", "precision", "scale", "namespace"]
SCHEMAS = st.recursive(
    st.sampled_from([*WORDS, 0, 16, -1, True, None, ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(schema=SCHEMAS, kind=SCHEMAS)
@settings(max_examples=300)
def test_an_avro_file_with_any_json_for_a_schema_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, schema: object, kind: object
) -> None:
    for own in (schema, {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}):
        told = json.dumps(own).encode()
        file = io.BytesIO()
        file.write(b"Obj\x01")
        fastavro.schemaless_writer(file, {"type": "map", "values": "bytes"}, {"avro.schema": told, "avro.codec": b"null"})
        file.write(b"the block's end\n")
        try:
            landed, rows, quarantine = read(open_avro(), tmp_path_factory.mktemp("schema"), file.getvalue())
        except SourceError:
            continue
        assert (landed.records, rows, quarantine) == (0, [], [])
