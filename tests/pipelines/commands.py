"""Running the command as a user does, in a process of its own, and reading what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    def receipt(self, step: str) -> dict[str, Any]:
        (found,) = [r for r in self.document["receipts"] if r["step"] == step]
        return found


def headrace(*arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 240) -> Said:
    """Run `headrace …` and wait for it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
    environment |= {"HEADRACE_TRACKING": "none", **(env or {})}
    done = subprocess.run(
        [sys.executable, "-m", "headrace", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
