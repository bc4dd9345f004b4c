"""`tallystick doctor`: whether this member could work now, by its own folder and by what the servers say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial

import click
from cryptography import x509

from tallystick.client.cli import output
from tallystick.client.cli.context import Tool, command
from tallystick.client.exceptions import CheckpointFalse, ReceiptFalse, ReceiptMissing, Refused, TallystickError
from tallystick.client.exchange import Exchange
from tallystick.client.files.texts import visible
from tallystick.client.flows.standing import QuotaStanding, Standing
from tallystick.client.profile.profile import Endpoint, Profile
from tallystick.client.profile.servers import Server
from tallystick.client.profile.token_cache import write_private
from tallystick.contract.durations import in_words

PATIENCE = 15.0
"""Seconds for each question to a server."""
ENDS_SOON = timedelta(days=30)
MAX_SKEW = timedelta(seconds=5)
"""Signatures are good for a minute, and 10 seconds ahead of the server's clock."""
NEARLY_USED = 0.9


class State(Enum):
    """What a finding asks of its reader."""

    OK = "ok"
    ATTENTION = "attention"
    """It works now, and will not for long."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer; the text of what is not well says what to do."""

    check: str
    state: State
    text: str


@click.command()
@command
def doctor(tool: Tool) -> int:
    """Examine the profile, and ask both servers how they see this member.

    Looks at the dates of certificates, the addresses, the clocks, your keys, roles, purposes and quotas, and the token key. Nothing
    is sent about anybody; each server is asked once under your signature, which is an entry in its log. Exit code 1 if something is
    wrong.
    """
    with tool.exchange() as exchange:
        findings = []
        for finding in examine(exchange):
            findings.append(finding)
            if tool.as_json:
                output.write_json(finding)
            else:
                text = f"{finding.state.value:<9}  {finding.check}: {finding.text}"
                tool.results.print(visible(text), markup=False, highlight=False, soft_wrap=True)
    wrong = sum(each.state is State.WRONG for each in findings)
    attention = sum(each.state is State.ATTENTION for each in findings)
    if not tool.as_json:
        tool.results.print(f"{wrong} wrong, {attention} to be looked after, {len(findings) - wrong - attention} well")
    return 1 if wrong else 0


def _utc_now() -> datetime:
    return datetime.now(UTC)


def examine(exchange: Exchange, clock: Callable[[], datetime] = _utc_now) -> Iterator[Finding]:
    """Everything that can be examined, with this machine's clock; what depends on something that failed is left out."""
    profile = exchange.profile
    yield Finding("profile", State.OK, f"{profile.folder}, of {profile.signer.member_id}, key {profile.signer.keyid.hex()}")
    yield from _state_folder(profile)
    standings: dict[Server, Standing] = {}
    for server, endpoint in _endpoints(profile):
        yield from _certificates(server, endpoint, clock())
        reached = _ask(f"{server.value}: address", partial(_checkpoint, exchange, server, endpoint))
        yield reached
        if reached.state is State.OK:
            if server is Server.TOKEN_AUTHORITY:
                yield _ask("token authority: token key", partial(_token_key, exchange))
            asked = clock()
            try:
                standing = exchange.standing(server=server, timeout=PATIENCE)
            except TallystickError as error:
                yield from _no_standing(server, error, asked)
            else:
                standings[server] = standing
                yield from _standing(profile, server, standing, asked + (clock() - asked) / 2)
    yield from _roles(profile, standings)


def _ask(check: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(check, State.OK, question())
    except TallystickError as error:
        return Finding(check, State.WRONG, f"{error}{_remedy(error)}")


def _remedy(error: TallystickError) -> str:
    """What to do about an error that says only what does not hold."""
    if isinstance(error, CheckpointFalse):
        return ": compare origin and checkpoint_key in the profile with the operator's (tallystickd public), over another channel"
    if isinstance(error, ReceiptFalse) and error.step == 3:
        return ": the signing_key that member.toml names is not this member's, but whose the server says"
    if isinstance(error, ReceiptFalse | ReceiptMissing):
        return ": compare receipt_key in the profile with the operator's (tallystickd public), over another channel"
    return ""


def _endpoints(profile: Profile) -> list[tuple[Server, Endpoint]]:
    authority = [] if profile.authority is None else [(Server.TOKEN_AUTHORITY, profile.authority)]
    return [(Server.EXCHANGE, profile.exchange), *authority]


# --- This machine -----------------------------------------------------------------------------------------------------------------


def _state_folder(profile: Profile) -> Iterator[Finding]:
    probe = profile.state_folder / "doctor"
    try:
        write_private(probe, b"")
        probe.unlink()
    except OSError as error:
        text = f"{profile.state_folder}: {error.strerror}; let this user write there, or a log that goes back is not noticed"
        yield Finding("state", State.ATTENTION, text)
    else:
        yield Finding("state", State.OK, f"{profile.state_folder} can be written")


def _certificates(server: Server, endpoint: Endpoint, now: datetime) -> Iterator[Finding]:
    own = x509.load_pem_x509_certificates(endpoint.address.certificate)
    authorities = x509.load_pem_x509_certificates(endpoint.address.authority)
    yield _ending(f"{server.value}: client certificate", own, now, "ask whoever signed it for the next one")
    yield _ending(f"{server.value}: certificate authority", authorities, now, "ask the operator for the next one")


def _ending(check: str, certificates: list[x509.Certificate], now: datetime, remedy: str) -> Finding:
    """Of several certificates the one that ends first counts: intermediates end too."""
    end = min(certificate.not_valid_after_utc for certificate in certificates)
    day = f"{end:%Y-%m-%d}"
    if end <= now:
        return Finding(check, State.WRONG, f"ended on {day}: {remedy}")
    left = f"until {day}, {(end - now).days} days"
    if end - now < ENDS_SOON:
        return Finding(check, State.ATTENTION, f"{left}: {remedy}")
    return Finding(check, State.OK, left)


# --- What a server says -----------------------------------------------------------------------------------------------------------


def _checkpoint(exchange: Exchange, server: Server, endpoint: Endpoint) -> str:
    size = exchange.checkpoint(server=server, timeout=PATIENCE).checkpoint.size
    return f"{endpoint.address.target} answers; its log has {size} entries, signed by the pinned checkpoint key"


def _token_key(exchange: Exchange) -> str:
    return f"number {exchange.check_token_key(timeout=PATIENCE).sequence} is pinned, and is in force"


def _no_standing(server: Server, error: TallystickError, asked: datetime) -> Iterator[Finding]:
    """A server that refuses the signature for its age tells its own time in the receipt."""
    receipt = error.receipt if isinstance(error, Refused) else None
    if isinstance(error, Refused) and error.reason == "SIGNATURE_STALE" and receipt is not None:
        yield _clock(server, receipt.create_time, asked)
    yield Finding(f"{server.value}: membership", State.WRONG, f"{error}{_remedy(error)}")


def _standing(profile: Profile, server: Server, standing: Standing, asked: datetime) -> Iterator[Finding]:
    yield _clock(server, standing.time, asked)
    state = "active" if standing.active else "suspended"
    roles = ", ".join(standing.roles) or "no role"
    yield Finding(f"{server.value}: membership", State.OK, f"{standing.member_id}, {standing.display_name}, {state}: {roles}")
    if standing.purposes:
        yield Finding(f"{server.value}: purposes", State.OK, ", ".join(standing.purposes))
    yield _keys(profile, server, standing)
    if standing.daily_evaluations is not None:
        yield Finding(f"{server.value}: tokens", State.OK, f"{standing.daily_evaluations} evaluations a day at the most")
    for quota in standing.quotas:
        yield _quota(server, quota)


def _clock(server: Server, theirs: datetime, ours: datetime) -> Finding:
    difference = ours - theirs
    check = f"{server.value}: clock"
    if abs(difference) <= MAX_SKEW:
        return Finding(check, State.OK, "agrees with this machine's")
    way = "ahead of" if difference > timedelta() else "behind"
    text = f"this machine's is {in_words(difference)} {way} the server's ({theirs:%Y-%m-%d %H:%M:%S} UTC): set it, by NTP"
    return Finding(check, State.WRONG, text)


def _keys(profile: Profile, server: Server, standing: Standing) -> Finding:
    good = [key for key in standing.keys if key.revoke_time is None]
    revoked = len(standing.keys) - len(good)
    since = {key.keyid: f"{key.create_time:%Y-%m-%d}" for key in good}.get(profile.signer.keyid)
    check = f"{server.value}: keys"
    if since is None:
        # It did answer: under a key that it does not list.
        return Finding(check, State.WRONG, "the key in use is not among those that the server lists as good: tell the operator")
    others = f", and {len(good) - 1} more: have those revoked that you no longer use" if len(good) > 1 else ""
    return Finding(check, State.OK, f"the key in use is good, since {since}{others}; {revoked} revoked")


def _quota(server: Server, quota: QuotaStanding) -> Finding:
    check = f"{server.value}: quota"
    if quota.limit is None:
        return Finding(check, State.OK, f"{quota.quota}: {quota.used} used")
    text = f"{quota.quota}: {quota.used} used, {max(0, quota.limit - quota.used)} left until {quota.end_time:%Y-%m-%d %H:%M} UTC"
    if quota.used >= NEARLY_USED * quota.limit:
        return Finding(check, State.ATTENTION, f"{text}; ask the operator for more if it is every day so")
    return Finding(check, State.OK, text)


def _roles(profile: Profile, standings: dict[Server, Standing]) -> Iterator[Finding]:
    """What the roles need, here and at the other server."""
    exchange = standings.get(Server.EXCHANGE)
    roles = set(exchange.roles) if exchange else set()
    if "reporter" in roles and profile.account_secret is None:
        text = "this member may report, and member.toml names no account_secret: without it accounts cannot be referred to"
        yield Finding("account secret", State.WRONG, text)
    if "inquirer" in roles and exchange and not exchange.purposes:
        yield Finding("exchange: purposes", State.WRONG, "this member may query, but for no purpose: ask the operator for one")
    if not roles & {"reporter", "inquirer"}:
        return
    needs = "reports and queries are about tokens"
    authority = standings.get(Server.TOKEN_AUTHORITY)
    if profile.authority is None:
        yield Finding(
            "token authority", State.WRONG, f"{needs}, and the profile has no token-authority.toml: ask its operator for it"
        )
    elif authority and "token_requester" not in authority.roles:
        text = f"{needs}, and this member may not have any made: ask its operator for the role token-requester"
        yield Finding("token authority: membership", State.WRONG, text)
