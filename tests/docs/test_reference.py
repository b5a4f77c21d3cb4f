"""Everything that has a name has a heading in the reference: commands, settings, flavours, errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import headrace.core.errors as errors
from headrace.config import DEFAULTS
from headrace.plugins import flavours

SOURCE = Path(errors.__file__).parents[1]
PORTS = sorted(
    file.parent.name
    for file in (SOURCE / "backends").glob("*/__init__.py")
    if "No port of its own" not in file.read_text(encoding="utf-8")  # what several flavours share
)
HEADING = re.compile(r"^#{2,4} .*?`([^`]+)`", re.MULTILINE)


def headings(project: Path, page: str) -> set[str]:
    return set(HEADING.findall((project / "docs" / "reference" / page).read_text(encoding="utf-8")))


def test_every_command_has_a_heading(project: Path) -> None:
    told = subprocess.run([sys.executable, "-m", "headrace", "--help"], capture_output=True, text=True, check=True).stdout
    commands = {f"headrace {name}" for name in re.findall(r"^  ([a-z]+)  +[A-Z]", told.partition("Commands:")[2], re.MULTILINE)}
    assert "headrace run" in commands
    assert commands == {" ".join(name.split()[:2]) for name in headings(project, "cli.md") if name.startswith("headrace ")}


def test_every_setting_has_a_heading(project: Path) -> None:
    assert set(DEFAULTS) <= headings(project, "settings.md")


@pytest.mark.parametrize("port", PORTS)
def test_every_flavour_has_a_heading(project: Path, port: str) -> None:
    told = headings(project, "flavours.md")
    assert port in told
    assert set(flavours(port)) <= told


def test_every_error_has_a_heading(project: Path) -> None:
    classes = {name for name in errors.__all__ if isinstance(value := getattr(errors, name), type) and issubclass(value, Exception)}
    assert classes == headings(project, "errors.md")


def test_the_tree_of_errors_is_drawn_as_it_is(project: Path) -> None:
    """The drawing in the module and on the page name every class below its real parent, and the builtin that it is too."""
    drawing = re.findall(r"^ *((?:│ +)*)(?:[├└]── )?(\w+Error)(?: \((\w+)\))?", errors.__doc__ or "", re.MULTILINE)
    drawn = {name: builtin for _, name, builtin in drawing}
    page = (project / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    for name, builtin in drawn.items():
        bases = {base.__name__ for base in getattr(errors, name).__mro__}
        assert not builtin or builtin in bases
        assert name in page
    assert set(drawn) == {name for name in errors.__all__ if name.endswith("Error")}


def test_the_generated_pages_are_up_to_date(project: Path) -> None:
    done = subprocess.run([sys.executable, "scripts/reference.py", "--check"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
