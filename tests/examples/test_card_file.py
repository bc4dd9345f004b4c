"""The demo's data: read whole or not at all."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path

import pytest
from examples.card_file import CARD_FILE, CardClient, CardFileError, read_card_file


def test_the_file_is_the_one_that_its_source_describes(clients: list[CardClient]) -> None:
    assert len(clients) == 30_000
    assert sum(client.defaulted for client in clients) == 6_636
    first = clients[0]
    assert (first.number, first.credit_limit, first.defaulted) == (1, 20_000, True)
    assert [month.status for month in first.months] == [2, 2, -1, -1, -2, -2]
    assert [month.billed for month in first.months] == [3_913, 3_102, 689, 0, 0, 0]
    assert [month.paid for month in first.months] == [0, 689, 0, 0, 0, 0]


@functools.cache
def _lines() -> list[str]:
    with gzip.open(CARD_FILE, "rt", encoding="ascii", newline="") as file:
        return file.read().splitlines()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda lines: lines[:-1], id="a client less"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="out of order"),
        pytest.param(lambda lines: [lines[0].replace("PAY_2", "PAY_1"), *lines[1:]], id="another column"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1].replace(",", ",x", 1)], id="no number"),
        pytest.param(lambda lines: [lines[0], lines[1][:-1] + "0", *lines[2:]], id="a default less"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    path = tmp_path / "cards.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("\n".join(spoil(_lines())) + "\n")
    with pytest.raises(CardFileError):
        read_card_file(path)


def test_what_is_no_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cards.csv.gz"
    path.write_bytes(CARD_FILE.read_bytes()[:5_000])
    with pytest.raises(CardFileError):
        read_card_file(path)
    path.write_bytes(b"ID,LIMIT_BAL\n")
    with pytest.raises(CardFileError):
        read_card_file(path)
