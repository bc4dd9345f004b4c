"""The sample: each client of the file as an exchange would rate it, in parts of which the test part is opened once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from examples.card_file import CardClient
from examples.rating.parts import parts_of
from examples.reported_accounts import account_of
from tallystick.credit.rating import Characteristic, Profile, RatingFacts, month_index_of
from tallystick.v1.account_pb2 import Account

RATED_ON = dt.date(2005, 10, 1)
"""The day after the last month of the file; its outcome is that of the month which then begins."""
MONTHS = tuple(dt.date(2005, month, 1) for month in (9, 8, 7, 6, 5, 4))


@dataclass(frozen=True)
class Sample:
    """Clients with their profiles and outcomes, in the order of the file."""

    clients: Sequence[CardClient]
    accounts: Sequence[Account]
    profiles: Sequence[Profile]
    defaulted: NDArray[np.int64]
    parts: NDArray[np.int64]

    @classmethod
    def of(cls, clients: Sequence[CardClient]) -> Sample:
        """The whole file."""
        month = month_index_of(RATED_ON)
        accounts = [account_of(client, MONTHS).to_message() for client in clients]
        return cls(
            clients,
            accounts,
            [Profile.of([RatingFacts.of(account)], month, [account]) for account in accounts],
            np.array([client.defaulted for client in clients], dtype=np.int64),
            np.array(parts_of(clients)),
        )

    def values(self, characteristic: Characteristic) -> NDArray[np.int64]:
        """A characteristic of every client."""
        month = month_index_of(RATED_ON)
        return np.array([characteristic.value(profile, month) for profile in self.profiles], dtype=np.int64)
