"""Which of several entries was changed, when no proof can tell: each is held against the request that its own evidence holds.

Past the last tile, the log's hashes are made of the entries themselves. If one of those was changed with its hash, no proof of them
leads to the signed root any more. But whoever can write to the database cannot seal evidence, nor sign as a member: the entry then
says something else than the request that it is for.
"""

from __future__ import annotations

from datetime import timedelta

from tallystick.client.exceptions import AnswerMalformed, DetailsFalse, NotFound, ServerFault
from tallystick.client.flows.auditing import Auditing, Disclosed
from tallystick.client.flows.differences import Difference, DifferenceKind
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Flow
from tallystick.contract.authority import Act, Registry
from tallystick.contract.instants import EPOCH
from tallystick.contract.methods import METHODS
from tallystick.crypto import CryptoError, parse_request_signature, request_metadata, verify_request

MAX_OPENED = 512
"""Most entries that are opened for it: each is a call, and an entry itself."""
_BEFORE, _AFTER = timedelta(seconds=10), timedelta(minutes=5)
"""How far an entry's time may lie from that of its request's signature: what a server lets through, and what it takes to commit."""
_ANY_TIME = ("SIGNATURE_STALE", "CERTIFICATE_MISMATCH")
"""Reasons of refusals whose requests need not have been fresh."""


def contradicted(
    auditing: Auditing, registry: Registry | None, span: tuple[int, int], server: Server, origin: str
) -> Flow[list[Difference]]:
    """Those of the entries of a span that do not fit their own evidence. Without a registry, keys are not asked for."""
    found = []
    for index in range(*span):
        try:
            shown = yield from auditing.disclosed(index, server)
            fits = _fits(shown, registry, origin)
        except NotFound:
            # It is gone, and named as such.
            continue
        except (ServerFault, DetailsFalse, AnswerMalformed):
            # Its evidence is sealed to what the entry commits to, and opens for nothing else.
            fits = False
        if not fits:
            found.append(Difference(DifferenceKind.CONTRADICTED, index, index + 1))
    return found


def _fits(shown: Disclosed, registry: Registry | None, origin: str) -> bool:
    entry, envelope = shown.entry, shown.envelope
    act = Act(entry.index, entry.member_id, entry.keyid, entry.method, entry.refused)
    if registry is not None and not registry.allows(act):
        return False
    if envelope is None:
        # Dropped or erased: nothing to hold it against.
        return True
    if bool(envelope.reason) != entry.refused:
        return False
    try:
        params, signature = envelope.signature_params, envelope.signature
        signed = parse_request_signature(
            request_metadata(message=shown.request, audience=origin, signature_params=params, signature=signature)
        )
        if signed.keyid != entry.keyid:
            return False
        if shown.request and registry is not None:
            verify_request(signed, public_key=registry.public_keys[signed.keyid], path=entry.method, message=shown.request)
    except CryptoError:
        return False
    contract = METHODS.get(entry.method)
    paged = contract is not None and contract.paged
    created = EPOCH + timedelta(seconds=signed.created)
    return paged or envelope.reason in _ANY_TIME or created - _BEFORE <= entry.create_time <= created + _AFTER
