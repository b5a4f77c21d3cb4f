"""Versions of libraries, from what is installed and without importing it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.run.code import changed_parts
from headrace.run.code.libraries import Libraries

if TYPE_CHECKING:
    from conftest import Project


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed libraries on sys.path."""
    folder = tmp_path / "env" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("frobnicate", None)


def install(site: Path, module: str, distribution: str, number: str) -> None:
    for info in site.glob(f"{distribution}-*.dist-info"):
        for file in info.iterdir():
            file.unlink()
        info.rmdir()
    file = site / f"{module}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("def work():\n    return 1\n")
    info = site / f"{distribution}-{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution.replace('_', '-')}\nVersion: {number}\n")
    (info / "RECORD").write_text(f"{module}.py,,\n")


@pytest.mark.parametrize(("module", "distribution"), [("click", "click"), ("yaml", "pyyaml"), ("_pytest", "pytest")])
def test_a_module_is_led_back_to_its_distribution(module: str, distribution: str) -> None:
    assert Libraries().of(f"{module}.inner") == (distribution, version(distribution))


def test_nothing_is_imported_to_find_a_version(site: Path) -> None:
    install(site, "frobnicate", "frob_tools", "1.2")

    assert Libraries().of("frobnicate.work") == ("frob-tools", "1.2")
    assert "frobnicate" not in sys.modules


def test_parts_of_a_namespace_are_told_apart(site: Path) -> None:
    install(site, "spread/one", "spread_one", "1.0")
    install(site, "spread/two", "other_name", "2.0")
    libraries = Libraries()

    assert libraries.of("spread.one.work") == ("spread-one", "1.0")
    assert libraries.of("spread.two") == ("other-name", "2.0")


@pytest.mark.parametrize(
    "body",
    [
        "import frobnicate\n\ndef step():\n    return frobnicate.work()\n",
        "def step():\n    from frobnicate import work\n    return work()\n",
    ],
)
def test_a_new_version_of_a_library_is_seen(project: Project, site: Path, body: str) -> None:
    project.write({"shop.py": body})
    install(site, "frobnicate", "frob_tools", "1.2")
    before = project.digest()
    install(site, "frobnicate", "frob_tools", "1.3")
    after = project.digest()

    assert changed_parts(before.parts, after.parts) == ("library frob-tools 1.2 -> 1.3",)
    assert after.digest != before.digest


def test_a_library_that_the_step_does_not_use_does_not_count(project: Project) -> None:
    project.write({"shop.py": "import click\n\ndef other():\n    return click.echo\n\ndef step():\n    return 1\n"})

    assert set(project.digest().parts) == {"function step in shop.py", "python"}


def test_which_function_of_a_library_is_meant_counts(project: Project) -> None:
    project.write({"shop.py": "from click import echo as f\n\ndef step():\n    return f(1)\n"})
    before = project.digest()
    project.edit("shop.py", "echo as f", "secho as f")

    assert project.digest().digest != before.digest


def test_code_on_the_path_without_a_version_goes_by_its_text(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    common = tmp_path / "common"
    common.mkdir()
    monkeypatch.syspath_prepend(str(common))
    project.write({"shop.py": "def step():\n    import ours\n    return ours.work()\n"})
    (common / "ours.py").write_text("def work():\n    return 1\n")
    before = project.digest()
    (common / "ours.py").write_text("def work():\n    return 2\n")
    after = project.digest()

    assert after.digest != before.digest
    assert after.parts["library ours"].startswith("source ")


def test_an_environment_inside_the_project_is_not_the_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = project.root / "env" / "lib" / "packages"
    monkeypatch.syspath_prepend(str(packages))
    install(packages, "frobnicate", "frob_tools", "1.2")
    (project.root / "env" / "pyvenv.cfg").write_text("")
    project.write({"shop.py": "import frobnicate\n\ndef step():\n    return frobnicate.work()\n"})

    assert "library frob-tools" in project.digest().parts
