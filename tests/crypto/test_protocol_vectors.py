"""The protocol's vectors, recomputed twice: by their script, and from docs/protocol.md's words without this package."""

import base64
import hmac
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tallystick import crypto

File = dict[str, Any]


@pytest.fixture(scope="module")
def protocol(vectors: Callable[[str], Any]) -> File:
    file: File = vectors("protocol")
    return file


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def frame(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def tree(leaf_hashes: list[bytes]) -> bytes:
    """The root, level by level: an odd node at the end goes up as it is."""
    level = leaf_hashes
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha256(b"\x01" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else sha256().digest()


def verify(public_key: str, signature: str, message: str) -> None:
    Ed25519PublicKey.from_public_bytes(unhex(public_key)).verify(unhex(signature), message.encode())


def test_file_is_what_the_script_writes(protocol: File, vector_script: Callable[[str], ModuleType]) -> None:
    script = vector_script("make_protocol_vectors")
    assert script.PATH.read_text(encoding="utf-8") == script.rendered()


def test_framing(protocol: File) -> None:
    for case in protocol["framing"]:
        assert frame(case["tag"].encode(), *map(unhex, case["parts"])).hex() == case["framed"]


def test_identities(protocol: File) -> None:
    for case in protocol["identities"]["accepted"]:
        parts = [part.encode() for part in case["normalised"]]
        assert frame(b"tallystick-identity-v1", *parts).hex() == case["canonical_bytes"]


def test_tokens(protocol: File) -> None:
    tokens = protocol["tokens"]
    public = unhex(tokens["public_key"])
    digest = sha256(tokens["suite"].encode() + public).digest()
    assert (tokens["sequence"].to_bytes(4, "big") + digest[:16]).hex() == tokens["epoch_id"]
    batch = tokens["batch"]
    blinded, evaluated = ([unhex(item[key]) for item in batch] for key in ("blinded", "evaluated"))
    crypto.verify_evaluation(public, blinded, evaluated, unhex(tokens["proof"]))
    for item in batch:
        # The token is the key's multiple of the input's element, whatever the blind was.
        other = crypto.blind(unhex(item["input"]))
        answers, _ = crypto.evaluate(unhex(tokens["private_key"]), public, [other.element])
        assert crypto.unblind(other.blind, answers[0]).hex() == item["token"]
    for case in tokens["refused_elements"]:
        with pytest.raises(crypto.ElementError):
            crypto.check_element(unhex(case["element"]))


def test_account_references(protocol: File) -> None:
    for case in protocol["account_references"]:
        secret = unhex(case["secret"])
        number = unicodedata.normalize("NFC", case["account_number"]).encode()
        assert sha256(b"tallystick-account-secret-v1" + secret).digest()[:8].hex() == case["secret_id"]
        assert hmac.new(secret, frame(b"tallystick-account-v1", number), "sha256").hexdigest() == case["digest"]


def test_request_signatures(protocol: File) -> None:
    for case in protocol["request_signatures"]:
        message = bytes(case["message"]["zeros"]) if isinstance(case["message"], dict) else unhex(case["message"])
        content = b"\0" + len(message).to_bytes(4, "big") + message
        digest = f"sha-256=:{base64.b64encode(sha256(content).digest()).decode()}:"
        keyid = sha256(unhex(case["public_key"])).hexdigest()
        nonce = base64.b64encode(unhex(case["nonce"])).decode()
        params = (
            '("@method" "@path" "content-digest" "tallystick-audience")'
            f";created={case['created']};expires={case['expires']}"
            f';nonce="{nonce}";keyid="{keyid}";alg="ed25519";tag="tallystick-v1"'
        )
        base = "\n".join(
            [
                '"@method": POST',
                f'"@path": {case["path"]}',
                f'"content-digest": {digest}',
                f'"tallystick-audience": {case["audience"]}',
                f'"@signature-params": {params}',
            ]
        )
        signature = Ed25519PrivateKey.from_private_bytes(unhex(case["private_key"])).sign(base.encode())
        assert (signature.hex(), params, keyid) == (case["signature"], case["signature_params"], case["keyid"])
        assert dict(case["metadata"]) == {
            "content-digest": digest,
            "tallystick-audience": case["audience"],
            "signature-input": f"tallystick={params}",
            "signature": f"tallystick=:{base64.b64encode(signature).decode()}:",
        }


def test_commitments(protocol: File) -> None:
    for case in protocol["commitments"]:
        seed, leaves = unhex(case["seed"]), [unhex(case["envelope"])]
        for subject in case["subjects"]:
            leaf = frame(
                b"tallystick-subject-v1",
                unhex(subject["epoch_id"]),
                unhex(subject["element"]),
                str(subject["purpose"]).encode(),
                subject["consent_reference"].encode(),
            )
            assert leaf.hex() == subject["leaf"]
            leaves.append(leaf)
        salts = [hmac.new(seed, i.to_bytes(4, "big"), "sha256").digest()[:16] for i in range(len(leaves))]
        hashes = [sha256(b"\0" + salt + leaf).digest() for salt, leaf in zip(salts, leaves, strict=True)]
        assert [salt.hex() for salt in salts] == case["salts"]
        assert [hash_.hex() for hash_ in hashes] == case["leaf_hashes"]
        assert tree(hashes).hex() == case["root"]
        counted = frame(b"tallystick-details-v1", len(leaves).to_bytes(4, "big"), tree(hashes))
        assert sha256(counted).hexdigest() == case["details_commitment"]


def test_receipts(protocol: File) -> None:
    for case in protocol["receipts"]:
        leaf_hash = sha256(b"\0" + unhex(case["entry"])).digest()
        encoded = base64.b64encode(leaf_hash).decode()
        assert leaf_hash.hex() == case["leaf_hash"]
        assert case["statement"] == f"tallystick-receipt-v1\n{case['origin']}\n{case['index']}\n{encoded}\n"
        verify(case["public_key"], case["signature"], case["statement"])


def test_checkpoints(protocol: File) -> None:
    file = protocol["checkpoints"]
    hashes = [sha256(b"\0" + unhex(leaf)).digest() for leaf in file["leaves"]]
    assert [hash_.hex() for hash_ in hashes] == file["leaf_hashes"]
    key_hash = sha256(file["origin"].encode() + b"\n\x01" + unhex(file["public_key"])).digest()[:4]
    assert key_hash.hex() == file["key_hash"]
    for case in file["checkpoints"]:
        root = tree(hashes[: case["size"]])
        body = f"{file['origin']}\n{case['size']}\n{base64.b64encode(root).decode()}\n"
        text, _, line = case["note"].rpartition("\n\n")
        signature = base64.b64decode(line.removeprefix(f"— {file['origin']} "))
        assert (root.hex(), body) == (case["root"], text + "\n")
        assert signature[:4] == key_hash
        verify(file["public_key"], signature[4:].hex(), body)
    roots = [unhex(case["root"]) for case in file["checkpoints"]]
    for case in file["inclusion_proofs"]:
        index, size = case["index"], case["size"]
        crypto.verify_inclusion(index, size, hashes[index], [unhex(hash_) for hash_ in case["proof"]], roots[size])
    for case in file["consistency_proofs"]:
        old, new = case["old_size"], case["new_size"]
        crypto.verify_consistency(old, new, roots[old], roots[new], [unhex(hash_) for hash_ in case["proof"]])


def test_key_registration(protocol: File) -> None:
    case = protocol["key_registration"]
    assert case["statement"] == f"tallystick-key-v1\n{case['origin']}\n{case['member_id']}\n{case['public_key']}\n"
    verify(case["public_key"], case["possession_signature"], case["statement"])
    verify(case["endorsing_public_key"], case["endorsement_signature"], case["statement"])
