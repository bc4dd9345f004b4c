"""A book's file brought into the engine, as text: every row in its place, and of its columns those that a figure needs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.client.analysis.columns import AMOUNTS, OF_ACCOUNT, OPTIONAL, READ, REQUIRED
from tallystick.client.analysis.engine import SHORTAGE, Engine, can_open, engine_module, named, quoted
from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.amounts import Amounts, has_decimals
from tallystick.client.files.contents import SNIFFED, encoding_of
from tallystick.client.files.damage import KEPT_DIGITS, ROUNDED, are_rounded, damage, unwrapped
from tallystick.client.files.reading import NOT_TEXT, SEPARATOR_LINE, TEXT_COLUMNS, TableReader, check_parquet
from tallystick.client.files.tables import PARQUET_SUFFIXES
from tallystick.crypto.errors import IdentityError
from tallystick.crypto.references import normalise_account_number

_PLAIN = frozenset({"utf-8", "utf-8-sig", "ascii"})
_UNREADABLE = re.compile(r"BLOB|BIT|TIME|TIME WITH TIME ZONE|UUID|INTERVAL|.*(\(.*\)|\[\]).*")
_DECIMAL = re.compile(r"DECIMAL\(\d+,\d+\)")
_MAX_LINE = 1 << 21
_ENDS_OF_LINES = re.compile(r"[\r\n]+")
"""Within a cell: the engine takes no file in which they are of two kinds."""
_PLAIN_NUMBER = "[0-9A-Z./-]*"
"""Account numbers that are as they are compared."""
TRIMMED = ("account_number", "overdue_amount", "paid_amount")
"""Columns that are read row by row. Of all others the distinct texts are, without the spaces round them: that is less work."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose rows are in the table `raw`: its columns as text, NULL where empty, and a digest of those of the account."""

    path: Path
    first_row: int
    """The number of the first row; 0 where the table says the numbers."""
    encoding: str | None = None

    def row_numbers(self, engine: Engine, places: Sequence[int]) -> dict[int, int]:
        """The rows' numbers as a spreadsheet shows them, by their places in the table."""
        if not self.first_row:
            wanted = ", ".join(map(str, places)) or "-1"
            return dict(engine.rows(f"SELECT rowid, line::BIGINT FROM raw WHERE rowid IN ({wanted})"))
        if self.path.suffix.lower() in PARQUET_SUFFIXES or not places or not _has_empty_lines(self.path):
            return {place: place + self.first_row for place in places}
        return _counted(self.path, set(places))


def load(engine: Engine, path: Path, said: Amounts | None, encoding: str | None) -> Source:
    """Reads a file. Raises FileInvalid, saying what is wrong with it as a whole and what to do."""
    source = _load_parquet(engine, path, encoding) if path.suffix.lower() in PARQUET_SUFFIXES else _load_csv(engine, path, encoding)
    (rows,) = engine.row("SELECT count(*) FROM raw WHERE NOT blank")
    if not rows:
        raise FileInvalid(f"{path}: there is a header and no row")
    _check_rounded(engine, path)
    _unify_numbers(engine)
    if said is None:
        _check_decimals(engine, source)
    return source


def _check_rounded(engine: Engine, path: Path) -> None:
    """As for a report's file: of numbers that a spreadsheet has rounded several may be one by now."""
    long = f"length(account_number) > {KEPT_DIGITS} AND regexp_full_match(account_number, '[0-9]+')"
    rounded = f"trim(substr(account_number, {KEPT_DIGITS + 1}), '0') = ''"
    if are_rounded(*engine.row(f"SELECT count(*), count(*) FILTER ({rounded}) FROM raw WHERE {long}")):
        raise FileInvalid(f"{path}: column account_number: {ROUNDED}")


def _unify_numbers(engine: Engine) -> None:
    """Account numbers as they are compared everywhere: two spellings of one are one account. What is no number is left empty."""
    engine.run("CREATE TABLE spelled (text VARCHAR, number VARCHAR)")
    for part in engine.parts(
        f"SELECT DISTINCT account_number FROM raw WHERE NOT regexp_full_match(account_number, '{_PLAIN_NUMBER}')"
    ):
        pairs = [(text, number) for (text,) in part if (number := _number(text)) != text]
        if pairs:
            texts, numbers = zip(*pairs, strict=True)
            engine.run("INSERT INTO spelled SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])", [list(texts), list(numbers)])
    (found,) = engine.row("SELECT count(*) FROM spelled")
    if found:
        engine.run("UPDATE raw SET account_number = spelled.number FROM spelled WHERE raw.account_number = spelled.text")
    engine.run("DROP TABLE spelled")


def _number(text: str) -> str:
    if damage(text):
        return text  # which is told of its row
    try:
        return normalise_account_number(unwrapped(text))
    except IdentityError:
        return ""


def _load_csv(engine: Engine, path: Path, encoding: str | None) -> Source:
    table = TableReader(path, REQUIRED, OPTIONAL, exact=AMOUNTS, encoding=encoding)
    if _is_plain(path, encoding):
        try:
            _fill(engine, _csv_query(path, table.columns, skip=1), table.columns)
        except engine_module().Error:
            # What it says would show the row: the reader below says what is wrong, or copes with it.
            engine.run("DROP TABLE IF EXISTS raw")
        else:
            return Source(path, first_row=2)
    copy, columns = _copied(engine, table)
    _fill(engine, _csv_query(copy, columns, skip=1), columns)
    copy.unlink()
    return Source(path, first_row=0)


def _is_plain(path: Path, encoding: str | None) -> bool:
    """Whether the engine can read the file as it is: in UTF-8, from a name that is no pattern, the header in its first line."""
    if not path.is_file() or not can_open(path):
        return False
    with path.open("rb") as file:
        begin = file.read(SNIFFED)
    line = begin.decode("utf-8", "replace").lstrip("\ufeff").partition("\n")[0].strip()
    return encoding_of(path, begin, encoding) in _PLAIN and bool(line.strip(",")) and SEPARATOR_LINE.fullmatch(line) is None


def _copied(engine: Engine, table: TableReader) -> tuple[Path, list[str]]:
    """The rows, as they are read everywhere else, in a file that the engine reads; whom they are about stays behind."""
    kept = [(place, name) for place, name in enumerate(table.columns) if name in READ]
    columns = ["line", *(name for _, name in kept)]
    copy = engine.folder / "copy.csv"
    with copy.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for number, cells in table:
            writer.writerow([number, *(_ENDS_OF_LINES.sub(" ", cells[place]) for place, _ in kept)])
    return copy, columns


def _csv_query(path: Path, columns: Sequence[str], *, skip: int) -> str:
    types = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in columns)
    return (
        f"read_csv({quoted(path)}, columns = {{{types}}}, auto_detect = false, header = false, skip = {skip}, delim = ',',"
        f" quote = '\"', escape = '\"', strict_mode = true, max_line_size = {_MAX_LINE}, hive_partitioning = false)"
    )


def _load_parquet(engine: Engine, path: Path, encoding: str | None) -> Source:
    if encoding is not None:
        raise FileInvalid(f"{path}: is Parquet, which --encoding says nothing of: leave it out")
    try:
        check_parquet(path)
        if not can_open(path):
            raise FileInvalid(
                f"{path}: its name is not UTF-8, or has characters of a pattern (* ? [ ] {{ }}): give it another name"
            )
        query = f"read_parquet({quoted(path)}, hive_partitioning = false)"
        described = engine.rows(f"DESCRIBE SELECT * FROM {query}")
        names = [str(row[0]) for row in described]
        columns = TableReader.over(str(path), iter([(0, names)]), REQUIRED, OPTIONAL).columns
        types = {name: str(row[1]) for name, row in zip(columns, described, strict=True)}
        _check_types(path, types)
        _fill(engine, query, columns, types=types, names=names)
    except OSError as error:
        raise FileInvalid(f"{path}: cannot be read: {error.strerror}") from None
    except engine_module().IOException as error:
        if SHORTAGE.search(str(error)):
            raise
        raise FileInvalid(f"{path}: cannot be read as Parquet ({type(error).__name__}): write it anew") from None
    except engine_module().Error as error:
        # Only the kind: the message may have the content of a damaged page.
        raise FileInvalid(f"{path}: cannot be read as Parquet ({type(error).__name__}): write it anew") from None
    return Source(path, first_row=1)


def _check_types(path: Path, types: dict[str, str]) -> None:
    for name, kind in types.items():
        if name in TEXT_COLUMNS and name in READ and not kind.startswith(("VARCHAR", "ENUM")):
            raise FileInvalid(f"{path}: column {name} {NOT_TEXT}")
        if name in READ and _UNREADABLE.fullmatch(kind) and not _DECIMAL.fullmatch(kind) and not kind.startswith("ENUM"):
            raise FileInvalid(f"{path}: column {name}: a cell is neither text, a number, a date nor an instant")


def _fill(
    engine: Engine, query: str, columns: Sequence[str], *, types: dict[str, str] | None = None, names: Sequence[str] = ()
) -> None:
    """The table `raw`, in the file's order: the place of a row in it is that in the file."""
    spelled = dict(zip(columns, names or columns, strict=True))
    cells = [
        f"{_text(named(spelled[name]), name, (types or {}).get(name, 'VARCHAR'))} AS {name}" for name in READ if name in spelled
    ]
    cells += [f"NULL::VARCHAR AS {name}" for name in READ if name not in spelled]
    line = "line" if "line" in columns else "NULL::VARCHAR"
    empty = " AND ".join(f"{name} IS NULL" for name in READ)
    engine.run(
        f"CREATE TABLE raw AS SELECT * REPLACE (coalesce(account_number, '') AS account_number), {empty} AS blank,"
        f" hash({', '.join(OF_ACCOUNT)}) AS shared FROM (SELECT {line} AS line, {', '.join(cells)} FROM {query})"
    )


def _text(cell: str, name: str, kind: str) -> str:
    """SQL: a cell as CSV would write it, NULL where it is empty."""
    if kind in ("FLOAT", "DOUBLE"):
        whole = f"{cell}::DECIMAL(38, 0)::VARCHAR" + (" || '.0'" if name in AMOUNTS else "")
        return (
            f"CASE WHEN isnan({cell}) THEN NULL WHEN abs({cell}) < 1e18 AND {cell} = trunc({cell}) THEN {whole}"
            f" ELSE {cell}::VARCHAR END"
        )
    if kind.startswith("TIMESTAMP") and "ZONE" not in kind:
        return f"CASE WHEN {cell} = date_trunc('day', {cell}) THEN {cell}::DATE::VARCHAR ELSE {cell}::VARCHAR END"
    text = cell if kind == "VARCHAR" else f"{cell}::VARCHAR"
    return f"nullif(trim({text}), '')" if name in TRIMMED else f"nullif({text}, '')"


def _check_decimals(engine: Engine, source: Source) -> None:
    for name in AMOUNTS:
        text = rf"regexp_full_match(trim({name}), '[-+]?([0-9]*\.[0-9]*|[0-9]*,[0-9]{{0,2}})')"
        found = engine.rows(
            f"SELECT rowid, {name} FROM raw WHERE (contains({name}, '.') OR contains({name}, ',')) AND {text}"
            " ORDER BY rowid LIMIT 1"
        )
        for place, cell in found:
            if has_decimals(cell.strip()):
                row = source.row_numbers(engine, [place])[place]
                raise FileInvalid(
                    f"{source.path}: column {name}, row {row}: the amounts have decimals, and should be whole, in the minor unit"
                    " (12345 is 123.45 CNY); say what they are: --amounts major if 123.45 is 123.45 CNY, --amounts minor if the"
                    " decimals are a tool's and all zeros"
                )


def _has_empty_lines(path: Path) -> bool:
    """Whether rows have other numbers than their places say."""
    before = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            joined = before + block
            if b"\n\n" in joined or b"\n\r\n" in joined or b"\r\r" in joined:
                return True
            before = joined[-3:]
    return False


def _counted(path: Path, places: set[int]) -> dict[int, int]:
    """Counts rows and lines up to the last of these places."""
    found: dict[int, int] = {}
    with path.open("rb") as raw:
        lines: Iterator[str] = io.TextIOWrapper(raw, newline="", encoding="utf-8-sig", errors="replace")
        rows: Any = csv.reader(lines)
        next(rows)
        place = -1
        for number, cells in enumerate(rows, 2):
            place += bool(cells)
            if cells and place in places:
                found[place] = number
            if len(found) == len(places):
                break
    return found
