"""What a boosted model is given to find the ceiling: status, shares and amounts of every month, each turned so that more is worse.

No month without a bill is taken as a sign: in this file such clients default often, which nobody could explain to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from examples.card_file import CardClient

_WINDOWS = (1, 2, 3, 6)
_NEVER = 10**9


def features_of(clients: Sequence[CardClient]) -> NDArray[np.float64]:
    """A row a client."""
    status = np.array([[month.status for month in client.months] for client in clients])
    billed = np.array([[month.billed for month in client.months] for client in clients])
    paid = np.array([[month.paid for month in client.months] for client in clients])
    limit = np.array([client.credit_limit for client in clients])
    late = np.clip(status, 0, 7)
    used = np.clip(billed, 0, None) * 100 / limit[:, None]
    due = billed[:, 1:] > 0
    amounts = np.where(due, paid[:, :-1], _NEVER)
    of_limit = np.where(due, paid[:, :-1] * 1000 / limit[:, None], _NEVER)
    of_bill = np.where(due, paid[:, :-1] * 100 / np.maximum(billed[:, 1:], 1), _NEVER)
    columns = [-limit.astype(float)]
    for window in _WINDOWS:
        columns += [late[:, :window].max(1), (late[:, :window] >= 1).sum(1), (late[:, :window] >= 2).sum(1)]
        columns += [used[:, :window].max(1), used[:, :window].mean(1)]
        columns += [-each[:, :window].min(1) for each in (amounts, of_limit, of_bill)]
        columns += [(each[:, :window] < bound).sum(1) for each, bound in ((amounts, 1000), (of_limit, 20), (of_bill, 5))]
    return np.column_stack(columns).astype(float)
