"""The records that some rows were are found in files of every format as if each record was looked at, though few are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources import avro, csv, logs
from headrace.backends.sources import json as json_lines
from headrace.backends.sources import parquet as parquet_files
from headrace.core.keys import KeptRecords, PiecedFormat, Rules, Sifted
from headrace.core.ports import Landed, ReadResult
from headrace.core.records import Record
from headrace.steps.sifting import RuledBy, kept_records, sifted

FORMATS: dict[str, Any] = {
    "csv": csv.open(),
    "json": json_lines.open(),
    "array": json_lines.open(),
    "logs": logs.open(),
    "parquet": parquet_files.open(),
    "avro": avro.open(),
}
OPTIONS = {"logs": {"pattern": r"(?P<n>\d+) (?P<text>.*)"}}


class Asking:
    """A sieve that only asks for records."""

    def __init__(self, rejected: Sequence[tuple[str, int, int]], wanted: Sequence[int]) -> None:
        self._rejected, self._wanted = rejected, wanted
        self.found: list[tuple[int, str, Record]] = []

    def sift(self, rows: Path, quarantine: Path, rules: Rules, *, files: Sequence[str], records: KeptRecords) -> Sifted:
        self.found = list(records(iter(self._rejected), iter(self._wanted)))
        return Sifted(0, 0)

    def remember(self, *_: object) -> int:
        raise AssertionError


def write(path: Path, kind: str, numbers: range, chance: random.Random) -> None:
    texts = ["x" * chance.randrange(120) for _ in numbers]
    gap = lambda: "\n" * chance.choice([0, 0, 0, 1, 2])  # noqa: E731  # blank lines are no records
    if kind == "csv":
        quoted = [f'"{text}\n"' if chance.random() < 0.2 else text for text in texts]
        path.write_text("n,text\n" + "".join(f"{n},{text}\n{gap()}" for n, text in zip(numbers, quoted, strict=True)))
    elif kind == "logs":
        path.write_text("".join(f"{n} {text}\n{gap()}" for n, text in zip(numbers, texts, strict=True)))
    elif kind in ("json", "array"):
        rows = [json.dumps({"n": n, "text": text}) for n, text in zip(numbers, texts, strict=True)]
        end = chance.choice(["", "\n"])
        path.write_text("".join(f"{row}\n{gap()}" for row in rows) + end if kind == "json" else f"[{', '.join(rows)}]{end}")
    elif kind == "parquet":
        table = pa.table({"n": list(numbers), "text": texts})
        parquet.write_table(table, path, row_group_size=chance.choice([1, 7, 1000]))
    else:
        fields = [{"name": "n", "type": "long"}, {"name": "text", "type": "string"}]
        with path.open("wb") as file:
            schema = fastavro.parse_schema({"type": "record", "name": "r", "fields": fields})
            fastavro.writer(
                file, schema, [{"n": n, "text": t} for n, t in zip(numbers, texts, strict=True)], sync_interval=chance.choice([1, 700])
            )


def small_pieces() -> ExitStack:
    stack = ExitStack()
    for name in (
        "texts.lines._PIECE_BYTES",
        "texts.incoming.PIECE_BYTES",
        "sources.parquet.file._MOST_ROWS",
        "sources.avro.file._BATCH_RECORDS",
    ):
        stack.enter_context(patch(f"headrace.backends.{name}", 7 if name.startswith("sources") else 600))
    return stack


@pytest.mark.parametrize("kind", FORMATS)
@given(
    counts=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    rejected=st.sampled_from([0, 0.02, 0.5]),
    replaced=st.sampled_from([0, 0.02, 0.3]),
    wanted=st.sampled_from([0.02, 0.5, 1]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=15, deadline=None)
def test_records_of_rows_are_found_as_if_each_was_looked_at(
    tmp_path_factory: pytest.TempPathFactory, kind: str, counts: list[int], rejected: float, replaced: float, wanted: float, seed: int
) -> None:
    folder, chance, reader, options = tmp_path_factory.mktemp("found"), random.Random(seed), FORMATS[kind], OPTIONS.get(kind, {})
    landed: list[Landed] = []
    places: list[tuple[str, int, int]] = []
    for number, count in enumerate(counts):
        path = folder / f"{number}.{kind}"
        write(path, kind, range(count), chance)
        every: list[Record] = list(reader.records(path, options))
        assert len(every) == count
        out = frozenset[int]() if kind in ("parquet", "avro") else frozenset(r.offset for r in every if chance.random() < replaced)
        places += [(path.name, r.line, r.offset) for r in every if r.offset not in out and chance.random() < rejected]
        landed.append(Landed(str(path), path, "", path.stat().st_size, count, left_out=out))
    files = ((one.name, iter(list(reader.records(one.path, options))), one.left_out) for one in landed)
    kept = [(n, *found) for n, found in enumerate(kept_records(files, iter(places)))]
    asked = [n for n, _, _ in kept if chance.random() < wanted]
    sieve = Asking(places, asked)
    result = ReadResult(sum(counts), max(len(kept), 1), len(places), ())
    with small_pieces():
        assert isinstance(reader, PiecedFormat)
        assert _how_many(reader.pieces(landed[0].path, options)) > 1 or landed[0].size_bytes < 10_000
        sifted(result, RuledBy(Rules(), sieve), landed, reader, options, rows=folder / "rows", quarantine=folder / "quarantine")
    assert sieve.found == [kept[n] for n in asked]


def _how_many(pieces: Iterator[Any]) -> int:
    return sum(bool(piece.records) for piece in pieces)
