"""The registry of members and keys in the database: how its rows are read, changed, and shown as messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tallystick.crypto import keyid
from tallystick.v1 import membership_service_pb2 as pb
from tallystick.v1 import storage_pb2

if TYPE_CHECKING:
    from tallystick.server.storage.connection import Connection

_REGISTRY_LOCK = 0x74616C6C79  # "tally": the number names the lock, and means nothing else
_MEMBER_COLUMNS = "id, member_id, display_name, roles, purposes, state, daily_evaluations, create_time, quotas"
_KEY_COLUMNS = "keyid, member, public_key, create_time, revoke_time"


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as stored."""

    id: int
    member_id: str
    display_name: str
    roles: Sequence[int]
    purposes: Sequence[int]
    state: int
    daily_evaluations: int
    create_time: datetime
    quotas: bytes
    """Serialised MemberQuotas."""

    @property
    def is_active_operator(self) -> bool:
        """Whether the member may administer."""
        return self.state == pb.MEMBER_STATE_ACTIVE and pb.ROLE_OPERATOR in self.roles


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A signing key as stored."""

    keyid: bytes
    member: int
    public_key: bytes
    create_time: datetime
    revoke_time: datetime | None


async def lock_registry(connection: Connection) -> None:
    """Lets one transaction at a time change the registry, until it ends: what was checked then still holds when it
    commits."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_REGISTRY_LOCK,))


async def find_member(connection: Connection, member_id: str) -> MemberRow | None:
    """The member of that identifier."""
    rows = await connection.fetch(f"SELECT {_MEMBER_COLUMNS} FROM member WHERE member_id = %s", (member_id,))  # noqa: S608 - constant columns
    return MemberRow(*rows[0]) if rows else None


async def members_of(connection: Connection, members: Iterable[int]) -> list[MemberRow]:
    """The members of those numbers."""
    rows = await connection.fetch(f"SELECT {_MEMBER_COLUMNS} FROM member WHERE id = ANY(%s)", (sorted(members),))  # noqa: S608 - constant columns
    return [MemberRow(*row) for row in rows]


async def members_after(connection: Connection, member_id: str, limit: int) -> list[MemberRow]:
    """Members by member_id, those after the given one; all come after the empty one."""
    rows = await connection.fetch(
        f"SELECT {_MEMBER_COLUMNS} FROM member WHERE member_id > %s ORDER BY member_id LIMIT %s",  # noqa: S608 - constant columns
        (member_id, limit),
    )
    return [MemberRow(*row) for row in rows]


async def insert_member(connection: Connection, member: pb.Member, clock: datetime) -> MemberRow | None:
    """Stores a validated member; None when its member_id is taken."""
    rows = await connection.fetch(
        "INSERT INTO member (member_id, display_name, roles, purposes, state, daily_evaluations, quotas, create_time)"  # noqa: S608 - constant columns
        " VALUES (%s, %s, %s::smallint[], %s::smallint[], %s, %s, %s, %s) ON CONFLICT (member_id) DO NOTHING"
        f" RETURNING {_MEMBER_COLUMNS}",
        (member.member_id, *settable(member), clock),
    )
    return MemberRow(*rows[0]) if rows else None


async def update_member(connection: Connection, row: MemberRow, member: pb.Member) -> MemberRow:
    """Replaces every settable field of a stored member by that of a validated one."""
    rows = await connection.fetch(
        "UPDATE member SET display_name = %s, roles = %s::smallint[], purposes = %s::smallint[], state = %s,"  # noqa: S608 - constant columns
        f" daily_evaluations = %s, quotas = %s WHERE id = %s RETURNING {_MEMBER_COLUMNS}",
        (*settable(member), row.id),
    )
    return MemberRow(*rows[0])


def settable(member: pb.Member) -> tuple[Any, ...]:
    """The columns of a validated member that a request sets, as stored."""
    quotas = storage_pb2.MemberQuotas(quotas=member.quotas).SerializeToString(deterministic=True)
    return (member.display_name, sorted(member.roles), sorted(member.purposes), member.state, member.daily_evaluations, quotas)


async def keys_of(connection: Connection, members: Iterable[int]) -> dict[int, list[KeyRow]]:
    """The keys of each member, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_KEY_COLUMNS} FROM member_key WHERE member = ANY(%s) ORDER BY member, create_time, keyid",  # noqa: S608 - constant columns
        (sorted(members),),
    )
    keys = defaultdict(list)
    for row in rows:
        key = _key_row(row)
        keys[key.member].append(key)
    return keys


async def insert_key(connection: Connection, member: int, public_key: bytes, clock: datetime) -> KeyRow | None:
    """Stores a validated key; None when it is registered already, for whichever member, revoked or not."""
    rows = await connection.fetch(
        "INSERT INTO member_key (keyid, member, public_key, create_time) VALUES (%s, %s, %s, %s)"  # noqa: S608 - constant columns
        f" ON CONFLICT (keyid) DO NOTHING RETURNING {_KEY_COLUMNS}",
        (keyid(public_key), member, public_key, clock),
    )
    return _key_row(rows[0]) if rows else None


async def revoke_key(connection: Connection, key: KeyRow, clock: datetime) -> KeyRow:
    """Revokes a key for good, from the commit of this transaction on."""
    rows = await connection.fetch(
        f"UPDATE member_key SET revoke_time = %s WHERE keyid = %s RETURNING {_KEY_COLUMNS}",  # noqa: S608 - constant columns
        (clock, key.keyid),
    )
    return _key_row(rows[0])


async def operator_remains(connection: Connection, *, without_member: int = -1, without_key: bytes = b"") -> bool:
    """Whether, with that member or key gone, an active operator with an unrevoked key is left."""
    rows = await connection.fetch(
        "SELECT EXISTS (SELECT FROM member JOIN member_key ON member_key.member = member.id WHERE state = %s"
        " AND %s = ANY(roles) AND revoke_time IS NULL AND member.id <> %s AND keyid <> %s)",
        (pb.MEMBER_STATE_ACTIVE, pb.ROLE_OPERATOR, without_member, without_key),
    )
    return bool(rows[0][0])


def member_message(row: MemberRow, keys: Sequence[KeyRow]) -> pb.Member:
    """A member as the peer sees it."""
    message = pb.Member(
        member_id=row.member_id,
        display_name=row.display_name,
        state=pb.MemberState.ValueType(row.state),
        daily_evaluations=row.daily_evaluations,
        keys=[key_message(key) for key in keys],
        quotas=storage_pb2.MemberQuotas.FromString(bytes(row.quotas)).quotas,
    )
    message.roles.extend(row.roles)  # type: ignore[arg-type] # smallint[] of the enum's own numbers
    message.purposes.extend(row.purposes)  # type: ignore[arg-type] # smallint[] of the enum's own numbers
    message.create_time.FromDatetime(row.create_time)
    return message


def key_message(row: KeyRow) -> pb.MemberKey:
    """A key as the peer sees it."""
    message = pb.MemberKey(keyid=row.keyid, public_key=row.public_key)
    message.create_time.FromDatetime(row.create_time)
    if row.revoke_time is not None:
        message.revoke_time.FromDatetime(row.revoke_time)
    return message


def _key_row(row: tuple[Any, ...]) -> KeyRow:
    return KeyRow(bytes(row[0]), row[1], bytes(row[2]), row[3], row[4])
