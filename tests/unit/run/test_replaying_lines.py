"""Records of JSON Lines and logs mended and put back: what there is to mend has no header, and each record says its own columns."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.step import SourceOptions
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import quarantine_at
from headrace.run.replaying import replay
from headrace.testing import Lab

DAY = "2026-05-01"


class Sale(BaseModel):
    item: str
    price: float = Field(ge=0)
    note: str | None


def opened(options: SourceOptions, contract: type[BaseModel] | None = Sale) -> Lab:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", options, contract=contract, max_rejected=9)
    lab = Lab(shop)
    lab.run(DAY)
    return lab


def exported(lab: Lab, path: Path) -> bytes:
    export_to_mend(lab.session, "sales", quarantine_at(lab.session, "sales", DAY), path)
    return path.read_bytes()


def mended(lab: Lab, path: Path, words: Mapping[str, str], encoding: str = "utf-8") -> tuple[int | None, int | None]:
    text = path.read_bytes().decode(encoding)
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    path.write_bytes(text.encode(encoding))
    receipt = replay(lab.session, "sales", path)
    return receipt.rows_kept, receipt.rows_quarantined


def rows(lab: Lab) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in lab.read("sales", DAY)]


def test_of_json_lines_with_other_keys_in_each_file_the_rejected_ones_are_mended_together(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"item": "tea", "price": 1, "note": "x"}\n{"item": "jam", "price": "cheap"}\n')
    (tmp_path / "b.jsonl").write_bytes(b'{"price": 2, "item": "ale", "note": null, "more": [1]}\n{"item": "oil", "price": 3\n')
    lab, path = opened(hr.json(str(tmp_path / "*.jsonl"))), tmp_path / "mended.jsonl"
    assert exported(lab, path) == b'{"item": "jam", "price": "cheap"}\n{"item": "oil", "price": 3\n'
    assert mended(lab, path, {'"cheap"': "4", "3\n": "3}\n"}) == (4, 0)
    assert sorted(rows(lab)) == [("ale", 2.0, None), ("jam", 4.0, None), ("oil", 3.0, None), ("tea", 1.0, "x")]


def test_without_a_contract_a_mended_record_may_lack_keys_that_others_have(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"item": "tea", "price": 1}\n{"item": "jam"\n')
    lab, path = opened(hr.json(str(tmp_path / "a.jsonl")), None), tmp_path / "mended.jsonl"
    exported(lab, path)
    assert mended(lab, path, {'"jam"': '"jam"}'}) == (2, 0)
    assert rows(lab) == [("tea", 1), ("jam", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_lines_of_a_log_are_mended_in_their_encoding_and_those_that_were_passed_over_stay_away(tmp_path: Path, encoding: str) -> None:
    data = "# a log\ntea 1 é\njäm cheap -\noil\n".encode(encoding)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(data))
    options = hr.logs(
        str(tmp_path / "*.log.gz"),
        pattern=r"(?P<item>\S+) (?P<price>\S+) (?P<note>\S+)",
        skip=1,
        encoding=encoding,
        null_words=["-"],
    )
    lab, path = opened(options), tmp_path / "mended.log"
    assert exported(lab, path) == "jäm cheap -\noil\n".encode(encoding)
    assert mended(lab, path, {"cheap": "2"}, encoding) == (2, 1)
    assert sorted(rows(lab)) == [("jäm", 2.0, None), ("tea", 1.0, "é")]
    assert [row["raw"] for row in lab.read("sales.quarantine", DAY)] == [b"oil"]
