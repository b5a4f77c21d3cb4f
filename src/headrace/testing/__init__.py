"""Tools for testing pipelines: a lab with a lake in memory and a fixed clock, and one step on literal rows.

    >>> import headrace as hr
    >>> from headrace.testing import run_step
    >>> shop = hr.Pipeline("shop")
    >>> _ = shop.source("purchases", "purchases.csv")
    >>> @shop.table
    ... def totals(purchases):
    ...     return "select customer, sum(spent) as spent from purchases group by customer order by customer"
    >>> run_step(shop, "totals", {"purchases": [{"customer": 1, "spent": 2.5}, {"customer": 1, "spent": 1.5}]})
    [{'customer': 1, 'spent': 4.0}]

The invariant: what runs here is what runs in production, on another store and clock.
"""

from __future__ import annotations

from headrace.testing.lab import Lab, Row, run_step

__all__ = ["Lab", "Row", "run_step"]
