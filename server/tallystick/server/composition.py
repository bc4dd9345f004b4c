"""The composition root: which parts a server of either role is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from tallystick.crypto import oprf
from tallystick.server.installation.key_folder import ServerKeys, TokenPrivateKey
from tallystick.server.installation.settings import Settings
from tallystick.server.ledger.authentication import Authenticator
from tallystick.server.ledger.ledger import Ledger
from tallystick.server.ledger.operation import FULL_BATCH, Operation
from tallystick.server.ledger.queue import Line
from tallystick.server.ledger.transaction import Transactor
from tallystick.server.log.append import LogWriter
from tallystick.server.log.checkpoints import get_checkpoint
from tallystick.server.log.erasure import SubjectEraser
from tallystick.server.log.evidence import EvidenceBox
from tallystick.server.log.proofs import get_consistency_proof, get_inclusion_proof
from tallystick.server.service import PublicMethod, Service, find_key
from tallystick.server.services.audit.erasure import EraseSubject
from tallystick.server.services.audit.listing import ListAuditEntries
from tallystick.server.services.audit.reading import ExportAuditEntries, GetAuditEntry
from tallystick.server.services.inquiries.queries import BatchQueryCreditHistories, InquiryAnswers, QueryCreditHistory
from tallystick.server.services.membership.keys import AddMemberKey, RevokeMemberKey
from tallystick.server.services.membership.members import CreateMember, ListMembers, UpdateMember
from tallystick.server.services.reporting.reports import SubmitReports, WithdrawAccount
from tallystick.server.services.reporting.submissions import GetSubmission, ListSubmissions
from tallystick.server.services.tokens.evaluation import EvaluateTokens
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader
from tallystick.v1 import audit_service_pb2, subject_token_service_pb2

Asked = TypeVar("Asked", bound=Message)


def compose(settings: Settings, keys: ServerKeys, dsn: str) -> Service:
    """A service ready to be started; nothing is connected yet. Raises KeyFolderProblem when the role's key is missing."""

    async def connect() -> Connection:
        return await Connection.open(dsn)

    # What anybody may ask, and how often, must not delay who signed a request, nor the health of the server.
    reader, public_reader = Reader(connect), Reader(connect)

    async def lookup(keyid: bytes) -> Any:
        return await reader.read(lambda connection: find_key(connection, keyid))

    box = EvidenceBox(keys.evidence)
    ledger = Ledger(
        connect,
        Transactor(LogWriter(settings.origin, keys.receipt_key, box), keys.request_secret),
        Line(length=settings.queue_size, batch_size=settings.batch_size, batch_weight=FULL_BATCH),
        linger=settings.linger_ms / 1000,
    )
    operations: dict[str, Operation] = {}
    epoch_id = b"" if settings.role == "token-authority" else _epoch_in_force(settings)
    own = _exchange_operations(epoch_id, keys) if epoch_id else _token_operations(keys)
    for operation in (
        *own,
        *_membership_operations(settings, keys),
        *_audit_operations(keys, box, epoch_id),
    ):
        operations[operation.method] = operation
    return Service(
        authenticator=Authenticator(settings.origin, lookup),
        ledger=ledger,
        reader=reader,
        public_reader=public_reader,
        operations=operations,
        public_methods=_public_methods(settings, keys, public_reader),
        subject_secret=keys.subject_secret,
        epoch_id=epoch_id,
    )


def _epoch_in_force(settings: Settings) -> bytes:
    return oprf.epoch_id(settings.token_sequence, bytes.fromhex(settings.token_public_key))


def _exchange_operations(epoch_id: bytes, keys: ServerKeys) -> Iterable[Operation]:
    answers = InquiryAnswers(epoch_id)
    return (
        SubmitReports(epoch_id),
        WithdrawAccount(epoch_id),
        GetSubmission(),
        ListSubmissions(keys.request_secret),
        QueryCreditHistory(answers),
        BatchQueryCreditHistories(answers),
    )


def _token_operations(keys: ServerKeys) -> Iterable[Operation]:
    return (EvaluateTokens(keys.require_token_key()),)


def _membership_operations(settings: Settings, keys: ServerKeys) -> Iterable[Operation]:
    return (
        CreateMember(),
        UpdateMember(),
        ListMembers(keys.request_secret),
        AddMemberKey(settings.origin),
        RevokeMemberKey(),
    )


def _audit_operations(keys: ServerKeys, box: EvidenceBox, epoch_id: bytes) -> Iterable[Operation]:
    return (
        ListAuditEntries(keys.request_secret),
        GetAuditEntry(box),
        ExportAuditEntries(),
        EraseSubject(SubjectEraser(box, keys.subject_secret), epoch_id),
    )


def _public_methods(settings: Settings, keys: ServerKeys, reader: Reader) -> dict[str, PublicMethod]:
    def read(request_type: type[Asked], answer: Callable[[Connection, Asked], Awaitable[Message]]) -> PublicMethod:
        async def method(message: bytes) -> bytes:
            request = request_type.FromString(message)
            return (await reader.read(lambda connection: answer(connection, request))).SerializeToString()

        return method

    async def checkpoint(connection: Connection, request: audit_service_pb2.GetCheckpointRequest) -> Message:
        return await get_checkpoint(connection, request, origin=settings.origin, checkpoint_key=keys.checkpoint_key)

    audit = "/tallystick.v1.AuditService/"
    methods = {
        audit + "GetCheckpoint": read(audit_service_pb2.GetCheckpointRequest, checkpoint),
        audit + "GetInclusionProof": read(audit_service_pb2.GetInclusionProofRequest, get_inclusion_proof),
        audit + "GetConsistencyProof": read(audit_service_pb2.GetConsistencyProofRequest, get_consistency_proof),
    }
    if settings.role == "token-authority":
        methods["/tallystick.v1.SubjectTokenService/GetTokenKey"] = _token_key_method(keys.require_token_key())
    return methods


def _token_key_method(key: TokenPrivateKey) -> PublicMethod:
    response = subject_token_service_pb2.GetTokenKeyResponse(
        token_key=subject_token_service_pb2.TokenKey(
            suite=oprf.SUITE, public_key=key.public_key, sequence=key.sequence, epoch_id=key.epoch_id
        )
    ).SerializeToString()

    async def method(message: bytes) -> bytes:
        subject_token_service_pb2.GetTokenKeyRequest.FromString(message)
        return response

    return method
