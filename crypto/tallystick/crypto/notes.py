"""Signed notes and checkpoints: c2sp.org/signed-note with Ed25519, and c2sp.org/tlog-checkpoint."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import base64_canonical
from tallystick.crypto.ed25519 import is_signed, is_usable_public_key, raw_public_key
from tallystick.crypto.errors import NoteError
from tallystick.crypto.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE

# Room for sixteen signatures of 5 kB, which the specification wants accepted.
MAX_NOTE_BYTES = 128 * 1024
MAX_SIGNATURES = 64

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_SIGNATURE_PREFIX = "— "
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class NoteVerifier:
    """A known key: its name and its Ed25519 public key. Raises NoteError when either is malformed."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not is_usable_public_key(self.public_key):
            raise NoteError("a verifier's public key must be 32 bytes that encode an Ed25519 key")

    @cached_property
    def key_hash(self) -> bytes:
        """The 4 bytes by which a signature line names this key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:_KEY_HASH_BYTES]


@dataclass(frozen=True)
class Checkpoint:
    """A log's name, its number of leaves and its root at that size.

    Raises NoteError when one cannot be in a checkpoint.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin:
            raise NoteError("a checkpoint's origin must be one line")
        _check_text(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise NoteError("a checkpoint's size must be 0 to 2^63 - 1")
        if len(self.root) != HASH_BYTES or (self.size == 0 and self.root != EMPTY_ROOT):
            raise NoteError("a checkpoint's root must be 32 bytes, and the empty tree's at size 0")

    def body(self) -> str:
        """The note's text: three lines, each ended by a line feed."""
        return f"{self.origin}\n{self.size}\n{base64_canonical.encode(self.root)}\n"


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """Returns `text` as a note that carries one signature.

    Raises NoteError unless `text` ends in a line feed and has no other control character, and `name` is not empty and
    without spaces and "+".
    """
    _check_text(text)
    if not text.endswith("\n"):
        raise NoteError("a note's text must end in a line feed")
    key_hash = NoteVerifier(name, raw_public_key(private_key)).key_hash
    signature = base64_canonical.encode(key_hash + private_key.sign(text.encode()))
    return f"{text}\n{_SIGNATURE_PREFIX}{name} {signature}\n"


def open_note(note: str, verifiers: Iterable[NoteVerifier]) -> str:
    """Returns a note's text, once a known key's signature over it has been verified.

    Signatures of unknown keys are ignored. Raises NoteError when the note is malformed or too long, when no known key
    signed it, and when any signature that names a known key does not verify.
    """
    # The length in characters first, which bounds the work of finding it in bytes.
    if len(note) > MAX_NOTE_BYTES or len(_check_text(note)) > MAX_NOTE_BYTES:
        raise NoteError(f"the note is longer than {MAX_NOTE_BYTES} bytes")
    # The text ends before the last empty line; it may have others.
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("a note is a text, an empty line and signature lines, each ended by a line feed")
    text += "\n"
    known = {(verifier.name, verifier.key_hash): verifier.public_key for verifier in verifiers}
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note has more than {MAX_SIGNATURES} signatures")
    signed = False
    for name, key_hash, signature in map(_parse_signature, lines):
        public_key = known.get((name, key_hash))
        if public_key is None:
            continue
        if not is_signed(public_key, signature, text.encode()):
            raise NoteError("a signature that names a known key does not verify")
        signed = True
    if not signed:
        raise NoteError("no known key signed the note")
    return text


def sign_checkpoint(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> str:
    """Returns the checkpoint as a signed note, its origin being the key's name. Raises NoteError."""
    return sign_note(checkpoint.body(), checkpoint.origin, private_key)


def open_checkpoint(note: str, verifier: NoteVerifier) -> Checkpoint:
    """Verifies a log's signed checkpoint and returns it.

    Its origin must be the verifier's name; extension lines are ignored.

    Raises NoteError when the note or its body is malformed, the signature does not verify, or it is another log's.
    """
    origin, *rest = open_note(note, [verifier])[:-1].split("\n")
    if len(rest) < 2 or not all(rest):
        raise NoteError("a checkpoint has at least three lines, none of them empty")
    if origin != verifier.name:
        raise NoteError("the checkpoint is another log's")
    root = base64_canonical.decode(rest[1])
    if _SIZE.fullmatch(rest[0]) is None or root is None:
        raise NoteError("the checkpoint's size or root is not in canonical form")
    return Checkpoint(origin, int(rest[0]), root)


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    """(name, key hash, signature) of a signature line."""
    name, space, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    signature = base64_canonical.decode(encoded)
    if not (line.startswith(_SIGNATURE_PREFIX) and space) or signature is None or len(signature) <= _KEY_HASH_BYTES:
        raise NoteError("a signature line is not an em dash, a name and base64, with one space between each")
    _check_name(name)
    return name, signature[:_KEY_HASH_BYTES], signature[_KEY_HASH_BYTES:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteError("a key's name must not be empty nor have spaces or '+'")
    _check_text(name)


def _check_text(text: str) -> bytes:
    """The text in UTF-8; NoteError for control characters and for what UTF-8 cannot encode."""
    if _CONTROL.search(text):
        raise NoteError("control characters other than the line feed are not allowed")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NoteError("the text holds characters that UTF-8 cannot encode") from None
