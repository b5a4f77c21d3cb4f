"""No record is lost or counted twice by mending: over any mends, of any records, in any order, kept + quarantined == read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import headrace as hr
from headrace.core.mending import Mend, Place, left_out, mends_of, now_standing, pack_mends
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import quarantine_at
from headrace.run.replaying import replay
from headrace.testing import Lab

DAY = "2026-05-01"
BAD = ["{n},cheap", "{n},-1", "{n}", "{n},1,2", '"{n}\nx",no', '"{n}"y,1']
GOOD = ["{n},1", '{n},"2"', '"{n}",3.5']


class Sale(BaseModel):
    item: str
    price: float = Field(ge=0)


class AnyPrice(BaseModel):
    item: str
    price: float | None = None


def declared(folder: Path, contract: type[BaseModel]) -> hr.Pipeline:
    shop = hr.Pipeline("shop", schedule="@daily", start=DAY)
    shop.source("sales", str(folder / "in" / "*.csv"), contract=contract, max_rejected=1.0)
    return shop


def number_of(text: str) -> int:
    return int("".join(sign for sign in text.partition(",")[0] if sign.isdigit()))


def numbers(lab: Lab) -> tuple[list[int], list[int]]:
    kept = [number_of(row["item"]) for row in lab.read("sales", DAY)]
    return sorted(kept), sorted(number_of(row["raw"].decode()) for row in lab.read("sales.quarantine", DAY))


@given(plan=st.lists(st.integers(0, 8), min_size=1, max_size=14), files=st.integers(1, 3), seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_each_record_is_kept_or_quarantined_once_whatever_is_mended(
    tmp_path_factory: pytest.TempPathFactory, plan: list[int], files: int, seed: int
) -> None:
    chance, folder = random.Random(seed), tmp_path_factory.mktemp("mending")
    (folder / "in").mkdir()
    texts = [(GOOD[kind - 6] if kind >= 6 else BAD[kind]).format(n=n) for n, kind in enumerate(plan)]
    for number in range(files):
        (folder / "in" / f"{number}.csv").write_text("\n".join(["item,price", *texts[number::files]]) + "\n")
    everyone = list(range(len(plan)))
    lab = Lab(declared(folder, Sale))
    lab.run(DAY)
    for turn in range(3):
        kept, bad = numbers(lab)
        assert sorted(kept + bad) == everyone
        if not bad:
            break
        path = folder / f"{turn}.csv"
        export_to_mend(lab.session, "sales", quarantine_at(lab.session, "sales", DAY), path)
        mended = {n for n in bad if chance.random() < 0.5} or {bad[0]}
        becomes_good = {n for n in mended if chance.random() < 0.7}
        records = [row["raw"].decode() for row in lab.read("sales.quarantine", DAY)]
        lines = [
            (chance.choice(GOOD) if n in becomes_good else "{n},odd").format(n=n) if n in mended else text
            for text in records
            for n in [number_of(text)]
        ]
        path.write_text("\n".join(["item,price", *lines]) + "\n")
        if lines == records:
            continue
        receipt = replay(lab.session, "sales", path)
        assert receipt.rows_read == receipt.rows_kept + receipt.rows_quarantined == len(everyone)
        assert numbers(lab) == (sorted([*kept, *becomes_good]), sorted(set(bad) - becomes_good))
    session = Lab(declared(folder, AnyPrice))
    session._lake = lab._lake
    session.run(DAY)
    kept, bad = numbers(session)
    assert sorted(kept + bad) == everyone


PLACES = st.builds(Place, st.sampled_from(["a.csv", "b.csv"]), st.integers(0, 5))


@st.composite
def chains(draw: st.DrawFn) -> list[Mend]:
    found = []
    for number in range(draw(st.integers(0, 4))):
        places = draw(st.lists(st.none() | PLACES, max_size=6, unique_by=lambda place: place or object()))
        files = {place.file: f"bytes of {place.file}" for place in places if place}
        found.append(Mend(f"mended-{number + 1}-x.csv", f"{number}", files, dict(enumerate(places))))
    return found


@given(mends=chains())
def test_each_mended_record_is_left_out_and_has_one_in_its_place(mends: list[Mend]) -> None:
    out = left_out(mends)
    mended = {place for mend in mends for _, place in mend.places}
    counting = [(mend.name, offset) for mend in mends for offset in mend.links if offset not in out.get(mend.name, ())]
    assert {Place(file, offset) for file in ("a.csv", "b.csv") for offset in out.get(file, ())} == mended
    assert len(counting) == len(mended)


@given(mends=chains())
def test_what_is_packed_is_read_back_and_equal_mends_have_equal_bytes(mends: list[Mend]) -> None:
    assert mends_of(pack_mends(mends), source="here") == mends
    assert pack_mends(mends_of(pack_mends(mends), source="here")) == pack_mends(mends)


@given(mends=chains(), there=st.sets(st.sampled_from(["a.csv", "b.csv"])))
def test_a_mend_holds_for_the_bytes_that_are_there_under_whatever_name_and_for_no_others(mends: list[Mend], there: set[str]) -> None:
    now = {f"1-{name}": f"bytes of {name}" for name in there} | {"c.csv": "others"}
    for mend in mends:
        standing = now_standing(mend, now)
        assert standing.links.keys() == mend.links.keys()
        assert [(n, place) for n, place in standing.places] == [
            (n, Place(f"1-{p.file}", p.offset)) for n, p in mend.places if p.file in there
        ]
