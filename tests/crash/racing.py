"""Processes that race on one lake, and those that read and collect beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lake_work import Place

__all__ = ["COLLECTOR", "PROMOTER", "RACER", "READER", "begin", "end", "race"]

_BEGUN = """
import json, select, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import lake_work
from headrace.core.errors import LakeError, LostRaceError, NotReadyError, TransientError
from headrace.core.interval import Interval
place = sys.argv[2] if "://" in sys.argv[2] else Path(sys.argv[2])
more = sys.argv[3:]
print("ready", flush=True)
def is_over():
    return bool(select.select([sys.stdin], [], [], 0)[0])
"""
RACER = """
sys.stdin.readline()
told = []
for n, code in enumerate(more):
    hour = Interval.of(f"2026-11-20T{8 + n // 5:02d}", f"2026-11-20T{9 + n // 5:02d}")
    try:
        made = lake_work.commit(place, code, hour)
        told.append([str(hour), made.version, made.content.fingerprint])
    except LostRaceError:
        told.append([str(hour), 0, code])
    except (TransientError, LakeError) as error:
        told.append([str(hour), 0, code, str(error)])
print(json.dumps(told))
"""
PROMOTER = """
sys.stdin.readline()
print(json.dumps([lake_work.promote(place, who) for who in more]))
"""
COLLECTOR = """
done = 0
while not is_over():
    lake_work.collect_all(place)
    done += 1
print(done)
"""
READER = """
done = 0
while not is_over():
    for hour in range(8, 13):
        try:
            lake_work.read(place, Interval.of(f"2026-11-20T{hour:02d}", f"2026-11-20T{hour + 1:02d}"))
        except NotReadyError:
            continue
        done += 1
print(done)
"""

Process = subprocess.Popen[str]


def begin(script: str, place: Place, *more: str, environment: Mapping[str, str] = os.environ) -> Process:
    command = [sys.executable, "-c", _BEGUN + script, str(Path(__file__).parent), str(place), *more]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def end(*processes: Process) -> list[str]:
    """Tell those that go on until they are told to end; what they said. An error of one fails the test, when all have ended."""
    said = [process.communicate("stop\n") for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [err for _, err in said]
    return [out for out, _ in said]


def race(script: str, place: Place, *tasks: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[list[list[Any]]]:
    """Let processes loose on their tasks, all at the same moment; what each was told."""
    racers = [begin(script, place, *mine, environment=environment) for mine in tasks]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    return [json.loads(said) for said in end(*racers)]
