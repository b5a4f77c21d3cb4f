"""What the digest does not depend on, and what parts and digests look like."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.run.code import CodeIndex, changed_parts

if TYPE_CHECKING:
    from conftest import Project

SHOP = """
    import logging
    from pathlib import Path

    import lib

    HERE = Path(__file__).parent
    DATA = str(HERE / "data")
    NAME = __name__
    log = logging.getLogger(__name__)

    def helper():
        return HERE, DATA, NAME, log, __name__, __file__

    def step():
        return helper(), lib.clean({1, 2, 3})
"""
LIB = """
    WORDS = frozenset({"a", "b", "c", "d"})

    def clean(x):
        return x in WORDS
"""
FILES = {"shop.py": SHOP, "lib.py": LIB}


def test_the_name_under_which_a_file_is_loaded_does_not_count(project: Project) -> None:
    project.write(FILES)

    digests = [CodeIndex(project.root).digest(project.load(name=name).step) for name in ("__main__", "shop", "headrace_pipeline_shop")]

    assert digests[0] == digests[1] == digests[2]


def test_a_file_that_its_own_helper_imports_back_counts_once(project: Project) -> None:
    project.write(
        {
            "shop.py": "LIMIT = 1\ndef step():\n    import lib\n    return lib.clean()\n",
            "lib.py": "import shop\ndef clean():\n    return shop.LIMIT\n",
        }
    )

    assert CodeIndex(project.root).digest(project.load(name="shop").step) == CodeIndex(project.root).digest(project.load(name="other").step)


def test_the_place_of_the_project_does_not_count(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(FILES)
    before = project.digest()

    moved = tmp_path / "elsewhere"
    shutil.copytree(project.root, moved)
    shutil.rmtree(project.root)
    monkeypatch.syspath_prepend(str(moved))
    project.forget()
    project.root = moved

    assert project.digest() == before


def test_the_name_of_a_module_does_not_count(project: Project) -> None:
    project.write({"shop.py": "import lib as words\n\ndef step():\n    return words.clean(1)\n", "lib.py": LIB})
    before = project.digest()

    project.edit("shop.py", "import lib as words", "import text as words")
    (project.root / "lib.py").rename(project.root / "text.py")

    assert project.digest().digest == before.digest


def test_another_process_with_another_hash_seed_agrees(project: Project) -> None:
    project.write(FILES)
    script = "import sys, shop; from pathlib import Path; from headrace.run.code import CodeIndex; print(CodeIndex(Path(sys.argv[1])).digest(shop.step).digest)"

    def in_a_process(seed: str) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project.root), *filter(None, sys.path)]), "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", script, str(project.root)], env=environment, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    assert in_a_process("1") == in_a_process("2") == project.digest().digest


def test_a_step_that_ran_has_the_digest_that_it_had_before(project: Project) -> None:
    project.write(
        {
            "shop.py": "def step():\n    import late\n    return late.LIMIT, late.work()\n",
            "late.py": "LIMIT = 2 * 3\ndef work():\n    return LIMIT\n",
        }
    )
    module = project.load()
    before = CodeIndex(project.root).digest(module.step)

    module.step()

    assert CodeIndex(project.root).digest(module.step) == before


def test_two_names_that_swap_what_they_mean_are_seen(project: Project) -> None:
    project.write(
        {
            "shop.py": "from lib import a, b, a as f, b as g\n\ndef step():\n    return a(1) + b(2) + f(3) - g(4)\n",
            "lib.py": "def a(x):\n    return x\n\ndef b(x):\n    return x + 1\n",
        }
    )
    before = project.digest()

    project.edit("shop.py", "a, b, a as f, b as g", "a, b, b as f, a as g")
    after = project.digest()

    assert after.digest != before.digest
    assert changed_parts(before.parts, after.parts) == ("function `step` in shop.py changed",)


def test_equal_names_of_two_modules_that_swap_their_values_are_seen(project: Project) -> None:
    project.write({"shop.py": "import a, b\n\ndef step():\n    return a.LIMIT - b.LIMIT\n", "a.py": "LIMIT = 1\n", "b.py": "LIMIT = 2\n"})
    before = project.digest()

    project.write({"a.py": "LIMIT = 2\n", "b.py": "LIMIT = 1\n"})

    assert project.digest().digest != before.digest


def test_an_index_that_is_asked_again_after_a_reload_sees_the_new_code(project: Project) -> None:
    project.write(FILES)
    index = CodeIndex(project.root)
    before = index.digest(project.load().step)

    project.edit("lib.py", "x in WORDS", "x not in WORDS")

    assert index.digest(project.load().step).digest != before.digest


def test_code_that_was_edited_after_it_was_loaded_does_not_pass_for_the_new(project: Project) -> None:
    project.write(FILES)
    loaded = project.load().step
    project.edit("lib.py", "x in WORDS", "x not in WORDS")

    old_code = CodeIndex(project.root).digest(loaded)
    new_code = project.digest()

    assert old_code.digest != new_code.digest
    assert "lib.py: what was loaded is not what the file says now" in old_code.opaque
    assert new_code.opaque == ()


def test_a_step_outside_of_the_projects_folder_is_followed_in_its_own(project: Project, tmp_path: Path) -> None:
    project.write(FILES)
    index_root = tmp_path / "other"
    index_root.mkdir()
    before = CodeIndex(index_root).digest(project.load().step)

    project.edit("shop.py", "return helper()", "return 1, helper()")
    after = CodeIndex(index_root).digest(project.load().step)

    assert changed_parts(before.parts, after.parts) == ("function `step` in shop.py changed",)


def test_parts_are_phrases_with_short_digests(project: Project) -> None:
    project.write(
        {
            "shop.py": "import click\n\nLIMIT = 3\n\nclass Cleaner:\n    pass\n\ndef step():\n    return LIMIT, Cleaner(), click.echo, (lambda: 1)\n"
        }
    )

    digest = project.digest()

    assert list(digest.parts) == [
        "class Cleaner in shop.py",
        "constant LIMIT in shop.py",
        "function step in shop.py",
        "library click",
        "python",
    ]
    assert re.fullmatch("[0-9a-f]{64}", digest.digest)
    assert all(re.fullmatch("[0-9a-f]{16}", digest.parts[label]) for label in list(digest.parts)[:3])
    assert digest.parts["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
