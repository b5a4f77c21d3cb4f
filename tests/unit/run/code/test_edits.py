"""Planted edits: what must run again after each, and what must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from headrace.run.code import changed_parts

if TYPE_CHECKING:
    from conftest import Project

SHOP = """
    import enum
    import functools
    import math
    from dataclasses import dataclass
    from functools import lru_cache, partial, singledispatch

    from pydantic import BaseModel, Field

    import headrace_like
    import lib
    import lib.deep
    from lib import clean as tidy, RATE
    from lib.more import *
    from lib.round import up as rounded

    LIMIT = 10
    TABLE = {"a": [1, 2], "b": {3, 4}}
    OWN = "own"
    COMPUTED = sum([1, 2, 3])
    UNUSED = 5
    EPSILON: float = 0.5
    EPSILON += 1


    class Colour(enum.Enum):
        RED = 1


    @dataclass
    class Point:
        x: int = 3


    class Config:
        LIMIT = LIMIT
        OWN = OWN


    class Row(BaseModel):
        price: float = Field(ge=0)


    class Base:
        def factor(self):
            return 2


    class Scaler(Base):
        def __init__(self, by):
            self.by = by

        def __call__(self, x):
            return x * self.by * self.factor()


    def twice(function):
        @functools.wraps(function)
        def both(*args):
            return function(*args) + function(*args)

        return both


    def times(count):
        def around(function):
            def wrapper(*args):
                return function(*args) * count

            return wrapper

        return around


    @twice
    def decorated(x):
        return x + 100


    @times(3)
    def parametrised(x):
        return x


    def make(n):
        def inner(x):
            return x + n

        return inner


    HANDLERS = {}


    def register(function):
        HANDLERS[function.__name__] = function
        return function


    @register
    def handle_a(x):
        return x - 1


    @singledispatch
    def kind_of(x):
        return "any"


    @kind_of.register
    def _(x: int):
        return "int"


    @lru_cache
    def cached(x):
        return x + 7


    def even(n):
        return n == 0 or odd(n - 1)


    def odd(n):
        return n != 0 and even(n - 1)


    def keyed(x, *, by=LIMIT, of=lib.SIZE):
        return x


    def keep(n):
        def inner(x, n=n):
            return x * n

        return inner


    closed = make(4)
    kept = keep(6)
    part = partial(keyed, 1, by=30)
    scale = Scaler(2)
    shift = lambda x: x + 11
    unused = lambda x: x + 12


    def helper(x):
        # a comment
        return x + 1


    def untouched(x):
        return x


    def step(rows):
        "A docstring."
        import late
        from lib import lazy as l

        total = helper(1) + tidy(2) + lib.deep.dive(3) + starred(4) + rounded(1.5)
        total += LIMIT + RATE + len(TABLE) + COMPUTED + EPSILON + Colour.RED.value + Point().x
        total += decorated(1) + parametrised(2) + kept(1) + Config.LIMIT + closed(1) + scale(2) + shift(1) + cached(1)
        handled = [HANDLERS[key](1) for key in sorted(HANDLERS)]
        other = late.work(l.LAZY_LIMIT), even(3), kind_of(1), part(), math.floor(2.5), Row(price=1.0)
        untouched = 3
        return f"{total} rows" , handled, other, [x for x in range(3)], untouched
"""
FILES = {
    "shop.py": SHOP,
    "headrace_like.py": "",
    "late.py": """
        from lib import deep

        from functools import singledispatch
        from lib.stars import *

        FACTOR = 3
        UNUSED = 4

        @singledispatch
        def sign(x):
            return 1

        @sign.register
        def _(x: int):
            return -1

        def work(x):
            return x * FACTOR + deep.dive(1) + sign(x) + twinkle(x)
    """,
    "lib/__init__.py": """
        from .cleaning import clean

        RATE = 0.5
        SIZE = 3
    """,
    "lib/cleaning.py": """
        from . import words

        def clean(x):
            return x + words.count("a b")

        def not_used(x):
            return 1
    """,
    "lib/words.py": """
        def count(text):
            return len(text.split())
    """,
    "lib/deep.py": """
        DEPTH = 5

        def dive(x):
            return x * DEPTH
    """,
    "lib/more.py": """
        def starred(x):
            return x + 40
    """,
    "lib/stars.py": """
        def twinkle(x):
            return x + 50
    """,
    "lib/round.py": """
        from math import ceil as up
    """,
    "lib/lazy.py": """
        LAZY_LIMIT = 1
        OTHER = 2
    """,
}

MUST_RUN = {
    "the body": ("shop.py", "range(3)", "range(4)"),
    "a helper in the same file": ("shop.py", "return x + 1\n", "return x + 2\n"),
    "an operator": ("shop.py", "return x + 1\n", "return x - 1\n"),
    "a type of number": ("shop.py", "total = helper(1)", "total = helper(1.0)"),
    "an imported function by its alias": ("lib/cleaning.py", "return x + words", "return x - words"),
    "a function behind a relative import": ("lib/words.py", "len(text.split())", "len(text)"),
    "a function of a submodule": ("lib/deep.py", "x * DEPTH", "x / DEPTH"),
    "a constant of a submodule": ("lib/deep.py", "DEPTH = 5", "DEPTH = 6"),
    "a function behind a star import": ("lib/more.py", "x + 40", "x + 41"),
    "which library function an alias is": ("lib/round.py", "ceil as up", "floor as up"),
    "a constant": ("shop.py", "LIMIT = 10", "LIMIT = 11"),
    "an imported constant": ("lib/__init__.py", "RATE = 0.5", "RATE = 0.6"),
    "an item of a constant": ("shop.py", "{3, 4}", "{3, 5}"),
    "a computed constant": ("shop.py", "sum([1, 2, 3])", "sum([1, 2, 4])"),
    "a second assignment": ("shop.py", "EPSILON += 1", "EPSILON += 2"),
    "an enum": ("shop.py", "RED = 1", "RED = 2"),
    "a dataclass": ("shop.py", "x: int = 3", "x: int = 4"),
    "a contract": ("shop.py", "Field(ge=0)", "Field(ge=1)"),
    "a method": ("shop.py", "x * self.by", "x / self.by"),
    "a method of a base class": ("shop.py", "return 2\n", "return 3\n"),
    "a decorator": ("shop.py", "function(*args) + function(*args)", "function(*args) - function(*args)"),
    "an argument of a decorator": ("shop.py", "@times(3)", "@times(4)"),
    "a decorator that is gone": ("shop.py", "@twice\n", ""),
    "a decorated function": ("shop.py", "x + 100", "x + 101"),
    "a function that a decorator wrapped": ("shop.py", "def parametrised(x):\n    return x", "def parametrised(x):\n    return -x"),
    "a cached function": ("shop.py", "x + 7", "x + 8"),
    "what a closure holds": ("shop.py", "make(4)", "make(5)"),
    "a nested function": ("shop.py", "return x + n", "return x - n"),
    "an argument of a partial": ("shop.py", "by=30", "by=31"),
    "a default value": ("lib/__init__.py", "SIZE = 3", "SIZE = 4"),
    "a callable object": ("shop.py", "Scaler(2)", "Scaler(3)"),
    "a lambda": ("shop.py", "x + 11", "x + 13"),
    "a function in a registry": ("shop.py", "return x - 1", "return x - 2"),
    "an overload of a singledispatch": ("shop.py", '"int"', '"integer"'),
    "one of two that call each other": ("shop.py", "n != 0 and", "n > 0 and"),
    "a module imported in the body": ("late.py", "x * FACTOR", "x + FACTOR"),
    "a constant of a module imported in the body": ("late.py", "FACTOR = 3", "FACTOR = 4"),
    "a module behind one imported in the body": ("lib/deep.py", "DEPTH = 5", "DEPTH = 50"),
    "a constant of a submodule imported in the body": ("lib/lazy.py", "LAZY_LIMIT = 1", "LAZY_LIMIT = 2"),
    "an overload in a module imported in the body": ("late.py", "return -1", "return -2"),
    "a function behind a star import of a module imported in the body": ("lib/stars.py", "x + 50", "x + 51"),
    "a constant that a class takes over by its name": ("shop.py", 'OWN = "own"', 'OWN = "other"'),
    "the text in an f-string": ("shop.py", "{total} rows", "{total} lines"),
}
MUST_NOT_RUN = {
    "a comment": ("shop.py", "# a comment", "# another comment"),
    "a docstring": ("shop.py", '"A docstring."', '"Another docstring."'),
    "a docstring that is gone": ("shop.py", '"A docstring."\n', "\n"),
    "blank lines": ("shop.py", "\n\n\ndef ", "\n\n\n\n\n\ndef "),
    "line breaks": ("shop.py", "helper(1) + tidy(2)", "helper(\n  1,\n) + (tidy(2))"),
    "quotes": ("shop.py", '"a": [1, 2]', "'a': [1, 2]"),
    "a way to write a number": ("shop.py", "LIMIT = 10\n", "LIMIT = 0xA\n"),
    "another way to compute a constant": ("shop.py", "sum([1, 2, 3])", "2 * 3"),
    "an annotation of a local variable": ("shop.py", "untouched = 3\n", "untouched: int = 3\n"),
    "an annotation of a module's variable": ("shop.py", "EPSILON: float = ", "EPSILON = "),
    "an unused constant": ("shop.py", "UNUSED = 5", "UNUSED = 6"),
    "an unused function": ("shop.py", "def untouched(x):\n    return x", "def untouched(x):\n    return -x"),
    "an unused lambda": ("shop.py", "x + 12", "x + 14"),
    "an unused function of a module": ("lib/cleaning.py", "return 1", "return 2"),
    "an unused constant of a module imported in the body": ("late.py", "UNUSED = 4", "UNUSED = 5"),
    "an unused import": ("shop.py", "import headrace_like\n", ""),
    "the order of definitions": ("shop.py", "LIMIT = 10\nTABLE = {", "TABLE = {"),
}


@pytest.mark.parametrize("edit", MUST_RUN.values(), ids=MUST_RUN.keys())
def test_an_edit_of_what_a_step_uses_is_seen(project: Project, edit: tuple[str, str, str]) -> None:
    project.write(FILES)
    before = project.digest()

    project.edit(*edit)
    after = project.digest()

    assert after.digest != before.digest
    assert changed_parts(before.parts, after.parts)


@pytest.mark.parametrize("edit", MUST_NOT_RUN.values(), ids=MUST_NOT_RUN.keys())
def test_an_edit_that_changes_nothing_is_not_seen(project: Project, edit: tuple[str, str, str]) -> None:
    project.write(FILES)
    before = project.digest()

    project.edit(*edit)
    if edit[1].startswith("LIMIT = 10\nTABLE"):
        project.edit("shop.py", "UNUSED = 5\n", "UNUSED = 5\nLIMIT = 10\n")
    after = project.digest()

    assert after == before


def test_the_four_edits_of_a_step_that_returned_11(project: Project) -> None:
    project.write(
        {
            "shop.py": """
                from lib import base

                def one():
                    return 1

                def step():
                    return base() + one()
            """,
            "lib.py": "def base():\n    return 10\n",
        }
    )
    seen = [(project.load().step(), project.digest().digest)]
    for edit in [
        ("shop.py", "return 1\n", "return 2\n"),
        ("lib.py", "return 10", "return 20"),
        ("shop.py", "base() + one()", "base() + one() + 100"),
        ("shop.py", "return base", "# only a comment\n    return base"),
    ]:
        project.edit(*edit)
        seen.append((project.load().step(), project.digest().digest))

    assert [result for result, _ in seen] == [11, 12, 22, 122, 122]
    assert len({digest for _, digest in seen}) == 4
    assert seen[3] == seen[4]


def test_what_changed_is_said_in_words(project: Project) -> None:
    project.write(FILES)
    before = project.digest()

    project.edit("lib/words.py", "len(text.split())", "len(text)")
    project.edit("shop.py", "LIMIT = 10", "LIMIT = 11")
    project.edit("shop.py", "x * self.by", "x / self.by")
    after = project.digest()

    assert changed_parts(before.parts, after.parts) == (
        "class `Scaler` in shop.py changed",
        "constant `LIMIT` in shop.py changed",
        "function `count` in lib/words.py changed",
    )


def test_new_and_gone_parts_and_versions_are_said_in_words() -> None:
    before = {"function a in shop.py": "1", "library scikit-learn": "1.8.0", "python": "3.11"}
    after = {"function b in shop.py": "1", "library scikit-learn": "1.9.1", "python": "3.12"}

    assert changed_parts(before, after) == (
        "function `a` in shop.py is gone",
        "function `b` in shop.py is new",
        "library scikit-learn 1.8.0 -> 1.9.1",
        "python 3.11 -> 3.12",
    )
