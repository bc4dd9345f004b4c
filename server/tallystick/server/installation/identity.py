"""The server's identity in its database: with which keys, origin and token epoch everything in it was made.

It is written once, before the first entry, and never changed. With another store.key every subject has another key in
the database: debtors would come back as "no record", and nothing else would fail. So every process that opens the database for
work compares first.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from psycopg2 import extensions

from tallystick.crypto import oprf
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.errors import Problem
from tallystick.server.installation.database import DatabaseProblem, connect
from tallystick.server.installation.key_folder import STORE_KEY_FILE, TOKEN_KEY_FILE, ServerKeys
from tallystick.server.installation.settings import Settings


class IdentityProblem(Problem):
    """The database was made with other keys, or another origin or token epoch, than the server has."""


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """What must never differ between a server and its database. Nothing of it is secret."""

    origin: str
    store_check: bytes
    """Derived from store.key, and from nothing else; says nothing of it or of what else derives from it."""
    receipt_key: bytes
    checkpoint_key: bytes
    """Both public."""
    token_epoch: bytes
    """The epoch of the tokens that an exchange accepts, or that a token authority makes."""

    @classmethod
    def of(cls, settings: Settings, keys: ServerKeys) -> ServerIdentity:
        """The identity of a server; raises KeyFolderProblem when its role's key is missing."""
        if settings.role == "exchange":
            epoch = oprf.epoch_id(settings.token_sequence, bytes.fromhex(settings.token_public_key))
        else:
            epoch = keys.require_token_key().epoch_id
        return cls(settings.origin, keys.store_check, raw_public_key(keys.receipt_key), raw_public_key(keys.checkpoint_key), epoch)


_COLUMNS = ", ".join(field.name for field in fields(ServerIdentity))


def record_identity(url: str, settings: Settings, keys: ServerKeys) -> None:
    """Writes the identity into a database that has none and whose log is empty, and compares it with any other's.

    Safe to run again and by several at once: the first one's stays. Raises as check_identity does.
    """
    with connect(url) as connection:
        if _recorded(connection) is None and _log_size(connection) == 0:
            _insert(connection, ServerIdentity.of(settings, keys))
        _compare(connection, settings, keys)


def check_identity(url: str, settings: Settings, keys: ServerKeys) -> None:
    """Returns when the database is the one of these settings and keys.

    Raises IdentityProblem, naming what differs and what to do, and DatabaseProblem when the database is not reached or
    holds no identity.
    """
    with connect(url) as connection:
        _compare(connection, settings, keys)


def _compare(connection: extensions.connection, settings: Settings, keys: ServerKeys) -> None:
    recorded = _recorded(connection)
    if recorded is None:
        if _log_size(connection) == 0:
            raise DatabaseProblem("the database belongs to no server yet: run tallystickd migrate")
        raise DatabaseProblem("the database holds a log, but not whose it is: restore the database from a backup")
    own = ServerIdentity.of(settings, keys)
    if recorded != own:
        raise IdentityProblem(_difference(settings, recorded, own))


def _difference(settings: Settings, recorded: ServerIdentity, own: ServerIdentity) -> str:
    """One line: what differs, and what to do about each."""
    differing = {field.name for field in fields(ServerIdentity) if getattr(recorded, field.name) != getattr(own, field.name)}
    named = {"store_check": STORE_KEY_FILE, "receipt_key": "receipt.key", "checkpoint_key": "checkpoint.key"}
    if settings.role == "token-authority":
        named["token_epoch"] = TOKEN_KEY_FILE
    files = [file for name, file in named.items() if name in differing]
    said, advice = [*files], list[str]()
    if files:
        advice.append(
            f"restore {', '.join(files)} of {settings.key_folder}, or set key_folder or database to what belongs together"
        )
    if "origin" in differing:
        said.append("origin")
        advice.append(f"the database's origin is {recorded.origin!r}, not {own.origin!r}: an origin is for good")
    if "token_epoch" in differing and "token_epoch" not in named:
        said.append("token_public_key or token_sequence")
        advice.append("set both back to what tallystickd public shows at the token authority whose tokens are stored")
    return f"this database was made with another {', '.join(said)}, and must not be used with this one: {'; '.join(advice)}"


def _recorded(connection: extensions.connection) -> ServerIdentity | None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM server_identity")  # noqa: S608 - the names of this module's own fields
        row = cursor.fetchone()
    return None if row is None else ServerIdentity(row[0], *(bytes(value) for value in row[1:]))


def _insert(connection: extensions.connection, identity: ServerIdentity) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO server_identity (singleton, {_COLUMNS}) VALUES (true, %s, %s, %s, %s, %s)"  # noqa: S608 - as above
            " ON CONFLICT DO NOTHING",
            astuple(identity),
        )


def _log_size(connection: extensions.connection) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT size FROM log_head")
        row = cursor.fetchone()
    if row is None:
        raise DatabaseProblem("the head of the log is missing: restore the database from a backup")
    return int(row[0])
