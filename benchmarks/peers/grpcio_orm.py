"""A synchronous grpcio service over the ORM's tables: mutual TLS, signatures checked, one audit row and a commit a call.

It takes the exchange's own requests and answers its messages, with 40 threads in each process. It looks at no nonce, so that
a request can be replayed; it keeps no log that anybody could check, writes no receipt, seals nothing, and knows one member.

    PEER_DATABASE=postgresql+psycopg2://… PEER_KEY=<hex> python -m benchmarks.peers.grpcio_orm PORT EXCHANGE_FOLDER PROCESSES
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import grpc
from benchmarks.peers import fastapi_orm as orm
from benchmarks.peers import processes
from benchmarks.traffic.requests import QUERY
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from tallystick.crypto import CryptoError, parse_request_signature, verify_request
from tallystick.v1 import account_pb2, inquiry_service_pb2

THREADS = 40


class _Service(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self._sessions = orm.make_sessions(os.environ["PEER_DATABASE"])
        self._key = bytes.fromhex(os.environ["PEER_KEY"])
        self._handler: Any = grpc.unary_unary_rpc_method_handler(self._query)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == QUERY else None

    def _query(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            signature = parse_request_signature(tuple(context.invocation_metadata()))
            verify_request(signature, public_key=self._key, path=QUERY, message=message)
        except CryptoError as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        inquiry = inquiry_service_pb2.QueryCreditHistoryRequest.FromString(message).inquiry
        subject = inquiry.subject.element
        with self._sessions() as session:
            found = select(orm.Account).where(orm.Account.subject == subject).options(selectinload(orm.Account.months))
            accounts = session.scalars(found).all()
            session.add(
                orm.AuditRow(
                    time=datetime.now(UTC).replace(tzinfo=None),
                    member="bank-a",
                    subject=subject,
                    purpose=inquiry.purpose,
                    consent_reference=inquiry.consent_reference,
                )
            )
            history = inquiry_service_pb2.CreditHistory(accounts=[_reported(account) for account in accounts])
            session.commit()
        return inquiry_service_pb2.QueryCreditHistoryResponse(credit_history=history).SerializeToString()


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def _reported(row: orm.Account) -> inquiry_service_pb2.ReportedAccount:
    months = [
        account_pb2.AccountMonth(
            month=_number(each.month),
            disposition=each.disposition,  # type: ignore[arg-type]
            billed_amount=each.billed_amount,
            paid_amount=each.paid_amount,
        )
        for each in row.months
    ]
    account = account_pb2.Account(
        account_type=row.account_type,  # type: ignore[arg-type]
        status=row.status,
        currency=row.currency,
        balance=row.balance,
        opened_date=_number(row.opened_date),
        months=months,
    )
    return inquiry_service_pb2.ReportedAccount(institution=1, account=account)


def serve(port: int, folder: str) -> None:
    """Serves in this process."""
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=[_Service()])
    server.add_secure_port(f"127.0.0.1:{port}", processes.credentials(folder))
    server.start()
    processes.announce()
    server.wait_for_termination()


if __name__ == "__main__":
    processes.run(serve, int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
