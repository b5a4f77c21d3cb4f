"""A key is unique in what is kept, against a plain Python model: of any records, in any files, of every format, whatever is kept of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.keys import Unique
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import quarantine_at
from headrace.run.replaying import replay
from headrace.testing import Lab

DAY = "2026-05-01"
FORMATS = ("csv", "json", "logs", "parquet", "avro")
KEYS = (("id",), ("city",), ("at",), ("amount",), ("weight",), ("id", "city"), ("city", "at"))


class Sale(BaseModel):
    n: int = Field(ge=0)  # which record it is; below 0 it breaks the contract
    id: int | None = None
    city: str | None = None
    at: datetime | None = None
    amount: Decimal | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Record:
    n: int
    id: int | None
    city: str | None
    at: datetime | None
    amount: Decimal | None
    weight: float | None
    is_sound: bool

    @property
    def values(self) -> dict[str, Any]:
        """As it stands in a file: a number below 0 where it breaks the contract."""
        return {
            **{name: getattr(self, name) for name in ("id", "city", "at", "amount", "weight")},
            "n": self.n if self.is_sound else -1 - self.n,
        }

    def key(self, columns: Sequence[str]) -> tuple[object, ...] | None:
        """Equal for equal keys; None where a value is missing."""
        own = tuple(getattr(self, column) for column in columns)
        return None if any(value is None for value in own) else own


OWN = st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(0, 3),
        "city": st.none() | st.sampled_from(["Oslo", "oslo", "Ōslo", "a b"]),
        "at": st.none() | st.sampled_from([datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 8, 0, 0, 1, tzinfo=UTC)]),
        "amount": st.none() | st.sampled_from([Decimal("1.5"), Decimal("1.50"), Decimal(2)]),
        "weight": st.none() | st.sampled_from([0.0, -0.0, 0.1, 1e300]),
        "is_sound": st.sampled_from([True, True, True, False]),
    }
)


def recorded(own: Sequence[Mapping[str, Any]]) -> list[Record]:
    return [Record(n=n, **values) for n, values in enumerate(own)]


# ---------------------------------------------------------------- the model


def chosen(records: Sequence[Record], keys: Sequence[Unique]) -> tuple[list[int], list[int]]:
    """Which records are kept and which are let go of by a key, in order."""
    left, gone = [one for one in records if one.is_sound], []
    for key in keys:
        kept = []
        for one in left:
            own = one.key(key.columns)
            alike = [other.n for other in left if own is not None and other.key(key.columns) == own] or [one.n]
            stays = len(alike) == 1 or {"first": one.n == alike[0], "last": one.n == alike[-1], "none": False}[key.keep]
            (kept if stays else gone).append(one)
        left = kept
    return [one.n for one in left], sorted(one.n for one in gone)


# ---------------------------------------------------------------- files of every format


def text(value: object) -> str:
    return "" if value is None else value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)


def write(folder: Path, kind: str, number: int, records: Sequence[Record]) -> None:
    rows = [one.values for one in records]
    names = ["n", "id", "city", "at", "amount", "weight"]
    path = folder / f"{number}.{'jsonl' if kind == 'json' else 'log' if kind == 'logs' else kind}"
    if kind == "csv":
        path.write_text("\n".join([",".join(names), *(",".join(text(row[name]) for name in names) for row in rows)]) + "\n")
    elif kind == "json":
        own = [{name: row[name] if name in ("n", "id", "weight") else text(row[name]) or None for name in names} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in own))
    elif kind == "logs":
        path.write_text("".join(" ".join(f'"{text(row[name])}"' for name in names) + "\n" for row in rows) or "\n")
    else:
        schema = pa.schema(
            [
                ("n", pa.int64()),
                ("id", pa.int32()),
                ("city", pa.string()),
                ("at", pa.timestamp("us", "UTC")),
                ("amount", pa.decimal128(12, 2)),
                ("weight", pa.float64()),
            ]
        )
        if kind == "parquet":
            parquet.write_table(pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], schema), path, row_group_size=3)
        else:
            write_avro(path, rows)


def write_avro(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    kinds: dict[str, object] = {
        "n": "long",
        "id": "int",
        "city": "string",
        "at": {"type": "long", "logicalType": "timestamp-micros"},
        "amount": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        "weight": "double",
    }
    schema = {"type": "record", "name": "Sale", "fields": [{"name": name, "type": ["null", kind]} for name, kind in kinds.items()]}
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows, sync_interval=64)


def located(folder: Path, kind: str) -> Any:
    if kind == "logs":
        pattern = " ".join(f'"(?P<{name}>[^"]*)"' for name in ("n", "id", "city", "at", "amount", "weight"))
        return hr.logs(str(folder / "*.log"), pattern=pattern, null_words=[""])
    return {
        "csv": hr.csv(str(folder / "*.csv")),
        "json": hr.json(str(folder / "*.jsonl")),
        "parquet": hr.parquet(str(folder / "*.parquet")),
        "avro": hr.avro(str(folder / "*.avro")),
    }[kind]


def number_in(raw: bytes) -> int:
    """Which record raw bytes are."""
    told = json.loads(raw)["n"] if raw.startswith(b"{") else int(raw.replace(b'"', b"").replace(b" ", b",").partition(b",")[0])
    return told if told >= 0 else -1 - told


@given(
    own=st.lists(OWN, max_size=14),
    kind=st.sampled_from(FORMATS),
    keys=st.lists(st.builds(Unique, st.sampled_from(KEYS), st.sampled_from(["first", "last", "none"])), min_size=1, max_size=2),
    cuts=st.lists(st.integers(0, 14), max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_what_is_kept_has_each_key_once_and_what_is_not_is_in_quarantine_in_order(
    tmp_path_factory: pytest.TempPathFactory, own: list[Mapping[str, Any]], kind: str, keys: list[Unique], cuts: list[int]
) -> None:
    folder, records = tmp_path_factory.mktemp("keys"), recorded(own)
    edges = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for number, (start, end) in enumerate(pairwise(edges)):
        if start < end or number == 0:
            write(folder, kind, number, records[start:end])
    if kind == "logs" and not records:
        return  # a file without a line is refused
    if kind == "json" and edges[1] == 0:
        return
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", located(folder, kind), contract=Sale, max_rejected=1.0, unique=keys)
    lab = Lab(shop)
    (receipt,) = lab.run(DAY)
    kept, gone = chosen(records, keys)
    assert [row["n"] for row in lab.read("sales", DAY)] == kept
    quarantine = lab.read("sales.quarantine", DAY)
    assert [number_in(row["raw"]) for row in quarantine] == sorted([*gone, *(one.n for one in records if not one.is_sound)])
    assert receipt.rows_read == len(records) == receipt.rows_kept + receipt.rows_quarantined == len(kept) + len(quarantine)
    for row in quarantine:
        number = number_in(row["raw"])
        if number in gone:
            check_reason(row, number, records, keys, kept)
    reasons = lab.lake.manifest("shop.sales", DAY).content.details["reasons"]
    assert sum(count for kind_, count in reasons.items() if "not unique" in kind_) == len(gone)


def check_reason(row: Mapping[str, Any], number: int, records: Sequence[Record], keys: Sequence[Unique], kept: Sequence[int]) -> None:
    """The reason names the key, and of which columns the record with the same key differs."""
    (reason,) = row["reasons"]
    key = next(one for one in keys if reason.startswith(f"{one.called}: ") and list(one.columns) == row["columns"])
    alike = [one for one in records if one.is_sound and one.n != number and one.key(key.columns) == records[number].key(key.columns)]
    assert alike
    if "is equal" in reason:
        raise AssertionError("no two records are equal: each has a number of its own")
    told = reason.partition("differs in ")[2].split(", ")
    assert told[0] == "n"
    assert any(
        told
        == [name for name in ("n", "id", "city", "at", "amount", "weight") if differ(records[number], one, name)][:5]
        + (["…"] if len(told) == 6 else [])
        for one in alike
    )


def differ(one: Record, other: Record, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


@given(
    texts=st.lists(st.sampled_from("abc"), min_size=2, max_size=8), keep=st.sampled_from(["first", "last", "none"]), seed=st.integers(0, 99)
)
@settings(max_examples=30, deadline=None)
def test_a_record_that_was_let_go_of_is_mended_and_put_back_as_any_other(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], keep: Any, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("mended")
    (folder / "in").mkdir()
    (folder / "in" / "a.csv").write_text("id,n\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", str(folder / "in" / "*.csv"), unique=hr.unique("id", keep=keep), max_rejected=1.0)
    lab = Lab(shop)
    lab.run(DAY)
    bad = [row["raw"].decode() for row in lab.read("sales.quarantine", DAY)]
    if len(bad) in (0, len(texts)):
        return
    export_to_mend(lab.session, "sales", quarantine_at(lab.session, "sales", DAY), folder / "mended.csv")
    assert (folder / "mended.csv").read_text() == "id,n\n" + "".join(f"{line}\n" for line in bad)
    turned = {line: f"m{n}{line}" if (n + seed) % 2 else line for n, line in enumerate(bad)}
    if turned == dict(zip(bad, bad, strict=True)):
        return
    (folder / "mended.csv").write_text("id,n\n" + "".join(f"{line}\n" for line in turned.values()))
    receipt = replay(lab.session, "sales", folder / "mended.csv")
    assert receipt.rows_kept + receipt.rows_quarantined == receipt.rows_read == len(texts)
    ids = [row["id"] for row in lab.read("sales", DAY)]
    assert len(set(ids)) == len(ids)
    assert {line.partition(",")[0] for old, line in turned.items() if old != line} <= set(ids)
