"""Writing tables: CSV and Parquet row by row, so that a file of any length fits in memory."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.places import is_written_in_place, open_in_place

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_OTHER_SUFFIXES = re.compile(
    r"\.(xls[xmb]?|ods|json|jsonl|ndjson|tsv|pdf|docx?|html?|xml|zip|gz|bz2|xz|zst|7z|rar|feather|arrow|avro|orc|db|sqlite)"
)
_BATCH = 8_192

_FORMULA = re.compile("'*[=+\\-@＝＋－＠]")
"""How a formula begins, in some languages with the full-width forms; or one that has got its apostrophe."""


class TableWriter:
    """Writes rows of text and whole numbers to a CSV or Parquet file; use it in a `with` statement.

    The rows go to a file beside it (see `partial_of`), which takes its place at the end: a run that fails leaves what was there
    before, and the rows that it wrote in that other file. What is no file to be replaced, such as /dev/stdout, is written in place.
    """

    def __init__(self, path: Path, columns: Sequence[str], numbers: Collection[str] = (), *, resume_at: int | None = None) -> None:
        """`numbers` names the columns of whole numbers, None being "not known". With `resume_at` the file that an earlier run left
        beside its place is gone on with, after so many bytes of it. Raises FileInvalid."""
        self._in_place = is_written_in_place(path)
        if not self._in_place and _OTHER_SUFFIXES.fullmatch(path.suffix.lower()):
            raise FileInvalid(f"{path}: {path.suffix} is not written: name it .csv, or .parquet for Parquet")
        self._place = path if self._in_place else Path(os.path.realpath(path))
        self._path = path if self._in_place else partial_of(path)
        self._columns = tuple(columns)
        self._numbers = frozenset(numbers)
        self._stack = ExitStack()
        self._parquet = path.suffix.lower() in PARQUET_SUFFIXES
        self._waiting: list[Sequence[str | int | None]] = []
        self._rows = 0
        self._resumed = self._relied_on = resume_at is not None
        if self._parquet:
            pyarrow_module()  # before a file is made that nobody would fill
            if self._in_place:
                raise FileInvalid(f"{path}: Parquet is written to a file only: its end says where everything in it is; use CSV")
        with self._naming_file():
            if resume_at is not None:
                self._check_resumable(resume_at)
            elif not self._in_place:
                self._make_like(self._place)
            self._writer = self._open_parquet() if self._parquet else self._open_csv(resume_at)

    def _check_resumable(self, resume_at: int) -> None:
        check_resumable(self._place)
        if not self._path.is_file() or self._path.stat().st_size < resume_at:
            raise FileInvalid(f"{self._path}: what the earlier run wrote is not there any more; begin anew, without --resume")

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

    def _open_csv(self, resume_at: int | None) -> Any:
        if self._in_place:
            file = os.fdopen(open_in_place(self._path), "w", newline="", encoding="utf-8")
        else:
            file = self._path.open("w" if resume_at is None else "r+", newline="", encoding="utf-8")
        self._file = self._stack.enter_context(file)
        writer = csv.writer(file, lineterminator="\n")
        if resume_at is None:
            writer.writerow(self._columns)
        else:
            # What is behind was written by a batch that was not finished, and is written again.
            file.truncate(resume_at)
            file.seek(0, os.SEEK_END)
        return writer

    def written(self) -> int:
        """Hands everything to the operating system; returns how many bytes that is so far. 0 for a Parquet file, which is one only
        once it is complete, and for what is no file."""
        with self._naming_file():
            if self._parquet:
                return 0
            self._file.flush()
            self._relied_on = True
            return 0 if self._in_place else self._path.stat().st_size

    def _open_parquet(self) -> Any:
        arrow = pyarrow_module()
        self._schema = arrow.schema([(name, arrow.int64() if name in self._numbers else arrow.string()) for name in self._columns])
        return self._stack.enter_context(arrow.parquet.ParquetWriter(self._path, self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            with self._naming_file():
                with self._stack:
                    self._flush()
                    if not self._in_place and not self._parquet:
                        self._file.flush()
                        os.fsync(self._file.fileno())
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
            rows = "the row until then is" if self._rows == 1 else f"the {self._rows} rows until then are"
            told = "what was written until then is" if self._resumed else rows
            error.add_note(f"{told} in {self._path}")
        elif not self._relied_on:
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
            arrow = pyarrow_module()
            columns = [list(column) for column in zip(*self._waiting, strict=True)]
            self._writer.write_table(arrow.table(columns, schema=self._schema))
            self._waiting = []


def _cell(value: str | int | None) -> str | int:
    """A value as CSV has it; `unquoted` is its inverse. What a spreadsheet would take for a formula gets an apostrophe, by which
    it is a text there."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = value.strip()
    return f"'{text}" if _FORMULA.match(text) else value


def unquoted(text: str) -> str:
    """A cell of CSV as it was before it was kept from being a formula."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def check_resumable(path: Path) -> None:
    """Raises FileInvalid for an output of which nothing is left to go on with."""
    if is_written_in_place(path):
        raise FileInvalid(f"{path}: is no file, so what was written there is gone; begin anew, without --resume")
    if path.suffix.lower() in PARQUET_SUFFIXES:
        raise FileInvalid(f"{path}: only a CSV file can be gone on with; begin anew, without --resume")


def partial_of(path: Path) -> Path:
    """Where the rows of an output are until it is complete: decisions.csv's in decisions.partial.csv, beside it."""
    place = Path(os.path.realpath(path))
    return place.with_name(f"{place.stem}.partial{place.suffix}")


def pyarrow_module() -> Any:
    """pyarrow, which the plain install does without."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise FileInvalid('Parquet files need an extra: pip install "tallystick[parquet]", or use CSV') from None
    return pyarrow
