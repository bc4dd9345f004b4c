"""The token cache: tokens of identities that were asked for before, so that the authority is asked once.

Its keys are HMACs of canonical identities under a random key of this profile, its file is sealed with AES-256-GCM under another:
neither a stolen file nor a memory dump of it says whose tokens they are. Losing it costs evaluations and nothing else.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tallystick.client.exceptions import EpochRolledBack
from tallystick.crypto import epoch_sequence

CAPACITY = 200_000
"""Tokens kept unless told otherwise: about 60 MB of memory, 13 MB on disk."""

_MAGIC = b"tallystick-token-cache-v1\n"
_NONCE_BYTES = 12
_ENTRY_BYTES = 64
_log = logging.getLogger(__name__)


class TokenCache:
    """A bounded, thread-safe LRU of one key epoch's tokens. Without a folder it lives in memory alone."""

    def __init__(self, epoch_id: bytes, folder: Path | None = None, capacity: int = CAPACITY) -> None:
        """Opens the cache. Raises EpochRolledBack when this profile has seen a later epoch than `epoch_id`."""
        self.epoch_id = epoch_id
        self._capacity = max(capacity, 1)
        self._folder = folder
        self._lock = threading.Lock()
        self._tokens: OrderedDict[bytes, bytes] = OrderedDict()
        self._changed = False
        self._remember_epoch()
        secret = self._secret()
        self._identity_key = _derive(secret, b"tallystick-token-cache-identity-v1")
        self._file_key = _derive(secret, b"tallystick-token-cache-file-v1")
        self._load()

    def __len__(self) -> int:
        return len(self._tokens)

    def key(self, canonical_identity: bytes) -> bytes:
        """What stands for an identity in this cache: 32 bytes."""
        return hmac.digest(self._identity_key, canonical_identity, "sha256")

    def lookup(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The token for each key, None where it is not known."""
        with self._lock:
            found = [self._tokens.get(key) for key in keys]
            for key, token in zip(keys, found, strict=True):
                if token is not None:
                    self._tokens.move_to_end(key)
            return found

    def store(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Adds (key, token) pairs; the least recently used ones make room."""
        with self._lock:
            for key, token in entries:
                self._tokens[key] = token
                self._tokens.move_to_end(key)
                self._changed = True
            while len(self._tokens) > self._capacity:
                self._tokens.popitem(last=False)

    def save(self) -> None:
        """Writes the file, if there is a folder and anything new. What fails is logged: the cache is a convenience."""
        with self._lock:
            if self._folder is None or not self._changed:
                return
            plaintext = b"".join(key + token for key, token in self._tokens.items())
            self._changed = False
        nonce = secrets.token_bytes(_NONCE_BYTES)
        header = _MAGIC + self.epoch_id
        sealed = header + nonce + AESGCM(self._file_key).encrypt(nonce, plaintext, header)
        try:
            write_private(self._folder / "tokens.cache", sealed)
        except OSError as error:
            _log.warning("the token cache was not saved: %s: %s", self._folder, error.strerror)

    def _load(self) -> None:
        if self._folder is None:
            return
        path = self._folder / "tokens.cache"
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("the token cache cannot be read and is built anew: %s: %s", path, error.strerror)
            return
        header, rest = sealed[: len(_MAGIC) + len(self.epoch_id)], sealed[len(_MAGIC) + len(self.epoch_id) :]
        if header != _MAGIC + self.epoch_id:
            _log.info("the token cache is of another key epoch or version and is built anew")
            return
        try:
            plaintext = AESGCM(self._file_key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header)
        except (InvalidTag, ValueError):
            _log.warning("the token cache is damaged and is built anew: %s", path)
            return
        whole = len(plaintext) - len(plaintext) % _ENTRY_BYTES
        newest = max(0, whole - self._capacity * _ENTRY_BYTES)
        for at in range(newest, whole, _ENTRY_BYTES):
            self._tokens[plaintext[at : at + 32]] = plaintext[at + 32 : at + _ENTRY_BYTES]

    def _secret(self) -> bytes:
        """The random key of this profile's cache; made once, and again if it is damaged (the cache is then built anew)."""
        if self._folder is None:
            return secrets.token_bytes(32)
        path = self._folder / "cache.key"
        with contextlib.suppress(OSError):
            secret = path.read_bytes()
            if len(secret) == 32:
                return secret
            _log.warning("the key of the token cache is damaged, and the cache is built anew: %s", path)
            path.unlink()
        secret = secrets.token_bytes(32)
        try:
            write_private(path, secret, replace=False)
        except FileExistsError:
            return path.read_bytes()  # another process of this profile was quicker; its key is the key
        except OSError as error:
            _log.warning("the token cache stays in memory: %s: %s", self._folder, error.strerror)
            self._folder = None
        return secret

    def _remember_epoch(self) -> None:
        """Refuses an epoch older than one that was seen, and remembers this one. The file is kept apart from the cache, so that a
        damaged cache does not make this profile forget what it has seen."""
        if self._folder is None:
            return
        path, sequence = self._folder / "epoch", epoch_sequence(self.epoch_id)
        try:
            seen = int(path.read_text("ascii"))
        except FileNotFoundError:
            seen = 0
        except (OSError, ValueError):
            raise EpochRolledBack(
                f"{path} is damaged: whether this key epoch is older than one seen before is not known; "
                "compare token-authority.toml with what the authority published, then delete the file"
            ) from None
        if sequence < seen:
            raise EpochRolledBack(
                f"token-authority.toml pins key epoch {sequence}, but epoch {seen} was in use before; ask the authority"
            )
        if sequence > seen:
            try:
                write_private(path, str(sequence).encode("ascii"))
            except OSError as error:
                _log.warning("the key epoch seen was not saved: %s: %s", path, error.strerror)


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Writes a file that only its owner may read, whole or not at all: a crash leaves the old one.

    Raises OSError; FileExistsError if there is such a file and `replace` is false.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            Path(temporary).replace(path)
        else:
            path.hardlink_to(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=info).derive(secret)
