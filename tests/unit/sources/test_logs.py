"""Logs: a line's fields are the groups of a pattern, the same that Python's own patterns find, and a line that does not match says so."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from headrace.backends.sources.logs import open as open_logs
from headrace.core.contract import Contract, ContractField
from headrace.core.errors import ConfigurationError, SourceError
from headrace.core.log_patterns import BUILT_IN, groups_of
from headrace.core.ports import JSON, Landed, ReadResult
from headrace.core.source_options import LOGS_DEFAULTS, logs
from headrace.core.step import SourceOptions

Row = dict[str, object]


def read(
    folder: Path, data: bytes, contract: Contract | None = None, name: str = "file.log", **options: JSON
) -> tuple[ReadResult, list[Row], list[Row]]:
    path, rows, quarantine = folder / name, folder / "rows.parquet", folder / "quarantine.parquet"
    path.write_bytes(data)
    counter = open_logs().counter(name, options)
    counter.feed(data)
    landed = Landed(str(path), path, sha256(data).hexdigest(), len(data), counter.finish())
    result = open_logs().read([landed], contract=contract, options=options, rows=rows, quarantine=quarantine)
    return result, parquet.read_table(rows).to_pylist(), parquet.read_table(quarantine).to_pylist()


def optional(*columns: tuple[str, str]) -> Contract:
    return Contract("C", tuple(ContractField(name, name, type_, nullable=True) for name, type_ in columns))  # type: ignore[arg-type]


LINE = '192.0.2.7 - ana [17/May/2015:10:05:03 +0200] "GET /a?b=\\"c\\" HTTP/1.1" 200 203 "-" "curl/8 (\\"x\\")"'


def test_a_combined_line_becomes_a_typed_row(tmp_path: Path) -> None:
    lines = [LINE.replace("\\", ""), LINE.replace('?b=\\"c\\"', ""), '::1 - - [17/May/2015:10:05:03 +0000] "-" 408 - "-" "-"']
    _, rows, quarantine = read(tmp_path, "\n".join(lines).encode())
    assert [row["line"] for row in quarantine] == [1]
    time = datetime(2015, 5, 17, 8, 5, 3, tzinfo=UTC)
    assert rows == [
        {
            "host": "192.0.2.7", "ident": None, "user": "ana", "time": time, "request": "GET /a HTTP/1.1", "method": "GET", "path": "/a",
            "protocol": "HTTP/1.1", "status": 200, "bytes": 203, "referrer": None, "agent": 'curl/8 (\\"x\\")',
        },
        {
            "host": "::1", "ident": None, "user": None, "time": time.replace(hour=10), "request": None, "method": None, "path": None,
            "protocol": None, "status": 408, "bytes": None, "referrer": None, "agent": None,
        },
    ]  # fmt: skip


def test_a_request_that_is_none_is_kept_as_it_is_written(tmp_path: Path) -> None:
    data = rb'192.0.2.7 - - [17/May/2015:10:05:03 +0000] "\x16\x03\" hello" 400 226'
    _, rows, _ = read(tmp_path, data, optional(("request", "str"), ("method", "str"), ("status", "int")), pattern="common")
    assert rows == [{"request": r"\x16\x03\" hello", "method": None, "status": 400}]


def test_a_time_that_is_none_breaks_the_contract_and_says_the_form(tmp_path: Path) -> None:
    data = LINE.replace("17/May", "32/May").encode()
    _, rows, quarantine = read(tmp_path, data, optional(("time", "datetime")))
    assert rows == []
    assert quarantine[0]["reasons"] == ["time: '32/May/2015:10:05:03 +0200' is not a time of the form %d/%b/%Y:%H:%M:%S %z"]


def test_lines_of_syslog_old_and_new(tmp_path: Path) -> None:
    lines = [
        "May  7 10:05:03 web1 sshd[812]: Accepted key for ana",
        "<34>2026-11-20T08:00:00.123456+01:00 web1 CRON: (root) CMD (run: it)",
        "<13>Nov 20 08:00:00 web1 kernel: ",
        "Nov 20 web1 kernel: no time",
    ]
    _, rows, quarantine = read(tmp_path, "\n".join(lines).encode(), pattern="syslog")
    assert [tuple(row.values()) for row in rows] == [
        (None, "May  7 10:05:03", "web1", "sshd", 812, "Accepted key for ana"),
        (34, "2026-11-20T08:00:00.123456+01:00", "web1", "CRON", None, "(root) CMD (run: it)"),
        (13, "Nov 20 08:00:00", "web1", "kernel", None, None),
    ]
    assert [(row["line"], row["reasons"]) for row in quarantine] == [(4, ["line does not match the pattern"])]


def test_a_pattern_of_ones_own_may_have_groups_without_names(tmp_path: Path) -> None:
    data = b"# a log\nWARN(3) disk: full\nINFO(1) up: -\nx\n"
    pattern = r"(?P<level>[A-Z]+)(\((?P<times>\d)\)) (?P<Topic>\w+): (?P<rest>.*)"
    result, rows, quarantine = read(
        tmp_path, data, optional(("level", "str"), ("rest", "str"), ("times", "int")), pattern=pattern, skip=1, null_words=["-"]
    )
    assert rows == [{"level": "WARN", "rest": "full", "times": 3}, {"level": "INFO", "rest": None, "times": 1}]
    assert ([row["line"] for row in quarantine], result.undeclared) == ([4], ("Topic",))


def test_the_whole_line_has_to_match(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"ab\nabc\nxab\n", pattern="(?P<v>ab|a)")[2]) == 2


def test_a_pattern_that_re2_cannot_run_is_refused_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"pattern='.*' can't be used: .* Patterns are RE2's, which has no look-around"):
        read(tmp_path, b"a\n", pattern="(?x)(?P<v>a) # verbose")


def test_json_under_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"`file\.log` is not a log file: its first bytes are those of JSON"):
        read(tmp_path, b'{"a": 1}\n')


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?P<a>x)(?=y)", "it has look-ahead and look-behind, which RE2"),
        (r"(?P<a>x)(?<!y)", "look-ahead and look-behind"),
        (r"(?P<a>x)\1", "references back to a group"),
        (r"(?P<a>x)(?P=a)", "references back to a group"),
        (r"(?P<a>x)(?(1)y)", "conditions"),
        (r"(?P<a>x++)", "atomic groups and possessive repeats"),
        (r"(?P<a>(?>x))", "atomic groups and possessive repeats"),
        (r"(?P<a>x{1001})", "it repeats more than 1000 times"),
        (r"(?P<a>x)\Z", "leave it out: the whole line has to match"),
        (r"(x) y", r"it has no named group such as \(\?P<message>.\*\), and is none of common, combined, syslog"),
        ("combine", "it has no named group"),
        (r"(?P<a>x)(?P<A>y)", "differ only in case"),
        (r"(?P<a>x", "it is no pattern: missing \\), unterminated subpattern"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_where_it_is_declared(pattern: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"logs\('a.log'\): pattern=.*{why}"):
        logs("a.log", pattern=pattern)


@pytest.mark.parametrize("pattern", [r"(?P<a>[(?=)]+\\1)", r"(?P<a>x\++)", r"(?i)(?P<a>x{1,1000}?)", r"(?P<a>\[(?:\\.)*\])"])
def test_what_only_looks_like_something_that_re2_lacks_is_a_pattern(pattern: str, tmp_path: Path) -> None:
    assert logs("a.log", pattern=pattern).options == {"pattern": pattern}
    read(tmp_path, b"x\n", pattern=pattern)


def test_a_default_that_is_written_out_is_no_change_and_all_that_cannot_be_is_listed() -> None:
    assert logs("a.log", pattern="combined", encoding="AUTO", skip=0) == logs("a.log") == SourceOptions("logs", "a.log", {})
    assert set(LOGS_DEFAULTS) >= set(logs("a.log", pattern="common", null_words=[], timezone="Europe/London").options)
    with pytest.raises(ConfigurationError, match=r"pattern='x': .*; encoding='ebcdic' is not read.*; skip=-1"):
        logs("a.log", pattern="x", encoding="ebcdic", skip=-1)


# ---------------------------------------------------------------- the same as Python's patterns

_PARTS = st.sampled_from(
    [
        *["192.0.2.7", "::1", "-", " ", "  ", "ana", "x y", "[", "]", '"', "\\", '\\"', "[17/May/2015:10:05:03 +0000]", '"GET / HTTP/1.1"'],
        *['"-"', "GET", "/é", "\x0b", "\x85", "\t", "200", "١٢٣", "May  7 10:05:03", "2026-11-20T08:00:00Z", "<34>", "sshd", "[812]", ":"],
    ]
)
_WHOLE = {
    "combined": '192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "x"',
    "common": '192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 -',
    "syslog": "<34>May  7 10:05:03 web1 sshd[812]: x",
}


@pytest.mark.parametrize("name", BUILT_IN)
@given(data=st.data())
@settings(max_examples=60)
def test_known_patterns_find_what_pythons_own_find(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    def line() -> str:
        if data.draw(st.booleans()):
            return "".join(data.draw(st.lists(_PARTS, min_size=1, max_size=8)))
        begin, end = sorted(data.draw(st.tuples(st.integers(0, len(_WHOLE[name])), st.integers(0, len(_WHOLE[name])))))
        return _WHOLE[name][:begin] + data.draw(_PARTS) + _WHOLE[name][end if data.draw(st.booleans()) else begin :]

    lines = [_WHOLE[name], *filter(None, (line() for _ in range(12)))]  # what begins as another kind of file does is refused
    pattern = re.compile(BUILT_IN[name].text, re.ASCII)
    groups = groups_of(BUILT_IN[name].text)
    texts = optional(*[(str(group), "str") for group in groups])
    _, rows, _ = read(tmp_path_factory.mktemp("same"), "\n".join(lines).encode(), texts, pattern=name, null_words=[])
    found = [match for match in map(pattern.fullmatch, lines) if match]
    assert rows == [{group: match[group] or None for group in map(str, groups)} for match in found]


@pytest.mark.data
def test_all_lines_of_a_real_access_log_are_accounted_for(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "apache_access_log" / "apache_logs").read_bytes()
    columns = ("time", "datetime"), ("method", "str"), ("path", "str"), ("status", "int"), ("bytes", "int"), ("agent", "str")
    result, rows, quarantine = read(tmp_path, data, optional(*columns))
    assert (result.rows_read, result.rows_kept, result.rows_quarantined) == (10_000, 9_999, 1)
    assert [(row["line"], row["reasons"]) for row in quarantine] == [(8899, ["line does not match the pattern"])]
    assert quarantine[0]["raw"].endswith(b"bot.html"), "the line was cut off inside its last quotes"
    lines = data.splitlines()
    assert quarantine[0]["raw"] == lines.pop(8898)
    times = [datetime.strptime(re.search(r"\[(.*?)\]", line.decode())[1], "%d/%b/%Y:%H:%M:%S %z") for line in lines]
    assert [row["time"] for row in rows] == times
    assert [row["bytes"] for row in rows] == [None if size == "-" else int(size) for size in (found(line) for line in lines)]
    assert {row["method"] for row in rows} == {"GET", "HEAD", "POST", "OPTIONS"}


def found(line: bytes) -> str:
    """What stands after the status: the size of the answer."""
    return re.search(r'" \d{3} (\S+) "', line.decode())[1]
