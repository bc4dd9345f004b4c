"""How a server sees this member: its registration, its keys, what is left of its quotas, and the server's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tallystick.client.exceptions import AnswerMalformed
from tallystick.client.flows.inquiries import receipt_of
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.client.protocol.receipts import KeptReceipt
from tallystick.contract import methods
from tallystick.contract.quota_texts import format_quota
from tallystick.credit.enums import Purpose
from tallystick.crypto import keyid
from tallystick.v1 import membership_service_pb2 as pb

GET_STANDING = Method.of(methods.GET_STANDING)


@dataclass(frozen=True, slots=True)
class StandingKey:
    """A signing key of this member, as it is registered."""

    keyid: bytes
    create_time: datetime
    revoke_time: datetime | None


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """A quota that this member is held to, and what is used of it."""

    quota: str
    """As the operator spells it, such as "QueryCreditHistory:subjects=20000/day"."""
    limit: int | None
    """None for no limit."""
    used: int
    """By about a second ago."""
    end_time: datetime
    """When it begins anew."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a server sees this member."""

    member_id: str
    display_name: str
    active: bool
    roles: tuple[str, ...]
    """Such as "reporter"."""
    purposes: tuple[str, ...]
    """For which it may query, such as "loan_approval"; one that this version does not know by its number."""
    daily_evaluations: int | None
    """How many tokens it may have made in a day, at a token authority; None for no limit."""
    keys: tuple[StandingKey, ...]
    """Oldest first."""
    quotas: tuple[QuotaStanding, ...]
    time: datetime
    """The server's clock when it answered."""
    receipt: KeptReceipt


def standing(server: Server) -> Flow[Standing]:
    """Asks one server."""
    answered = yield from ask(Call(GET_STANDING.at(server), b""))
    message = answered.message
    member = message.member
    try:
        return Standing(
            member_id=member.member_id,
            display_name=member.display_name,
            active=member.state == pb.MEMBER_STATE_ACTIVE,
            roles=tuple(_role(role) for role in member.roles),
            purposes=tuple(_purpose(purpose) for purpose in member.purposes),
            daily_evaluations=member.daily_evaluations or None,
            keys=tuple(_key(key) for key in member.keys),
            quotas=tuple(_quota(each) for each in message.quotas),
            time=message.time.ToDatetime(UTC),
            receipt=receipt_of(answered),
        )
    except (ValueError, OverflowError):
        raise AnswerMalformed("this member's standing cannot be read") from None


def _role(number: int) -> str:
    return pb.Role.Name(pb.Role.ValueType(number)).removeprefix("ROLE_").lower() if number in pb.Role.values() else str(number)


def _purpose(number: int) -> str:
    return Purpose(number).name.lower() if number in frozenset(map(int, Purpose)) else str(number)


def _key(key: pb.MemberKey) -> StandingKey:
    revoked = key.revoke_time.ToDatetime(UTC) if key.HasField("revoke_time") else None
    if keyid(key.public_key) != key.keyid:
        raise ValueError("a keyid is not its key's")
    return StandingKey(key.keyid, key.create_time.ToDatetime(UTC), revoked)


def _quota(message: pb.QuotaStanding) -> QuotaStanding:
    quota = message.quota
    return QuotaStanding(format_quota(quota), quota.limit or None, message.used, message.end_time.ToDatetime(UTC))
