"""The server's key folder: every secret that must not be in the database, in files that only the server may read.

    store.key             32 bytes, from which the database's keyed digests derive
    receipt.key           Ed25519, signs receipts
    checkpoint.key        Ed25519, signs checkpoints
    operator.key          Ed25519, signs what the operator does
    token.key             the token authority's key and its sequence (token authority only)
    evidence/YYYY-MM.key  32 bytes, seals the requests of one month; destroyed with them

The folder has mode 0700 and each file 0600. A file appears complete or not at all (written beside, flushed, then
linked to its name), and a file that exists is never overwritten. Several processes of one machine share the folder.
"""

from __future__ import annotations

import os
import secrets
import stat
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tallystick.crypto import oprf
from tallystick.server.errors import Problem

FOLDER_MODE = 0o700
FILE_MODE = 0o600
SIGNING_KEY_FILES = ("receipt.key", "checkpoint.key", "operator.key")
STORE_KEY_FILE = "store.key"
TOKEN_KEY_FILE = "token.key"  # noqa: S105 - the name of a file
EVIDENCE_FOLDER = "evidence"
SECRET_SIZE = 32

_SUBJECT_INFO = b"tallystick-subject-key-v1"
_REQUEST_INFO = b"tallystick-request-digest-v1"
_CHECK_INFO = b"tallystick-store-check-v1"
_WATCH_INFO = b"tallystick-watch-v1"
_SYSTEM_INFO = b"tallystick-system-key-v1"


class KeyFolderProblem(Problem):
    """A key is missing, unreadable, or readable by others."""


@dataclass(frozen=True, slots=True)
class TokenPrivateKey:
    """The token authority's key: its holder can test guesses of identities against stored tokens."""

    sequence: int
    private_key: bytes = field(repr=False)
    public_key: bytes

    @property
    def epoch_id(self) -> bytes:
        """The 20 bytes that travel with every token made under this key."""
        return oprf.epoch_id(self.sequence, self.public_key)


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """All keys of one server, read once. Its repr shows none of them."""

    receipt_key: Ed25519PrivateKey = field(repr=False)
    checkpoint_key: Ed25519PrivateKey = field(repr=False)
    operator_key: Ed25519PrivateKey = field(repr=False)
    subject_secret: bytes = field(repr=False)
    """Turns a token into the subject key that the database stores."""
    request_secret: bytes = field(repr=False)
    """Turns a request into the digest by which a repeated request_id is recognised."""
    store_check: bytes
    """Stands in the database, which it ties to store.key; not secret."""
    watch_secret: bytes = field(repr=False)
    """Seals the tokens of watches and the cursors of messages, and shuffles what is released together."""
    system_key: Ed25519PrivateKey = field(repr=False)
    """Signs what the exchange's own member does."""
    evidence: EvidenceKeys = field(repr=False)
    token_key: TokenPrivateKey | None = field(repr=False)

    def require_token_key(self) -> TokenPrivateKey:
        """The token authority's key; raises KeyFolderProblem when there is none."""
        if self.token_key is None:
            raise KeyFolderProblem(f"a token authority needs {TOKEN_KEY_FILE} in its key folder: restore it from a backup")
        return self.token_key


class EvidenceKeys:
    """One key a month, made on first use and destroyed when the month's evidence is dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: dict[date, bytes] = {}

    def key(self, month: date) -> bytes:
        """The month's key of 32 bytes, created if there is none. `month` is a first-of-month date."""
        cached = self._cache.get(month)
        if cached is not None:
            return cached
        path = self._path(month)
        if not path.exists():
            # Another worker may win the race for a new month: our link then fails, and both read the winner's.
            write_new_file(path, secrets.token_bytes(SECRET_SIZE).hex() + "\n")
        return self._cache.setdefault(month, _read_secret(path))

    def existing(self, month: date) -> bytes | None:
        """The month's key, or None when there is none. Asks the folder each time: another process destroys keys."""
        path = self._path(month)
        if not path.exists():
            self._cache.pop(month, None)
            return None
        return self.key(month)

    def destroy(self, month: date) -> bool:
        """Removes the month's key for good; what it sealed cannot be read again. False if there was none.

        Copies in backups are the operator's to destroy; a worker forgets its copy when it next looks for it.
        """
        self._cache.pop(month, None)
        path = self._path(month)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _flush_folder(path.parent)
        return True

    def months(self) -> list[date]:
        """The months that have a key, oldest first."""
        found = []
        for path in self._folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].key"):
            year, month = path.stem.split("-")
            found.append(date(int(year), int(month), 1))
        return sorted(found)

    def _path(self, month: date) -> Path:
        if month.day != 1:
            raise ValueError("a month is a first-of-month date")
        return self._folder / f"{month:%Y-%m}.key"


class KeyFolder:
    """The folder that holds a server's keys."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, *, token_sequence: int | None = None) -> ServerKeys:
        """Makes the folder and every key that is not there yet, and loads them.

        What exists is kept, so a run that was interrupted is simply repeated. `token_sequence` is given for a token
        authority: its key is the sequence-th. Raises KeyFolderProblem.
        """
        try:
            for folder in (self.path, self.path / EVIDENCE_FOLDER):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            write_new_file(self.path / STORE_KEY_FILE, secrets.token_bytes(SECRET_SIZE).hex() + "\n")
            for name in SIGNING_KEY_FILES:
                write_new_file(self.path / name, signing_key_pem(Ed25519PrivateKey.generate()))
            if token_sequence is not None:
                private_key = oprf.generate_private_key().hex()
                write_new_file(self.path / TOKEN_KEY_FILE, f'sequence = {token_sequence}\nprivate_key = "{private_key}"\n')
        except OSError as error:
            raise KeyFolderProblem(f"key folder {self.path}: {error.strerror}; make it writable for the server's user") from None
        return self.load()

    def load(self) -> ServerKeys:
        """Reads every key; raises KeyFolderProblem when one is missing, malformed, or open to others than the owner."""
        self.check_modes()
        store = _read_secret(self.path / STORE_KEY_FILE)
        receipt, checkpoint, operator = (_read_signing_key(self.path / name) for name in SIGNING_KEY_FILES)
        token = self.path / TOKEN_KEY_FILE
        return ServerKeys(
            receipt_key=receipt,
            checkpoint_key=checkpoint,
            operator_key=operator,
            subject_secret=_derive(store, _SUBJECT_INFO),
            request_secret=_derive(store, _REQUEST_INFO),
            store_check=_derive(store, _CHECK_INFO),
            watch_secret=_derive(store, _WATCH_INFO),
            system_key=Ed25519PrivateKey.from_private_bytes(_derive(store, _SYSTEM_INFO)),
            evidence=EvidenceKeys(self.path / EVIDENCE_FOLDER),
            token_key=_read_token_key(token) if token.exists() else None,
        )

    def check_modes(self) -> None:
        """Raises KeyFolderProblem when the folder or a file in it is open to others, naming the chmod to run."""
        for path, wanted in self._contents():
            try:
                mode = stat.S_IMODE(path.stat().st_mode)
            except FileNotFoundError:
                continue  # a worker's temporary file, linked to its name since
            except OSError as error:
                raise KeyFolderProblem(f"{path}: {error.strerror}; run this as the server's user") from None
            if mode & 0o077:
                raise KeyFolderProblem(f"{path} has mode {mode:04o}, so others may reach its keys: run chmod {wanted:o} {path}")

    def _contents(self) -> Iterator[tuple[Path, int]]:
        try:
            if not self.path.is_dir():
                raise KeyFolderProblem(f"key folder {self.path} does not exist: run tallystickd init, or set key_folder")
            yield self.path, FOLDER_MODE
            for path in sorted(self.path.rglob("*")):
                yield path, FOLDER_MODE if path.is_dir() else FILE_MODE
        except OSError as error:
            raise KeyFolderProblem(f"key folder {self.path}: {error.strerror}; run this as the server's user") from None


def read_operator_key(path: Path, passphrase: Callable[[Path], str]) -> Ed25519PrivateKey:
    """One operator's key, from a file of its own. `passphrase` is asked when the file is encrypted. Raises KeyFolderProblem."""
    text = _read(path).encode()
    mode = stat.S_IMODE(path.stat().st_mode)
    if path.is_file() and mode & 0o077:
        raise KeyFolderProblem(f"{path} has mode {mode:04o}, so others may sign with it: run chmod {FILE_MODE:o} {path}")
    encrypted = b"ENCRYPTED" in text
    try:
        key = serialization.load_pem_private_key(text, password=passphrase(path).encode() if encrypted else None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFolderProblem(f"{path} is no Ed25519 key in PEM" + (", or the passphrase is another" if encrypted else ""))
    return key


def signing_key_pem(key: Ed25519PrivateKey) -> str:
    """The key as an unencrypted PKCS #8 PEM block."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode("ascii")


def write_new_file(path: Path, text: str, mode: int = FILE_MODE) -> bool:
    """Writes a file that appears complete or not at all; False, and nothing written, when it exists already.

    Crash before the link: a temporary file is left, which nothing reads. Crash after it: the file is complete.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # os.open's mode is subject to the umask; a file meant to be readable shall be so under any.
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
    _flush_folder(path.parent)
    return True


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), length=SECRET_SIZE, salt=None, info=info).derive(secret)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise KeyFolderProblem(f"{path} is missing: restore it from a backup") from None
    except OSError as error:
        raise KeyFolderProblem(f"{path}: {error.strerror}; run this as the server's user") from None
    except UnicodeDecodeError:
        raise KeyFolderProblem(f"{path} is damaged: restore it from a backup") from None


def _read_secret(path: Path) -> bytes:
    return _decode_secret(path, _read(path).strip())


def _decode_secret(path: Path, text: object) -> bytes:
    try:
        secret = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise KeyFolderProblem(f"{path} does not hold 64 hexadecimal characters: restore it from a backup")
    return secret


def _read_signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path).encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFolderProblem(f"{path} is not an unencrypted Ed25519 key in PEM: restore it from a backup")
    return key


def _read_token_key(path: Path) -> TokenPrivateKey:
    try:
        values = tomllib.loads(_read(path))
    except (ValueError, RecursionError):  # a number of thousands of digits is a plain ValueError
        raise KeyFolderProblem(f"{path} is damaged: restore it from a backup") from None
    sequence = values.get("sequence")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 1 <= sequence < 2**32:
        raise KeyFolderProblem(f"{path}: sequence is not a number from 1 to 2^32-1: restore it from a backup")
    private_key = _decode_secret(path, values.get("private_key"))
    return TokenPrivateKey(sequence, private_key, oprf.public_key(private_key))
