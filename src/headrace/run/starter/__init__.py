"""The pipeline file that `headrace init` writes: a contract, a table and, for a target, a first model of one CSV file.

`survey` looks at the CSV, `choices` decides from what was seen, `text` says it in Python; only `write_starter` writes. The
invariant: a file that exists is never touched.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headrace.core.errors import ConfigurationError
from headrace.run.starter.choices import choose, module_name
from headrace.run.starter.survey import survey
from headrace.run.starter.text import text_of

__all__ = ["write_starter"]


def write_starter(csv: Path, *, target: str | None, into: Path) -> Path:
    """Write a pipeline file for a CSV file into the folder `into`, or as the file `into` if its name ends in .py, and give its path.

    `target` is a column's header, or the name made of it. Errors: SourceError when the CSV can't be read as one,
    UnknownNameError for a target that it lacks, DataError for one that can't be learnt, ConfigurationError when the file to
    be written exists already.
    """
    file = into if into.suffix == ".py" else into / f"{module_name(csv)}.py"
    if file.exists():
        raise ConfigurationError(
            f"Writing a pipeline for `{csv.name}`: `{file}` exists already, and is left as it is. Move it away, or choose another name."
        )
    starter = choose(survey(csv), target=target, into=file.parent)
    text = text_of(replace(starter, name=module_name(file)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file
