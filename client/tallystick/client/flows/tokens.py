"""Tokenising: from identities to subject tokens, in batches that the token authority evaluates without seeing them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

from tallystick.client.exceptions import (
    AnswerMalformed,
    Conflict,
    EpochRolledBack,
    LimitExceeded,
    ProfileError,
    TokenProofFalse,
)
from tallystick.client.identities import AnyIdentity, canonical
from tallystick.client.profile.profile import PinnedTokenKey
from tallystick.client.profile.servers import Server
from tallystick.client.profile.token_cache import TokenCache
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.contract import methods
from tallystick.contract.limits import MAX_ELEMENTS
from tallystick.crypto import CryptoError, blind, unblind, verify_evaluation
from tallystick.crypto import Identity as CanonicalIdentity
from tallystick.v1 import subject_pb2, subject_token_service_pb2

EVALUATE_TOKENS = Method.of(methods.EVALUATE_TOKENS, Server.TOKEN_AUTHORITY)
GET_TOKEN_KEY = Method.of(methods.GET_TOKEN_KEY, Server.TOKEN_AUTHORITY)


SHORTAGE_SECONDS = 60.0
"""For so long nothing is asked for after a refusal for want of quota: each one is an entry in the authority's log."""


class Tokeniser:
    """Turns identities into tokens of the pinned key epoch."""

    def __init__(self, pinned: PinnedTokenKey | None, cache: TokenCache | None) -> None:
        self._pinned = pinned
        self._cache = cache
        self._shortage: LimitExceeded | None = None
        self._asked_again = 0.0

    @property
    def pinned(self) -> PinnedTokenKey:
        """The pinned key; raises ProfileError when the profile has none."""
        if self._pinned is None:
            raise ProfileError("the profile has no token-authority.toml, and without it there are no tokens")
        return self._pinned

    @property
    def epoch_id(self) -> bytes:
        """The epoch of every token that this gives."""
        return self.pinned.epoch_id

    def subject(self, element: bytes) -> subject_pb2.SubjectToken:
        """The token as a message."""
        return subject_pb2.SubjectToken(element=element, epoch_id=self.epoch_id)

    def tokens(self, identities: Sequence[CanonicalIdentity]) -> Flow[list[bytes]]:
        """The token of each identity, in order; only what is not in the cache is evaluated, and each identity once.

        Raises LimitExceeded when the member's evaluations of the day do not suffice; what they did suffice for is in the cache.
        """
        found, shortage = yield from self.tokens_that_fit(identities)
        tokens = [token for token in found if token is not None]
        if shortage is not None and len(tokens) < len(found):
            raise shortage
        return tokens

    def tokens_that_fit(self, identities: Sequence[CanonicalIdentity]) -> Flow[tuple[list[bytes | None], LimitExceeded | None]]:
        """As `tokens`, with None for each identity that the member's evaluations of the day do not suffice for, and why."""
        if self._cache is None:
            raise ProfileError("the profile has no token-authority.toml, and without it there are no tokens")
        inputs = [identity.canonical_bytes() for identity in identities]
        keys = [self._cache.key(data) for data in inputs]
        known = {key: token for key, token in zip(keys, self._cache.lookup(keys), strict=True) if token is not None}
        missing = {key: data for key, data in zip(keys, inputs, strict=True) if key not in known}
        waiting, shortage = list(missing.items()), None
        while waiting and shortage is None:
            batch, waiting = waiting[:MAX_ELEMENTS], waiting[MAX_ELEMENTS:]
            fresh, shortage = yield from self._evaluate_what_fits(batch)
            known.update(fresh)
            self._cache.store(fresh)
        return [known.get(key) for key in keys], shortage

    def _evaluate_what_fits(self, batch: list[tuple[bytes, bytes]]) -> Flow[tuple[list[tuple[bytes, bytes]], LimitExceeded | None]]:
        """The tokens of a batch of inputs, by their keys: all, or the first ones and why no more."""
        shortage = self._shortage
        if shortage is not None and time.monotonic() < self._asked_again:
            return [], shortage
        shortage = None
        while batch:
            try:
                tokens = yield from self._evaluate([data for _, data in batch])
                return [(key, token) for (key, _), token in zip(batch, tokens, strict=True)], shortage
            except LimitExceeded as error:
                if error.reason != "EVALUATION_QUOTA_EXCEEDED":
                    raise
                shortage = error
                # Each time fewer, so that it ends: others of this member may use up what was left.
                batch = batch[: min(error.left or 0, len(batch) - 1)]
        self._shortage, self._asked_again = shortage, time.monotonic() + SHORTAGE_SECONDS
        return [], shortage

    def tokens_of(self, identities: Sequence[AnyIdentity]) -> Flow[list[bytes]]:
        """As `tokens`, of documents as they were given; raises IdentityInvalid for one that does not hold."""
        return (yield from self.tokens([canonical(identity) for identity in identities]))

    def _evaluate(self, inputs: Sequence[bytes]) -> Flow[list[bytes]]:
        pinned = self.pinned
        blinded = [blind(data) for data in inputs]
        elements = [each.element for each in blinded]
        request = subject_token_service_pb2.EvaluateTokensRequest(
            request_id=uuid.uuid4().bytes, epoch_id=pinned.epoch_id, blinded_elements=elements
        )
        try:
            answered = yield from ask(Call(EVALUATE_TOKENS, request.SerializeToString()))
        except Conflict as error:
            if error.reason == "TOKEN_EPOCH_MISMATCH":
                yield from self.check_token_key()
            raise
        evaluated = list(answered.message.evaluated_elements)
        try:
            verify_evaluation(pinned.public_key, elements, evaluated, answered.message.proof)
            return [unblind(each.blind, element) for each, element in zip(blinded, evaluated, strict=True)]
        except CryptoError as error:
            raise TokenProofFalse(f"the token authority's answer does not hold: {error}") from None

    def check_token_key(self) -> Flow[PinnedTokenKey]:
        """Compares the pinned key with the one that the authority says is in force.

        Raises EpochRolledBack when the authority goes back or presents another key for the same epoch, and ProfileError,
        which says how to mend it, when the authority has gone on to a later one.
        """
        pinned = self.pinned
        request = subject_token_service_pb2.GetTokenKeyRequest()
        answered = yield from ask(Call(GET_TOKEN_KEY, request.SerializeToString()))
        key = answered.message.token_key
        if key.sequence < pinned.sequence:
            raise EpochRolledBack(f"the token authority went back to key epoch {key.sequence}; epoch {pinned.sequence} is pinned")
        if key.sequence > pinned.sequence:
            raise ProfileError(
                f"the token authority is now at key epoch {key.sequence}: check its new token_public_key out of band, "
                "then put both into token-authority.toml"
            )
        if key.public_key != pinned.public_key:
            raise EpochRolledBack(f"the token authority presents another key for epoch {key.sequence} than the pinned")
        if key.epoch_id != pinned.epoch_id:
            raise AnswerMalformed("the token authority's epoch id does not follow from its key")
        return pinned
