from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOLD = """
import json
import skops.io._trusted_types as trusted
import skops.io._utils as utils
import sklearn.utils

lists = {name: sorted(getattr(trusted, name)) for name in dir(trusted) if name.endswith("_NAMES")}
print(json.dumps([lists, utils.whichmodule.__module__, sklearn.utils.all_estimators.__module__]))
"""


def told(opening: str) -> list[object]:
    done = subprocess.run([sys.executable, "-c", opening + TOLD], capture_output=True, text=True, check=True)
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("before", ["", "import scipy.special, scipy.stats\n", "import sklearn.ensemble, pandas\n"])
def test_what_skops_trusts_is_what_it_would_have_found_by_itself(before):
    ours = told(before + "from headrace.backends.models.sklearn.opening import skops_io\nskops_io()\n")
    theirs = told(before + "import headrace.backends.models.sklearn, skops.io\n")

    assert ours == theirs
