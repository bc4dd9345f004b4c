"""How the in-memory servers see the one member that they know."""

from __future__ import annotations

from datetime import datetime

from tallystick.client.profile.servers import Signer
from tallystick.contract.methods import GET_STANDING
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.testing.requests import Operation, Request
from tallystick.v1.codes_pb2 import Purpose
from tallystick.v1.membership_service_pb2 import MEMBER_STATE_ACTIVE, GetStandingResponse, Member, MemberKey, Role


def membership(signer: Signer, admitted: datetime) -> dict[str, Operation]:
    """What a server does about its member, by the full method. No quotas are told: there are none here."""

    def standing(request: Request) -> GetStandingResponse:
        key = MemberKey(keyid=signer.keyid, public_key=raw_public_key(signer.key))
        key.create_time.FromDatetime(admitted)
        caller = request.caller
        member = Member(member_id=caller.member_id, display_name=caller.member_id, state=MEMBER_STATE_ACTIVE, keys=[key])
        member.roles.extend(Role.ValueType(role) for role in sorted(caller.roles))
        member.purposes.extend(Purpose.ValueType(purpose) for purpose in sorted(caller.purposes))
        member.create_time.FromDatetime(admitted)
        answer = GetStandingResponse(member=member)
        answer.time.FromDatetime(request.now)
        return answer

    return {GET_STANDING.path: Operation(standing)}
