"""What a test can have happen: an exchange that says no, that is not there, or that lies. Each lasts until `mend`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from tallystick.client.protocol.calls import RawFailure
from tallystick.contract.reasons import BY_NAME
from tallystick.contract.wire import STATUS_KEY
from tallystick.testing.refusals import AnyRefusal, planned
from tallystick.testing.servers import InMemoryServer
from tallystick.v1 import audit_service_pb2, log_pb2, subject_token_service_pb2


class Faults:
    """The faults of both servers."""

    def __init__(self, exchange: InMemoryServer, authority: InMemoryServer) -> None:
        self._exchange = exchange
        self._authority = authority

    def mend(self) -> None:
        """Ends every fault."""
        for server in (self._exchange, self._authority):
            server.refuse = server.down = server.tamper_answer = server.tamper_receipt = server.tamper_sent = None
            server.faults.clear()
            server.lost_answers = 0

    # --- Refused ----------------------------------------------------------------------------------------------------------------

    def refuse(self, reason: str, field: str = "", description: str = "") -> None:
        """The exchange refuses every request for a reason of docs/protocol.md, "Errors", such as "MEMBER_SUSPENDED". Raises
        ValueError for one that there is not."""
        refusal = planned(reason, field, description)
        if BY_NAME[reason].retry:
            raise ValueError(f"{reason} is tried again: see unreachable, busy and lose_answers")

        def refuse(_name: str, _message: Any) -> None:
            raise refusal

        self._exchange.refuse = refuse

    # --- Not reached ------------------------------------------------------------------------------------------------------------

    def unreachable(self, times: int | None = None) -> None:
        """Nothing answers: for the next so many calls of either server, or until `mend`."""
        self._fail(lambda: RawFailure("UNAVAILABLE", "failed to connect"), times, both=True)

    def busy(self, times: int | None = None, retry_after: float = 1.0) -> None:
        """The exchange's queue is full, and it says when to come again."""
        if not 0 <= retry_after <= 86_400:
            raise ValueError("retry_after: must be 0 to 86,400 seconds")
        refusal = AnyRefusal.of(planned("QUEUE_FULL", retry_after=retry_after))
        failure = RawFailure(refusal.code, refusal.message, [(STATUS_KEY, refusal.status())])
        self._fail(lambda: failure, times, both=False)

    def lose_answers(self, times: int = 1) -> None:
        """So many requests have their effect, and their answers do not arrive."""
        if times < 1:
            raise ValueError("times: must be 1 or more")
        self._exchange.lost_answers = times

    def _fail(self, failure: Callable[[], RawFailure], times: int | None, *, both: bool) -> None:
        for server in (self._exchange, self._authority) if both else (self._exchange,):
            if times is None:
                server.down = failure
            else:
                server.faults.extend([failure] * times)

    # --- Not trusted ------------------------------------------------------------------------------------------------------------

    def withhold_receipts(self) -> None:
        """Answers and refusals come without their receipts."""
        self._exchange.tamper_receipt = lambda _: None

    def falsify_receipts(self) -> None:
        """Receipts are signed by another key than the pinned one."""

        def falsify(receipt: log_pb2.Receipt) -> log_pb2.Receipt:
            receipt.signature = bytes(64)
            return receipt

        self._exchange.tamper_receipt = falsify

    def falsify_answers(self) -> None:
        """The exchange logs one answer and sends another: it leaves the accounts out."""
        self._exchange.tamper_sent = lambda _: b""

    def falsify_checkpoints(self) -> None:
        """Checkpoints are not what the pinned key has signed."""

        def falsify(name: str, answer: Message) -> Message:
            if isinstance(answer, audit_service_pb2.GetCheckpointResponse):
                _, _, body = answer.checkpoint.partition("\n")
                answer.checkpoint = f"another.invalid/log\n{body}"
            return answer

        self._exchange.tamper_answer = falsify

    def falsify_tokens(self) -> None:
        """The token authority does not prove that it used the key that it has published."""

        def falsify(name: str, answer: Message) -> Message:
            if isinstance(answer, subject_token_service_pb2.EvaluateTokensResponse):
                answer.proof = bytes(len(answer.proof))
            return answer

        self._authority.tamper_answer = falsify
