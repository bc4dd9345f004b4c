"""The token authority: one key, and blinded elements evaluated under it."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import Message

from tallystick.contract.evaluations import check_evaluation, evaluated
from tallystick.contract.methods import EVALUATE_TOKENS
from tallystick.crypto import Identity, blind, epoch_id, evaluate, generate_private_key, public_key, unblind
from tallystick.testing.requests import Operation, Request
from tallystick.v1 import subject_token_service_pb2 as pb


@dataclass
class TokenKey:
    """A key epoch: its private key and number. A test may change either, as a new epoch would."""

    private_key: bytes = field(default_factory=generate_private_key)
    sequence: int = 1

    @property
    def public_key(self) -> bytes:
        """What members pin."""
        return public_key(self.private_key)

    @property
    def epoch_id(self) -> bytes:
        """The epoch's name."""
        return epoch_id(self.sequence, self.public_key)

    def element(self, identity: Identity) -> bytes:
        """An identity's token, without anybody being asked."""
        blinded = blind(identity.canonical_bytes())
        (evaluated,), _ = evaluate(self.private_key, self.public_key, [blinded.element])
        return unblind(blinded.blind, evaluated)

    def operations(self) -> dict[str, Operation]:
        """The signed method of SubjectTokenService."""
        return {
            EVALUATE_TOKENS.path: Operation(
                self._evaluate,
                lambda message, _now: check_evaluation(message, epoch_id=self.epoch_id, sequence=self.sequence),
            )
        }

    def published(self, _: object = None) -> Message:
        """The key as anybody may ask for it."""
        answer = pb.GetTokenKeyResponse()
        answer.token_key.public_key = self.public_key
        answer.token_key.sequence = self.sequence
        answer.token_key.epoch_id = self.epoch_id
        return answer

    def _evaluate(self, request: Request) -> Message:
        answers, proof = evaluated(self.private_key, self.public_key, list(request.message.blinded_elements))
        return pb.EvaluateTokensResponse(evaluated_elements=answers, proof=proof)
