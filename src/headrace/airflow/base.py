"""What every operator holds: the file, the pipeline in it, and the profile.

The invariant: plain texts only, none of them a template, so that a DAG serializes the same at every parse.
"""

from __future__ import annotations

from airflow.sdk import BaseOperator

__all__ = ["PipelineOperator"]


class PipelineOperator(BaseOperator):
    """A task of a pipeline's DAG."""

    def __init__(self, *, file: str, pipeline: str, profile: str | None = None, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # Airflow's own options
        self.file = file
        self.pipeline = pipeline
        self.profile = profile
