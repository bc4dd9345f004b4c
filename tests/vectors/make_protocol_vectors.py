"""Writes protocol.json: for each bracketed key of docs/protocol.md, inputs and the bytes that they must give.

All keys, blinds, nonces and seeds are fixed, so that the file only changes when a format does. Run it from anywhere:
`python tests/vectors/make_protocol_vectors.py`. tests/crypto/test_protocol_vectors.py fails while the file is not what
this gives.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick import crypto

PATH = Path(__file__).parent / "protocol.json"

ORIGIN = "exchange.example/log"
METHOD = "/tallystick.v1.InquiryService/QueryCreditHistory"
CREATED = 1_767_225_600  # 2026-01-01T00:00:00Z

Case = dict[str, Any]


def fixed_bytes(name: str, length: int = 32) -> bytes:
    """Bytes that stand for random ones: the same in every run, others for each name."""
    return sha256(b"tallystick test vector: " + name.encode()).digest()[:length]


def signing_key(name: str) -> Ed25519PrivateKey:
    """A fixed Ed25519 key."""
    return Ed25519PrivateKey.from_private_bytes(fixed_bytes(name))


def raw_public(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of a key's public half."""
    return key.public_key().public_bytes_raw()


def fixed_scalar(name: str) -> bytes:
    """A fixed scalar, canonical and not zero."""
    return crypto.derive_key_pair(fixed_bytes(name), b"", mode=crypto.MODE_VOPRF)[0]


# --- One function a key -----------------------------------------------------------------------------------------------


def framing() -> list[Case]:
    """Lists that differ only in where one part ends give different bytes."""
    lists: list[tuple[str, list[bytes]]] = [
        ("tag", []),
        ("tag", [b""]),
        ("tag", [b"ab", b"c"]),
        ("tag", [b"a", b"bc"]),
        ("标签", ["票据".encode(), bytes(range(256))]),
    ]
    return [
        {"tag": tag, "parts": [part.hex() for part in parts], "framed": crypto.framed(tag, *parts).hex()} for tag, parts in lists
    ]


def identity_inputs() -> dict[str, list[list[str]]]:
    """Numbers as a member might have them: accepted ones; refused ones, each with the field and the reason."""
    inputs: dict[str, list[list[str]]] = json.loads((PATH.parent / "identity_inputs.json").read_text(encoding="utf-8"))
    return inputs


def identities() -> Case:
    """Every document's good forms with their canonical bytes, and bad forms with the refusal's field and reason."""
    inputs = identity_inputs()
    accepted = []
    for given in inputs["accepted"]:
        identity = crypto.normalise(*given)
        accepted.append(
            {
                "given": given,
                "normalised": [identity.kind, identity.type, identity.country, identity.number],
                "canonical_bytes": identity.canonical_bytes().hex(),
                "region_is_known": crypto.region_is_known(identity),
            }
        )
    refused = [{"given": row[:4], "field": row[4], "reason": row[5]} for row in inputs["refused"]]
    return {"accepted": accepted, "refused": refused}


def token_inputs() -> list[bytes]:
    """Canonical bytes of three identities."""
    accepted = identity_inputs()["accepted"]
    return [crypto.normalise(*accepted[position]).canonical_bytes() for position in (0, 22, 31)]


def tokens() -> Case:
    """One key, and a batch of three with blinds, proof, tokens; elements and proofs that must be refused."""
    private, public = crypto.derive_key_pair(fixed_bytes("token authority"), b"vectors", mode=crypto.MODE_VOPRF)
    inputs = token_inputs()
    blinded = [crypto.blind(data, blind=fixed_scalar(f"blind {i}")) for i, data in enumerate(inputs)]
    elements = [item.element for item in blinded]
    randomness = fixed_scalar("proof")
    evaluated, proof = crypto.evaluate(private, public, elements, proof_randomness=randomness)
    return {
        "suite": crypto.SUITE,
        "mode": crypto.MODE_VOPRF,
        "private_key": private.hex(),
        "public_key": public.hex(),
        "sequence": 1,
        "epoch_id": crypto.epoch_id(1, public).hex(),
        "batch": [
            {
                "input": data.hex(),
                "blind": item.blind.hex(),
                "blinded": item.element.hex(),
                "evaluated": answer.hex(),
                "token": crypto.unblind(item.blind, answer).hex(),
            }
            for data, item, answer in zip(inputs, blinded, evaluated, strict=True)
        ],
        "proof_randomness": randomness.hex(),
        "proof": proof.hex(),
        "refused_elements": refused_elements(elements[0]),
    }


def refused_elements(element: bytes) -> list[Case]:
    """Encodings that no side may take for an element; RFC 9496 appendix A.2 has more."""
    field_order = 2**255 - 19
    forms = {
        "the identity": bytes(32),
        "not below the field's order": field_order.to_bytes(32, "little"),
        "not below the field's order, one more": (field_order + 1).to_bytes(32, "little"),
        "all bits set": b"\xff" * 32,
        "negative field element": bytes([1]) + bytes(31),
        "highest bit set": element[:31] + bytes([element[31] | 0x80]),
        "no point for this field element": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
        "31 bytes": element[:31],
        "33 bytes": element + b"\x00",
        "empty": b"",
    }
    return [{"name": name, "element": data.hex()} for name, data in forms.items()]


def account_references() -> list[Case]:
    """The number in two Unicode forms gives one reference, and a space more gives another."""
    secret = fixed_bytes("account secret")
    cases = []
    for number in ("6222021234567890123", "6222 0212 3456 7890 123", "Café-1", "Cafe\u0301-1", "合同2026第1号"):
        secret_id, digest = crypto.account_reference(secret, number)
        cases.append({"secret": secret.hex(), "account_number": number, "secret_id": secret_id.hex(), "digest": digest.hex()})
    return cases


def request_signatures() -> list[Case]:
    """Signed requests; what must be refused is in request_signatures_negative.json."""
    key = signing_key("member key")
    cases = []
    for message, lifetime, nonce_length in ((b"", 60, 16), (b"\x0a\x10" + bytes(16), 1, 32), (bytes(70_000), 30, 24)):
        nonce = fixed_bytes(f"nonce {len(message)}", nonce_length)
        signed = crypto.sign_request(
            key, path=METHOD, message=message, audience=ORIGIN, created=CREATED, lifetime=lifetime, nonce=nonce
        )
        cases.append(
            {
                "private_key": fixed_bytes("member key").hex(),
                "public_key": raw_public(key).hex(),
                "keyid": crypto.keyid(raw_public(key)).hex(),
                "path": METHOD,
                # A message of zeros is given by its length alone.
                "message": message.hex() if len(message) < 1000 else {"zeros": len(message)},
                "audience": ORIGIN,
                "created": CREATED,
                "expires": CREATED + lifetime,
                "nonce": nonce.hex(),
                "metadata": [list(entry) for entry in signed.metadata],
                "signature_params": signed.signature_params,
                "signature": signed.signature.hex(),
            }
        )
    return cases


def commitments() -> list[Case]:
    """Commitments to an envelope and none, one and three subjects."""
    seed = fixed_bytes("details seed")
    envelope = b"\x0a\x20" + fixed_bytes("request digest")
    epoch_id = fixed_bytes("epoch", 20)
    subjects: list[tuple[bytes, bytes, int, str]] = [
        (epoch_id, fixed_bytes("token 0"), 2, "consent/2026/1"),
        (epoch_id, fixed_bytes("token 1"), 0, ""),
        (b"short", b"", 26, "授权书-1"),
    ]
    cases = []
    for count in (0, 1, 3):
        leaves = [crypto.subject_leaf(*subject) for subject in subjects[:count]]
        salts = [crypto.salt(seed, i) for i in range(count + 1)]
        hashes = [crypto.salted_leaf_hash(salt, leaf) for salt, leaf in zip(salts, [envelope, *leaves], strict=True)]
        cases.append(
            {
                "seed": seed.hex(),
                "envelope": envelope.hex(),
                "subjects": [
                    {
                        "epoch_id": epoch.hex(),
                        "element": element.hex(),
                        "purpose": purpose,
                        "consent_reference": reference,
                        "leaf": leaf.hex(),
                    }
                    for (epoch, element, purpose, reference), leaf in zip(subjects[:count], leaves, strict=True)
                ],
                "salts": [salt.hex() for salt in salts],
                "leaf_hashes": [hash_.hex() for hash_ in hashes],
                "root": crypto.root(hashes).hex(),
                "details_commitment": crypto.details_commitment(seed, envelope, leaves).hex(),
            }
        )
    return cases


def receipts() -> list[Case]:
    """A receipt's statement and signature; its messages are the contract tests' business."""
    key = signing_key("receipt key")
    cases = []
    for index in (0, 20_852_163):
        leaf = crypto.leaf_hash(fixed_bytes(f"entry {index}"))
        cases.append(
            {
                "public_key": raw_public(key).hex(),
                "origin": ORIGIN,
                "index": index,
                "entry": fixed_bytes(f"entry {index}").hex(),
                "leaf_hash": leaf.hex(),
                "statement": crypto.receipt_statement(ORIGIN, index, leaf).decode(),
                "signature": crypto.sign_receipt(key, ORIGIN, index, leaf).hex(),
            }
        )
    return cases


def checkpoints() -> Case:
    """Eleven entries: a checkpoint at every size, every inclusion proof at the last, every consistency proof to it."""
    key = signing_key("checkpoint key")
    verifier = crypto.NoteVerifier(ORIGIN, raw_public(key))
    leaves = [f"entry {i}".encode() for i in range(11)]
    hashes = [crypto.leaf_hash(leaf) for leaf in leaves]
    roots = [crypto.root(hashes[:size]) for size in range(len(leaves) + 1)]
    return {
        "public_key": raw_public(key).hex(),
        "origin": ORIGIN,
        "key_hash": verifier.key_hash.hex(),
        "leaves": [leaf.hex() for leaf in leaves],
        "leaf_hashes": [hash_.hex() for hash_ in hashes],
        "checkpoints": [
            {
                "size": size,
                "root": root.hex(),
                "note": crypto.sign_checkpoint(crypto.Checkpoint(ORIGIN, size, root), key),
            }
            for size, root in enumerate(roots)
        ],
        "inclusion_proofs": [
            {"index": index, "size": 11, "proof": [hash_.hex() for hash_ in crypto.inclusion_proof(index, hashes)]}
            for index in range(11)
        ],
        "consistency_proofs": [
            {"old_size": old, "new_size": 11, "proof": [hash_.hex() for hash_ in crypto.consistency_proof(old, hashes)]}
            for old in range(12)
        ],
    }


def key_registration() -> Case:
    """The statement for a member's second key, and both signatures over it."""
    new, old = signing_key("second member key"), signing_key("member key")
    statement = crypto.key_statement(ORIGIN, "bank-a", raw_public(new))
    return {
        "origin": ORIGIN,
        "member_id": "bank-a",
        "public_key": raw_public(new).hex(),
        "endorsing_public_key": raw_public(old).hex(),
        "statement": statement.decode(),
        "possession_signature": new.sign(statement).hex(),
        "endorsement_signature": old.sign(statement).hex(),
    }


def build() -> Case:
    """The whole file."""
    return {
        "framing": framing(),
        "identities": identities(),
        "tokens": tokens(),
        "account_references": account_references(),
        "request_signatures": request_signatures(),
        "commitments": commitments(),
        "receipts": receipts(),
        "checkpoints": checkpoints(),
        "key_registration": key_registration(),
    }


def rendered() -> str:
    """The file's text."""
    return json.dumps(build(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(rendered(), encoding="utf-8")
