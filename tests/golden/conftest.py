"""Commands in this process, in a folder of their own, and texts to compare with the files in `expected`.

With HEADRACE_GOLDEN=write in the environment the files are written anew: look at the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import folder, headrace

__all__ = ["folder", "golden", "headrace"]

_EXPECTED = Path(__file__).parent / "expected"
_IS_WRITING = os.environ.get("HEADRACE_GOLDEN") == "write"


@pytest.fixture
def golden(folder: Path, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """`golden(text)`: the text is the one that is kept under the test's name, but for paths, times and digests."""

    def compare(text: str) -> None:
        name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")
        file = _EXPECTED / f"{name}.txt"
        found = _plain(text, folder)
        if _IS_WRITING:
            file.parent.mkdir(exist_ok=True)
            file.write_text(found, encoding="utf-8")
        assert found == file.read_text(encoding="utf-8")

    return compare


def _plain(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"-[0-9a-f]{32}\b", "-NONCE", text)
    text = re.sub(r"\b\d+\.\d\d(?=  | s\b)", "0.00", text)
    return "".join(line.rstrip() + "\n" for line in text.rstrip().splitlines())
