"""The token of a watched subject, sealed: a message must name its subject, and the database must not hold the token in clear."""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tallystick.crypto import framed
from tallystick.v1.subject_pb2 import SubjectToken

_TAG = "tallystick-watch-token-v1"
_NONCE_BYTES = 12


class TokenBox:
    """Seals and opens tokens with AES-256-GCM (NIST SP 800-38D), each under a key of its own, derived for its watch.

    Random nonces under one key are only safe for 2^32 messages; a watch is put again a few times."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, token: SubjectToken, *, watch_id: bytes, subject_key: bytes) -> bytes:
        """Nonce and ciphertext, good for this watch of this subject alone."""
        binding = framed(_TAG, watch_id, subject_key)
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher(binding).encrypt(nonce, token.SerializeToString(deterministic=True), binding)

    def open(self, sealed: bytes, *, watch_id: bytes, subject_key: bytes) -> SubjectToken | None:
        """The token; None for what was not sealed here for this watch: changed, moved, or of another key folder."""
        binding = framed(_TAG, watch_id, subject_key)
        try:
            plain = self._cipher(binding).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], binding)
        except (InvalidTag, ValueError):
            return None
        return SubjectToken.FromString(plain)

    def _cipher(self, binding: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._secret, binding, "sha256"))
