"""An exchange with members and a few accounts, to be measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from benchmarks import parties, traffic

from tallystick.client import Profile
from tallystick.client.profile.servers import Address
from tallystick.crypto import oprf

WORKERS = 2
MONTHS = 24
ACCOUNTS_EACH = 2
SEQUENCE = 1
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """An exchange that runs, and its members."""

    folder: Path
    running: parties.Running
    profiles: Sequence[Profile]
    epoch_id: bytes

    @property
    def addresses(self) -> list[Address]:
        """The exchange's address with each member's certificate."""
        return [profile.exchange.address for profile in self.profiles]

    def report(self, tokens: Sequence[bytes]) -> None:
        """The first member reports accounts of each subject."""
        accounts = [(token, number) for token in tokens for number in range(ACCOUNTS_EACH)]
        work = [
            traffic.report(accounts[begin : begin + _AT_ONCE], self.epoch_id, MONTHS) for begin in range(0, len(accounts), _AT_ONCE)
        ]
        profile = self.profiles[0]
        uvloop.run(traffic.send_signed(profile, profile.exchange, traffic.REPORT, 1, work))


@contextmanager
def exchange(folder: Path, members: int, public_key: bytes) -> Iterator[Place]:
    """Runs an exchange with so many members, and stops it at the end."""
    options = ("--token-public-key", public_key.hex(), "--token-sequence", str(SEQUENCE))
    with parties.server(folder, "exchange", *options, workers=WORKERS) as running:
        names = [f"bank-{number}" for number in range(members)]
        for name in names:
            parties.member(folder, name, "reporter,inquirer", folder.with_name(f"{folder.name}-{name}"))
        profiles = [Profile.load(folder.with_name(f"{folder.name}-{name}")) for name in names]
        yield Place(folder, running, profiles, oprf.epoch_id(SEQUENCE, public_key))
