"""What the blocking and the asynchronous exchange share: one member's conversations and flows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tallystick.client.exceptions import InputInvalid, ProfileError
from tallystick.client.flows.auditing import Auditing
from tallystick.client.flows.authority import Authority
from tallystick.client.flows.checkpoints import Checkpoints
from tallystick.client.flows.completeness import Completeness
from tallystick.client.flows.counting import Counting
from tallystick.client.flows.inquiries import Inquiries
from tallystick.client.flows.member_keys import MemberKeys
from tallystick.client.flows.monitoring import Monitoring
from tallystick.client.flows.reporting import Reporting
from tallystick.client.flows.servicing import Servicing
from tallystick.client.flows.signatures import RequestSignatures
from tallystick.client.flows.tokens import Tokeniser
from tallystick.client.flows.verification import Verification
from tallystick.client.profile.profile import Endpoint, Profile
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.client.profile.token_cache import CAPACITY, TokenCache
from tallystick.client.protocol.calls import Clock, Conversation
from tallystick.client.protocol.events import EventHooks
from tallystick.client.protocol.retrying import Patience


@dataclass(frozen=True, slots=True)
class Options:
    """How an exchange behaves."""

    patience: Patience = field(default_factory=Patience)
    in_flight: int = 4
    """Batches under way at once in query_many, report_many, servicing.record and monitoring.put."""
    keep_state: bool = True
    """Whether tokens, the newest key epoch and the last checkpoint verified are kept in the profile's `state` folder."""
    cached_tokens: int = CAPACITY
    event_hooks: EventHooks = field(default_factory=EventHooks)
    """Functions that are told of each request, answer and retry."""

    def __post_init__(self) -> None:
        for name, kind in (("patience", Patience), ("event_hooks", EventHooks)):
            if not isinstance(getattr(self, name), kind):
                raise InputInvalid(f"options.{name}", "FIELD_MALFORMED", f"give {kind.__name__}(…)")
        for name, least in (("in_flight", 1), ("cached_tokens", 0)):
            if not isinstance(number := getattr(self, name), int) or number < least:
                raise InputInvalid(f"options.{name}", "FIELD_OUT_OF_RANGE", f"give a whole number from {least}")


class Session:
    """One member's flows, and the conversations that they run over."""

    def __init__(self, profile: Profile, options: Options, clock: Clock = time.time) -> None:
        for name, value, kind in (("profile", profile, Profile), ("options", options, Options)):
            if not isinstance(value, kind):
                raise InputInvalid(name, "FIELD_MALFORMED", f"give {kind.__name__}, not a value of type {type(value).__name__}")
        self.profile = profile
        self.options = options
        folder = profile.state_folder if options.keep_state else None
        pinned = profile.token_key
        self.cache = TokenCache(pinned.epoch_id, folder, options.cached_tokens) if pinned else None
        self.tokeniser = Tokeniser(pinned, self.cache)
        self.inquiries = Inquiries(self.tokeniser)
        self.reporting = Reporting(self.tokeniser, profile.account_secret)
        self.servicing = Servicing(self.tokeniser, profile.account_secret)
        self.monitoring = Monitoring(self.tokeniser, profile.account_secret, self.options.patience.timeout)
        endpoints = {Server.EXCHANGE: profile.exchange}
        if profile.authority is not None:
            endpoints[Server.TOKEN_AUTHORITY] = profile.authority
        counterparts: dict[Server, Counterpart] = {server: each.counterpart for server, each in endpoints.items()}
        self.member_keys = MemberKeys(profile.signer, counterparts)
        self.checkpoints = Checkpoints(counterparts, folder)
        self.auditing = Auditing(self.tokeniser, self.checkpoints, RequestSignatures(counterparts))
        self.counting = Counting()
        self.completeness = Completeness(self.auditing, self.checkpoints)
        self.verification = Verification(self.checkpoints, counterparts, Authority(self.auditing))
        self._endpoints = endpoints
        self._conversations = {
            server: Conversation(profile.signer, counterpart, clock) for server, counterpart in counterparts.items()
        }

    def endpoint(self, server: Server) -> Endpoint:
        """Where a server is; raises ProfileError when the profile does not say."""
        self.conversation(server)
        return self._endpoints[server]

    def conversation(self, server: Server) -> Conversation:
        """The conversation with a server; raises ProfileError when the profile does not name it."""
        try:
            return self._conversations[server]
        except KeyError:
            raise ProfileError(f"the profile does not say where the {server.value} is: add token-authority.toml") from None

    def save(self) -> None:
        """Keeps what was learnt."""
        if self.cache is not None:
            self.cache.save()
