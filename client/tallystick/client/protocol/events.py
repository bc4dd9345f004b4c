"""Event hooks: what a caller can watch of its own traffic, for metrics, tracing and logs of its own.

A hook gets an event and returns nothing. No event holds a subject, a token, a key or a consent. A hook that fails is logged and
stops nothing: the request was sent, and its answer and receipt must not be lost for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tenacity

from tallystick.client.exceptions import InputInvalid, TallystickError
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Answered, Call

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """One attempt at a call is about to be sent."""

    server: Server
    method: str
    """The full method, such as "/tallystick.v1.InquiryService/QueryCreditHistory"."""
    attempt: int
    """1 for the first; a retry sends the same bytes under a new signature."""
    size: int
    """Bytes of the request message."""


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """One attempt at a call has ended: with an answer whose receipt was verified, or with an error."""

    request: RequestEvent
    seconds: float
    """From the request event on."""
    entry_index: int | None = None
    """The entry's index in the server's log; None where there is no receipt. A stream has an entry for each page: none is named."""
    error: TallystickError | None = None


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """An attempt failed, and another will be made after a wait."""

    request: RequestEvent
    wait: float
    """Seconds."""
    error: TallystickError


@dataclass(frozen=True, slots=True)
class EventHooks:
    """Functions that are called with each event, in their order, by whichever thread carries out the call.

    AsyncExchange also takes coroutine functions; each is awaited before the call goes on.
    """

    request: Sequence[Callable[[RequestEvent], Awaitable[None] | None]] = ()
    answer: Sequence[Callable[[AnswerEvent], Awaitable[None] | None]] = ()
    retry: Sequence[Callable[[RetryEvent], Awaitable[None] | None]] = ()

    def __post_init__(self) -> None:
        for name in ("request", "answer", "retry"):
            hooks = getattr(self, name)
            if not isinstance(hooks, list | tuple) or not all(callable(hook) for hook in hooks):
                raise InputInvalid(f"event_hooks.{name}", "FIELD_MALFORMED", "give a list of functions that take one event")


@dataclass(slots=True)
class Watched:
    """The attempts at one call, as events."""

    call: Call[Any]
    attempts: int = 0
    _request: RequestEvent = field(init=False)
    _begun: float = 0.0

    def requested(self) -> RequestEvent:
        """An attempt begins."""
        self.attempts += 1
        method = self.call.method
        self._request = RequestEvent(method.server, method.path, self.attempts, len(self.call.message))
        self._begun = time.monotonic()
        return self._request

    def answered(self, answered: Answered[Any] | None = None, error: TallystickError | None = None) -> AnswerEvent:
        """The attempt has ended."""
        receipt = answered.receipt if answered is not None else getattr(error, "receipt", None)
        index = receipt.index if receipt is not None else None
        return AnswerEvent(self._request, time.monotonic() - self._begun, index, error)

    def retried(self, state: tenacity.RetryCallState) -> RetryEvent | None:
        """Another attempt will be made."""
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, TallystickError) or state.next_action is None:
            return None
        return RetryEvent(self._request, state.next_action.sleep, error)


def tell(hooks: Sequence[Callable[[Any], Awaitable[None] | None]], event: Any) -> None:
    """Calls each hook."""
    for hook in hooks:
        try:
            if (awaitable := hook(event)) is not None:
                _not_awaited(hook, awaitable)
        except Exception:  # noqa: BLE001 - a caller's own function may raise anything
            _failed(hook)


async def tell_awaiting(hooks: Sequence[Callable[[Any], Awaitable[None] | None]], event: Any) -> None:
    """Calls each hook, and awaits what is a coroutine function."""
    for hook in hooks:
        try:
            if (awaitable := hook(event)) is not None:
                await awaitable
        except Exception:  # noqa: BLE001 - as in `tell`
            _failed(hook)


def _failed(hook: Callable[..., object]) -> None:
    _log.exception("the event hook %s failed", getattr(hook, "__qualname__", repr(hook)))


def _not_awaited(hook: Callable[..., object], awaitable: Awaitable[None]) -> None:
    if hasattr(awaitable, "close"):
        awaitable.close()
        _log.error(
            "the event hook %s is a coroutine function: only AsyncExchange awaits those", getattr(hook, "__qualname__", hook)
        )
