"""The token protocol: RFC 9497's own vectors, and what a cheating side must not get past the other."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick import crypto
from tallystick.crypto import CryptoError, ElementError, ProofError

ORDER = (2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")
IDENTITY = bytes(32)


def split(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")]


def rfc_groups(vectors: Callable[[str], Any]) -> list[dict[str, Any]]:
    groups = [g for g in vectors("rfc9497-ristretto255-vectors") if g["mode"] in (crypto.MODE_OPRF, crypto.MODE_VOPRF)]
    assert [group["mode"] for group in groups] == [0, 1]
    return groups


def test_rfc_keys(vectors: Callable[[str], Any]) -> None:
    for group in rfc_groups(vectors):
        private, public = crypto.derive_key_pair(
            bytes.fromhex(group["seed"]), bytes.fromhex(group["keyInfo"]), mode=group["mode"], suite=crypto.RFC_SUITE
        )
        assert private.hex() == group["skSm"]
        assert crypto.public_key(private) == public
        assert group.get("pkSm", public.hex()) == public.hex()


def test_rfc_vectors(vectors: Callable[[str], Any]) -> None:
    seen = 0
    for group in rfc_groups(vectors):
        mode, private = group["mode"], bytes.fromhex(group["skSm"])
        public = crypto.public_key(private)
        for vector in group["vectors"]:
            inputs, blinds = split(vector["Input"]), split(vector["Blind"])
            blinded = [
                crypto.blind(data, suite=crypto.RFC_SUITE, mode=mode, blind=scalar)
                for data, scalar in zip(inputs, blinds, strict=True)
            ]
            elements = [item.element for item in blinded]
            assert elements == split(vector["BlindedElement"])
            randomness = bytes.fromhex(vector["Proof"]["r"]) if mode == crypto.MODE_VOPRF else None
            evaluated, proof = crypto.evaluate(
                private, public, elements, suite=crypto.RFC_SUITE, mode=mode, proof_randomness=randomness
            )
            assert evaluated == split(vector["EvaluationElement"])
            if mode == crypto.MODE_VOPRF:
                assert proof.hex() == vector["Proof"]["proof"]
                crypto.verify_evaluation(public, elements, evaluated, proof, suite=crypto.RFC_SUITE)
            else:
                assert proof == b""
            outputs = [crypto.finalize(*item) for item in zip(inputs, blinds, evaluated, strict=True)]
            assert outputs == split(vector["Output"])
            seen += len(outputs)
    assert seen == 6


def test_rfc_invalid_encodings_are_refused(vectors: Callable[[str], Any]) -> None:
    encodings = split(",".join(vectors("rfc9496-invalid-encodings")["invalid_encodings_hex"]))
    assert len(encodings) == 29
    private = crypto.generate_private_key()
    public = crypto.public_key(private)
    # libsodium itself takes this one for the same element as without the bit.
    second_encoding = public[:31] + bytes([public[31] | 0x80])
    for element in [*encodings, second_encoding, IDENTITY, b"", bytes(31), bytes(33)]:
        with pytest.raises(ElementError):
            crypto.check_element(element)
        with pytest.raises(ElementError) as caught:
            crypto.evaluate(private, public, [public, element])
        assert caught.value.index == 1
        with pytest.raises(ElementError):
            crypto.unblind(private, element)
        with pytest.raises(ElementError):
            crypto.epoch_id(1, element)


@pytest.fixture(scope="module")
def authority() -> tuple[bytes, bytes]:
    private = crypto.generate_private_key()
    return private, crypto.public_key(private)


def test_a_token_depends_on_input_and_key_alone(authority: tuple[bytes, bytes]) -> None:
    private, public = authority
    tokens = set()
    for _ in range(3):
        blinded = crypto.blind(b"somebody")
        (evaluated,), proof = crypto.evaluate(private, public, [blinded.element])
        crypto.verify_evaluation(public, [blinded.element], [evaluated], proof)
        tokens.add(crypto.unblind(blinded.blind, evaluated))
    assert len(tokens) == 1
    crypto.check_element(tokens.pop())


def test_each_blinding_is_fresh_and_hidden() -> None:
    first, second = crypto.blind(b"somebody"), crypto.blind(b"somebody")
    assert first.element != second.element
    assert first.blind != second.blind
    assert first.blind.hex() not in repr(first)
    assert str(first.blind) not in repr(first)


def test_suites_and_modes_are_apart(authority: tuple[bytes, bytes]) -> None:
    private, public = authority
    scalar = crypto.generate_private_key()
    elements = {
        crypto.blind(b"x", suite=suite, mode=mode, blind=scalar).element
        for suite in (crypto.SUITE, crypto.RFC_SUITE)
        for mode in (crypto.MODE_OPRF, crypto.MODE_VOPRF)
    }
    assert len(elements) == 4
    element = elements.pop()
    evaluated, proof = crypto.evaluate(private, public, [element])
    with pytest.raises(ProofError):
        crypto.verify_evaluation(public, [element], evaluated, proof, suite=crypto.RFC_SUITE)
    with pytest.raises(CryptoError):
        crypto.blind(b"x", mode=2)


@pytest.fixture(scope="module")
def batch(authority: tuple[bytes, bytes]) -> tuple[list[bytes], list[bytes], bytes]:
    private, public = authority
    blinded = [crypto.blind(bytes([i])).element for i in range(4)]
    evaluated, proof = crypto.evaluate(private, public, blinded)
    crypto.verify_evaluation(public, blinded, evaluated, proof)
    return blinded, evaluated, proof


def test_a_batch_is_proved_as_a_whole(authority: tuple[bytes, bytes], batch: tuple[list[bytes], list[bytes], bytes]) -> None:
    _, public = authority
    blinded, evaluated, proof = batch
    other = crypto.evaluate(crypto.generate_private_key(), public, blinded)[0]
    forgeries = [
        (blinded, [*evaluated[:3], other[3]]),
        (blinded, [evaluated[1], evaluated[0], *evaluated[2:]]),
        (blinded[:3], evaluated[:3]),
        ([*blinded, blinded[0]], [*evaluated, evaluated[0]]),
        (blinded, evaluated[:3]),
        (blinded[::-1], evaluated[::-1]),
        (blinded, blinded),
        (blinded, other),
    ]
    for elements, answers in forgeries:
        with pytest.raises(ProofError):
            crypto.verify_evaluation(public, elements, answers, proof)
    with pytest.raises(ProofError):
        crypto.verify_evaluation(crypto.public_key(crypto.generate_private_key()), blinded, evaluated, proof)


def test_a_proof_with_another_key_fails(authority: tuple[bytes, bytes], batch: tuple[list[bytes], list[bytes], bytes]) -> None:
    _, public = authority
    cheat = crypto.generate_private_key()
    for claimed in (public, crypto.public_key(cheat)):
        evaluated, proof = crypto.evaluate(cheat, claimed, batch[0])
        with pytest.raises(ProofError):
            crypto.verify_evaluation(public, batch[0], evaluated, proof)


def test_malformed_proofs(authority: tuple[bytes, bytes], batch: tuple[list[bytes], list[bytes], bytes]) -> None:
    _, public = authority
    blinded, evaluated, proof = batch
    order = int.from_bytes(ORDER, "little")
    response_above = (int.from_bytes(proof[32:], "little") + order).to_bytes(32, "little")
    forms = [b"", proof[:63], proof + b"\0", bytes(64), proof[:32] + bytes(32), bytes(32) + proof[32:], ORDER * 2]
    forms += [proof[:32] + response_above, proof[32:] + proof[:32], b"\xff" * 64]
    forms += [bytes(b ^ (position == i) for i, b in enumerate(proof)) for position in range(64)]
    for form in forms:
        with pytest.raises(ProofError):
            crypto.verify_evaluation(public, blinded, evaluated, form)


def test_elements_of_a_verified_batch_are_checked(
    authority: tuple[bytes, bytes], batch: tuple[list[bytes], list[bytes], bytes]
) -> None:
    _, public = authority
    blinded, evaluated, proof = batch
    for bad in (IDENTITY, b"\xff" * 32, b"", bytes(70_000)):
        for elements, answers in (
            ([blinded[0], bad, *blinded[2:]], evaluated),
            (blinded, [evaluated[0], bad, *evaluated[2:]]),
        ):
            with pytest.raises(ElementError) as caught:
                crypto.verify_evaluation(public, elements, answers, proof)
            assert caught.value.index == 1
        with pytest.raises(ElementError):
            crypto.verify_evaluation(bad, blinded, evaluated, proof)


def test_opposite_elements_are_as_good_as_any(authority: tuple[bytes, bytes]) -> None:
    # Their plain sum is the identity, which must not matter: the proof weighs each by a hash.
    import rbcl

    private, public = authority
    element = crypto.blind(b"x").element
    opposite = rbcl.crypto_core_ristretto255_sub(IDENTITY, element)
    evaluated, proof = crypto.evaluate(private, public, [element, opposite])
    crypto.verify_evaluation(public, [element, opposite], evaluated, proof)


@pytest.mark.parametrize("count", [0, 65_536])
def test_batch_sizes(authority: tuple[bytes, bytes], count: int) -> None:
    private, public = authority
    with pytest.raises(ElementError):
        crypto.evaluate(private, public, [public] * count)


def test_bad_scalars_are_refused(authority: tuple[bytes, bytes]) -> None:
    _, public = authority
    for scalar in (bytes(32), ORDER, b"\xff" * 32, b"", bytes([1]) * 31, bytes([1]) * 33):
        with pytest.raises(ElementError):
            crypto.public_key(scalar)
        with pytest.raises(ElementError):
            crypto.unblind(scalar, public)
        with pytest.raises(ElementError):
            crypto.evaluate(scalar, public, [public])
        with pytest.raises(ElementError):
            crypto.blind(b"x", blind=scalar)


def test_inputs_have_a_greatest_length(authority: tuple[bytes, bytes]) -> None:
    _, public = authority
    crypto.blind(bytes(65_535))
    with pytest.raises(ElementError):
        crypto.blind(bytes(65_536))
    with pytest.raises(ElementError):
        crypto.finalize(bytes(65_536), crypto.generate_private_key(), public)


def test_key_derivation_lengths() -> None:
    for seed, info in ((bytes(31), b""), (bytes(33), b""), (bytes(32), bytes(65_536))):
        with pytest.raises(CryptoError):
            crypto.derive_key_pair(seed, info, mode=crypto.MODE_VOPRF)


def test_epoch_ids(authority: tuple[bytes, bytes]) -> None:
    _, public = authority
    epoch = crypto.epoch_id(7, public)
    assert epoch == (7).to_bytes(4, "big") + sha256(crypto.SUITE.encode() + public).digest()[:16]
    assert crypto.epoch_sequence(epoch) == 7
    assert crypto.epoch_id(7, public, suite=crypto.RFC_SUITE) != epoch
    for sequence in (-1, 2**32):
        with pytest.raises(CryptoError):
            crypto.epoch_id(sequence, public)
    for form in (b"", epoch[:19], epoch + b"\0"):
        with pytest.raises(CryptoError):
            crypto.epoch_sequence(form)


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_any_batch_round_trips(inputs: list[bytes]) -> None:
    private, public = crypto.derive_key_pair(bytes(32), b"", mode=crypto.MODE_VOPRF)
    blinded = [crypto.blind(data) for data in inputs]
    elements = [item.element for item in blinded]
    evaluated, proof = crypto.evaluate(private, public, elements)
    crypto.verify_evaluation(public, elements, evaluated, proof)
    tokens = [crypto.unblind(item.blind, answer) for item, answer in zip(blinded, evaluated, strict=True)]
    assert [tokens[i] == tokens[0] for i in range(len(inputs))] == [data == inputs[0] for data in inputs]
