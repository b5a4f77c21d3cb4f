"""What is DuckDB's own: types in which columns are stored, how the engine is opened, and what it never loads."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from headrace.backends.engines.duckdb import open as open_engine
from headrace.backends.engines.duckdb.text import parquet, quote, stored_type
from headrace.core.errors import ConfigurationError, MissingLibraryError
from headrace.core.ports import InputFiles, WriteOrder


@pytest.mark.parametrize(
    ("found", "stored"),
    [
        ("BIGINT", "BIGINT"),
        ("DECIMAL(38,9)", "DECIMAL(38,9)"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("STRUCT(a HUGEINT, b ENUM('x, y', 'it''s'))", "STRUCT(a BIGINT, b VARCHAR)"),
        ('STRUCT("INTERVAL" BIGINT)', 'STRUCT("INTERVAL" BIGINT)'),
        ("DOUBLE[3][]", "DOUBLE[][]"),
        ("MAP(VARCHAR, UHUGEINT)", "MAP(VARCHAR, UBIGINT)"),
        ("TIME WITH TIME ZONE", None),
        ("STRUCT(a INTERVAL)", None),
        ("UNION(a BIGINT)", None),
    ],
)
def test_a_type_is_stored_as_one_that_parquet_has(found: str, stored: str | None) -> None:
    assert stored_type(found) == stored


def test_names_and_paths_are_quoted() -> None:
    assert quote('a"b') == '"a""b"'
    assert parquet([Path("it's/[a]*.parquet")]) == "read_parquet(['it''s/[[]a][*].parquet'])"


def test_a_setting_that_duckdb_does_not_take_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'lots' is not a size"):
        open_engine(memory="lots")
    with pytest.raises(ConfigurationError, match=r"cannot be opened with .*-7"):
        open_engine(threads=-7).session(work=tmp_path)


def test_a_missing_library_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with open_engine().session(work=tmp_path) as session:
        written = session.write([{"a": 1}], WriteOrder({"rows": tmp_path / "a.parquet"}), values={})
        with pytest.raises(MissingLibraryError, match=r"pip install 'headrace\[polars\]'"):
            session.give(InputFiles("t", (), written.schema), "polars_lazy")


def test_sql_and_plain_rows_load_no_library_of_frames(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from headrace.backends.engines.duckdb import open
from headrace.core.ports import Column, WriteOrder
with open().session(work=Path({str(tmp_path)!r})) as session:
    for result in ([{{"a": 1}}], "select 1 as a"):
        session.write(result, WriteOrder({{"rows": Path({str(tmp_path / "a.parquet")!r})}}), values={{}})
print([name for name in ("pyarrow", "numpy", "pandas", "polars", "ibis") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


# ---------------------------------------------------------------- where it spills


def test_what_does_not_fit_into_memory_is_put_where_only_this_user_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = open_engine()
    with engine.session(work=tmp_path):
        (folder,) = tmp_path.iterdir()
    assert (folder.name, folder.stat().st_mode & 0o777) == (f"headrace-duckdb-{os.getuid()}", 0o700)
    with open_engine().session(work=tmp_path):
        pass  # the next process takes the same one


@pytest.mark.parametrize("made", ["open", "link", "file"])
def test_a_folder_that_others_could_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"headrace-duckdb-{os.getuid()}"
    if made == "open":
        folder.mkdir()
        folder.chmod(0o755)
    elif made == "link":
        (tmp_path / "other").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "other")
    else:
        folder.write_text("")
    with pytest.raises(ConfigurationError, match="temp="):
        open_engine().session(work=tmp_path)
    with open_engine(temp=tmp_path / "own").session(work=tmp_path):
        assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
