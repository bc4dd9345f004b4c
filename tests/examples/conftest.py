"""The examples are no part of the installation: they are found where they stand. Their data is read once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

if TYPE_CHECKING:
    from examples.card_file import CardClient


@pytest.fixture(scope="session")
def clients() -> list[CardClient]:
    """All clients of the file."""
    from examples.card_file import read_card_file

    return read_card_file()
