"""The examples, each with raw files of the shape that it reads and the commands that run it over several intervals.

The files are drawn, so that they are everywhere; what is in the real ones is looked at in test_examples.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

__all__ = ["EXAMPLES", "Example"]

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True)
class Example:
    """One file of examples/. `draw` writes its raw files into a folder, and gives the variables that say where they lie."""

    commands: Sequence[Sequence[str]]
    models: Sequence[str]
    draw: Callable[[Path], dict[str, str]] = lambda _folder: {}


def draw_states(folder: Path) -> dict[str, str]:
    """48 states whose consumption follows from the other figures, but for a little."""
    draw = random.Random(1)
    lines = ["Petrol_tax,Average_income,Paved_Highways,Population_Driver_licence(%),Petrol_Consumption"]
    for _ in range(48):
        tax, income, licensed = draw.uniform(5, 10), draw.randint(3000, 5400), draw.uniform(0.4, 0.8)
        consumption = 800 * licensed - 30 * tax + income / 20 + draw.uniform(-20, 20)
        lines.append(f"{tax:.2f},{income},{draw.randint(400, 18000)},{licensed:.4f},{consumption:.0f}")
    file = folder / "petrol_consumption.csv"
    file.write_text("\n".join([*lines, ""]))
    return {"HEADRACE_SOURCES_STATES": str(file)}


def draw_purchases(folder: Path) -> dict[str, str]:
    """Twenty days of a shop in which few customers buy much and many buy little; on Saturdays there is no file."""
    draw = random.Random(2)
    first = datetime(2010, 12, 1)
    for day in (first + timedelta(days=n) for n in range(20)):
        if day.weekday() == 5:
            continue
        lines = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"]
        for number in range(40):
            customer = draw.randrange(60)
            invoice = f"{day:%d}{number:03}"
            for _ in range(1 + 5 * (customer < 12)):
                price = draw.uniform(50, 60) if customer < 12 else draw.uniform(1, 3)
                buyer = "" if draw.random() < 0.1 else f"{17000 + customer}.0"
                lines.append(f"{invoice},A1,TEA,{draw.randint(-1, 9)},{day:%Y-%m-%d} 10:00:00,{price:.2f},{buyer},United Kingdom")
        (folder / f"{day:%Y-%m-%d}.csv").write_text("\n".join([*lines, ""]))
    return {"HEADRACE_SOURCES_PURCHASES": str(folder / "{start:%Y-%m-%d}.csv")}


EXAMPLES = {
    "petrol": Example([["backfill", "--from", "2026-11-20T06", "--to", "2026-11-20T08"]], ["forest"], draw_states),
    "shop": Example([["backfill", "--to", "2010-12-15"], ["run", "--at", "2010-12-20"]], ["groups"], draw_purchases),
    "tumours": Example([["run", "--at", "2026-11-01"]], ["forest"]),
}
