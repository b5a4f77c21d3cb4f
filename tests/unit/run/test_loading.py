"""Pipeline files: imported as Python would, and what is wrong with them told with file and line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.core.errors import MissingLibraryError, PipelineError
from headrace.run.loading import load_pipeline

ONE = 'import headrace as hr\nshop = hr.Pipeline("shop")\nshop.source("rows_", "rows.csv")\n'


@pytest.fixture(autouse=True)
def _modules_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def written(folder: Path, text: str, name: str = "shop_steps.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


def refused(file: Path, **options: str) -> str:
    with pytest.raises(PipelineError) as caught:
        load_pipeline(file, **options)
    return str(caught.value)


def test_a_file_is_imported_under_its_own_name_with_its_folder_importable(tmp_path: Path) -> None:
    written(tmp_path, "NAME = 'rows_'\n", "beside_shop.py")
    loaded = load_pipeline(written(tmp_path, "from beside_shop import NAME\n" + ONE.replace('"rows_"', "NAME")))
    assert (loaded.module.__name__, loaded.graph.name, list(loaded.graph.steps)) == ("shop_steps", "shop", ["rows_"])


def test_a_file_named_like_a_module_that_is_there_takes_nothing_from_it(tmp_path: Path) -> None:
    before = sys.modules["json"]
    assert load_pipeline(written(tmp_path, ONE, "json.py")).module.__name__ == "headrace_pipeline_json"
    assert sys.modules["json"] is before


def test_a_pipeline_with_two_names_in_a_file_is_one(tmp_path: Path) -> None:
    assert load_pipeline(written(tmp_path, ONE + "again = shop\n")).graph.name == "shop"


def test_of_several_pipelines_one_is_chosen_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, ONE + 'taxi = hr.Pipeline("taxi")\n')
    assert "has 2 pipelines (shop, taxi). Keep one in a file." in refused(file)
    assert load_pipeline(file, name="taxi").graph.name == "taxi"
    assert "none called `bus`" in refused(file, name="bus")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n", 'makes no pipeline. It needs one at the top level, such as: shop = headrace.Pipeline("shop", schedule="@daily")'),
        ("x = (\n", "shop_steps.py:1: '(' was never closed: x = ("),
        ("import math\nx = math.sqrt(-1)\n", "shop_steps.py:2: the file can't be imported: ValueError"),
        ("def f():\n    raise KeyError('a')\n\nf()\n", "shop_steps.py:2: the file can't be imported: KeyError: 'a'"),
        (ONE + 'shop.source("rows_", "x.csv")\n', "shop_steps.py:4: Two steps are called `rows_`"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    written(tmp_path, ONE)
    assert "The folder has: shop_steps.py." in refused(tmp_path / "shop_step.py")
    assert "headrace init data.csv --target COLUMN" in refused(tmp_path / "nowhere" / "x.py")
    assert "a pipeline file is Python, and its name ends in .py" in refused(written(tmp_path, ONE, "shop.txt"))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("by_key(test=1.3)", "by_key(test=1.3): a share lies between 0 and 1"),
        ("by_key(test=0)", "by_key(test=0, valid=0) leaves a side empty"),
        ('by_time(test="7 days")', "by_time(test='7 days'): `7 days` is not a duration"),
        ('by_time(test="7d", gap="1y")', "by_time(gap='1y'): `1y` is not a duration"),
        ('at_least("r2", "high")', "at_least('r2', 'high'): "),
        ('at_most("mae", None)', "at_most('mae', None): "),
        ('no_worse("r2", float("nan"))', "no_worse('r2', nan): "),
    ],
)
def test_a_wrong_split_or_gate_is_told_as_it_was_written_with_its_line(tmp_path: Path, call: str, told: str) -> None:
    assert refused(written(tmp_path, f"import headrace as hr\nx = hr.{call}\n")).startswith(f"shop_steps.py:2: {told}")


def test_headraces_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    text = 'from headrace.core.errors import MissingLibraryError\nraise MissingLibraryError("pip install x")\n'
    with pytest.raises(MissingLibraryError, match=r"^pip install x$"):
        load_pipeline(written(tmp_path, text))
