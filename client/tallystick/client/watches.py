# Written by `make sync` from async_watches.py: change that file.
"""Watches and messages, for ordinary code."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence

from tallystick.client.drivers.threads import ThreadDriver, chunks
from tallystick.client.flows.monitoring import AccountWatch, Acknowledged, Pulled, Recent, WatchResult, check_ids
from tallystick.client.session import Session
from tallystick.contract.limits import MAX_WATCHES
from tallystick.credit.enums import WatchState
from tallystick.credit.monitoring import ListedWatch, MonitoringMessage, PortfolioDigest

_NOT = dt.timedelta(0)


class Watching:
    """Watches over this member's own borrowers, and what they tell: the methods of `Exchange.monitoring`."""

    def __init__(self, session: Session, driver: ThreadDriver) -> None:
        self._flows = session.monitoring
        self._driver = driver

    def put(self, watches: Iterable[AccountWatch], *, timeout: float | None = None) -> Iterator[WatchResult]:
        """Puts watches in batches; results come in the order of the watches, which are taken as they are needed.

        A rejection is a result, not an exception. A watch of an account that has one already renews it, and takes its place.
        """
        return self._driver.in_order(self._flows.put, chunks(watches, MAX_WATCHES), timeout)

    def end(self, watch_ids: Iterable[bytes], *, timeout: float | None = None) -> int:
        """Ends watches by their ids; returns how many had not ended before. What they had to tell is discarded."""
        ids = check_ids(list(watch_ids))
        ended = 0
        for begin in range(0, len(ids), MAX_WATCHES):
            (count,) = self._driver.run(self._flows.end(ids[begin : begin + MAX_WATCHES]), timeout)
            ended += count
        return ended

    def list(self, state: WatchState = WatchState.UNSPECIFIED, *, timeout: float | None = None) -> Iterator[ListedWatch]:
        """One's own watches, in no meaningful order; those that ended are listed for 100 days."""
        return self._driver.pages(lambda token: self._flows.watches_page(state, token), timeout)

    def references(self, account_numbers: Sequence[str]) -> dict[bytes, str]:
        """Which of your account numbers an `account_reference` stands for; nothing is asked of anybody."""
        return self._flows.references(account_numbers)

    def pull(self, cursor: str = "", *, page_size: int = 0, wait: dt.timedelta = _NOT, timeout: float | None = None) -> Pulled:
        """Messages from a cursor on; without one, from behind what was acknowledged. `wait` is for how long to wait, up to 25
        seconds, when there is nothing to tell yet. Nothing is acknowledged by it."""
        return self._driver.run(self._flows.pull(cursor, page_size, wait), timeout)

    def acknowledge(self, cursor: str, *, timeout: float | None = None) -> Acknowledged:
        """Says that all messages up to a cursor are safe: they are not told again without being asked for."""
        return self._driver.run(self._flows.acknowledge(cursor), timeout)

    def messages(self, *, wait: dt.timedelta = _NOT, timeout: float | None = None) -> Iterator[MonitoringMessage]:
        """Messages that are not acknowledged yet, one after the other, until there is none for as long as `wait`.

        A page is acknowledged once its last message was taken and the next one is asked for: a caller that has each message safe
        before it asks for the next loses none. What comes again is left out; in a later run some may come again: remove duplicates
        by their message_id.
        """
        cursor, left, recent = "", wait, Recent()
        while True:
            began = time.monotonic()
            pulled = self.pull(cursor, wait=left, timeout=timeout)
            for message in filter(recent.is_new, pulled.messages):
                yield message
            if pulled.next_cursor != cursor:
                cursor = (self.acknowledge(pulled.next_cursor, timeout=timeout)).cursor
            elif not left:
                return
            left = wait if pulled.messages else max(_NOT, left - dt.timedelta(seconds=time.monotonic() - began))

    def digest(self, month: dt.date, *, timeout: float | None = None) -> PortfolioDigest:
        """What was told in a month, counted by trigger and transition; `month` is any day of one of the last two months."""
        return self._driver.run(self._flows.digest(month), timeout)
