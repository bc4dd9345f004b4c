"""Reading tables: CSV and Parquet row by row, so that a file of any length fits in memory."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.tables import PARQUET_SUFFIXES, pyarrow_module, unquoted

_BATCH = 8_192
TEXT_COLUMNS = frozenset({"id_number", "id_type", "account_number", "applicant_id", "consent_reference"})
"""Leading zeros are part of these; a column of numbers has lost them."""
NOT_TEXT = "must be text: as a number it has lost its leading zeros"
_SNIFFED = 4096
"""Bytes of a file's beginning that its encoding is told from."""

_NOT_DECODED = re.compile("[\udc80-\udcff]")
"""What the error handler surrogateescape makes of bytes that are not of the encoding."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

Row = tuple[int, list[str]]
"""A row's number and its cells, in the order of the file's columns; "" is "not known". In a CSV file the header is row 1."""


class TableReader:
    """The rows of a CSV or Parquet file, or of a frame. Iterate over it once."""

    option = "--amounts {}"
    """How its caller says what amounts are."""

    def __init__(
        self,
        path: Path,
        required: Collection[str],
        optional: Collection[str],
        *,
        exact: Collection[str] = (),
        encoding: str | None = None,
    ) -> None:
        """Reads the header. Raises FileInvalid when it is not that of the layout.

        In the columns of `exact` a number keeps its decimals, zeros too. `encoding` is CSV's; without it that is UTF-8, or UTF-16
        where the file's first bytes say so."""
        if path.suffix.lower() in PARQUET_SUFFIXES:
            rows = _parquet_rows(path, frozenset(exact))
        else:
            rows = _csv_rows(path, encoding)
        self._begin(path, rows, required, optional)

    @classmethod
    def over(cls, name: str, rows: Iterator[Row], required: Collection[str], optional: Collection[str]) -> Self:
        """The same over rows from elsewhere, the first of which names the columns; `name` is what errors call them."""
        table = cls.__new__(cls)
        table._begin(name, rows, required, optional)
        return table

    def _begin(self, path: Path | str, rows: Iterator[Row], required: Collection[str], optional: Collection[str]) -> None:
        self.path = path
        self._rows = rows
        try:
            _, names = next(self._rows)
        except StopIteration:
            raise FileInvalid(f"{path}: the file is empty; its first row names the columns") from None
        # What a spreadsheet or a database made of their case says nothing.
        self.columns = [name.lower() for name in names]
        self._check_header(required, optional)

    def _check_header(self, required: Collection[str], optional: Collection[str]) -> None:
        known = {*required, *optional}
        missing = [name for name in required if name not in self.columns]
        unknown = [name for name in self.columns if name not in known]
        if missing:
            raise FileInvalid(f"{self.path}: columns are missing: {', '.join(missing)} (see docs/files.md)")
        if unknown:
            shown = ", ".join(name[:40] or "(no name)" for name in unknown[:5])
            raise FileInvalid(f"{self.path}: unknown columns: {shown}; rename or remove them (see docs/files.md)")
        if len(set(self.columns)) != len(self.columns):
            raise FileInvalid(f"{self.path}: a column occurs twice")

    def __iter__(self) -> Iterator[Row]:
        return self._rows


def _csv_rows(path: Path, encoding: str | None) -> Iterator[Row]:
    """The header as row 1, then the rows. A line that is empty, or has only commas, is no row, but counts as one; so does the line
    by which a spreadsheet says how its columns are separated."""
    width: int | None = None
    number = 0
    try:
        chosen = encoding or _sniff_encoding(path)
        with path.open(newline="", encoding=chosen, errors="surrogateescape") as file:
            lines = _decoded(path, file, chosen)
            first = next(lines, "")
            named = _SEPARATOR_LINE.fullmatch(first.removeprefix("\ufeff").strip())
            separator = named[1] if named else ","
            if named is None:
                lines = itertools.chain([first], lines)
            rows = csv.reader(lines, delimiter=separator, strict=True)
            for number, cells in enumerate(rows, 2 if named else 1):
                if not any(cells):
                    continue
                if width is None:
                    _check_separator(path, cells)
                    width = len(cells)
                if len(cells) != width:
                    raise FileInvalid(f"{path}: row {number} has {len(cells)} cells, the header {width}")
                yield number, [unquoted(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise FileInvalid(f"{path}: row {number + 1}: not CSV: {error}") from None
    except UnicodeError:
        raise FileInvalid(f"{path}: after row {number}: not {chosen}; save it as CSV in UTF-8, or give its --encoding") from None
    except LookupError:
        raise FileInvalid(f"{chosen} is no encoding: give one such as utf-8, gb18030 or big5") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _sniff_encoding(path: Path) -> str:
    """UTF-8, or UTF-16 by its byte order mark or its zero bytes: what stands in a header is ASCII."""
    if not path.is_file():
        return "utf-8-sig"
    with path.open("rb") as file:
        begin = file.read(_SNIFFED)
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd = begin[::2].count(0), begin[1::2].count(0)
    if max(even, odd) > len(begin) // 4:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8-sig"


def _decoded(path: Path, lines: Iterable[str], encoding: str) -> Iterator[str]:
    """The lines, up to one that is not of the encoding. A strict decoder would complain when it fills its buffer: hundreds of rows
    early."""
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    for number, line in enumerate(lines, 1):
        if not line.isascii() and _NOT_DECODED.search(line):
            raise FileInvalid(
                f"{path}: line {number}: not {name}; save it as CSV in UTF-8, or give its --encoding (such as gb18030)"
            )
        yield line


def _check_separator(path: Path, header: list[str]) -> None:
    if len(header) == 1:
        for separator, name in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if separator in header[0]:
                raise FileInvalid(f"{path}: the columns are separated by {name}: save it as CSV with commas")


def _parquet_rows(path: Path, exact: frozenset[str]) -> Iterator[Row]:
    arrow = pyarrow_module()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            for name in schema.names:
                if name.lower() in TEXT_COLUMNS and not _is_text(arrow, schema.field(name).type):
                    raise FileInvalid(f"{path}: column {name} {NOT_TEXT}")
            names = list(schema.names)
            yield 0, names
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield (
                        number,
                        [
                            cell_text(path, number, name, value, exact=name.lower() in exact)
                            for name, value in zip(names, values, strict=True)
                        ],
                    )
    # ValueError: an instant that Python cannot hold.
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileInvalid(f"{path}: cannot be read as Parquet: {reason}") from None


def _is_text(arrow: ModuleType, kind: Any) -> bool:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def cell_text(path: Path | str, number: int, column: str, value: object, *, exact: bool) -> str:
    """A cell as CSV would write it; what is no whole number stays as it is, so that the column's parser rejects its row alone."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float() | Decimal():
            return _number(value, exact=exact)
        case dt.datetime() if value.tzinfo is None and value.time() == dt.time():
            return value.date().isoformat()  # how many tools store a day
        case dt.date():
            return value.isoformat()
    raise FileInvalid(f"{path}: row {number}: {column}: a cell is neither text, a number, a date nor an instant")


def _number(value: float | Decimal, *, exact: bool) -> str:
    """NaN is empty: with it pandas says that a number is not known."""
    if math.isnan(value):
        return ""
    if exact and math.isfinite(value):
        text = f"{Decimal(repr(value)) if isinstance(value, float) else value:f}"
        return text if "." in text or isinstance(value, Decimal) else f"{text}.0"
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
