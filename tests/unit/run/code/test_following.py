"""What is followed beyond names: pipelines, living objects, declared dependencies; and what is said to be opaque."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from headrace.core.errors import PipelineError
from headrace.run.code import CodeIndex, changed_parts

if TYPE_CHECKING:
    from conftest import Project

PIPELINE = """
    class Pipeline:
        def __init__(self, name):
            self.name = name

        def table(self, function=None, **options):
            return function if function else lambda function: function

    Pipeline.__module__ = "headrace.pipeline"
"""
SHOP = """
    import functools
    from pipeline import Pipeline

    shop = Pipeline("shop")
    shop.first = "a setting"

    def twice(function):
        @functools.wraps(function)
        def both():
            return function() + function()
        return both

    @shop.table(key="id")
    def other():
        return "select 1"

    @shop.table
    def called():
        return 5

    @shop.table(key="id")
    @twice
    def step():
        return shop, other, called()
"""
FILES = {"shop.py": SHOP, "pipeline.py": PIPELINE}


@pytest.mark.parametrize(
    ("edit", "is_seen"),
    [
        (('key="id"', 'key="other"'), False),
        (('Pipeline("shop")', 'Pipeline("store")'), False),
        (("a setting", "another"), False),
        (("select 1", "select 2"), False),
        (("return 5", "return 6"), True),
        (("function() + function()", "function() * 2"), True),
        (("@twice\n", "\n"), True),
        (("return shop, other", "return other, shop"), True),
    ],
    ids=[
        "its settings",
        "the pipeline",
        "the pipeline's attribute",
        "a step that is only named",
        "a step that is called",
        "a decorator",
        "no decorator",
        "the body",
    ],
)
def test_a_pipeline_and_its_steps_are_no_part_of_a_step_but_what_it_calls_is(
    project: Project, edit: tuple[str, str], is_seen: bool
) -> None:
    project.write(FILES)
    before = project.digest()

    project.edit("shop.py", *edit)

    assert (project.digest().digest != before.digest) is is_seen


LIVE = """
    from functools import partial

    class Scaler:
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return x * self.by

        def apply(self, x):
            return x * self.by

    def make(limit, helper, options):
        def inner(x, floor=limit + 1):
            return helper(x) + limit + options["a"](x) + floor if x else inner(x - 1)
        return inner

    def plus(x):
        return x + 1

    def minus(x):
        return x - 1

    def keep(n):
        def inner(x, n=n):
            return x * n
        return inner

    kept = keep(6)
    closure = make(3, plus, {"a": minus})
    part = partial(plus, 4)
    instance = Scaler(5)
    method = Scaler(6).apply
    short = lambda x: x + 7
    pair = lambda x: x + 8, lambda x: x + 9
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("closure", "make(3", "make(30"),
        ("closure", "x + 1", "x + 10"),
        ("closure", "x - 1\n\n", "x - 10\n\n"),
        ("closure", "limit + 1", "limit + 2"),
        ("kept", "keep(6)", "keep(7)"),
        ("part", "plus, 4", "plus, 5"),
        ("part", "x + 1", "x + 10"),
        ("instance", "Scaler(5)", "Scaler(50)"),
        ("instance", "return x * self.by", "return x / self.by"),
        ("method", "Scaler(6)", "Scaler(60)"),
        ("short", "x + 7", "x + 70"),
        ("closure", "plus, {", "minus, {"),
    ],
)
def test_a_living_object_is_followed(project: Project, name: str, before: str, after: str) -> None:
    project.write({"shop.py": LIVE})
    first = project.digest(name)
    assert first == project.digest(name)

    project.edit("shop.py", before, after)
    second = project.digest(name)

    assert second.digest != first.digest
    assert changed_parts(first.parts, second.parts)
    assert second.opaque == ()


@pytest.mark.parametrize(
    ("name", "before", "after"), [("short", "x + 8", "x + 80"), ("part", "plus, {", "minus, {"), ("closure", "x + 7", "x + 70")]
)
def test_what_a_living_object_does_not_reach_does_not_count(project: Project, name: str, before: str, after: str) -> None:
    project.write({"shop.py": LIVE})
    first = project.digest(name)
    project.edit("shop.py", before, after)

    assert project.digest(name) == first


def test_two_lambdas_on_one_line_count_together(project: Project) -> None:
    project.write({"shop.py": LIVE})
    first = CodeIndex(project.root).digest(project.load().pair[0])
    project.edit("shop.py", "x + 9", "x + 90")

    assert CodeIndex(project.root).digest(project.load().pair[0]).digest != first.digest


OPAQUE = """
    import importlib
    import os
    from pathlib import Path

    def step(name):
        importlib.import_module(name)
        importlib.import_module("json")
        getattr(os, name)
        getattr(os, "sep")
        eval("1 + 1")
        os.environ["HOME"]
        open("a.txt")
        Path("b.txt").read_text()
        frame.eval("a + b")
"""


def test_what_cannot_be_followed_is_named_with_its_place(project: Project) -> None:
    project.write({"shop.py": OPAQUE})

    assert project.digest().opaque == (
        "Path('b.txt').read_text() in shop.py:14",
        "eval('1 + 1') in shop.py:11",
        "getattr(os, name) in shop.py:9",
        "importlib.import_module(name) in shop.py:7",
        "open('a.txt') in shop.py:13",
        "os.environ in shop.py:12",
    )


def test_a_module_that_is_imported_by_a_literal_is_followed(project: Project) -> None:
    project.write(
        {
            "shop.py": "import importlib\n\ndef step():\n    return importlib.import_module('late').work()\n",
            "late.py": "def work():\n    return 1\n",
        }
    )
    before = project.digest()
    project.edit("late.py", "return 1", "return 2")

    assert project.digest().digest != before.digest


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [("shop.py", "return 1", "return 2"), ("data/words.txt", "one", "two"), ("late.py", "LIMIT = 1", "LIMIT = 2")],
)
def test_what_is_declared_counts(project: Project, file: str, before: str, after: str) -> None:
    project.write(
        {
            "shop.py": """
                import late

                def hidden():
                    return 1

                def step(name):
                    return globals()[name]()

                step.__headrace_depends__ = (hidden, late, "data/words.txt")
            """,
            "late.py": "LIMIT = 1\n",
            "data/words.txt": "one",
        }
    )
    first = project.digest()
    project.edit(file, before, after)

    assert project.digest().digest != first.digest


def test_what_is_declared_from_outside_counts(project: Project) -> None:
    project.write({"shop.py": "def step():\n    return 1\n", "data/words.txt": "one"})

    def digest() -> str:
        step = project.load().step
        return CodeIndex(project.root, declared={step: ["data"]}).digest(step).digest

    first = digest()
    project.edit("data/words.txt", "one", "two")

    assert digest() != first


def test_a_declared_file_that_is_not_there_is_an_error(project: Project) -> None:
    project.write({"shop.py": "def step():\n    return 1\n\nstep.__headrace_depends__ = ('words.txt',)\n"})

    with pytest.raises(
        PipelineError, match="step declares in `__headrace_depends__` that it depends on 'words\\.txt', but there is no such file"
    ):
        project.digest()


def test_a_value_read_from_a_file_at_import_counts(project: Project) -> None:
    project.write(
        {
            "shop.py": "import json\nfrom pathlib import Path\n\nLIMITS = json.loads((Path(__file__).parent / 'limits.json').read_text())\n\ndef step():\n    return LIMITS\n",
            "limits.json": '{"a": 1}',
        }
    )
    before = project.digest()
    project.edit("limits.json", "1", "2")

    assert project.digest().digest != before.digest


def test_a_choice_at_import_counts(project: Project) -> None:
    shop = "import config\n\nif config.FAST:\n    def work():\n        return 1\nelse:\n    def work():\n        return 2\n\ndef step():\n    return work()\n"
    project.write({"shop.py": shop, "config.py": "FAST = True\n"})
    before = project.digest()
    project.edit("config.py", "True", "False")

    assert project.digest().digest != before.digest


def test_an_object_of_a_library_goes_by_its_assignment(project: Project) -> None:
    shop = "import threading\nimport collections\n\nlock = threading.Semaphore(2)\n\ndef step():\n    return lock\n"
    project.write({"shop.py": shop})
    before = project.digest()
    assert before == project.digest()
    project.edit("shop.py", "Semaphore(2)", "Semaphore(3)")

    assert project.digest().digest != before.digest


def test_a_function_without_a_source_goes_by_its_bytecode(project: Project) -> None:
    def typed(text: str) -> dict[str, object]:
        namespace: dict[str, object] = {"__name__": "__main__"}
        exec(text, namespace)  # what a prompt without history does
        return namespace

    def digest(text: str) -> tuple[str, tuple[str, ...]]:
        found = CodeIndex(project.root).digest(typed(text)["step"])  # type: ignore[arg-type]
        return found.digest, found.opaque

    text = "LIMIT = 1\ndef helper():\n    return LIMIT\ndef step():\n    return helper()\n"
    first, opaque = digest(text)

    assert digest(f"\n# a comment\n{text}")[0] == first
    assert digest(text.replace("LIMIT = 1", "LIMIT = 2"))[0] != first
    assert digest(text.replace("helper()\n", "helper() + 1\n"))[0] != digest(text.replace("helper()\n", "helper() + 2\n"))[0]
    assert "function step, which has no source: counted by its bytecode" in opaque


def test_a_notebook_is_read_from_what_the_interpreter_keeps(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import linecache

    def digest(*cells: str) -> str:
        namespace: dict[str, object] = {"__name__": "__main__"}
        for number, text in enumerate(cells):
            filename = f"<ipython-input-{number}>"
            monkeypatch.setitem(linecache.cache, filename, (len(text), None, text.splitlines(True), filename))
            exec(compile(text, filename, "exec"), namespace)
        found = CodeIndex(project.root).digest(namespace["step"])  # type: ignore[arg-type]
        assert found.opaque == ()
        return found.digest

    helper, step = "import math\nLIMIT = 1\ndef helper():\n    return math.floor(LIMIT)\n", "def step():\n    return helper()\n"
    first = digest(helper, step)

    assert digest(helper + "# a comment\n", "# another\n" + step) == first
    assert digest(helper.replace("floor", "ceil"), step) != first
    assert digest(helper.replace("LIMIT = 1", "LIMIT = 2"), step) != first
    assert digest(helper, step, "def helper():\n    return 3\n") != first


def test_a_sum_of_very_many_terms_can_be_read(project: Project) -> None:
    shop = f"def one():\n    return 1\n\ndef step():\n    return {' + '.join(['1'] * 1500)} + one()\n"
    project.write({"shop.py": shop})
    before = project.digest()
    project.edit("shop.py", "return 1\n\n", "return 2\n\n")

    assert project.digest().digest != before.digest


def test_functools_of_the_standard_library_are_no_project_code(project: Project) -> None:
    found = CodeIndex(project.root).digest(functools.partial(functools.reduce, max))

    assert not any(" in " in label for label in found.parts)
