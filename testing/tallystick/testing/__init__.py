"""For the tests of a member's own code: an exchange in memory, with the contract of a real one.

    from tallystick.testing import InMemoryExchange, account, person

    exchange = InMemoryExchange()
    exchange.known(person(), account(overdue={2: 3}))
    with exchange.exchange() as sdk:
        sdk.query(person(), Purpose.LOAN_APPROVAL, "consent-1")

pytest has it as the fixture `tallystick_exchange` (tallystick.testing.pytest_plugin). What `__all__` names is public; a test
freezes it. Each name is loaded when it is first used: pytest loads the plugin in every project that has this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tallystick.testing.exchange import AskedInquiry, InMemoryExchange, person
    from tallystick.testing.history import KnownAccount, account

__all__ = ["AskedInquiry", "InMemoryExchange", "KnownAccount", "account", "person"]

_HOMES = {
    "AskedInquiry": "tallystick.testing.exchange",
    "InMemoryExchange": "tallystick.testing.exchange",
    "KnownAccount": "tallystick.testing.history",
    "account": "tallystick.testing.history",
    "person": "tallystick.testing.exchange",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
