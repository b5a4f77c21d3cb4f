"""The pages do not lie: their code runs, their commands do what they show, their links lead somewhere.

On a page, in the order of its blocks, in one empty folder a page (with a copy of `examples/` in it):

    ```python       is run, all blocks of a page in one namespace
    ```pycon        is run as a doctest, with `hr` for headrace
    ```console      is shown only, unless the line above it is `<!-- run -->`: then each `$ headrace …` must end with 0, or as
                    `<!-- run: exit 3 -->` says, and the lines below it must be found in its output, in order; `…` stands for any text
    any block       below `<!-- file: shop.py -->` is written to that file, and not run
    any block       below `<!-- skip: why -->` is left alone
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [page for page in (PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").rglob("*.md"))) if page.is_file()]
FENCE = re.compile(r"^(?P<margin> *)```(?P<language>[\w-]*)[^\n`]*\n(?P<text>.*?)^(?P=margin)```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- (?P<word>run|file|skip)(?:: (?P<rest>[^\n]*?))? -->\s*\Z")
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: what is said about it above it, and the line that its text starts on."""

    language: str
    text: str
    line: int
    word: str
    rest: str


def blocks_of(page: str) -> Iterator[Block]:
    for found in FENCE.finditer(page):
        said = COMMENT.search(page[: found.start()])
        margin = len(found["margin"])
        text = "".join(line[margin:] for line in found["text"].splitlines(keepends=True))
        yield Block(
            found["language"],
            text,
            page.count("\n", 0, found.start("text")),
            said["word"] if said else "",
            (said["rest"] or "") if said else "",
        )


def run_page(blocks: list[Block], folder: Path, module: ModuleType) -> None:
    for block in blocks:
        if block.word == "skip":
            assert block.rest, f"line {block.line}: a block that is skipped says why"
        elif block.word == "file":
            (folder / block.rest).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.rest).write_text(block.text)
        elif block.language == "python":
            run_python(block, Path(str(module.__file__)), module)
        elif block.language == "pycon":
            run_doctest(block, module)
        elif block.language == "console" and block.word == "run":
            run_console(block, folder)


def run_python(block: Block, file: Path, module: ModuleType) -> None:
    """Run a block from a file in which it stands on the line that it has on the page: tracebacks and steps point there."""
    lines = file.read_text().count("\n") if file.exists() else 0
    with file.open("a") as grown:
        grown.write("\n" * (block.line - lines) + block.text)
    exec(compile("\n" * block.line + block.text, str(file), "exec"), module.__dict__)


def run_doctest(block: Block, module: ModuleType) -> None:
    import headrace

    names = {"hr": headrace, **{name: getattr(headrace, name) for name in headrace.__all__}, **module.__dict__}
    test = doctest.DocTestParser().get_doctest(block.text, names, module.__name__, str(module.__file__), block.line)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    assert not told, "".join(told)


def run_console(block: Block, folder: Path) -> None:
    code = int(block.rest.removeprefix("exit ")) if block.rest else 0
    for command, expected in commands_of(block.text):
        words = shlex.split(command, comments=True)
        assert words[0] == "headrace", f"only headrace's own commands are run, not: {command}"
        environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, f"$ {command}\n{done.stdout}{done.stderr}"
        missing = first_missing(expected, done.stdout + done.stderr)
        assert missing is None, f"$ {command}\ndoes not print: {missing}\n{done.stdout}{done.stderr}"


def commands_of(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines of output shown below it."""
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, *expected = part.rstrip("\n").split("\n")
        yield command, [line for line in expected if line.strip(" …")]


def first_missing(expected: list[str], output: str) -> str | None:
    """The first expected line that does not come after those before it. Runs of spaces count as one."""
    actual = iter([squeezed(line) for line in output.splitlines()])
    for line in expected:
        pattern = re.compile(".*?".join(re.escape(part) for part in squeezed(line).split("…")))
        if not any(pattern.fullmatch(seen) for seen in actual):
            return line
    return None


def squeezed(line: str) -> str:
    return " ".join(line.split())


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = list(blocks_of(page.read_text(encoding="utf-8")))
    if (PROJECT / "examples").is_dir():
        shutil.copytree(PROJECT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("lake", "__pycache__"))
    module = ModuleType(f"page_{page.stem.replace('-', '_').lower()}")
    module.__file__ = str(tmp_path / f"{module.__name__}.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    run_page(blocks, tmp_path, module)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_its_language(page: Path) -> None:
    assert [block.line for block in blocks_of(page.read_text(encoding="utf-8")) if not block.language] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = [target for target in (found["target"] for found in LINK.finditer(text)) if not leads_somewhere(page, target)]
    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists():
        return False
    return not anchor or (there.suffix == ".md" and anchor in anchors_of(there))


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.*?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-") for heading in headings}


def test_this_harness_finds_what_a_page_says() -> None:
    page = "A\n\n<!-- file: a.toml -->\n```toml\nx = 1\n```\n\n```python\ny = 1\n```\n<!-- run: exit 3 -->\n```console\n$ headrace ls \\\n  x\nall … well\n$ headrace log\n```\n"
    first, second, third = blocks_of(page)
    assert (first.word, first.rest, first.text) == ("file", "a.toml", "x = 1\n")
    assert (second.language, second.word, second.line) == ("python", "", 8)
    assert list(commands_of(third.text)) == [("headrace ls    x", ["all … well"]), ("headrace log", [])]
    assert first_missing(["all … well"], "so\nall   is well\n") is None
    assert first_missing(["b", "a"], "a\nb\n") == "a"
