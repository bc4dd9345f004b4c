"""The protocol is what docs/protocol.md says: a client that was written from that page alone is served, and trusts nobody."""

from __future__ import annotations

import ast
import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.contract import independent_protocol as independent
from tests.contract import requests
from tests.contract.independent_client import Connection, IndependentClient, RefusedError
from tests.contract.independent_protocol import DistrustError, ReceiptError, Server, Signed
from tests.contract.installation import public_bytes
from tests.contract.raw_caller import open_channel
from tests.contract.system import Running, System

from tallystick.client import Exchange, Identity, Purpose
from tallystick.crypto import evaluate, generate_private_key, public_key
from tallystick.v1 import audit_service_pb2, log_pb2

MODULES = ("independent_client", "independent_protocol")
ROOT = Path(__file__).parents[2]
VECTORS = Path(__file__).parents[1] / "vectors" / "protocol.json"
ALLOWED = ("tallystick.v1", "grpc", "rbcl", "cryptography", "google", "tests.contract.independent_protocol")
INQUIRY_PATH = "/tallystick.v1.InquiryService/QueryCreditHistory"


def _server(running: Running) -> Server:
    keys = running.installation.keys
    return Server(running.installation.origin, public_bytes(keys.receipt_key), public_bytes(keys.checkpoint_key))


@pytest.fixture(scope="module")
def client(system: System) -> Iterator[IndependentClient]:
    member = system["bank-a"]
    channels, connections = [], []
    for running, caller in ((system.exchange, member.exchange), (system.authority, member.authority)):
        channel = open_channel(running.worker.address, caller.tls)
        channels.append(channel)
        connections.append(Connection(channel, _server(running), member.member_id, member.key))
    token_key = system.authority.installation.token_key
    exchange, authority = connections
    yield IndependentClient(exchange, authority, token_key.public_key, token_key.sequence, secrets.token_bytes(32))
    for channel in channels:
        channel.close()


# --- Its independence -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_nothing_of_tallystick_but_the_messages(module: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(__file__).with_name(f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in foreign if not any(f"{name}.".startswith(f"{allowed}.") for allowed in ALLOWED)} == set()


def test_it_loads_nothing_of_tallystick_but_the_messages() -> None:
    program = (
        "import sys, tests.contract.independent_client;"
        "print([n for n in sys.modules if n.startswith('tallystick.') and not n.startswith('tallystick.v1')])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- The published vectors ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(VECTORS.read_text())
    return loaded


def test_identity_vectors(vectors: dict[str, Any]) -> None:
    tried = 0
    for outcome, cases in vectors["identities"].items():
        for case in cases:
            kind, type_, country, number = case["given"]
            if (kind, type_, country) != ("person", "10", "CN"):
                continue
            tried += 1
            if outcome == "accepted":
                assert independent.resident_identity(number).hex() == case["canonical_bytes"]
            else:
                with pytest.raises(ValueError):  # noqa: PT011 - any: the page names no texts
                    independent.resident_identity(number)
    assert tried > 5


def test_token_vectors(vectors: dict[str, Any]) -> None:
    given = vectors["tokens"]
    public_key = bytes.fromhex(given["public_key"])
    assert independent.epoch_id(given["sequence"], public_key).hex() == given["epoch_id"]
    for item in given["batch"]:
        scalar = bytes.fromhex(item["blind"])
        assert independent.blind(bytes.fromhex(item["input"]), scalar)[1].hex() == item["blinded"]
        assert independent.unblind(scalar, bytes.fromhex(item["evaluated"])).hex() == item["token"]
    blinded, evaluated = ([bytes.fromhex(item[name]) for item in given["batch"]] for name in ("blinded", "evaluated"))
    independent.verify_evaluation(public_key, blinded, evaluated, bytes.fromhex(given["proof"]))


def test_signature_vectors(vectors: dict[str, Any]) -> None:
    for case in vectors["request_signatures"]:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["private_key"]))
        given, nonce = case["message"], bytes.fromhex(case["nonce"])
        message = bytes.fromhex(given) if isinstance(given, str) else bytes(given["zeros"])
        signed = independent.sign(key, case["path"], message, case["audience"], case["created"], case["expires"], nonce)
        assert signed.metadata == tuple(map(tuple, case["metadata"]))


def test_reference_and_commitment_vectors(vectors: dict[str, Any]) -> None:
    for case in vectors["account_references"]:
        secret_id, digest = independent.account_reference(bytes.fromhex(case["secret"]), case["account_number"])
        assert (secret_id.hex(), digest.hex()) == (case["secret_id"], case["digest"])
    for case in vectors["commitments"]:
        subjects = [
            independent.subject_leaf(
                bytes.fromhex(each["epoch_id"]), bytes.fromhex(each["element"]), each["purpose"], each["consent_reference"]
            )
            for each in case["subjects"]
        ]
        commitment = independent.details_commitment(bytes.fromhex(case["seed"]), bytes.fromhex(case["envelope"]), subjects)
        assert commitment.hex() == case["details_commitment"]


# --- Served by a real system ----------------------------------------------------------------------------------------------------


def test_it_is_served(system: System, client: IndependentClient, sdk: Callable[[str], Exchange]) -> None:
    number = requests.resident_number(700_001)
    identities = [independent.resident_identity(each) for each in (number, requests.resident_number(700_002))]
    token, stranger = client.tokenise(identities)
    assert token == system.mint.token(requests.resident(700_001)).element

    outcome, reported = client.report(token, "6222 0000 1", requests.account(months=[requests.month(20250901, 1)]))
    assert outcome == 1
    history, queried = client.query(token, 2, "consent-of-the-independent")
    assert [(each.own, each.account.months[0].disposition) for each in history.accounts] == [(True, 1)]
    empty, _ = client.query(stranger, 2, "consent-2")
    assert (empty.outcome, len(empty.accounts)) == (2, 0)

    assert reported.index < queried.index
    for receipt in (reported, queried):
        assert client.exchange.included(receipt) > receipt.index
    # The SDK of another member finds the same account: both made the same token of the same person.
    result = sdk("bank-b").query(Identity.resident_id(number), Purpose.LOAN_APPROVAL, "consent-3")
    assert [each.account.balance for each in result.history.accounts] == [120_000]


def test_a_refusal_is_proved_too(client: IndependentClient, system: System) -> None:
    token = system.mint.stranger().element
    for purpose, consent, code, reason in (
        (2, "", "INVALID_ARGUMENT", "FIELD_REQUIRED"),
        (77, "x", "INVALID_ARGUMENT", "CODE_UNKNOWN"),
        (9, "x", "PERMISSION_DENIED", "PURPOSE_NOT_ALLOWED"),
    ):
        with pytest.raises(RefusedError) as caught:
            client.query(token, purpose, consent)
        assert (caught.value.code, caught.value.reason) == (code, reason)
        assert caught.value.receipt is not None
        client.exchange.included(caught.value.receipt)


# --- It trusts nobody -----------------------------------------------------------------------------------------------------------


def test_evaluation_under_another_key_is_found_out() -> None:
    right, wrong = generate_private_key(), generate_private_key()
    blinded = [independent.blind(bytes([i]))[1] for i in range(3)]
    evaluated, proof = evaluate(right, public_key(right), blinded)
    independent.verify_evaluation(public_key(right), blinded, evaluated, proof)
    others, other_proof = evaluate(wrong, public_key(wrong), blinded)
    for elements, with_proof in (
        (others, other_proof),
        (others, proof),
        ([*evaluated[:2], others[2]], proof),
        (evaluated[::-1], proof),
        (evaluated, other_proof),
        (evaluated, proof[:32] + other_proof[32:]),
        ([*evaluated[:2], independent.times(proof[32:], evaluated[2])], proof),
        ([*evaluated[:2], independent.IDENTITY], proof),
        (evaluated[:2], proof),
    ):
        with pytest.raises(DistrustError):
            independent.verify_evaluation(public_key(right), blinded, elements, with_proof)


@pytest.fixture(scope="module")
def receipt_of_a_query(system: System) -> dict[str, Any]:
    """What verify_receipt is given for a real query."""
    caller, subject = system["bank-a"].exchange, system.mint.stranger()
    message = requests.query(subject, consent="consent-1").SerializeToString()
    signed_metadata = caller.sign(requests.QUERY, message)
    reply = caller.send(requests.QUERY, message, signed_metadata)
    params = dict(signed_metadata)["signature-input"].removeprefix("tallystick=")
    envelope = log_pb2.Envelope.FromString(reply.logged.envelope)
    return {
        "data": reply.receipt,
        "server": _server(system.exchange),
        "member_id": "bank-a",
        "key": caller.keyid,
        "sent": Signed(INQUIRY_PATH, message, params, envelope.signature, signed_metadata),
        "answer": reply.answer,
        "reason": "",
        "subjects": [independent.subject_leaf(subject.epoch_id, subject.element, 2, "consent-1")],
    }


def _changed(data: bytes, **fields: Any) -> bytes:
    receipt = log_pb2.Receipt.FromString(data)
    for name, value in fields.items():
        setattr(receipt, name, value)
    return receipt.SerializeToString()


RECEIPT_CHANGES: dict[str, tuple[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "no receipt": (1, lambda g: {"data": b"\xff"}),
    "short seed": (1, lambda g: {"data": _changed(g["data"], seed=bytes(31))}),
    "other index": (2, lambda g: {"data": _changed(g["data"], index=7_000_000)}),
    "other entry": (2, lambda g: {"data": _changed(g["data"], entry=b"")}),
    "other origin": (2, lambda g: {"server": replace(g["server"], origin="other.test/log")}),
    "other receipt key": (2, lambda g: {"server": replace(g["server"], receipt_key=g["server"].checkpoint_key)}),
    "other member": (3, lambda g: {"member_id": "bank-b"}),
    "other key": (3, lambda g: {"key": bytes(32)}),
    "other method": (3, lambda g: {"sent": replace(g["sent"], path=INQUIRY_PATH + "2")}),
    "other envelope": (4, lambda g: {"data": _changed(g["data"], envelope=b"")}),
    "other request": (4, lambda g: {"sent": replace(g["sent"], message=g["sent"].message + b"\x00")}),
    "other signature": (4, lambda g: {"sent": replace(g["sent"], signature=bytes(64))}),
    "other answer": (5, lambda g: {"answer": g["answer"] + b"\x00"}),
    "refused": (6, lambda g: {"reason": "ROLE_MISSING"}),
    "other seed": (7, lambda g: {"data": _changed(g["data"], seed=hashlib.sha256(g["data"]).digest())}),
    "other subject": (7, lambda g: {"subjects": [g["subjects"][0] + b"\x00"]}),
    "no subject": (7, lambda g: {"subjects": []}),
    "subject twice": (7, lambda g: {"subjects": g["subjects"] * 2}),
}


@pytest.mark.parametrize(("step", "change"), RECEIPT_CHANGES.values(), ids=RECEIPT_CHANGES)
def test_false_receipts(receipt_of_a_query: dict[str, Any], step: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    independent.verify_receipt(**receipt_of_a_query)
    with pytest.raises(ReceiptError) as caught:
        independent.verify_receipt(**receipt_of_a_query | change(receipt_of_a_query))
    assert caught.value.step == step


def test_false_checkpoint_and_false_inclusion(system: System, client: IndependentClient) -> None:
    _, receipt = client.query(system.mint.stranger().element, 2, "consent-1")
    assert client.exchange.included(receipt) > receipt.index
    promised = log_pb2.Receipt.FromString(receipt.SerializeToString())
    promised.index -= 1
    with pytest.raises(DistrustError):
        client.exchange.included(promised)
    answer = client.exchange.ask("/tallystick.v1.AuditService/GetCheckpoint", b"")
    note = audit_service_pb2.GetCheckpointResponse.FromString(answer).checkpoint
    server = _server(system.exchange)
    assert independent.verify_checkpoint(note, server)[0] > receipt.index
    for false in (note.replace("\n", "\n1", 1), note.replace("— exchange", "— exchanges", 1)):
        with pytest.raises(DistrustError):
            independent.verify_checkpoint(false, server)
    with pytest.raises(DistrustError):
        independent.verify_checkpoint(note, replace(server, checkpoint_key=server.receipt_key))
