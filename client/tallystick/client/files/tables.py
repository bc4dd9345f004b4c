"""Tables of text: reading and writing CSV and Parquet row by row, so that a file of any length fits in memory."""

from __future__ import annotations

import csv
import datetime as dt
import math
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from tallystick.client.exceptions import FileInvalid

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_BATCH = 8_192
_TEXT_COLUMNS = frozenset({"id_number", "id_type", "account_number", "applicant_id", "consent_reference"})
"""Leading zeros are part of these; a column of numbers has lost them."""

_NOT_DECODED = re.compile("[\udc80-\udcff]")
"""What the error handler surrogateescape makes of bytes that are not UTF-8."""

Row = tuple[int, list[str]]
"""A row's number and its cells, in the order of the file's columns; "" is "not known". In a CSV file the header is row 1."""


class TableReader:
    """The rows of a CSV or Parquet file. Iterate over it once."""

    def __init__(self, path: Path, required: Collection[str], optional: Collection[str]) -> None:
        """Reads the header. Raises FileInvalid when it is not that of the layout."""
        self.path = path
        self._rows = _parquet_rows(path) if path.suffix.lower() in PARQUET_SUFFIXES else _csv_rows(path)
        try:
            _, self.columns = next(self._rows)
        except StopIteration:
            raise FileInvalid(f"{path}: the file is empty; its first row names the columns") from None
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


def _csv_rows(path: Path) -> Iterator[Row]:
    """The header as row 1, then the rows. A line that is empty, or has only commas, is no row, but counts as one."""
    width: int | None = None
    number = 0
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, cells in enumerate(csv.reader(_decoded(path, file), strict=True), 1):
                if not any(cells):
                    continue
                if width is None:
                    _check_separator(path, cells)
                    width = len(cells)
                if len(cells) != width:
                    raise FileInvalid(f"{path}: row {number} has {len(cells)} cells, the header {width}")
                yield number, [_unquoted(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise FileInvalid(f"{path}: row {number + 1}: not CSV: {error}") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _decoded(path: Path, lines: Iterable[str]) -> Iterator[str]:
    """The lines, up to one that is not UTF-8. A strict decoder would complain when it fills its buffer: hundreds of rows early."""
    for number, line in enumerate(lines, 1):
        if not line.isascii() and _NOT_DECODED.search(line):
            raise FileInvalid(f"{path}: line {number}: not UTF-8; save it as CSV in UTF-8")
        yield line


def _check_separator(path: Path, header: list[str]) -> None:
    if len(header) == 1:
        for separator, name in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if separator in header[0]:
                raise FileInvalid(f"{path}: the columns are separated by {name}: save it as CSV with commas")


def _parquet_rows(path: Path) -> Iterator[Row]:
    arrow = _pyarrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            for name in _TEXT_COLUMNS.intersection(schema.names):
                if not _is_text(arrow, schema.field(name).type):
                    raise FileInvalid(f"{path}: column {name} must be text: as a number it has lost its leading zeros")
            names = list(schema.names)
            yield 0, names
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [_text(path, number, name, value) for name, value in zip(names, values, strict=True)]
    # ValueError: an instant that Python cannot hold.
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileInvalid(f"{path}: cannot be read as Parquet: {reason}") from None


def _is_text(arrow: ModuleType, kind: Any) -> bool:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def _text(path: Path, number: int, column: str, value: object) -> str:
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
            return _number(value)
        case dt.datetime() if value.tzinfo is None and value.time() == dt.time():
            return value.date().isoformat()  # how many tools store a day
        case dt.date():
            return value.isoformat()
    raise FileInvalid(f"{path}: row {number}: {column}: a cell is neither text, a number, a date nor an instant")


def _number(value: float | Decimal) -> str:
    """NaN is empty: with it pandas says that a number is not known."""
    if math.isnan(value):
        return ""
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)


_FORMULA = re.compile("'*[=+\\-@＝＋－＠]")
"""How a formula begins, in some languages with the full-width forms; or one that has got its apostrophe."""


class TableWriter:
    """Writes rows of text and whole numbers to a CSV or Parquet file; use it in a `with` statement.

    The rows go to a file beside it (see `partial_of`), which takes its place at the end: a run that fails leaves what was there
    before, and the rows that it wrote in that other file. What is no regular file, such as /dev/stdout, is written as it is.
    """

    def __init__(self, path: Path, columns: Sequence[str], numbers: Collection[str] = ()) -> None:
        """`numbers` names the columns of whole numbers, None being "not known". Raises FileInvalid."""
        self._place = Path(os.path.realpath(path))
        self._in_place = self._place.exists() and not self._place.is_file()
        self._path = self._place if self._in_place else partial_of(path)
        self._columns = tuple(columns)
        self._numbers = frozenset(numbers)
        self._stack = ExitStack()
        self._parquet = path.suffix.lower() in PARQUET_SUFFIXES
        self._waiting: list[Sequence[str | int | None]] = []
        self._rows = 0
        if self._parquet:
            _pyarrow()  # before a file is made that nobody would fill
        with self._naming_file():
            if not self._in_place:
                self._make_like(self._place)
            self._writer = self._open_parquet() if self._parquet else self._open_csv()

    def _make_like(self, place: Path) -> None:
        """Makes the file anew, with the permissions of the one that it will replace."""
        self._path.unlink(missing_ok=True)
        self._path.touch(exist_ok=False)
        if place.exists():
            shutil.copymode(place, self._path)

    @contextmanager
    def _naming_file(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise FileInvalid(f"{self._place}: cannot be written: {error.strerror}") from None

    def _open_csv(self) -> Any:
        file = self._stack.enter_context(self._path.open("w", newline="", encoding="utf-8"))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self._columns)
        return writer

    def _open_parquet(self) -> Any:
        arrow = _pyarrow()
        self._schema = arrow.schema([(name, arrow.int64() if name in self._numbers else arrow.string()) for name in self._columns])
        return self._stack.enter_context(arrow.parquet.ParquetWriter(self._path, self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._naming_file():
                with self._stack:
                    self._flush()
                if error is None and not self._in_place:
                    self._path.replace(self._place)
        except BaseException as failure:
            self._leave(failure)
            raise
        if error is not None:
            self._leave(error)

    def _leave(self, error: BaseException) -> None:
        if self._in_place:
            return
        if self._rows:
            error.add_note(f"the {self._rows} rows until then are in {self._path}")
        else:
            self._path.unlink(missing_ok=True)

    def write(self, row: Sequence[str | int | None]) -> None:
        """Adds one row. Raises FileInvalid."""
        with self._naming_file():
            if self._parquet:
                self._waiting.append(row)
                if len(self._waiting) >= _BATCH:
                    self._flush()
            else:
                self._writer.writerow([_cell(value) for value in row])
        self._rows += 1

    def _flush(self) -> None:
        if self._parquet and self._waiting:
            arrow = _pyarrow()
            columns = [list(column) for column in zip(*self._waiting, strict=True)]
            self._writer.write_table(arrow.table(columns, schema=self._schema))
            self._waiting = []


def _cell(value: str | int | None) -> str | int:
    """A value as CSV has it; `_unquoted` is its inverse. What a spreadsheet would take for a formula gets an apostrophe, by which
    it is a text there."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = value.strip()
    return f"'{text}" if _FORMULA.match(text) else value


def _unquoted(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def partial_of(path: Path) -> Path:
    """Where the rows of an output are until it is complete: decisions.csv's in decisions.partial.csv, beside it."""
    place = Path(os.path.realpath(path))
    return place.with_name(f"{place.stem}.partial{place.suffix}")


def _pyarrow() -> Any:
    """pyarrow, which the plain install does without."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise FileInvalid('Parquet files need an extra: pip install "tallystick[parquet]", or use CSV') from None
    return pyarrow
