"""The embedded PostgreSQL runs wherever its folder is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tallystick.server.installation.embedded import embedded_postgresql


@pytest.fixture
def base() -> Iterator[Path]:
    # Not below pytest's own folder: as root its modes would be opened to the database's user.
    folder = Path(tempfile.mkdtemp(prefix="tallystick-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", ["with a space", "it's & (that); *x*", "银行", "l" + 120 * "o" + "ng"])
def test_its_folder_may_have_any_name(base: Path, name: str) -> None:
    with embedded_postgresql(base / name / "data") as url:
        connection = psycopg2.connect(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SHOW listen_addresses")
                assert cursor.fetchone() == ("",), "it listens on a network"
        finally:
            connection.close()
