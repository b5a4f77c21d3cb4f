"""How settings become the way in to a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config import read_config
from headrace.core.access import Access
from headrace.core.errors import ConfigurationError
from headrace.run.access import access_by_settings, access_from_afar, plain_access


def test_patience_is_what_the_settings_say_here_and_in_another_process(tmp_path: Path) -> None:
    config = read_config(tmp_path / "shop.py", environment={"HEADRACE_PATIENCE_S": "7", "HEADRACE_LAKE": "s3://shop/lake"})
    assert access_by_settings(config, None).patience_s == 7
    assert access_from_afar(plain_access(config), None).patience_s == 7


def test_patience_is_two_minutes_unless_set(tmp_path: Path) -> None:
    assert access_by_settings(read_config(tmp_path / "shop.py", environment={}), None).patience_s == 120 == Access().patience_s


@pytest.mark.parametrize("said", ["0", "-1", "2m", "for ever"])
def test_patience_that_is_no_number_of_seconds_is_refused(said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="`patience_s` must be a whole number above 0"):
        read_config(tmp_path / "shop.py", environment={"HEADRACE_PATIENCE_S": said})
