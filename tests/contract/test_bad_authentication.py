"""Callers that are not who they should be: signatures, nonces, keys and certificates.

What verifies under a registered key is logged, even if that key was revoked; what does not, is not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import requests
from tests.contract.installation import TlsIdentity, public_bytes
from tests.contract.raw_caller import Metadata, RawCaller
from tests.contract.requests import QUERY, SUBMIT
from tests.contract.system import INQUIRER, REPORTER, System, add_key

from tallystick.crypto import key_statement
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.v1 import codes_pb2
from tallystick.v1 import membership_service_pb2 as membership

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
INVALID = grpc.StatusCode.INVALID_ARGUMENT


# --- Time and nonce -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "lifetime"), [(75, 60), (3600, 60), (10**9, 60), (-30, 60), (-(10**9), 60), (20, 5)], ids=str)
def test_stale_or_future_signature(system: System, age: int, lifetime: int) -> None:
    caller = system["bank-a"].exchange
    request = requests.query(system.mint.stranger())
    system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "SIGNATURE_STALE", age=age, lifetime=lifetime)


def test_signature_within_the_window(system: System) -> None:
    caller = system["bank-a"].exchange
    for age in (50, -5):
        assert caller.call(QUERY, requests.query(system.mint.stranger()), age=age).ok


@pytest.mark.parametrize("at_the_second", [False, True], ids=["same server", "second server"])
def test_replayed_nonce(system: System, second_worker: str, at_the_second: bool) -> None:
    caller = system["bank-a"].exchange
    data = requests.submission([requests.report(system.mint.stranger())]).SerializeToString()
    metadata = caller.sign(SUBMIT, data)
    assert caller.send(SUBMIT, data, metadata).ok
    again = caller.at(second_worker) if at_the_second else caller
    system.expect_refused(again, lambda: again.send(SUBMIT, data, metadata), UNAUTHENTICATED, "NONCE_REPLAYED")


def test_nonce_under_another_signature(system: System) -> None:
    caller, nonce = system["bank-a"].exchange, secrets.token_bytes(16)
    assert caller.call(QUERY, requests.query(system.mint.stranger()), nonce=nonce).ok
    request = requests.query(system.mint.stranger())
    system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "NONCE_REPLAYED", nonce=nonce)
    # A pair of key and nonce is what is good once: the same nonce of another member is another pair.
    assert system["bank-b"].exchange.call(QUERY, requests.query(system.mint.stranger()), nonce=nonce).ok


def test_one_of_many_equal_requests_is_carried_out(system: System, second_worker: str) -> None:
    caller = system["bank-a"].exchange
    elsewhere = caller.at(second_worker)
    data = requests.query(system.mint.stranger()).SerializeToString()
    metadata = caller.sign(QUERY, data)
    size = system.exchange.database_view.size
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: (caller, elsewhere)[i % 2].send(QUERY, data, metadata), range(16)))
    elsewhere.close()
    assert sorted(reply.reason for reply in replies) == ["", *["NONCE_REPLAYED"] * 15]
    # Each of the two servers logs a refusal of the kind once a minute at most.
    logged = sorted(reply.logged.index for reply in replies if reply.receipt is not None)
    assert logged == list(range(size, size + len(logged)))
    assert 1 <= len(logged) <= 3


# --- Addressee, key, certificate ------------------------------------------------------------------------------------------------


def test_request_signed_for_another_audience(system: System) -> None:
    caller, request = system["bank-a"].exchange, requests.query(system.mint.stranger())
    audience = system.authority.installation.origin
    system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "AUDIENCE_MISMATCH", logged=False, audience=audience)


def test_unknown_key(system: System) -> None:
    caller, request = system["bank-a"].exchange, requests.query(system.mint.stranger())
    stranger = Ed25519PrivateKey.generate()
    system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "KEY_UNKNOWN", logged=False, key=stranger)


def test_revoked_key(system: System, second_worker: str) -> None:
    member = system.admit("rotating", [REPORTER, INQUIRER], (2,))
    old, new = member.exchange, Ed25519PrivateKey.generate()
    elsewhere = old.at(second_worker)
    for caller in (old, elsewhere):
        assert caller.call(QUERY, requests.query(system.mint.stranger())).ok
    add_key(system.operator, "rotating", new, endorsed_by=member.key)
    revoke = membership.RevokeMemberKeyRequest(request_id=requests.request_id(), member_id="rotating", keyid=old.keyid)
    assert system.operator.call(requests.REVOKE_KEY, revoke).ok

    # Both servers have used this key before; that it is revoked, each hears from the database.
    for caller in (old, elsewhere):
        request = requests.query(system.mint.stranger())
        system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "KEY_REVOKED")
        system.expect_refusal(caller, QUERY, request, UNAUTHENTICATED, "KEY_REVOKED", logged=False)
    elsewhere.close()
    assert old.call(QUERY, requests.query(system.mint.stranger()), key=new).ok


def test_new_key_without_the_signature_of_the_old_one(system: System) -> None:
    member, new = system.admit("endorsing", [INQUIRER], (2,)), Ed25519PrivateKey.generate()
    statement = key_statement(system.exchange.installation.origin, "endorsing", public_bytes(new))
    request = membership.AddMemberKeyRequest(
        request_id=requests.request_id(),
        member_id="endorsing",
        public_key=public_bytes(new),
        possession_signature=new.sign(statement),
        endorsement_signature=new.sign(statement),
    )
    system.expect_refusal(member.exchange, requests.ADD_KEY, request, INVALID, "FIELDS_INCONSISTENT", "endorsement_signature")
    request.endorsement_signature = member.key.sign(statement)
    request.possession_signature = member.key.sign(statement)
    system.expect_refusal(member.exchange, requests.ADD_KEY, request, INVALID, "FIELDS_INCONSISTENT", "possession_signature")
    request.possession_signature = new.sign(statement)
    assert member.exchange.call(requests.ADD_KEY, request).message.key.public_key == public_bytes(new)
    assert member.exchange.call(QUERY, requests.query(system.mint.stranger()), key=new).ok


def test_certificate_of_another_member(system: System) -> None:
    caller = system["bank-a"].exchange
    other = caller.with_certificate(system["bank-b"].exchange.tls, system.exchange.worker.address)
    system.expect_refusal(other, QUERY, requests.query(system.mint.stranger()), UNAUTHENTICATED, "CERTIFICATE_MISMATCH")
    other.close()


def test_certificate_that_names_no_member(system: System) -> None:
    caller = system["bank-a"].exchange
    issued = system.exchange.installation.authority.issue_server(["bank-a"])
    tls = TlsIdentity(caller.tls.authority, issued.certificate.encode(), issued.key.encode())
    nobody = caller.with_certificate(tls, system.exchange.worker.address)
    try:
        reply = nobody.call(QUERY, requests.query(system.mint.stranger()))
        # A server's certificate is no client's: TLS itself may say so first.
        assert (reply.code, reply.reason) in {(UNAUTHENTICATED, "CERTIFICATE_MISMATCH"), (grpc.StatusCode.UNAVAILABLE, "")}
    finally:
        nobody.close()


def _no_client_certificate(system: System) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(system["bank-a"].exchange.tls.authority)
    return grpc.secure_channel(system.exchange.worker.address, credentials)


def _certificate_of_a_stranger(system: System) -> grpc.Channel:
    issued = CertificateAuthority.create("another CA").issue_client("bank-a")
    authority = system["bank-a"].exchange.tls.authority
    credentials = grpc.ssl_channel_credentials(authority, issued.key.encode(), issued.certificate.encode())
    return grpc.secure_channel(system.exchange.worker.address, credentials)


def _plain_text(system: System) -> grpc.Channel:
    return grpc.insecure_channel(system.exchange.worker.address)


@pytest.mark.parametrize("connect", [_no_client_certificate, _certificate_of_a_stranger, _plain_text])
@pytest.mark.parametrize("method", [QUERY, "AuditService/GetCheckpoint"])
def test_connections_that_are_refused(system: System, connect: Callable[[System], grpc.Channel], method: str) -> None:
    caller = system["bank-a"].exchange
    data = requests.query(system.mint.stranger()).SerializeToString() if method == QUERY else b""
    size = system.exchange.database_view.size
    with connect(system) as channel:
        stub: Any = channel.unary_unary(f"/tallystick.v1.{method}")
        with pytest.raises(grpc.RpcError) as caught:
            stub(data, timeout=60, metadata=caller.sign(method, data))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert system.exchange.database_view.size == size
    system.expect_service(caller)


# --- Suspension -----------------------------------------------------------------------------------------------------------------


def test_suspended_member(system: System) -> None:
    caller = system.admit("suspended", [REPORTER, INQUIRER], (2,)).exchange
    subject = system.mint.stranger()
    assert caller.call(SUBMIT, requests.submission([requests.report(subject)])).ok

    def set_state(state: membership.MemberState.ValueType) -> None:
        member = membership.Member(member_id="suspended", display_name="s", state=state)
        member.roles.extend([membership.ROLE_REPORTER, membership.ROLE_INQUIRER])
        member.purposes.append(codes_pb2.PURPOSE_LOAN_APPROVAL)
        update = membership.UpdateMemberRequest(request_id=requests.request_id(), member=member)
        assert system.operator.call(requests.UPDATE_MEMBER, update).ok

    set_state(membership.MEMBER_STATE_SUSPENDED)
    denied = grpc.StatusCode.PERMISSION_DENIED
    for method, request in (
        (QUERY, requests.query(subject)),
        (SUBMIT, requests.submission([requests.report(subject)])),
        (requests.LIST_MEMBERS, membership.ListMembersRequest()),
    ):
        # The first of a minute says all that the log has to say.
        system.expect_refusal(caller, method, request, denied, "MEMBER_SUSPENDED", logged=method == QUERY)
    set_state(membership.MEMBER_STATE_ACTIVE)
    assert caller.call(QUERY, requests.query(subject)).ok


def test_a_flood_of_a_suspended_member_leaves_one_entry(system: System) -> None:
    caller = system.admit("flooding", [REPORTER, INQUIRER], (2,)).exchange
    member = membership.Member(member_id="flooding", display_name="f", state=membership.MEMBER_STATE_SUSPENDED)
    member.roles.append(membership.ROLE_INQUIRER)
    member.purposes.append(codes_pb2.PURPOSE_LOAN_APPROVAL)
    update = membership.UpdateMemberRequest(request_id=requests.request_id(), member=member)
    assert system.operator.call(requests.UPDATE_MEMBER, update).ok
    stored, honest = system.exchange.database_view, system["bank-b"].exchange
    size = stored.size
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: caller.call(QUERY, requests.query(system.mint.stranger())), range(200)))
        answered = [honest.call(QUERY, requests.query(system.mint.stranger())).ok for _ in range(5)]
    assert {reply.reason for reply in replies} == {"MEMBER_SUSPENDED"}
    assert all(answered)
    assert len([reply for reply in replies if reply.receipt is not None]) == 1
    assert stored.size == size + 1 + len(answered)


# --- Headers --------------------------------------------------------------------------------------------------------------------


def _without(name: str) -> Callable[[Metadata], Metadata]:
    return lambda metadata: [(key, value) for key, value in metadata if key != name]


def _twice(name: str) -> Callable[[Metadata], Metadata]:
    return lambda metadata: [*metadata, *((key, value) for key, value in metadata if key == name)]


def _edited(name: str, old: str, new: str) -> Callable[[Metadata], Metadata]:
    def edit(metadata: Metadata) -> Metadata:
        edited = [(key, str(value).replace(old, new, 1) if key == name else value) for key, value in metadata]
        assert edited != list(metadata)
        return edited

    return edit


HEADERS = ("content-digest", "tallystick-audience", "signature-input", "signature")
SPOILT_HEADERS: dict[str, tuple[Callable[[Metadata], Metadata], str]] = {
    **{f"without {name}": (_without(name), "SIGNATURE_MALFORMED") for name in HEADERS},
    **{f"{name} twice": (_twice(name), "SIGNATURE_MALFORMED") for name in HEADERS},
    "no headers": (lambda _: (), "SIGNATURE_MALFORMED"),
    "space": (_edited("signature-input", ";created", "; created"), "SIGNATURE_MALFORMED"),
    "parameter more": (_edited("signature-input", ";alg", ";x=1;alg"), "SIGNATURE_MALFORMED"),
    "other order": (_edited("signature-input", '"@method" "@path"', '"@path" "@method"'), "SIGNATURE_MALFORMED"),
    "other label": (_edited("signature", "tallystick=", "sig1="), "SIGNATURE_MALFORMED"),
    "other tag": (_edited("signature-input", "tallystick-v1", "tallystick-v2"), "SIGNATURE_MALFORMED"),
    "base64 unpadded": (_edited("signature", "==:", ":"), "SIGNATURE_MALFORMED"),
    "digest of sha-512": (_edited("content-digest", "sha-256", "sha-512"), "SIGNATURE_MALFORMED"),
    "too long": (_edited("signature-input", "tallystick=", "tallystick=" + " " * 1000), "SIGNATURE_MALFORMED"),
    "other expiry": (_edited("signature-input", ";expires=1", ";expires=2"), "SIGNATURE_MALFORMED"),
}


@pytest.mark.parametrize(("spoil", "reason"), SPOILT_HEADERS.values(), ids=SPOILT_HEADERS)
def test_spoilt_headers(system: System, spoil: Callable[[Metadata], Metadata], reason: str) -> None:
    caller = system["bank-a"].exchange
    data = requests.query(system.mint.stranger()).SerializeToString()
    metadata = spoil(caller.sign(QUERY, data))
    system.expect_refused(caller, lambda: caller.send(QUERY, data, metadata), UNAUTHENTICATED, reason, logged=False)


def _sent_otherwise(caller: RawCaller, system: System, what: str) -> tuple[str, bytes, Metadata]:
    data = requests.query(system.mint.stranger()).SerializeToString()
    other = requests.query(system.mint.stranger()).SerializeToString()
    match what:
        case "other message":
            return QUERY, other, caller.sign(QUERY, data)
        case "other message and its digest":
            good = dict(caller.sign(QUERY, data))
            return QUERY, other, [*(good | {"content-digest": dict(caller.sign(QUERY, other))["content-digest"]}).items()]
        case "other method":
            return requests.BATCH_QUERY, data, caller.sign(QUERY, data)
        case "other nonce":
            edited = _edited("signature-input", 'nonce="', 'nonce="AAAA')(caller.sign(QUERY, data, nonce=bytes(24)))
            return QUERY, data, edited
        case _:
            input_, mine = dict(system["bank-b"].exchange.sign(QUERY, data)), dict(caller.sign(QUERY, data))
            return QUERY, data, [*(mine | {"signature-input": input_["signature-input"]}).items()]


@pytest.mark.parametrize("what", ["other message", "other message and its digest", "other method", "other nonce", "other member"])
def test_signature_over_something_else(system: System, what: str) -> None:
    caller = system["bank-a"].exchange
    method, data, metadata = _sent_otherwise(caller, system, what)
    system.expect_refused(caller, lambda: caller.send(method, data, metadata), UNAUTHENTICATED, "SIGNATURE_INVALID", logged=False)


def test_other_headers_are_passed_over(system: System) -> None:
    caller = system["bank-a"].exchange
    data = requests.query(system.mint.stranger()).SerializeToString()
    metadata: list[tuple[str, str | bytes]] = [("signature-agent", "x"), ("x-request-id", "1"), ("x-request-id", "2")]
    metadata.append(("some-bin", b"\xff"))
    metadata.extend(caller.sign(QUERY, data))
    reply = caller.send(QUERY, data, metadata)
    assert reply.ok
    caller.verified_receipt(reply)
