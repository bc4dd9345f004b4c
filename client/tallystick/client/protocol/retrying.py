"""Which failures are tried again, and how long to wait: the one retry policy, for blocking and asynchronous callers alike."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NoReturn

import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from tallystick.client.exceptions import DeadlineExceeded, InputInvalid, NotReached, Overloaded

LONGEST_WAIT = 30.0
"""Seconds; a server that asks for more is asked sooner, and says so again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a caller waits and how often it tries.

    A retry sends the same bytes, with the same request_id, under a new signature: it has no second effect. Tried again are only
    UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED with RetryInfo, and what gRPC ended because the server was busy or broke off.
    """

    timeout: float = 30.0
    """Seconds for one attempt; the server drops a request whose deadline has passed."""
    stream_timeout: float = 600.0
    """Seconds for one attempt at a stream of pages."""
    attempts: int = 8
    """Attempts at the most, the first included."""
    total: float = 120.0
    """Seconds after which no further attempt begins."""
    first_wait: float = 0.1
    """Seconds before the second attempt; doubled for each further one, with jitter."""

    def __post_init__(self) -> None:
        for name in ("timeout", "stream_timeout", "total", "first_wait"):
            _require_seconds(f"patience.{name}", getattr(self, name))
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise InputInvalid("patience.attempts", "FIELD_OUT_OF_RANGE", "give a whole number from 1")

    def stop(self) -> stop_base:
        """When to give up."""
        return tenacity.stop_after_attempt(self.attempts) | tenacity.stop_after_delay(self.total) | _StopIfTooLong(self.total)

    def wait(self) -> wait_base:
        """How long to wait between two attempts."""
        return _WaitAsTold(self.first_wait)


class TimeLimit:
    """What is left of the time that a caller gives one call: its tokens, attempts and waits together. Without one there is no end
    but that of Patience."""

    def __init__(self, seconds: float | None) -> None:
        """Raises InputInvalid for what is no number of seconds."""
        if seconds is not None:
            _require_seconds("timeout", seconds)
        self._seconds = math.inf if seconds is None else seconds
        self._end = time.monotonic() + self._seconds

    @property
    def left(self) -> float:
        """Seconds; not above 0 when the time is over."""
        return self._end - time.monotonic()

    def over(self) -> DeadlineExceeded:
        """What is said when no attempt told more."""
        return DeadlineExceeded(f"no answer within the {self._seconds:g} s that this call was given")


class Attempts:
    """The attempts at one call within a limit, and what is said of them in the end.

    The last of them may be the one that had no time left, or never began. Why the others failed is what its reader can mend.
    """

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._met: NotReached | None = None

    def begin(self, patience: float) -> float:
        """Seconds that the next attempt may take. When there are none, raises what the one before it met, or DeadlineExceeded."""
        if self._limit.left <= 0:
            raise self._met or self._limit.over()
        return min(patience, self._limit.left)

    def stop(self) -> stop_base:
        """No further attempt begins when its wait would take what is left."""
        left = self._limit.left
        return tenacity.stop_before_delay(left) if left < math.inf else tenacity.stop_never

    def failed(self, error: BaseException | None) -> None:
        """Another attempt will be made."""
        if isinstance(error, NotReached) and (self._met is None or not isinstance(error, DeadlineExceeded)):
            self._met = error

    def give_up(self, retry_state: tenacity.RetryCallState) -> NoReturn:
        """Raises the last attempt's error; one that says no more than that its time was over says what an earlier one met."""
        error = retry_state.outcome.exception() if retry_state.outcome else None
        met = self._met
        if isinstance(error, DeadlineExceeded) and met is not None and not isinstance(met, DeadlineExceeded):
            raise DeadlineExceeded(f"the last attempt had no answer in time; before it, {met}") from error
        raise error or self._limit.over()


def _require_seconds(field: str, value: object) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise InputInvalid(field, "FIELD_OUT_OF_RANGE", "give seconds, more than 0")


class _StopIfTooLong(stop_base):
    """When the server asks for a longer wait than the caller has patience for: a quota of the day, say."""

    def __init__(self, total: float) -> None:
        self._total = total

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return _told(retry_state) > self._total


class _WaitAsTold(wait_base):
    """Exponential with jitter, but never shorter than the server asked for."""

    def __init__(self, first: float) -> None:
        self._backoff = tenacity.wait_random_exponential(multiplier=first, max=LONGEST_WAIT, min=first / 2)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        backoff = self._backoff(retry_state)
        return min(max(backoff, _told(retry_state)), LONGEST_WAIT)


def _told(retry_state: tenacity.RetryCallState) -> float:
    """For how many seconds the server asked the caller to wait."""
    error = retry_state.outcome.exception() if retry_state.outcome else None
    return error.retry_after if isinstance(error, NotReached) and error.retry_after else 0.0


def is_retryable(error: BaseException) -> bool:
    """Whether the same bytes may be sent again."""
    if isinstance(error, Overloaded):
        return error.retry_after is not None
    return isinstance(error, NotReached) and error.retryable
