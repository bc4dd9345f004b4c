"""No bytes from outside make a parser raise anything but this package's own errors, nor take long."""

import contextlib
from collections.abc import Callable, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tallystick import crypto
from tallystick.crypto import CryptoError
from tallystick.crypto.ed25519 import raw_public_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = raw_public_key(KEY)
ORIGIN = "exchange.example/log"
VERIFIER = crypto.NoteVerifier(ORIGIN, PUBLIC)
PATH = "/tallystick.v1.InquiryService/QueryCreditHistory"
AUTHORITY = crypto.derive_key_pair(bytes(32), b"", mode=crypto.MODE_VOPRF)
SIGNED = crypto.sign_request(KEY, path=PATH, message=b"", audience=ORIGIN, created=1, nonce=bytes(16))
NOTE = crypto.sign_checkpoint(crypto.Checkpoint(ORIGIN, 7, bytes(32)), KEY)

# Text with lone surrogates, as comes of bytes that were decoded leniently.
texts = st.text(st.characters(), max_size=80)
elements = st.one_of(st.binary(max_size=40), st.binary(min_size=32, max_size=32), st.sampled_from([bytes(32), AUTHORITY[1]]))
integers = st.one_of(st.integers(-2, 70), st.integers())


def mutated(draw: st.DrawFn, text: str) -> str:
    """The text with a piece of it replaced, so that fuzzing gets behind the first check."""
    begin = draw(st.integers(0, len(text)))
    end = draw(st.integers(begin, min(len(text), begin + 8)))
    return text[:begin] + draw(st.one_of(st.just(""), texts, st.just(text[begin:end] * 2))) + text[end:]


@st.composite
def header_lists(draw: st.DrawFn) -> list[tuple[str, str | bytes]]:
    headers: list[tuple[str, str | bytes]] = []
    for key, value in SIGNED.metadata:
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2]))):
            choice = draw(st.sampled_from(["good", "good", "mutated", "text", "bytes"]))
            if choice == "bytes":
                headers.append((key, draw(st.binary(max_size=80))))
            else:
                headers.append((key, {"good": value, "text": draw(texts)}.get(choice) or mutated(draw, value)))
    return headers + draw(st.lists(st.tuples(texts, texts), max_size=2))


def only_crypto_errors(call: Callable[[], object]) -> None:
    with contextlib.suppress(CryptoError):
        call()


@settings(max_examples=400)
@given(header_lists())
def test_request_headers(headers: Sequence[tuple[str, str | bytes]]) -> None:
    try:
        read = crypto.parse_request_signature(headers)
    except CryptoError:
        return
    # Whatever is accepted is written in the one form that signing gives.
    given_text = {
        key: value.decode() if isinstance(value, bytes) else value for key, value in headers if key in dict(SIGNED.metadata)
    }
    assert given_text[crypto.INPUT_KEY] == f"tallystick={read.signature_params}"
    assert given_text[crypto.AUDIENCE_KEY] == read.audience
    assert given_text[crypto.DIGEST_KEY] == read.content_digest


@given(header_lists(), elements, texts, st.binary(max_size=10))
def test_request_verification(headers: list[tuple[str, str | bytes]], public_key: bytes, path: str, message: bytes) -> None:
    only_crypto_errors(
        lambda: crypto.verify_request(crypto.parse_request_signature(headers), public_key=public_key, path=path, message=message)
    )


@given(st.data())
def test_a_changed_request_never_verifies(data: st.DataObject) -> None:
    headers = data.draw(header_lists())
    try:
        read = crypto.parse_request_signature(headers)
        crypto.verify_request(read, public_key=PUBLIC, path=PATH, message=b"")
    except CryptoError:
        return
    assert [entry for entry in headers if entry[0] in dict(SIGNED.metadata)] == list(SIGNED.metadata)


@settings(max_examples=400)
@given(st.data())
def test_notes(data: st.DataObject) -> None:
    note = data.draw(st.one_of(texts, st.composite(mutated)(NOTE)))
    try:
        text = crypto.open_note(note, [VERIFIER])
    except CryptoError:
        pass
    else:
        assert text == NOTE.rpartition("\n\n")[0] + "\n"
    only_crypto_errors(lambda: crypto.open_checkpoint(note, VERIFIER))


@given(texts)
def test_checkpoint_bodies_that_are_signed(body: str) -> None:
    only_crypto_errors(lambda: crypto.open_checkpoint(crypto.sign_note(body + "\n", ORIGIN, KEY), VERIFIER))


@given(st.one_of(texts, st.sampled_from(["person", "organisation"])), texts, texts, texts)
def test_any_identity(kind: str, type_: str, country: str, number: str) -> None:
    only_crypto_errors(lambda: crypto.normalise(kind, type_, country, number))


document_types = ["10", "1", "2", "5", "6", "8", "9", "20", "A", "B", "C", "X", "30", "01", "41", "LEI"]
numbers = st.one_of(texts, st.text("0123456789ABHMXZ-() ", max_size=25))


@settings(max_examples=400)
@given(
    st.sampled_from(["person", "organisation"]), st.sampled_from(document_types), st.sampled_from(["CN", "HK", "MO", "TW"]), numbers
)
def test_identities_of_known_types(kind: str, type_: str, country: str, number: str) -> None:
    try:
        identity = crypto.normalise(kind, type_, country, number)
    except crypto.IdentityError:
        return
    assert crypto.normalise(identity.kind, identity.type, identity.country, identity.number) == identity
    crypto.region_is_known(identity)
    identity.canonical_bytes()


@given(elements)
def test_elements(element: bytes) -> None:
    only_crypto_errors(lambda: crypto.check_element(element))
    only_crypto_errors(lambda: crypto.unblind(AUTHORITY[0], element))
    only_crypto_errors(lambda: crypto.unblind(element, AUTHORITY[1]))
    only_crypto_errors(lambda: crypto.epoch_id(1, element))
    only_crypto_errors(lambda: crypto.epoch_sequence(element))


@given(elements, st.lists(elements, max_size=3), st.lists(elements, max_size=3), st.binary(max_size=70))
def test_evaluations(public: bytes, blinded: list[bytes], evaluated: list[bytes], proof: bytes) -> None:
    only_crypto_errors(lambda: crypto.evaluate(*AUTHORITY, blinded))
    with pytest.raises(CryptoError):
        crypto.verify_evaluation(public, blinded, evaluated, proof)


@given(integers, st.binary(max_size=100), st.lists(elements, max_size=4), integers, elements)
def test_merkle(size: int, data: bytes, proof: list[bytes], index: int, root: bytes) -> None:
    only_crypto_errors(lambda: crypto.CompactRange.from_bytes(size, data))
    only_crypto_errors(lambda: crypto.CompactRange(size, proof))
    only_crypto_errors(lambda: crypto.verify_inclusion(index, size, root, proof, root))
    only_crypto_errors(lambda: crypto.verify_consistency(index, size, root, data, proof))
    only_crypto_errors(lambda: crypto.inclusion_ranges(index, size))
    only_crypto_errors(lambda: crypto.consistency_ranges(index, size))
    only_crypto_errors(lambda: crypto.complete_subtrees(index, size))


@given(elements, texts, integers, elements, st.binary(max_size=70))
def test_statements(public: bytes, text: str, number: int, leaf: bytes, signature: bytes) -> None:
    with pytest.raises(CryptoError):
        crypto.verify_receipt_signature(public, ORIGIN, number, leaf, signature)
    only_crypto_errors(lambda: crypto.receipt_statement(text, number, leaf))
    only_crypto_errors(lambda: crypto.key_statement(ORIGIN, text, public))
    only_crypto_errors(lambda: crypto.subject_leaf(leaf, public, number, text))
    only_crypto_errors(lambda: crypto.account_reference(bytes(32), text))
    only_crypto_errors(lambda: crypto.subject_key(bytes(32), signature, leaf))
    only_crypto_errors(lambda: crypto.details_commitment(leaf, signature, [public]))
    only_crypto_errors(lambda: crypto.commitment_from_hashes([leaf, public]))
    only_crypto_errors(lambda: crypto.NoteVerifier(text, public))
    only_crypto_errors(lambda: crypto.Checkpoint(text, number, leaf))
    assert not crypto.is_signed(public, signature, leaf)
