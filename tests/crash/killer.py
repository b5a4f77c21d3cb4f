"""A process that forks a child for each line it reads, `[k, act, folder, …]`, and kills it before its k-th file-system call.

An act is a function of `lake_work`, or `module.function`. It answers `killed`, or `ended` when the act was over before that. A process of its own, for it has no threads that a fork would lose.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from disk import killed_at

from headrace.backends.stores import local


def main() -> None:
    for line in sys.stdin:
        k, act, folder, *more = json.loads(line)
        module, _, name = act.rpartition(".")
        work = getattr(import_module(module or "lake_work"), name)
        child = os.fork()
        if child == 0:
            local.os = killed_at(k)
            work(Path(folder), *more)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        answer = "killed" if os.WIFSIGNALED(status) else "ended" if status == 0 else f"failed with {status}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
