"""Tables of text: reading and writing CSV and Parquet row by row, so that a file of any length fits in memory."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from tallystick.client.exceptions import FileInvalid

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_BATCH = 8_192
_TEXT_COLUMNS = frozenset({"id_number", "id_type", "account_number", "applicant_id", "consent_reference"})
"""Leading zeros are part of these; a column of numbers has lost them."""

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
            raise FileInvalid(f"{self.path}: a column stands there twice")

    def __iter__(self) -> Iterator[Row]:
        return self._rows


def _csv_rows(path: Path) -> Iterator[Row]:
    """The header as row 1, then the rows. An empty line is no row, but counts as one."""
    width: int | None = None
    number = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for number, cells in enumerate(csv.reader(file, strict=True), 1):
                if not cells:
                    continue
                if width is None:
                    width = len(cells)
                if len(cells) != width:
                    raise FileInvalid(f"{path}: row {number} has {len(cells)} cells, the header {width}")
                yield number, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise FileInvalid(f"{path}: after row {number}: not CSV: {error}") from None
    except UnicodeDecodeError:
        raise FileInvalid(f"{path}: after row {number}: not UTF-8; save it as CSV in UTF-8") from None
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _parquet_rows(path: Path) -> Iterator[Row]:
    arrow = _pyarrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            for name in _TEXT_COLUMNS.intersection(schema.names):
                if not _is_text(arrow, schema.field(name).type):
                    raise FileInvalid(f"{path}: column {name} must be text: as a number it has lost its leading zeros")
            yield 0, list(schema.names)
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [_text(path, number, value) for value in values]
    except (arrow.ArrowException, OSError) as error:
        raise FileInvalid(f"{path}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _is_text(arrow: ModuleType, kind: Any) -> bool:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind))


def _text(path: Path, number: int, value: object) -> str:
    """A cell as CSV would write it."""
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            pass
        case int():
            return str(value)
        case float() | Decimal() if value == int(value):
            return str(int(value))
        case dt.datetime() if value.tzinfo is None and value.time() == dt.time():
            return value.date().isoformat()  # how many tools store a day
        case dt.date():
            return value.isoformat()
    raise FileInvalid(f"{path}: row {number}: a cell is neither text, a whole number, a date nor an instant")


class TableWriter:
    """Writes rows of text and whole numbers to a CSV or Parquet file; use it in a `with` statement.

    Rows that were written stay, whatever happens after them.
    """

    def __init__(self, path: Path, columns: Sequence[str], numbers: Collection[str] = ()) -> None:
        """`numbers` names the columns of whole numbers, None being "not known". Raises FileInvalid."""
        self._path = path
        self._columns = tuple(columns)
        self._numbers = frozenset(numbers)
        self._stack = ExitStack()
        self._parquet = path.suffix.lower() in PARQUET_SUFFIXES
        self._waiting: list[Sequence[str | int | None]] = []
        try:
            self._writer = self._open_parquet() if self._parquet else self._open_csv()
        except OSError as error:
            raise FileInvalid(f"{path}: cannot be written: {error.strerror}") from None

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
            self._flush()
        finally:
            self._stack.close()

    def write(self, row: Sequence[str | int | None]) -> None:
        """Adds one row."""
        if self._parquet:
            self._waiting.append(row)
            if len(self._waiting) >= _BATCH:
                self._flush()
        else:
            self._writer.writerow(["" if value is None else value for value in row])

    def _flush(self) -> None:
        if self._parquet and self._waiting:
            arrow = _pyarrow()
            columns = [list(column) for column in zip(*self._waiting, strict=True)]
            self._writer.write_table(arrow.table(columns, schema=self._schema))
            self._waiting = []


def _pyarrow() -> Any:
    """pyarrow, which the plain install does without."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise FileInvalid('Parquet files need an extra: pip install "tallystick[parquet]", or use CSV') from None
    return pyarrow
