"""One installation for all load tests: the exchange with two workers over a PostgreSQL of its own, which may be killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.load import clients, system
from tests.load.ledger_checks import Database

from tallystick.server.installation.embedded import embedded_postgresql


@dataclass
class Load:
    """What the tests work on."""

    exchange: system.Server
    profiles: Path
    data: Path
    """Data folder of the exchange's PostgreSQL."""
    url: str

    def database(self) -> Database:
        """A new connection to the exchange's database."""
        return Database(self.url)


_RELEASE = "TALLYSTICK_ALERT_RELEASE_MINUTES"


@contextmanager
def _alerts_at_once() -> Iterator[None]:
    """Alerts of servers that are started now are told at once: nobody here waits for the end of an hour."""
    os.environ[_RELEASE] = "0"
    try:
        yield
    finally:
        os.environ.pop(_RELEASE, None)


@pytest.fixture(scope="package")
def load() -> Iterator[Load]:
    """Both servers, four banks, and what they report beforehand. Here the disk is written as in earnest (fsync on)."""
    folder = Path(tempfile.mkdtemp(prefix="tallystick-load-"))
    try:
        with (
            embedded_postgresql(folder / "exchange-data") as url,
            system.server(folder / "authority", "token-authority", f"embedded:{folder / 'authority-data'}", workers=1),
            _alerts_at_once(),
            system.server(
                folder / "exchange", "exchange", url, *system.authority_options(folder / "authority"), workers=2
            ) as exchange,
        ):
            # The servers have it: tests of other files run here too before this fixture ends.
            del os.environ[_RELEASE]
            for bank in clients.BANKS:
                system.admit(folder / "exchange", bank, "reporter,inquirer", folder / bank)
                system.admit(folder / "authority", bank, "token-requester", folder / bank)
            asyncio.run(clients.report_known(folder))
            yield Load(exchange, folder, folder / "exchange-data", url)
    finally:
        # One that was killed and started again is another than the one that was started here.
        if (folder / "exchange-data/postmaster.pid").exists():
            with suppress(psutil.NoSuchProcess):
                system.kill_postgresql(folder / "exchange-data")
        shutil.rmtree(folder, ignore_errors=True)
