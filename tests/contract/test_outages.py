"""A database that is down, and callers that no longer wait: nobody is answered wrongly, nothing runs later, and it mends itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2
from tests.contract import requests
from tests.contract.proxy import DatabaseProxy
from tests.contract.raw_caller import RawCaller, Reply, open_channel
from tests.contract.requests import QUERY, SUBMIT, wait_until
from tests.contract.system import System

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
BOUNDED_SECONDS = 40
"""An answer comes well before the caller's own patience ends, however busy the machine."""


class CutOff:
    """A worker whose way to the database can be cut, a member that calls it, and its health."""

    def __init__(self, system: System) -> None:
        self.proxy = DatabaseProxy(system.exchange.installation.database)
        self.worker = system.exchange.installation.start(self.proxy.url)
        self.caller = system["bank-a"].exchange.at(self.worker.address)
        self._channel = open_channel(self.worker.address, self.caller.tls)
        self._check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    def health(self) -> int:
        return int(self._check(health_pb2.HealthCheckRequest(), timeout=5).status)

    def close(self) -> None:
        self.caller.close()
        self._channel.close()
        assert self.worker.stop() == 0
        self.proxy.cut()


@pytest.fixture(scope="module")
def cut_off(system: System) -> Iterator[CutOff]:
    made = CutOff(system)
    yield made
    made.close()


def expect_unavailable(reply: Reply) -> None:
    assert (reply.code, reply.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"), reply.text
    assert reply.receipt is None


_FULL_DISK = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON audit_entry EXECUTE FUNCTION full_disk();
"""


def test_full_disk(system: System) -> None:
    """Not the caller's fault and not INTERNAL: the same request_id is carried out once there is room."""
    stored, caller = system.exchange.database_view, system["bank-a"].exchange
    submission = requests.submission([requests.report(system.mint.stranger())])
    state, size = stored.state(), stored.size
    stored.rows(_FULL_DISK)
    try:
        for _ in range(2):
            expect_unavailable(caller.call(SUBMIT, submission))
    finally:
        stored.rows("DROP FUNCTION full_disk CASCADE")
    assert (stored.state(), stored.size) == (state, size)
    assert caller.call(SUBMIT, submission).ok
    assert stored.claims(submission.request_id) == 1


def test_database_that_is_down(system: System, cut_off: CutOff) -> None:
    stored, caller = system.exchange.database_view, cut_off.caller
    subject = system.mint.stranger()
    wait_until(lambda: cut_off.health() == SERVING)
    assert caller.call(QUERY, requests.query(system.mint.stranger())).ok
    submission = requests.submission([requests.report(subject)])
    state, size = stored.state(), stored.size

    cut_off.proxy.cut()
    for _ in range(3):
        began = time.monotonic()
        expect_unavailable(caller.call(SUBMIT, submission))
        assert time.monotonic() - began < BOUNDED_SECONDS
    expect_unavailable(cut_off.caller.send("AuditService/GetCheckpoint", b"", ()))
    wait_until(lambda: cut_off.health() == NOT_SERVING)
    assert (stored.state(), stored.size) == (state, size)
    # What needs no database to be refused, is.
    bad = caller.call(QUERY, requests.query(subject), audience="another.test/log")
    assert bad.reason == "AUDIENCE_MISMATCH"

    cut_off.proxy.mend()
    reply = caller.call(SUBMIT, submission)
    assert reply.message.accepted_count == 1
    caller.verified_receipt(reply)
    assert stored.claims(submission.request_id) == 1
    wait_until(lambda: cut_off.health() == SERVING)


def test_key_that_is_not_known_yet_while_the_database_is_down(system: System, cut_off: CutOff) -> None:
    caller = system["lender-c"].exchange.at(cut_off.worker.address)
    cut_off.proxy.cut()
    expect_unavailable(caller.call(QUERY, requests.query(system.mint.stranger())))
    cut_off.proxy.mend()
    wait_until(lambda: caller.call(QUERY, requests.query(system.mint.stranger())).ok)
    caller.close()


def test_connection_lost_before_the_commit(system: System, cut_off: CutOff) -> None:
    """The request waits for the head of the log when its connection breaks: it is not run again here, and nothing of it stays."""
    stored, subject = system.exchange.database_view, system.mint.stranger()
    assert cut_off.caller.call(QUERY, requests.query(system.mint.stranger())).ok
    submission = requests.submission([requests.report(subject)])
    size = stored.size
    with ThreadPoolExecutor(1) as pool:
        with stored.head_locked():
            waiting = pool.submit(cut_off.caller.call, SUBMIT, submission)
            wait_until(lambda: waits_for_the_head(system))
            cut_off.proxy.cut()
            expect_unavailable(waiting.result(BOUNDED_SECONDS))
        cut_off.proxy.mend()
    wait_until(lambda: not waits_for_the_head(system))
    assert (stored.claims(submission.request_id), stored.size) == (0, size)
    assert cut_off.caller.call(SUBMIT, submission).message.accepted_count == 1
    assert cut_off.caller.call(SUBMIT, submission).message.accepted_count == 1
    assert stored.claims(submission.request_id) == 1


def waits_for_the_head(system: System) -> bool:
    """Whether a transaction of the exchange has come to its last step and waits there."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%%lock_head%%'"
    )
    return bool(system.exchange.database_view.rows(waiting))


def test_deadline_that_has_passed(system: System) -> None:
    """A caller that waits in the queue behind a transaction which cannot end, and gives up, is dropped before it runs."""
    stored, subject = system.exchange.database_view, system.mint.stranger()
    first, second = system["bank-a"].exchange, system["bank-b"].exchange
    running = requests.submission([requests.report(subject)])
    late = requests.submission([requests.report(subject)])
    late_query = requests.query(subject)
    size = stored.size
    with ThreadPoolExecutor(1) as pool:
        with stored.head_locked():
            held = pool.submit(first.call, SUBMIT, running)
            wait_until(lambda: waits_for_the_head(system))
            for method, message in ((SUBMIT, late), (QUERY, late_query)):
                began = time.monotonic()
                reply = second.call(method, message, timeout=0.5)
                assert reply.code is grpc.StatusCode.DEADLINE_EXCEEDED
                assert reply.receipt is None
                assert time.monotonic() - began < 20
        assert held.result().message.accepted_count == 1
    # The same server has gone on: whatever was queued before this request was dropped or run before it.
    history = first.call(QUERY, requests.query(subject)).message.credit_history
    assert (len(history.accounts), history.inquiry_summary.count_1_month) == (1, 0)
    assert stored.size == size + 2
    assert stored.claims(late.request_id) == stored.claims(late_query.request_id) == 0
    assert second.call(SUBMIT, late).message.accepted_count == 1


@pytest.mark.parametrize("timeout", [0.000_001, 0.001, 0.003, 0.006])
def test_deadline_that_passes_on_the_way(system: System, timeout: float) -> None:
    """The caller cannot know whether it ran. A retry under the same request_id has the one effect, whichever it was."""
    stored, caller, subject = system.exchange.database_view, system["bank-a"].exchange, system.mint.stranger()
    request = requests.submission([requests.report(subject)])
    first = caller.call(SUBMIT, request, timeout=timeout)
    assert first.ok or first.code is grpc.StatusCode.DEADLINE_EXCEEDED
    retried = caller.call(SUBMIT, request)
    assert retried.message.verdicts[0].outcome == 1
    assert stored.claims(request.request_id) == 1
    history = system["bank-b"].exchange.call(QUERY, requests.query(subject)).message.credit_history
    assert len(history.accounts) == 1


def test_callers_under_way_are_served_before_a_worker_ends(system: System) -> None:
    """SIGTERM: what was accepted is committed and answered, then the process ends with 0."""
    worker = system.exchange.installation.start()
    caller = system["bank-a"].exchange.at(worker.address)
    assert caller.call(QUERY, requests.query(system.mint.stranger())).ok
    codes: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        with system.exchange.database_view.head_locked():
            held = pool.submit(_query, caller, system)
            wait_until(lambda: waits_for_the_head(system))
            queued = [pool.submit(_query, caller, system) for _ in range(4)]
            time.sleep(0.3)
            stopping = threading.Thread(target=lambda: codes.append(worker.stop()))
            stopping.start()
            time.sleep(0.3)
        replies = [future.result() for future in (held, *queued)]
    stopping.join()
    caller.close()
    assert codes == [0]
    assert [reply.ok for reply in replies] == [True] * 5, [reply.text for reply in replies]
    assert system.exchange.database_view.size == max(reply.logged.index for reply in replies) + 1


def _query(caller: RawCaller, system: System) -> Reply:
    return caller.call(QUERY, requests.query(system.mint.stranger()))
