"""Checkpoints: the log's signed size and root, the last one that this member verified, and proofs that lead to a root."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from tallystick.client.exceptions import CheckpointFalse, InclusionFalse
from tallystick.client.profile.servers import Counterpart, Server
from tallystick.client.profile.token_cache import write_private
from tallystick.client.protocol.calls import Call, Flow, Method, ask
from tallystick.contract import methods
from tallystick.crypto import Checkpoint, MerkleError, NoteError, NoteVerifier, open_checkpoint, verify_inclusion
from tallystick.crypto import verify_consistency as verify_consistency_proof
from tallystick.v1 import audit_service_pb2

GET_CHECKPOINT = Method.of(methods.GET_CHECKPOINT)
GET_CONSISTENCY_PROOF = Method.of(methods.GET_CONSISTENCY_PROOF)
GET_INCLUSION_PROOF = Method.of(methods.GET_INCLUSION_PROOF)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose signature was verified, with the note that carries it."""

    checkpoint: Checkpoint
    note: str
    """The C2SP signed note, to be kept or shown to others as it is."""


class Checkpoints:
    """The flows that speak of a log as a whole; they are public and leave no entry."""

    def __init__(self, counterparts: dict[Server, Counterpart], state_folder: Path | None) -> None:
        self._verifiers = {server: NoteVerifier(each.origin, each.checkpoint_key) for server, each in counterparts.items()}
        self._folder = state_folder

    def fetch(self, server: Server) -> Flow[SignedCheckpoint]:
        """The log's checkpoint now; raises CheckpointFalse unless the pinned key signed it."""
        request = audit_service_pb2.GetCheckpointRequest()
        answered = yield from ask(Call(GET_CHECKPOINT.at(server), request.SerializeToString()))
        return self.open(server, answered.message.checkpoint)

    def open(self, server: Server, note: str) -> SignedCheckpoint:
        """Verifies a note under the pinned key; raises CheckpointFalse."""
        try:
            return SignedCheckpoint(open_checkpoint(note, self._verifiers[server]), note)
        except NoteError as error:
            raise CheckpointFalse(f"the checkpoint does not hold: {error}") from None

    def last_verified(self, server: Server) -> SignedCheckpoint | None:
        """The last checkpoint that this profile verified; None before the first. Raises CheckpointFalse if it is damaged."""
        if self._folder is None:
            return None
        path = self._path(server, self._folder)
        try:
            note = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError):
            raise CheckpointFalse(f"{path}, the last checkpoint verified, cannot be read; restore it") from None
        try:
            return self.open(server, note)
        except CheckpointFalse:
            raise CheckpointFalse(
                f"{path}, the last checkpoint verified, does not hold; restore it, or delete it if the pinned key was changed"
            ) from None

    def remember(self, server: Server, signed: SignedCheckpoint) -> None:
        """Keeps a checkpoint, from which the next verification must continue. Call it when all has been verified."""
        if self._folder is None:
            return
        try:
            write_private(self._path(server, self._folder), signed.note.encode("utf-8"))
        except OSError as error:
            _log.warning("the verified checkpoint was not saved: %s: %s", self._folder, error.strerror)

    def consistent(self, server: Server, old: Checkpoint, new: Checkpoint) -> Flow[bool]:
        """Whether the log only grew from `old` to `new`, by the server's proof."""
        if old.size > new.size:
            return False
        proof: list[bytes] = []
        if 0 < old.size < new.size:
            request = audit_service_pb2.GetConsistencyProofRequest(old_size=old.size, new_size=new.size)
            answered = yield from ask(Call(GET_CONSISTENCY_PROOF.at(server), request.SerializeToString()))
            proof = list(answered.message.hashes)
        try:
            verify_consistency_proof(old.size, new.size, old.root, new.root, proof)
        except MerkleError:
            return False
        return True

    def inclusion_proof(self, server: Server, index: int, size: int) -> Flow[audit_service_pb2.GetInclusionProofResponse]:
        """The server's proof for one leaf, not yet verified."""
        request = audit_service_pb2.GetInclusionProofRequest(index=index, tree_size=size)
        answered = yield from ask(Call(GET_INCLUSION_PROOF.at(server), request.SerializeToString()))
        return answered.message

    def require_included(self, server: Server, index: int, leaf_hash: bytes, checkpoint: Checkpoint) -> Flow[None]:
        """Raises InclusionFalse unless the log of the checkpoint has this leaf at its index."""
        if index >= checkpoint.size:
            raise InclusionFalse(f"entry {index} is not in the log that the exchange has signed, of {checkpoint.size} entries")
        proof = yield from self.inclusion_proof(server, index, checkpoint.size)
        try:
            verify_inclusion(index, checkpoint.size, leaf_hash, list(proof.hashes), checkpoint.root)
        except MerkleError:
            raise InclusionFalse(f"entry {index} is not what the exchange has signed: run tallystick audit verify") from None

    @staticmethod
    def _path(server: Server, folder: Path) -> Path:
        return folder / f"{server.value.replace(' ', '-')}.checkpoint"
