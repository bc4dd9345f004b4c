"""What a file is by its first bytes: text in which encoding, or something else that must be saved as CSV or Parquet first."""

from __future__ import annotations

import codecs

from tallystick.client.exceptions import FileInvalid

SNIFFED = 4096
"""Bytes of a file's beginning that it is told from."""
PARQUET = b"PAR1"

_SAVE = "save it as CSV or Parquet"
_UNPACK = "unpack it first"
_FORMATS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook of an old Excel (.xls), or another Office document", _SAVE),
    (b"\x1f\x8b", "compressed (gzip)", _UNPACK),
    (b"BZh", "compressed (bzip2)", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed (xz)", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (Zstandard)", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", _UNPACK),
    (b"Rar!\x1a\x07", "an archive (RAR)", _UNPACK),
    (b"%PDF-", "a PDF", _SAVE),
    (b"{", "JSON", _SAVE),
    (b"[", "JSON", _SAVE),
    (b"<", "HTML or XML", _SAVE),
    (b"SQLite format 3\x00", "a database (SQLite)", _SAVE),
    (b"ARROW1", "a file of Arrow", _SAVE),
    (b"Obj\x01", "a file of Avro", _SAVE),
)
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8", "utf-8", {"utf-8", "utf-8-sig"}),
    (codecs.BOM_UTF32_LE, "UTF-32", "utf-32", {"utf-32", "utf-32-le"}),
    (codecs.BOM_UTF32_BE, "UTF-32", "utf-32", {"utf-32", "utf-32-be"}),
    (codecs.BOM_UTF16_LE, "UTF-16", "utf-16", {"utf-16", "utf-16-le"}),
    (codecs.BOM_UTF16_BE, "UTF-16", "utf-16", {"utf-16", "utf-16-be"}),
    (b"\x84\x31\x95\x33", "GB 18030", "gb18030", {"gb18030", "gbk", "gb2312"}),
)


def refuse_other_format(name: object, begin: bytes) -> None:
    """Raises FileInvalid for what is no text, saying what it is."""
    if begin.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if b"[Content_Types].xml" in begin or b"xl/" in begin:
            raise FileInvalid(f"{name}: is a workbook of Excel (.xlsx): {_SAVE}")
        if b"opendocument" in begin:
            raise FileInvalid(f"{name}: is an OpenDocument file (.ods): {_SAVE}")
        raise FileInvalid(f"{name}: is an archive (ZIP): {_UNPACK}, or if it is a workbook, {_SAVE}")
    for magic, what, to_do in _FORMATS:
        if begin.startswith(magic):
            raise FileInvalid(f"{name}: is {what}: {to_do}")


def encoding_of(name: object, begin: bytes, said: str | None) -> str:
    """The encoding of a text by its byte order mark, by what the caller says, or by its zero bytes: what stands in a header
    is ASCII. Raises FileInvalid where two of them contradict each other."""
    canonical = None if said is None else _canonical(said)
    for mark, shown, encoding, compatible in _MARKS:
        if begin.startswith(mark):
            if canonical is not None and canonical not in compatible:
                raise FileInvalid(
                    f"{name}: begins with the byte order mark of {shown}, and --encoding says {said}: leave --encoding out"
                )
            return encoding
    even, odd = begin[::2].count(0), begin[1::2].count(0)
    wide = max(even, odd) > len(begin) // 4
    if canonical is None:
        return ("utf-16-le" if odd > even else "utf-16-be") if wide else "utf-8"
    if wide != canonical.startswith(("utf-16", "utf-32")) and begin:
        raise FileInvalid(f"{name}: is not in {said}: leave --encoding out, or give another")
    return canonical


def _canonical(said: str) -> str:
    try:
        found = codecs.lookup(said)
        "".encode(found.name)
    except (LookupError, ValueError):
        raise FileInvalid(f"{said} is no encoding: give one such as utf-8, gb18030 or big5") from None
    return found.name
