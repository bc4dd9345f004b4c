"""A file read through once before anything of it is sent: what makes the whole of it wrong, or not what it seems, is told then.

A row that cannot be read is rejected alone. But decimals in amounts, numbers that a spreadsheet has rounded, or bytes of another
encoding in line 2,502 say something of the whole file, and two thousand accounts would have been reported by then.
"""

from __future__ import annotations

from collections.abc import Collection

from tallystick.client.exceptions import FileInvalid
from tallystick.client.files.amounts import Amounts, has_decimals
from tallystick.client.files.damage import ROUNDED, RoundedNumbers
from tallystick.client.files.reading import TableReader


def survey(
    table: TableReader, *, amounts: Collection[str] = (), numbers: Collection[str] = (), said: Amounts | None = None
) -> None:
    """Reads a table to its end. Raises FileInvalid, saying what to do.

    `amounts` and `numbers` are the columns that hold the one or the other; `said` is what the caller says that amounts are."""
    positions = {name: place for place, name in enumerate(table.columns)}
    of_amounts = [(name, positions[name]) for name in amounts if name in positions and said is None]
    of_numbers = [(name, positions[name], RoundedNumbers()) for name in numbers if name in positions]
    rows = 0
    for number, cells in table:
        rows += 1
        for name, place in of_amounts:
            if has_decimals(cells[place]):
                raise FileInvalid(_decimals(table, name, number))
        for _, place, rounded in of_numbers:
            rounded.take(cells[place])
    if not rows:
        raise FileInvalid(f"{table.path}: there is a header and no row")
    for name, _, rounded in of_numbers:
        if rounded.found:
            raise FileInvalid(f"{table.path}: column {name}: {ROUNDED}")


def _decimals(table: TableReader, name: str, number: int) -> str:
    return (
        f"{table.path}: column {name}, row {number}: the amounts have decimals, and should be whole, in the minor unit (12345"
        f" is 123.45 CNY); say what they are: {table.option.format('major')} if 123.45 is 123.45 CNY,"
        f" {table.option.format('minor')} if the decimals are a tool's"
        " and all zeros; nothing was sent"
    )
