"""Every RPC of the contracts works, at the server that has it; and nothing else answers there."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tests.contract import requests
from tests.contract.installation import public_bytes
from tests.contract.raw_caller import PACKAGE, RawCaller, message_class, open_channel, path
from tests.contract.system import INQUIRER, REPORTER, SYSTEM, Running, System, add_key

from tallystick.crypto import key_statement, leaf_hash, root
from tallystick.v1 import (
    audit_service_pb2,
    inquiry_service_pb2,
    log_pb2,
    membership_service_pb2,
    monitoring_service_pb2,
    rating_service_pb2,
    reporting_service_pb2,
    servicing_service_pb2,
    subject_token_service_pb2,
)

FILES = (
    audit_service_pb2,
    inquiry_service_pb2,
    membership_service_pb2,
    monitoring_service_pb2,
    rating_service_pb2,
    reporting_service_pb2,
    servicing_service_pb2,
    subject_token_service_pb2,
)
METHODS = [
    f"{service.name}/{method.name}"
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
PUBLIC = {
    "SubjectTokenService/GetTokenKey",
    "RatingService/ListScorecards",
    "AuditService/GetCheckpoint",
    "AuditService/GetInclusionProof",
    "AuditService/GetConsistencyProof",
}
ONLY_EXCHANGE = ("ReportingService", "InquiryService", "ServicingService", "MonitoringService", "RatingService")
ONLY_AUTHORITY = ("SubjectTokenService",)


def servers_of(method: str) -> tuple[str, ...]:
    """Which of the two servers have a method."""
    service = method.split("/")[0]
    return ("exchange",) if service in ONLY_EXCHANGE else ("authority",) if service in ONLY_AUTHORITY else ("exchange", "authority")


CASES = [(method, server) for method in METHODS for server in servers_of(method)]


class Examples:
    """A good request for every method, and who may make it, at one server."""

    def __init__(self, system: System, running: Running, name: str) -> None:
        self._world = system
        self._running = running
        self.operator = running.operator()
        self.auditor, self.bank = (getattr(system[member], name) for member in ("auditor", "bank-a"))
        self._key = Ed25519PrivateKey.generate()

    def of(self, method: str) -> tuple[RawCaller, Any]:
        """The caller and the request of a method."""
        service, name = method.split("/")
        caller = {"MembershipService": self.operator, "AuditService": self.auditor}.get(service, self.bank)
        if name in ("EraseSubject", "InstallScorecard"):
            caller = self.operator
        if name == "SweepWatches":
            caller = self._system_member()
        make: Callable[[Any], None] = getattr(self, name)
        request: Any = message_class(method, answer=False)()
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request.request_id = requests.request_id()
        make(request)
        return caller, request

    # One for each method, by its name in the contracts.

    def SubmitReports(self, request: Any) -> None:  # noqa: N802
        request.reports.append(requests.report(self._world.mint.stranger()))

    def WithdrawAccount(self, request: Any) -> None:  # noqa: N802
        report = requests.report(self._world.mint.stranger())
        assert self.bank.call(requests.SUBMIT, requests.submission([report])).ok
        now = datetime.now(UTC) + timedelta(seconds=1)
        request.MergeFrom(requests.withdrawal(report.subject, report.account_reference, now))

    def GetSubmission(self, request: Any) -> None:  # noqa: N802
        submission = requests.submission([requests.report(self._world.mint.stranger())])
        assert self.bank.call(requests.SUBMIT, submission).ok
        request.submission_request_id = submission.request_id

    def QueryCreditHistory(self, request: Any) -> None:  # noqa: N802
        request.inquiry.CopyFrom(requests.inquiry(self._world.mint.stranger()))

    def BatchQueryCreditHistories(self, request: Any) -> None:  # noqa: N802
        request.inquiries.extend(requests.inquiry(self._world.mint.stranger()) for _ in range(3))

    def RecordServicingEvents(self, request: Any) -> None:  # noqa: N802
        report = requests.report(self._world.mint.stranger())
        assert self.bank.call(requests.SUBMIT, requests.submission([report])).ok
        request.events.extend([requests.event(report), requests.plan_event(report)])

    def ListServicingEvents(self, request: Any) -> None:  # noqa: N802
        request.MergeFrom(requests.events_of(requests.report(self._world.mint.stranger())))

    def _watched(self) -> bytes:
        """A watch of the bank's own."""
        report = requests.report(self._world.mint.stranger())
        assert self.bank.call(requests.SUBMIT, requests.submission([report])).ok
        (verdict,) = self.bank.call(requests.PUT_WATCHES, requests.put([requests.watch(report)])).message.verdicts
        return bytes(verdict.watch_id)

    def InstallScorecard(self, request: Any) -> None:  # noqa: N802
        request.toml = requests.scorecard()

    def PutWatches(self, request: Any) -> None:  # noqa: N802
        report = requests.report(self._world.mint.stranger())
        assert self.bank.call(requests.SUBMIT, requests.submission([report])).ok
        request.watches.append(requests.watch(report))

    def EndWatches(self, request: Any) -> None:  # noqa: N802
        request.watch_ids.append(self._watched())

    def AcknowledgeMessages(self, request: Any) -> None:  # noqa: N802
        report = requests.report(self._world.mint.stranger())
        assert self.bank.call(requests.SUBMIT, requests.submission([report])).ok
        assert self.bank.call(requests.PUT_WATCHES, requests.put([requests.watch(report)])).ok
        assert self.bank.call(requests.WITHDRAW, requests.withdrawal(report.subject, report.account_reference, requests.now())).ok
        request.cursor = self.bank.call(requests.PULL, requests.pull()).message.next_cursor

    def GetPortfolioDigest(self, request: Any) -> None:  # noqa: N802
        request.month = requests.months_back(2)[1]

    def _system_member(self) -> RawCaller:
        return self._world.admit_caller(f"system-{requests.request_id().hex()[:8]}", [SYSTEM])

    def EvaluateTokens(self, request: Any) -> None:  # noqa: N802
        request.epoch_id = self._world.mint.epoch_id
        request.blinded_elements.append(self._world.mint.stranger().element)

    def CreateMember(self, request: Any) -> None:  # noqa: N802
        request.member.member_id = f"member-{requests.request_id().hex()[:8]}"
        request.member.display_name = "Every RPC"
        request.member.state = membership_service_pb2.MEMBER_STATE_ACTIVE
        request.member.roles.append(INQUIRER)

    def _created(self) -> str:
        caller, request = self.of("MembershipService/CreateMember")
        return str(caller.call(requests.CREATE_MEMBER, request).message.member.member_id)

    def UpdateMember(self, request: Any) -> None:  # noqa: N802
        self.CreateMember(request)
        request.member.member_id = self._created()
        request.member.roles.append(REPORTER)

    def AddMemberKey(self, request: Any) -> None:  # noqa: N802
        request.member_id, request.public_key = self._created(), public_bytes(self._key)
        statement = key_statement(self._running.installation.origin, request.member_id, request.public_key)
        request.possession_signature = self._key.sign(statement)

    def RevokeMemberKey(self, request: Any) -> None:  # noqa: N802
        request.member_id = self._created()
        request.keyid = add_key(self.operator, request.member_id, Ed25519PrivateKey.generate())

    def CountAuditEntries(self, request: Any) -> None:  # noqa: N802
        request.dimensions.append(audit_service_pb2.COUNT_DIMENSION_MEMBER)
        request.start_time.FromDatetime(datetime.now(UTC) - timedelta(days=1))
        request.end_time.FromDatetime(datetime.now(UTC))

    def EraseSubject(self, request: Any) -> None:  # noqa: N802
        request.subject.CopyFrom(self._world.mint.stranger())

    def GetInclusionProof(self, request: Any) -> None:  # noqa: N802
        request.index, request.tree_size = 1, self._running.database_view.size

    def GetConsistencyProof(self, request: Any) -> None:  # noqa: N802
        request.old_size, request.new_size = 2, self._running.database_view.size

    def _nothing(self, request: Any) -> None:
        """For methods that want no field set."""

    GetTokenKey = GetStanding = GetCheckpoint = GetAuditEntry = ExportAuditEntries = _nothing
    ListScorecards = ListWatches = PullMessages = SweepWatches = _nothing
    ListAuditEntries = ListMembers = ListSubmissions = _nothing


@pytest.fixture(scope="module")
def examples(system: System) -> Iterator[dict[str, Examples]]:
    made = {name: Examples(system, getattr(system, name), name) for name in ("exchange", "authority")}
    yield made
    for each in made.values():
        each.operator.close()


@pytest.mark.parametrize(("method", "server"), CASES)
def test_it_works(examples: dict[str, Examples], system: System, method: str, server: str) -> None:
    caller, request = examples[server].of(method)
    size = getattr(system, server).database_view.size
    if method == requests.EXPORT:
        _expect_export(caller, request, size)
    elif method in PUBLIC:
        reply = caller.send(method, request.SerializeToString(), ())
        assert reply.message.ByteSize() > 0
        assert reply.receipt is None
        assert getattr(system, server).database_view.size == size
    else:
        reply = caller.call(method, request)
        assert reply.message is not None
        system.expect_entry(caller, reply, size, refused=False)


def _expect_export(caller: RawCaller, request: Any, size: int) -> None:
    """Pages that hold the whole log up to the call, each with a receipt for an entry of its own after it."""
    pages = [log_pb2.SignedPage.FromString(each) for each in caller.stream(requests.EXPORT, request)]
    entries = [entry for page in pages for entry in audit_service_pb2.AuditEntryPage.FromString(page.page).entries]
    assert [entry.index for entry in entries] == list(range(size))
    assert [page.receipt.index for page in pages] == list(range(size, size + len(pages)))
    note = caller.send("AuditService/GetCheckpoint", b"", ()).message.checkpoint
    leaves = [entry.entry for entry in entries] + [page.receipt.entry for page in pages]
    assert note.split("\n")[1] == str(len(leaves))
    consistency = audit_service_pb2.GetConsistencyProofRequest(old_size=size, new_size=len(leaves))
    assert caller.send("AuditService/GetConsistencyProof", consistency.SerializeToString(), ()).ok
    assert log_pb2.AuditEntry.FromString(leaves[-1]).method == path(requests.EXPORT)
    assert base64.b64encode(root([leaf_hash(leaf) for leaf in leaves])).decode() == note.split("\n")[2]


@pytest.mark.parametrize("method", [method for method in METHODS if method not in PUBLIC])
def test_it_is_refused_unsigned(system: System, method: str) -> None:
    for server in servers_of(method):
        caller, stored = getattr(system["bank-a"], server), getattr(system, server).database_view
        size = stored.size
        reply = caller.send(method, b"", ())
        assert (reply.code, reply.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SIGNATURE_MALFORMED")
        assert stored.size == size


ELSEWHERE = [(method, server) for method in METHODS for server in ("exchange", "authority") if server not in servers_of(method)]
UNKNOWN = [("InquiryService/QueryEverything", "exchange"), ("AdministrationService/DropDatabase", "exchange")]


@pytest.mark.parametrize(("method", "server"), [*ELSEWHERE, *UNKNOWN])
def test_method_that_the_server_does_not_have(system: System, method: str, server: str) -> None:
    caller, stored = getattr(system["bank-a"], server), getattr(system, server).database_view
    size = stored.size
    reply = caller.call(method, b"")
    assert (reply.code, reply.reason) == (grpc.StatusCode.UNIMPLEMENTED, "")
    assert stored.size == size


@pytest.mark.parametrize("name", ["exchange", "authority"])
def test_health(system: System, name: str) -> None:
    with open_channel(getattr(system, name).worker.address, getattr(system["bank-a"], name).tls) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        requests.wait_until(lambda: stub.Check(request, timeout=60).status == health_pb2.HealthCheckResponse.SERVING)
        # A stream that lasts for ever would hold a place for ever.
        with pytest.raises(grpc.RpcError) as refused:
            next(iter(stub.Watch(request, timeout=60)))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(health_pb2.HealthCheckRequest(service="another"), timeout=60)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["exchange", "authority"])
def test_reflection(system: System, name: str) -> None:
    with open_channel(getattr(system, name).worker.address, getattr(system["bank-a"], name).tls) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        expected = {f"{PACKAGE}.{method.split('/')[0]}" for method, server in CASES if server == name}
        expected |= {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
        assert set(database.get_services()) == expected
        pool = DescriptorPool(database)
        for method, server in CASES:
            if server == name:
                service, _, rpc = method.partition("/")
                assert pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(rpc) is not None
