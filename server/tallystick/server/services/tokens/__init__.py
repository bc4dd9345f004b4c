"""Tokens: blinded identities that the authority evaluates (tallystick.v1.SubjectTokenService)."""

from __future__ import annotations

from tallystick.contract.methods import GET_TOKEN_KEY
from tallystick.crypto import oprf
from tallystick.server.installation.key_folder import TokenPrivateKey
from tallystick.server.services.capability import Capability, Foundation, PublicMethod
from tallystick.server.services.tokens.evaluation import EvaluateTokens
from tallystick.server.storage.reader import Reader
from tallystick.v1 import subject_token_service_pb2 as pb


def tokens(foundation: Foundation) -> Capability:
    """The capability of a token authority. Raises KeyFolderProblem when its key is missing."""
    key = foundation.keys.require_token_key()
    return Capability(operations=(EvaluateTokens(key),), public_methods=(_token_key_method(key),), upkeep=(), erasers=())


def _token_key_method(key: TokenPrivateKey) -> PublicMethod:
    token_key = pb.TokenKey(suite=oprf.SUITE, public_key=key.public_key, sequence=key.sequence, epoch_id=key.epoch_id)

    async def answer(_reader: Reader, _request: pb.GetTokenKeyRequest) -> pb.GetTokenKeyResponse:
        return pb.GetTokenKeyResponse(token_key=token_key)

    return PublicMethod(GET_TOKEN_KEY, answer)
