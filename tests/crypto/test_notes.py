"""Signed notes and checkpoints: what the C2SP specifications allow is read, everything else is refused."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import (
    EMPTY_ROOT,
    Checkpoint,
    NoteError,
    NoteVerifier,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    sign_note,
)
from tallystick.crypto.ed25519 import raw_public_key

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
NAME = "exchange.example/log"
VERIFIER = NoteVerifier(NAME, raw_public_key(KEY))
WITNESS = NoteVerifier("witness.example", raw_public_key(OTHER))
ROOT = bytes(range(32))
B64_ROOT = base64.b64encode(ROOT).decode()
TEXT = "one\ntwo\n"


def line(note: str) -> str:
    """A note's only signature line."""
    return note.rpartition("\n\n")[2]


def test_a_note_of_another_implementation() -> None:
    # From the documentation of golang.org/x/mod/sumdb/note.
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    note = text + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    key = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert key[0] == 1
    verifier = NoteVerifier("PeterNeumann", key[1:])
    assert verifier.key_hash.hex() == "c74f20a3"
    assert open_note(note, [verifier]) == text
    with pytest.raises(NoteError):
        open_note(note.replace("answer", "question"), [verifier])


def test_round_trip_and_cosignatures() -> None:
    note = sign_note(TEXT, NAME, KEY)
    both = note + line(sign_note(TEXT, WITNESS.name, OTHER))
    assert note == f"{TEXT}\n— {NAME} {note.split(' ')[-1]}"
    for verifiers in ([VERIFIER], [WITNESS], [WITNESS, VERIFIER]):
        assert open_note(both, verifiers) == TEXT
    with pytest.raises(NoteError, match="no known key"):
        open_note(note, [WITNESS])
    with pytest.raises(NoteError, match="no known key"):
        open_note(note, [])


def test_signatures_of_unknown_keys_are_ignored() -> None:
    note = sign_note(TEXT, NAME, KEY)
    same_name = line(sign_note(TEXT, NAME, OTHER))
    same_hash = f"— elsewhere.example {base64.b64encode(VERIFIER.key_hash + bytes(5000)).decode()}\n"
    assert open_note(note + same_name + same_hash, [VERIFIER]) == TEXT
    assert open_note(f"{TEXT}\n{same_hash}{same_name}{line(note)}", [VERIFIER]) == TEXT


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    note = sign_note(TEXT, NAME, KEY)
    for forged in (bytes(64), b"x", bytes(65)):
        bad = f"— {NAME} {base64.b64encode(VERIFIER.key_hash + forged).decode()}\n"
        for spoiled in (note + bad, f"{TEXT}\n{bad}{line(note)}"):
            with pytest.raises(NoteError, match="does not verify"):
                open_note(spoiled, [VERIFIER])


def test_text_may_have_empty_lines() -> None:
    text = "one\n\n\ntwo\n\n"
    assert open_note(sign_note(text, NAME, KEY), [VERIFIER]) == text


def test_changed_text_is_refused() -> None:
    note = sign_note(TEXT, NAME, KEY)
    for changed in (note.replace("one", "ono"), "\n" + note, note.replace("\n\n", "\n\n\n")):
        with pytest.raises(NoteError):
            open_note(changed, [VERIFIER])


GOOD = sign_note(TEXT, NAME, KEY)
ENCODED = GOOD.rstrip("\n").rpartition(" ")[2]
MALFORMED_NOTES = {
    "empty": "",
    "no signature": TEXT,
    "no signature line": TEXT + "\n",
    "no empty line": TEXT + line(GOOD),
    "no line feed at the end": GOOD[:-1],
    "empty line at the end": GOOD + "\n",
    "text behind the signature": GOOD + "three\n",
    "carriage returns": GOOD.replace("\n", "\r\n"),
    "tab in the text": GOOD.replace("one", "o\te"),
    "NUL in the text": GOOD.replace("one", "o\0e"),
    "lone surrogate": GOOD.replace("one", "o\ud800e"),
    "hyphen for the em dash": GOOD.replace("—", "-"),
    "en dash for the em dash": GOOD.replace("—", "–"),
    "two spaces behind the dash": GOOD.replace("— ", "—  "),
    "no space behind the dash": GOOD.replace("— ", "—"),
    "space before the dash": GOOD.replace("—", " —"),
    "two spaces behind the name": GOOD.replace(f"{NAME} ", f"{NAME}  "),
    "space at the end": GOOD[:-1] + " \n",
    "no name": GOOD.replace(NAME, ""),
    "plus in the name": GOOD.replace(NAME, NAME + "+"),
    "no-break space in the name": GOOD.replace(NAME, NAME + "\u00a0"),
    "padding missing": GOOD.replace(ENCODED, ENCODED.rstrip("=")),
    "padding surplus": GOOD.replace(ENCODED, ENCODED + "="),
    "base64 in the URL alphabet": GOOD.replace(ENCODED, "-" + ENCODED[1:]),
    "unused bits set": GOOD.replace(ENCODED, base64.b64encode(bytes(68)).decode()[:-2] + "B="),
    "no signature bytes": GOOD.replace(ENCODED, base64.b64encode(VERIFIER.key_hash).decode()),
    "not base64": GOOD.replace(ENCODED, "é" + ENCODED),
    "too many signatures": GOOD + line(GOOD) * 64,
    "too long": sign_note("a" * 128 * 1024 + "\n", NAME, KEY),
    "too long in bytes": sign_note("票" * 50_000 + "\n", NAME, KEY),
}


@pytest.mark.parametrize("name", MALFORMED_NOTES)
def test_malformed_notes(name: str) -> None:
    with pytest.raises(NoteError):
        open_note(MALFORMED_NOTES[name], [VERIFIER])


def test_sixteen_large_signatures_are_accepted() -> None:
    large = base64.b64encode(bytes(5000)).decode()
    assert open_note(GOOD + f"— other.example {large}\n" * 15, [VERIFIER]) == TEXT


@pytest.mark.parametrize(
    ("text", "name"), [("no line feed", NAME), ("a\tb\n", NAME), ("a\ud800\n", NAME), (TEXT, "a b"), (TEXT, "")]
)
def test_what_cannot_be_signed(text: str, name: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, name, KEY)


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(32), bytes([1]) + bytes(31)])
def test_verifiers_need_a_key(public_key: bytes) -> None:
    with pytest.raises(NoteError):
        NoteVerifier(NAME, public_key)


# --- Checkpoints ------------------------------------------------------------------------------------------------------


def test_checkpoint_is_three_lines_and_opens_again() -> None:
    checkpoint = Checkpoint(NAME, 20_852_163, ROOT)
    assert checkpoint.body() == f"{NAME}\n20852163\n{B64_ROOT}\n"
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY), VERIFIER) == checkpoint
    empty = Checkpoint(NAME, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, KEY), VERIFIER) == empty


def test_checkpoints_of_the_vectors(vectors: Callable[[str], Any]) -> None:
    file = vectors("protocol")["checkpoints"]
    verifier = NoteVerifier(file["origin"], bytes.fromhex(file["public_key"]))
    for case in file["checkpoints"]:
        checkpoint = open_checkpoint(case["note"], verifier)
        assert (checkpoint.size, checkpoint.root.hex()) == (case["size"], case["root"])


def test_extension_lines_are_passed_over() -> None:
    note = sign_note(f"{NAME}\n5\n{B64_ROOT}\nextension\n", NAME, KEY)
    assert open_checkpoint(note, VERIFIER) == Checkpoint(NAME, 5, ROOT)


BAD_BODIES = {
    "another log's": f"other.example/log\n5\n{B64_ROOT}\n",
    "two lines": f"{NAME}\n5\n",
    "empty extension line": f"{NAME}\n5\n{B64_ROOT}\n\nx\n",
    "empty line at the end": f"{NAME}\n5\n{B64_ROOT}\n\n",
    "empty line first": f"\n{NAME}\n5\n{B64_ROOT}\n",
    "leading zero": f"{NAME}\n05\n{B64_ROOT}\n",
    "sign": f"{NAME}\n+5\n{B64_ROOT}\n",
    "negative": f"{NAME}\n-5\n{B64_ROOT}\n",
    "hexadecimal": f"{NAME}\n0x5\n{B64_ROOT}\n",
    "space": f"{NAME}\n5 \n{B64_ROOT}\n",
    "other digits": f"{NAME}\n５\n{B64_ROOT}\n",
    "size of 64 bits": f"{NAME}\n{2**63}\n{B64_ROOT}\n",
    "size of a thousand digits": f"{NAME}\n{'9' * 1000}\n{B64_ROOT}\n",
    "root without padding": f"{NAME}\n5\n{B64_ROOT.rstrip('=')}\n",
    "root of 31 bytes": f"{NAME}\n5\n{base64.b64encode(ROOT[:31]).decode()}\n",
    "root of 33 bytes": f"{NAME}\n5\n{base64.b64encode(ROOT + b'x').decode()}\n",
    "root with unused bits": f"{NAME}\n5\n{B64_ROOT[:-2]}9=\n",
    "another root than the empty tree's": f"{NAME}\n0\n{B64_ROOT}\n",
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies_are_refused_though_signed(name: str) -> None:
    note = sign_note(BAD_BODIES[name], NAME, KEY)
    assert open_note(note, [VERIFIER]) == BAD_BODIES[name]
    with pytest.raises(NoteError):
        open_checkpoint(note, VERIFIER)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 1, ROOT), ("a\nb", 1, ROOT), ("a\tb", 1, ROOT), (NAME, -1, ROOT), (NAME, 2**63, ROOT), (NAME, 1, b""), (NAME, 0, ROOT)],
)
def test_checkpoints_that_cannot_be(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(NoteError):
        Checkpoint(origin, size, root)
