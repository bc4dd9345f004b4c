"""Tokenising: from identities to subject tokens, in batches that the token authority evaluates without seeing them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tallystick.client.exceptions import (
    AnswerMalformed,
    Conflict,
    EpochRolledBack,
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


class Tokeniser:
    """Turns identities into tokens of the pinned key epoch."""

    def __init__(self, pinned: PinnedTokenKey | None, cache: TokenCache | None) -> None:
        self._pinned = pinned
        self._cache = cache

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
        """The token of each identity, in order; only what is not in the cache is evaluated, and each identity once."""
        if self._cache is None:
            raise ProfileError("the profile has no token-authority.toml, and without it there are no tokens")
        inputs = [identity.canonical_bytes() for identity in identities]
        keys = [self._cache.key(data) for data in inputs]
        known = {key: token for key, token in zip(keys, self._cache.lookup(keys), strict=True) if token is not None}
        missing = {key: data for key, data in zip(keys, inputs, strict=True) if key not in known}
        waiting = list(missing.items())
        for start in range(0, len(waiting), MAX_ELEMENTS):
            batch = waiting[start : start + MAX_ELEMENTS]
            tokens = yield from self._evaluate([data for _, data in batch])
            fresh = [(key, token) for (key, _), token in zip(batch, tokens, strict=True)]
            known.update(fresh)
            self._cache.store(fresh)
        return [known[key] for key in keys]

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
