"""Where raw files come from: this machine's disks, and installed packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.backends.origins import local, package
from headrace.core.errors import SourceError


def test_a_path_is_relative_to_the_base_and_its_mark_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1")
    origin = local.open(tmp_path)
    (before,) = origin.find("a.csv")
    assert (before.uri, before.name, before.size_bytes) == (str(path), "a.csv", 1)
    with origin.open(before) as file:
        assert file.read() == b"1"
    path.write_text("22")
    assert origin.find(str(path))[0].mark != before.mark


def test_a_pattern_finds_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.csv", "b/a.csv", "a.csv", "x.txt"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder.csv").mkdir()
    origin = local.open(tmp_path)
    assert [file.name for file in origin.find("*.csv")] == ["a.csv", "c.csv"]
    assert [Path(file.uri).relative_to(tmp_path).as_posix() for file in origin.find("**/*.csv")] == ["a.csv", "b/a.csv", "c.csv"]
    assert origin.find("none*.csv") == ()


def test_a_name_that_looks_like_a_pattern_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a[1].csv").write_text("")
    assert [file.name for file in local.open(tmp_path).find("a[1].csv")] == ["a[1].csv"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is a folder\. Name its files, such as"):
        local.open(tmp_path).find(".")


def test_a_packages_file_is_found_and_nothing_is_imported() -> None:
    program = (
        "import sys; from headrace.backends.origins import package; "
        "(file,) = package.open().find('package://sklearn.datasets/data/breast_cancer.csv'); "
        "print(file.name, package.open().open(file).read(3), 'sklearn' in sys.modules)"
    )
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "breast_cancer.csv b'569' False\n"


def test_a_file_that_a_package_does_not_have_is_not_found() -> None:
    assert package.open().find("package://headrace.core/none.csv") == ()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("package://no_such_package/a.csv", "there is no installed package `no_such_package`"),
        ("package://headrace.nothing/a.csv", "there is no installed package `headrace.nothing`"),
        ("package://headrace", "names no file"),
    ],
)
def test_a_package_that_is_not_there_is_an_error(location: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        package.open().find(location)
