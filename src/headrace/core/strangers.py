"""Files that are not the text that they are called: told by how they begin, or by bytes that no text has; and what to do about each.

Pure: bytes in, words out. The invariant: a beginning that is refused is one that no table of that kind has.
"""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Kind", "nul_advice", "problem_of_start", "utf8_advice"]

Kind = Literal["CSV", "JSON Lines", "log"]

_BOM = b"\xef\xbb\xbf"
_MARKUP = re.compile(rb"\s*<(?:!doctype|!--|\?xml|html|head|body|[a-z][\w:.-]*(?:\s[^>]*)?>)", re.IGNORECASE)
_JSON = re.compile(rb'\{\s*"|\[\s*[\[{]')
_EXCEL_SIGN = re.compile(rb'"?sep=(.)"?(?:\r\n|\n|\r)')
_AGAIN = "Fetch it again, or export it as text."
_BINARY = "It is binary, or damaged. Fetch it again, or export it as text."
_PACKED_TWICE = "It was packed twice: unpack it once."
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xfe", "UTF-16 text", "Leave encoding= out: its byte order mark tells."),
    (b"\xfe\xff", "UTF-16 text", "Leave encoding= out: its byte order mark tells."),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", _PACKED_TWICE),
    (b"\x1f\x8b", "gzip data", _PACKED_TWICE),
    (b"BZh", "bzip2 data", _PACKED_TWICE),
    (b"\xfd7zXZ", "xz data", _PACKED_TWICE),
    (b"\x28\xb5\x2f\xfd", "zstd data", _PACKED_TWICE),
    (b"\x5d\x00\x00", "lzma data", "Unpack it, or pack it as .xz."),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "Unpack it, or pack it as .zip."),
    (b"Rar!\x1a\x07", "a RAR archive", "Unpack it, or pack it as .zip."),
    (b"PAR1", "a Parquet file", "Read it with hr.parquet(…)."),
    (b"Obj\x01", "an Avro file", "Read it with hr.avro(…)."),
    (b"ORC", "an ORC file", "Write it as Parquet."),
    (b"ARROW1", "an Arrow or Feather file", "Write it as Parquet."),
    (b"FEA1", "a Feather file", "Write it as Parquet."),
    (b"\x89HDF", "an HDF5 file", "Write it as Parquet."),
    (b"\x93NUMPY", "a NumPy array", "Write it as Parquet."),
    (b"\x80\x04\x95", "a Python pickle", "Write it as Parquet."),
    (b"SQLite format 3", "a SQLite database", "Export its table as CSV."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook or another Office document", "Save its sheet as CSV."),
    (b"{\\rtf", "a document in RTF", _AGAIN),
    (b"%PDF", "a PDF document", _AGAIN),
    (b"\x89PNG", "a picture (PNG)", _AGAIN),
    (b"\xff\xd8\xff", "a picture (JPEG)", _AGAIN),
    (b"GIF8", "a picture (GIF)", _AGAIN),
    (b"\x7fELF", "a program", _AGAIN),
    (
        b"version https://git-lfs.github.com/spec/",
        "a pointer of Git LFS, which stands for the file",
        "Fetch the file itself: `git lfs pull`.",
    ),
)


def problem_of_start(file: str, start: bytes, kind: Kind, *, is_header: bool) -> str:
    """What a file is instead of a text of a kind, by its first bytes; empty where they may be such a text's. `is_header`: no line is to be skipped."""
    if not start:
        return f"`{file}` is empty: it has no bytes{', not even a header' if kind == 'CSV' else ''}."
    own, text = start.removeprefix(_BOM), "a delimited text" if kind == "CSV" else f"a {kind} file"
    for known, what, advice in _STARTS:
        if own.startswith(known):
            return f"`{file}` is not {text}: its first bytes are those of {what}. {advice}"
    if own[257:262] == b"ustar":
        return f"`{file}` is not {text}: its first bytes are those of a tar archive. Unpack it."
    if _MARKUP.match(own):
        shown = own.strip()[:60].decode("utf-8", "replace")
        return f"`{file}` is HTML or XML under another name, often an error page: it begins with {shown!r}. Fetch it again."
    return _json_problem(file, own, kind) or (_excel_problem(file, own) if kind == "CSV" and is_header else "")


def nul_advice(data: bytes, at: int) -> str:
    """What a text with a NUL byte at a place may be, by where others are near it."""
    near = data[max(at - 512, 0) & ~3 : at + 512]
    share = [sum(byte == 0 for byte in near[n::4]) / max(len(near[n::4]), 1) for n in range(4)]
    if min(share) > 0.5:
        return _BINARY
    if sorted(share)[1] > 0.5:
        return "It looks like UTF-32, which is not read. Convert it with `iconv -f utf-32 -t utf-8`."
    even, odd = share[0] + share[2], share[1] + share[3]
    if max(even, odd) > 0.6 and min(even, odd) < 0.6:
        return f'It looks like UTF-16 without a byte order mark: say encoding="utf-16-{"be" if even > odd else "le"}".'
    return _BINARY


def utf8_advice(before: bytes, error: UnicodeDecodeError) -> str:
    """What to do about a byte that is not UTF-8, by what stands before it."""
    if error.reason == "unexpected end of data":
        return "It was cut short in the middle of a character. Fetch it again."
    others = sum(byte >= 0xC0 for byte in before)
    if others:
        return (
            f"The text before has {others} character{'s' if others > 1 else ''} beyond ASCII that {'are' if others > 1 else 'is'} UTF-8: two encodings "
            "are mixed in it, or it is damaged. Mend that place; another encoding= would mangle the others."
        )
    return (
        'If it is Western European text, as from Excel on Windows, say encoding="cp1252": it is never guessed, since a wrong guess mangles '
        "letters in silence. Of an encoding that encoding= does not have, convert it with `iconv -f … -t utf-8`."
    )


def _json_problem(file: str, start: bytes, kind: Kind) -> str:
    if kind != "JSON Lines" and _JSON.match(start.lstrip()):
        text = "a delimited text" if kind == "CSV" else f"a {kind} file"
        return f"`{file}` is not {text}: its first bytes are those of JSON. If each line is an object, read it with hr.json(…)."
    return ""


def _excel_problem(file: str, start: bytes) -> str:
    """A first line that only tells Excel the delimiter."""
    found = _EXCEL_SIGN.match(start)
    if not found:
        return ""
    sign = "\\t" if found[1] == b"\t" else found[1].decode("latin-1")
    return f'The first line of `{file}` tells Excel its delimiter, and is no header. Pass over it: hr.csv(…, delimiter="{sign}", skip=1).'
