"""Reading tables: CSV and Parquet row by row, so that a file of any length fits in memory."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import math
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.contents import PARQUET, SNIFFED, encoding_of, refuse_other_format
from tallystick.client.files.tables import PARQUET_SUFFIXES, pyarrow_module, unquoted

_BATCH = 8_192
TEXT_COLUMNS = frozenset({"id_number", "id_type", "account_number", "applicant_id", "consent_reference"})
"""Leading zeros are part of these; a column of numbers has lost them."""
NOT_TEXT = "must be text: as a number it may have lost leading zeros"

_NOT_DECODED = re.compile("[\udc80-\udcff]")
"""What the error handler surrogateescape makes of bytes that are not of the encoding."""
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""By which a spreadsheet says how its columns are separated."""

_SHOWN = 20
"""Columns that an error names at the most."""
_DATA = re.compile(r"[-+]?[0-9][-+0-9.,:/ ]*|.*[0-9]{3}.*", re.DOTALL)

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
        others: bool = False,
    ) -> None:
        """Reads the header. Raises FileInvalid when it is not that of the layout; `others` says that it may have columns beside.

        In the columns of `exact` a number keeps its decimals, zeros too. `encoding` is CSV's; without it that is UTF-8, or UTF-16
        where the file's first bytes say so."""
        if path.suffix.lower() in PARQUET_SUFFIXES:
            if encoding is not None:
                raise FileInvalid(f"{path}: is Parquet, which --encoding says nothing of: leave it out")
            rows = _parquet_rows(path, frozenset(exact))
        else:
            rows = _csv_rows(path, encoding)
        self._others = others
        self._begin(path, rows, required, optional)

    @classmethod
    def over(cls, name: str, rows: Iterator[Row], required: Collection[str], optional: Collection[str]) -> Self:
        """The same over rows from elsewhere, the first of which names the columns; `name` is what errors call them."""
        table = cls.__new__(cls)
        table._others = False
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
        if not known.intersection(self.columns) and any(map(_is_data, self.columns)):
            raise FileInvalid(f"{self.path}: the first row looks like data; it must name the columns (see docs/files.md)")
        missing = [name for name in required if name not in self.columns]
        unknown = [] if self._others else [name[:40] or "(no name)" for name in self.columns if name not in known]
        doubled = sorted({name[:40] for name in self.columns if name in known and self.columns.count(name) > 1})
        told = [
            f"{what}: {', '.join(names[:_SHOWN])}{' …' if names[_SHOWN:] else ''}"
            for what, names in (
                ("columns are missing", missing),
                ("unknown columns", unknown),
                ("a column occurs twice", doubled),
            )
            if names
        ]
        if told:
            to_do = "; rename or remove them" if unknown else ""
            raise FileInvalid(f"{self.path}: {'; '.join(told)}{to_do} (see docs/files.md)")

    def __iter__(self) -> Iterator[Row]:
        return self._rows


def _is_data(name: str) -> bool:
    return _DATA.fullmatch(name) is not None


def _csv_rows(path: Path, encoding: str | None) -> Iterator[Row]:
    """The header as row 1, then the rows. A line that is empty, or has only commas, is no row, but counts as one; so does the line
    by which a spreadsheet says how its columns are separated."""
    width: int | None = None
    number, chosen = 0, encoding
    try:
        with path.open("rb") as raw:
            begin = raw.peek(SNIFFED)
            _refuse_parquet(path, begin)
            refuse_other_format(path, begin)
            chosen = encoding_of(path, begin, encoding)
            file = io.TextIOWrapper(raw, newline="", encoding=chosen, errors="surrogateescape")
            lines = _decoded(path, file, chosen)
            first = next(lines, "")
            named = SEPARATOR_LINE.fullmatch(first.strip())
            if named is None:
                lines = itertools.chain([first], lines)
            number = before = 1 if named else 0
            rows = csv.reader(lines, delimiter=named[1] if named else ",", strict=True)
            for number, cells in enumerate(rows, before + 1):
                if not any(cells):
                    continue
                if width is None:
                    _check_separator(path, cells)
                    width = len(cells)
                if len(cells) != width:
                    raise FileInvalid(f"{path}: row {number} {_other_width(cells, width)}")
                yield number, [unquoted(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise FileInvalid(f"{path}: row {number + 1}: not CSV: {_not_csv(str(error))}") from None
    except UnicodeError:
        where = f"after row {number}: " if number else ""
        raise FileInvalid(f"{path}: {where}is not in {chosen}; save it as CSV in UTF-8, or give its --encoding") from None
    except LookupError:
        raise FileInvalid(f"{chosen} is no encoding: give one such as utf-8, gb18030 or big5") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _refuse_parquet(path: Path, begin: bytes) -> None:
    if begin.startswith(PARQUET):
        to_do = "give it a name that ends in .parquet" if path.is_file() else "it is read from a file whose name ends in .parquet"
        raise FileInvalid(f"{path}: is Parquet: {to_do}")


def _other_width(cells: list[str], width: int) -> str:
    told = f"has {len(cells)} {'cell' if len(cells) == 1 else 'cells'}, the header {width}"
    return f"{told}; a quotation mark in it may be left open" if any("\n" in cell for cell in cells) else told


def _not_csv(error: str) -> str:
    if "end of data" in error:
        return "a quotation mark opens in this row and is never closed"
    if "expected after" in error:
        return "after a quotation mark that closes a cell there must be a comma; one may be left open in this row"
    if "field limit" in error:
        return f"a cell is longer than {csv.field_size_limit()} characters; a quotation mark may be left open in this row"
    return error


def _decoded(path: Path, lines: Iterable[str], encoding: str) -> Iterator[str]:
    """The lines, up to one that is not of the encoding. A strict decoder would complain when it fills its buffer: hundreds of rows
    early."""
    name = "UTF-8" if encoding == "utf-8" else encoding
    for number, line in enumerate(lines, 1):
        if number == 1:
            line = line.lstrip("\ufeff")
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
        check_parquet(path)
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


def check_parquet(path: Path) -> None:
    """Raises FileInvalid for what is no Parquet by its first bytes."""
    with path.open("rb") as file:
        begin = file.read(SNIFFED)
    if not begin.startswith(PARQUET):
        refuse_other_format(path, begin)
        raise FileInvalid(f"{path}: is not Parquet: if it is CSV, give it a name that ends in .csv")


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
