"""The open loop, with connections that answer as told."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from benchmarks.traffic.lean import CallFailed, Connection, Prepared
from benchmarks.traffic.opened import Fared, moments, send_at_rate

WORK: list[Prepared] = [(b"", b"")] * 20
RATE = 200.0


class Server:
    """A connection's end: answers at once, or as it is told."""

    def __init__(self, *, stall: float = 0.0, failed: str = "", silent: bool = False) -> None:
        self.calls: list[asyncio.Future[None]] = []
        self._stall, self._failed, self._silent = stall, failed, silent

    @property
    def open_calls(self) -> int:
        return sum(not call.done() for call in self.calls)

    def call(self, _prepared: Prepared) -> asyncio.Future[None]:
        if not self.calls:
            # The whole loop stands still, as it does when the generator lags.
            time.sleep(self._stall)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls.append(answer)
        if self._failed:
            answer.set_exception(CallFailed(self._failed))
        elif not self._silent:
            answer.set_result(None)
        return answer


def send(*lines: list[Server], places: int = 64, patience: float = 5.0) -> Fared:
    opened = [[cast("Connection", server) for server in line] for line in lines]
    return asyncio.run(send_at_rate(opened, WORK, RATE, places=places, patience=patience))


def test_a_stall_is_in_the_latency_of_all_that_fell_due_in_it() -> None:
    stall = 0.5
    due = moments(RATE, len(WORK), seed=1)
    fared = send([Server(stall=stall)])
    assert len(fared.answers) == len(WORK)
    for at, (came, latency) in zip(due, fared.answers, strict=True):
        assert latency >= due[0] + stall - at
        assert abs(came - latency - at) < 1e-6


def test_requests_are_sent_no_sooner_than_they_are_due() -> None:
    fared = send([Server()])
    assert fared.seconds == moments(RATE, len(WORK), seed=1)[-1]
    assert fared.took >= fared.seconds
    assert all(latency >= 0 for _, latency in fared.answers)


def test_lines_take_turns_and_the_connection_with_the_fewest_open_calls_is_taken() -> None:
    busy, free, other = Server(silent=True), Server(), Server()
    send([busy, free], [other], patience=0.0)
    assert (len(busy.calls), len(free.calls), len(other.calls)) == (1, 9, 10)


def test_what_finds_no_place_has_failed_and_so_has_what_is_never_answered() -> None:
    silent = Server(silent=True)
    fared = send([silent], places=3, patience=0.0)
    assert fared.failures == {"no place": 17, "unanswered": 3}
    assert (fared.failed, fared.sent, fared.answers) == (20, 20, [])
    assert all(call.cancelled() for call in silent.calls)


def test_a_refusal_is_counted_by_its_status() -> None:
    fared = send([Server(failed="8")], [Server()])
    assert fared.failures == {"8": 10}
    assert len(fared.answers) == 10


def test_only_answers_within_the_deadline_are_good() -> None:
    fared = Fared(3.0, [(1.5, 0.9), (2.0, 1.0), (2.5, 1.1)])
    assert fared.goodput(within=1.0) == 1.0
    assert fared.goodput(within=2.0) == 1.5
