"""No message about a tracker shows how one gets into it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.backends.trackers.mlflow import masked, quoted

secrets = st.text(st.characters(categories=["L", "N"]), min_size=8, max_size=20)


@given(secrets, st.sampled_from(["http", "https", "postgresql+psycopg2", "mysql"]))
def test_user_and_password_never_show(secret, scheme):
    for shape in (
        "{scheme}://{secret}:{secret}@host/db",
        "{scheme}://ana:{secret}@x@host:5000",
        "no answer ({scheme}://host/a?token={secret})",
    ):
        assert secret not in masked(shape.format(scheme=scheme, secret=secret))


def test_what_is_no_secret_stays():
    assert masked("sqlite:////home/ana/lake/mlflow.db is locked") == "sqlite:////home/ana/lake/mlflow.db is locked"


def test_a_value_with_one_kind_of_quote_is_put_into_the_other():
    assert quoted("a/b") == "'a/b'"
    assert quoted("ana's") == '"ana\'s"'
