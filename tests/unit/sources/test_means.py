"""Reading by several threads, and within a limit of memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest
from pydantic import BaseModel, Field, field_validator

from headrace.backends.sources import csv as csv_format
from headrace.backends.sources import json as json_format
from headrace.backends.texts import reading
from headrace.backends.texts.room import explained_memory
from headrace.core.contract import Contract
from headrace.core.contract_models import contract_of
from headrace.core.errors import SourceError
from headrace.core.means import Means
from headrace.core.ports import Landed, ReadResult, SourceFormat


class Trip(BaseModel):
    id: int
    fare: float = Field(ge=0)


class CheckedTrip(BaseModel):
    id: int
    fare: float

    @field_validator("fare")
    @classmethod
    def is_known(cls, fare: float) -> float:
        if fare == 13:
            raise ValueError("is unlucky")
        return fare


def landed(folder: Path, texts: dict[str, str], format_: SourceFormat) -> list[Landed]:
    found = []
    for name, text in texts.items():
        (folder / name).write_text(text)
        counter = format_.counter(name, {})
        counter.feed(text.encode())
        found.append(Landed(name, folder / name, hashlib.sha256(text.encode()).hexdigest(), len(text), counter.finish()))
    return found


def read(folder: Path, format_: SourceFormat, files: list[Landed], contract: Contract | None) -> tuple[ReadResult, list[str]]:
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.parquet"
    result = format_.read(files, contract=contract, options={}, rows=rows, quarantine=quarantine)
    return result, [hashlib.sha256(path.read_bytes()).hexdigest() for path in (rows, quarantine)]


def trips(file: int, size: int) -> list[tuple[int, str]]:
    return [(n, "much" if n % 7 == file % 7 else f"-{n}" if n % 11 == 0 else f"{n}.5") for n in range(file * size, file * size + size)]


@pytest.mark.parametrize("contract", [contract_of(Trip), contract_of(CheckedTrip), None])
@pytest.mark.parametrize("flavour", ["csv", "json"])
def test_rows_quarantine_and_what_is_told_are_the_same_whatever_the_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flavour: str, contract: Contract | None
) -> None:
    monkeypatch.setattr(reading, "_TASK_WEIGHT", 1)
    texts = {
        f"{file:02d}": "id,fare\n" + "".join(f"{n},{fare}\n" for n, fare in trips(file, 50 + file))
        if flavour == "csv"
        else "".join(f'{{"id": {n}, "fare": "{fare}", "key{file % 3}": 1}}\n' for n, fare in trips(file, 50 + file))
        for file in range(20)
    }
    made = []
    for workers in (1, 2, 5):
        folder = tmp_path / str(workers)
        folder.mkdir()
        format_ = (csv_format if flavour == "csv" else json_format).open(Means(workers))
        given = {name: text.replace("key1", "key0").replace("key2", "key0") if contract is None else text for name, text in texts.items()}
        made.append(read(folder, format_, landed(folder, given, format_), contract))
    assert made[0] == made[1] == made[2]
    assert made[0][0].rows_read == sum(50 + file for file in range(20))


def test_a_file_that_changed_is_refused_whichever_thread_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TASK_WEIGHT", 1)
    format_ = csv_format.open(Means(3))
    files = landed(tmp_path, {f"{n}": "id,fare\n1,2\n" for n in range(9)}, format_)
    (tmp_path / "4").write_text("id,fare\n1,2\n3,4\n")
    with pytest.raises(SourceError, match="`4` had 1 records when it landed, and 2"):
        read(tmp_path, format_, files, contract_of(Trip))


def test_too_little_memory_is_told_with_the_setting_that_raises_it(tmp_path: Path) -> None:
    files = landed(tmp_path, {"long.csv": "id,fare\n1,2\n"}, csv_format.open())
    with pytest.raises(SourceError, match=r"`long\.csv` can't be read within 256 MB of memory.*memory= in headrace\.toml.*512MB"):  # noqa: SIM117
        with explained_memory(Means(1, 256), files):
            raise duckdb.OutOfMemoryException("could not allocate")


def test_texts_that_are_long_for_the_memory_are_read_or_are_an_error_that_says_so(tmp_path: Path) -> None:
    format_ = csv_format.open(Means(1, 130))
    text = "id,fare\n" + "".join(f"{n},{'9' * 15_000_000}\n" for n in range(2))
    files = landed(tmp_path, {"long.csv": text}, format_)
    try:
        result, _ = read(tmp_path, format_, files, contract_of(Trip))
    except SourceError as error:
        assert "memory= in headrace.toml" in str(error)  # noqa: PT017
    else:
        assert result.rows_read == 2


def test_fewer_threads_are_used_than_there_are_where_memory_is_short() -> None:
    assert [Means(16, memory).threads for memory in (64, 256, 512, 4096)] == [1, 1, 3, 16]
    assert all(Means(workers, memory).database_mb >= 128 for workers in (1, 9) for memory in (1, 200, None))


def test_a_million_records_of_a_few_bytes_are_rejected_within_little_memory(tmp_path: Path) -> None:
    format_ = csv_format.open(Means(1, 160))
    files = landed(tmp_path, {"wide.csv": "id,fare\n" + "1,2,3\n" * 1_000_000}, format_)
    result, _ = read(tmp_path, format_, files, contract_of(Trip))
    assert (result.rows_kept, result.rows_quarantined) == (0, 1_000_000)
