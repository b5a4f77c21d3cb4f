"""The cache is never stale: after each edit of the code a run gives what the code now says, and after a comment it does nothing."""

from __future__ import annotations

from pathlib import Path

from commands import headrace

PIPELINE = '''\
"""A step whose answer depends on a helper here and on a module beside."""
import headrace as hr

from beside import TEN

answers = hr.Pipeline("answers")


def one():
    return 1


@answers.table
def answer():
    return [{"value": one() + TEN}]
'''


def test_edits_of_helper_module_and_body_are_seen_and_a_comment_is_not(tmp_path: Path) -> None:
    file = tmp_path / "answers.py"
    beside = tmp_path / "beside.py"
    file.write_text(PIPELINE)
    beside.write_text("TEN = 10\n")

    def run() -> tuple[int, str, str]:
        said = headrace("run", file, "--at", "2026-11-01", "--json", "--no-report", cwd=tmp_path)
        assert said.code == 0, said.err
        receipt = said.receipt("answer")
        reading = (
            f"import headrace as hr; print(hr.open_lake({str(tmp_path / 'lake')!r}).read('answers.answer', to='duckdb').fetchall()[0][0])"
        )
        return _python(reading, tmp_path), receipt["state"], receipt["why"]

    assert run()[:2] == (11, "made")
    assert run()[:2] == (11, "cached")
    file.write_text(file.read_text().replace("return 1\n", "return 2\n"))
    assert run() == (12, "made", "function `one` in answers.py changed")
    beside.write_text("TEN = 20\n")
    assert run() == (22, "made", "constant `TEN` in beside.py changed")
    file.write_text(file.read_text().replace("one() + TEN", "one() + TEN + 100"))
    assert run() == (122, "made", "function `answer` in answers.py changed")
    file.write_text(file.read_text().replace("def one():", '# only a comment\ndef one():\n    """And a docstring."""'))
    assert run() == (122, "cached", "nothing changed")


SOURCE = '''\
"""A source whose contract has a validator, with a helper here."""
from pydantic import BaseModel, field_validator

import headrace as hr

words = hr.Pipeline("words", schedule="@daily", start="2026-01-01")


def ending():
    return "!"


class Word(BaseModel):
    word: str

    @field_validator("word")
    @classmethod
    def loud(cls, value):
        return value + ending()


words.source("said", "said.csv", contract=Word)
'''


def test_the_code_of_a_contracts_validators_is_seen_too(tmp_path: Path) -> None:
    file = tmp_path / "words.py"
    file.write_text(SOURCE)
    (tmp_path / "said.csv").write_text("word\nhi\n")

    def run() -> tuple[str, str]:
        said = headrace("run", file, "--at", "2026-11-01", "--json", "--no-report", cwd=tmp_path)
        assert said.code == 0, said.err
        receipt = said.receipt("said")
        return receipt["state"], receipt["why"]

    assert run()[0] == "made"
    assert run() == ("cached", "nothing changed")
    file.write_text(file.read_text().replace('"!"', '"?"'))
    assert run()[0] == "made"
    file.write_text(file.read_text().replace("value + ending()", "value"))
    assert run()[0] == "made"
    file.write_text(file.read_text().replace("    word: str", "    # only a comment\n    word: str"))
    assert run() == ("cached", "nothing changed")


def _python(code: str, cwd: Path) -> int:
    import subprocess
    import sys

    return int(subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True).stdout)
