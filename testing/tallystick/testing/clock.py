"""The clock of an in-memory exchange: both servers and the SDK go by it, and who waits for it moves it on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clock, or one that stands where a test has put it; waiting takes no time, and moves either on."""

    def __init__(self, now: datetime | None = None) -> None:
        self._stands_at: datetime | None = None
        self._passed = timedelta()
        if now is not None:
            self.stand_at(now)
        self.waits: list[float] = []
        """How many seconds were waited for, each time."""

    def now(self) -> datetime:
        """The time in UTC."""
        return (self._stands_at or datetime.now(UTC)).astimezone(UTC) + self._passed

    def __call__(self) -> float:
        """The same in seconds since 1970."""
        return self.now().timestamp()

    def stand_at(self, now: datetime) -> None:
        """Puts the clock to an instant, where it stands but for what is waited and advanced."""
        if now.tzinfo is None:
            raise ValueError("now: give an instant with a time zone")
        self._stands_at, self._passed = now, timedelta()

    def advance(self, passed: timedelta) -> None:
        """Lets time pass."""
        if passed < timedelta():
            raise ValueError("time does not go backwards")
        self._passed += passed

    def sleep(self, seconds: float) -> None:
        """Waits, in no time."""
        self.waits.append(seconds)
        self.advance(timedelta(seconds=max(seconds, 0)))

    async def sleep_async(self, seconds: float) -> None:
        """The same for asyncio."""
        self.sleep(seconds)
