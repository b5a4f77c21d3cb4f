"""Customers of a gift shop, grouped anew each week from their last 30 days.

The folder of daily files is set from outside, with HEADRACE_SOURCES_PURCHASES='…/{start:%Y-%m-%d}.csv' or in headrace.toml.
Saturdays and holidays have no file, which is normal here.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

import headrace as hr

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

shop = hr.Pipeline("shop", schedule="@daily", start="2010-12-01")


class Purchase(BaseModel):
    invoice: str = Field(alias="InvoiceNo")
    quantity: int = Field(alias="Quantity")  # returns are negative
    unit_price: float = Field(alias="UnitPrice", ge=0)
    customer_id: int | None = Field(alias="CustomerID")
    invoiced_at: datetime = Field(alias="InvoiceDate")


shop.source("purchases", "purchases/{start:%Y-%m-%d}.csv", contract=Purchase, missing="empty")


@shop.table(key="customer_id", history={"purchases": "30d"}, split=hr.by_key(test=0.2))
def spending(purchases: hr.Frame) -> str:
    """What each known customer ordered and spent in the last 30 days."""
    return f"""
        select customer_id, count(distinct invoice) as orders, sum(quantity * unit_price) as spent
        from {purchases}
        where customer_id is not null
        group by customer_id
    """


@shop.model(spending, features=["orders", "spent"], every="7d", gate=hr.at_least("silhouette", 0.3))
def groups(clusters: int = 5) -> "Pipeline":
    """Groups of customers by how often and how much they buy."""
    from sklearn.cluster import KMeans
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), KMeans(clusters))


shop.predict(groups, spending, name="customer_groups")

dag = hr.airflow_dag(shop)  # nothing, unless Airflow is reading the file
