"""How much petrol does a state use? The classic lab: a random forest on 48 states, trained hourly, published under its execution date.

The file is set from outside, with HEADRACE_SOURCES_STATES=…/petrol_consumption.csv or in headrace.toml:

    [local.sources.states]
    location = "petrol_consumption.csv"

With --profile prod the file and the lake are in buckets: see headrace.toml beside this file.
"""

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

import headrace as hr

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

petrol = hr.Pipeline("petrol", schedule="@hourly", start="2026-01-01")

FEATURES = ["petrol_tax", "average_income", "paved_highways", "licensed_share"]


class State(BaseModel):
    petrol_tax: float = Field(alias="Petrol_tax", ge=0)  # cents a gallon
    average_income: int = Field(alias="Average_income", gt=0)  # dollars
    paved_highways: int = Field(alias="Paved_Highways", ge=0)  # miles
    licensed_share: float = Field(alias="Population_Driver_licence(%)", ge=0, le=1)
    consumption: int = Field(alias="Petrol_Consumption", gt=0)  # millions of gallons


petrol.source("states", "petrol_consumption.csv", contract=State)


@petrol.table(key="state", split=hr.by_key(test=0.2))
def consumption(states: hr.Frame) -> str:
    """One row a state. The file does not name them, so their figures do."""
    return f"select md5(concat_ws(' ', average_income, paved_highways, licensed_share)) as state, * from {states}"


@petrol.model(consumption, features=FEATURES, target="consumption", gate=hr.at_most("mae", 100))
def forest(trees: int = 20) -> "Pipeline":
    """The scaler is part of the model, so what was tested is what serves."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RandomForestRegressor(trees))


petrol.predict(forest, consumption, name="expected", columns=["consumption"])

dag = hr.airflow_dag(petrol)  # nothing, unless Airflow is reading the file
