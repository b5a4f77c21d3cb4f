"""How a bucket is reached: sizes, and settings that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.access import Access, size_of
from headrace.core.connection import Connection
from headrace.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("20GB", 20_000_000_000), ("1.5 GiB", 1_610_612_736), ("7kb", 7_000), (" 3 MiB ", 3_145_728)]
)
def test_a_size_in_words_is_bytes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "5 miles", "1,5GB"])
def test_what_is_no_size_is_told_with_examples(text: str) -> None:
    with pytest.raises(ConfigurationError, match="20GB, 500MB or"):
        size_of(text)


def test_an_encryption_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="Known: AES256, aws:kms, aws:kms:dsse"):
        Access(encryption="rot13")


@pytest.mark.parametrize("encryption", [None, "AES256"])
def test_a_key_without_its_encryption_is_refused(encryption: str | None) -> None:
    with pytest.raises(ConfigurationError, match="kms_key"):
        Access(encryption=encryption, kms_key="arn:aws:kms:eu-central-1:1:key/2")


def test_no_secret_is_shown() -> None:
    access = Access(
        connection=Connection("my_aws", "aws", login="AKIACANARY", password="canary-of-a-password"),
        environment={"AWS_SECRET_ACCESS_KEY": "canary-of-the-environment"},
        cache=Path("cache"),
    )
    assert "canary" not in repr(access).lower()
