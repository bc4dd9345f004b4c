"""What several do at once: the order of the log holds, and nobody's haste or hostility fails another."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg2
import pytest
from tests.contract import requests
from tests.contract.conftest import NewDatabase
from tests.contract.installation import Installation
from tests.contract.raw_caller import RawCaller, path
from tests.contract.system import INQUIRER, System

from tallystick.crypto import parse_request_signature, sign_request
from tallystick.server.composition import compose
from tallystick.server.errors import ConcurrentChangeError
from tallystick.server.requests.calls import Answer, Call
from tallystick.server.storage.connection import Connection
from tallystick.v1 import audit_service_pb2, log_pb2
from tallystick.v1 import membership_service_pb2 as membership


def test_nobody_is_admitted_after_the_entry_that_took_the_admission_away(system: System) -> None:
    installation = system.exchange.installation
    member = system.admit("revoked-late", [INQUIRER], (requests.LOAN_APPROVAL,))
    query = requests.query(system.mint.stranger()).SerializeToString()
    method = path(requests.QUERY)

    async def race() -> None:
        service = compose(installation.settings, installation.keys, installation.database)
        signed = sign_request(member.key, path=method, message=query, audience=installation.origin, created=int(time.time()))
        call = Call(method, signed.metadata, query, None)
        request = service.request(call, parse_request_signature(signed.metadata), member.member_id)
        connection = await Connection.open(installation.database)
        transactor = service.ledger.transactor
        batch = await transactor.carry_out(connection, [request])
        revoke = membership.RevokeMemberKeyRequest(
            request_id=requests.request_id(), member_id=member.member_id, keyid=member.exchange.keyid
        )
        assert (await asyncio.to_thread(system.operator.call, requests.REVOKE_KEY, revoke)).ok
        with pytest.raises(ConcurrentChangeError):
            await transactor.commit(connection, batch)
        await connection.execute("ROLLBACK")
        (answer,) = await transactor.commit(connection, await transactor.carry_out(connection, [request]))
        assert isinstance(answer, Answer)
        assert answer.refusal is not None
        assert answer.refusal.reason_name == "KEY_REVOKED"
        connection.close()

    asyncio.run(race())


def test_cancelled_calls_cost_nobody_else_an_answer(system: System) -> None:
    # The one who cancels may be barred for it, as a member: the patient one is another.
    ways = [system[member].exchange.tls for member in ("lender-c", "bank-b")]
    address = system.exchange.worker.address
    size = system.exchange.database_view.size
    proof = audit_service_pb2.GetConsistencyProofRequest(old_size=size // 2, new_size=size).SerializeToString()

    async def run() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(tls.authority, tls.key, tls.certificate), options=options)
            for tls in ways
        ]
        hasty: Any = channels[0].unary_unary
        patient: Any = channels[1].unary_unary
        over = asyncio.Event()

        async def cancel() -> None:
            turn = 0
            while not over.is_set():
                call = hasty(path("AuditService/GetConsistencyProof"))(proof)
                await asyncio.sleep(0.001 + 0.002 * (turn % 3))
                call.cancel()
                turn += 1

        attackers = [asyncio.create_task(cancel()) for _ in range(3)]
        for _ in range(150):
            await patient(path("AuditService/GetCheckpoint"))(b"", timeout=60)
        over.set()
        await asyncio.gather(*attackers)
        await asyncio.gather(*(channel.close() for channel in channels))

    asyncio.run(run())


def test_reports_and_withdrawals_of_one_account_do_not_deadlock(system: System, second_worker_caller: RawCaller) -> None:
    callers = (system["bank-a"].exchange, second_worker_caller)
    subject = system.mint.stranger()
    references = [requests.reference(20_000 + i) for i in range(2)]
    callers[0].call(requests.SUBMIT, requests.submission([requests.report(subject, of=r) for r in references]))
    count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = system.exchange.database_view.rows(count)
    over = threading.Event()

    def work(caller: RawCaller, reported: int) -> None:
        with ThreadPoolExecutor(2) as pool:
            while not over.is_set():
                report = requests.submission([requests.report(subject, of=references[reported])])
                long_ago = datetime.now(UTC) - timedelta(days=400)
                withdrawal = requests.withdrawal(subject, references[1 - reported], long_ago)
                calls = [pool.submit(caller.call, *each) for each in ((requests.SUBMIT, report), (requests.WITHDRAW, withdrawal))]
                assert all(call.result().ok for call in calls)

    threads = [threading.Thread(target=work, args=(caller, number)) for number, caller in enumerate(callers)]
    for thread in threads:
        thread.start()
    time.sleep(4)
    over.set()
    for thread in threads:
        thread.join()
    # PostgreSQL publishes its statistics with a delay of a second.
    time.sleep(1.5)
    assert system.exchange.database_view.rows(count) == before


def test_a_registry_begins_with_entries_that_say_ok_whatever_this_machine_s_clock(
    new_database: NewDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = time.time() - 300
    with new_database() as url:
        with monkeypatch.context() as patch:
            patch.setattr("tallystick.server.administration.time.time", lambda: late)
            Installation(tmp_path / "server", "token-authority", url)
        connection = psycopg2.connect(url)
        with connection.cursor() as cursor:
            cursor.execute("SELECT leaf FROM audit_entry ORDER BY index")
            entries = [log_pb2.AuditEntry.FromString(leaf) for (leaf,) in cursor.fetchall()]
        connection.close()
    assert [entry.outcome for entry in entries] == [log_pb2.ENTRY_OUTCOME_OK] * 2


def test_what_nobody_could_find_to_erase_is_not_kept(system: System) -> None:
    caller, auditor = system["bank-a"].exchange, system["auditor"].exchange
    subject = system.mint.stranger()
    many = [requests.inquiry(subject), *(requests.inquiry(system.mint.stranger()) for _ in range(200))]
    refused = caller.call(requests.BATCH_QUERY, requests.batch_query(many))
    assert refused.reason == "BATCH_TOO_LARGE"
    request = audit_service_pb2.GetAuditEntryRequest(index=refused.logged.index)
    opened = auditor.call(requests.GET_ENTRY, request)
    assert subject.element not in opened.answer
    assert opened.message.request == b""
    envelope = log_pb2.Envelope.FromString(opened.message.details[0].envelope)
    assert envelope.reason == "BATCH_TOO_LARGE"


def test_an_erasing_request_leaves_nothing_that_confirms_a_guess_of_it(system: System) -> None:
    subject = system.mint.stranger()
    identifier = requests.request_id()
    erase = audit_service_pb2.EraseSubjectRequest(request_id=identifier, subject=subject)
    assert system.operator.call(requests.ERASE, erase).ok
    other = audit_service_pb2.EraseSubjectRequest(request_id=identifier, subject=system.mint.stranger())
    # The claim is made of method and request_id alone, so it cannot tell the two apart: the first answer comes again.
    assert system.operator.call(requests.ERASE, other).ok
    assert system.exchange.database_view.claims(identifier) == 1
