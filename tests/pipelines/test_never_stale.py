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


def _python(code: str, cwd: Path) -> int:
    import subprocess
    import sys

    return int(subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True).stdout)
