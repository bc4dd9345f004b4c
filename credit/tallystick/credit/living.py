"""The living account: whether a contract still binds its institution and its subject, so that the institution may go on asking.

A closed account lives on while anything of it is owed. The rule is that of the trade, where a lender watches the holder of an open
account, or of a closed one with an outstanding balance (Levine v. World Financial Network, 437 F.3d 1118, was about a review that
came four years after the closing).
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from tallystick.credit.codes import ACCOUNT_STATUSES
from tallystick.credit.enums import Purpose
from tallystick.v1.account_pb2 import Account

LIVING_PURPOSES: Final = frozenset({int(Purpose.POST_LOAN_MANAGEMENT), int(Purpose.POST_GUARANTEE_MANAGEMENT)})
"""Purposes for which a member asks only about who has a living account with it."""

REPORT_AGE: Final = timedelta(days=92)
"""An account that was not reported for so long counts as living no more: three months, and no month is longer than 31 days."""

_ENDED: Final[Mapping[int, frozenset[int]]] = MappingProxyType(
    {
        int(account_type): frozenset(
            code for code, name in statuses.items() if name in {"settled", "closed", "ended", "transferred out"}
        )
        for account_type, statuses in ACCOUNT_STATUSES.items()
    }
)
"""The statuses of each account type with which the institution has no claim of its own any more."""


def is_living(account: Account) -> bool:
    """Whether an account is open, or anything of it is owed. Of a closed account, a balance that is not known is none."""
    ended = account.closed_date != 0 or account.status in _ENDED.get(account.account_type, ())
    return not ended or account.balance > 0 or account.HasField("running_overdue")
