"""An operation, one kind of request, and what it is handed: requests of many callers, inside the ledger's transaction."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tallystick.contract.limits import MAX_MESSAGE
from tallystick.contract.methods import Method
from tallystick.contract.steps import Steps
from tallystick.contract.subjects import Subject
from tallystick.crypto import RequestSignature, framed
from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Call, Cursor
from tallystick.server.storage.connection import Connection
from tallystick.server.storage.reader import Reader
from tallystick.server.storage.statements import Execution

FULL_BATCH = 1024 * 1024
"""The weight at which a transaction takes no further request: a thousand reports must not wait for ten thousand others. What costs
this much is the last of its transaction, and so comes after all others of it in the log."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call whose signature verifies. All of it is known before its transaction begins; none of it is trusted to be allowed."""

    call: Call
    operation: Operation
    signature: RequestSignature
    member_id: str
    """Whose key signed it."""
    message: Any
    """The parsed message; None if it is invalid: what is parsed takes many times the room of its bytes, and nobody will run it."""
    prepared: Any
    """What the operation's own `validate` returned."""
    request_id: bytes | None
    subjects: Sequence[Subject]
    subject_keys: Sequence[bytes]
    """What the database stores for each subject; empty for one that is no token at all (its request is refused)."""
    traceable: bool
    """Whether it could be read, and each of its subjects can be found again: what nobody could find to erase is not kept."""
    invalid: Refusal | None
    """What is wrong with the message by itself; told only to callers that may send such a message at all."""
    cursor: Cursor | None = None
    """Where this page begins, for every page of a stream but the first: those have no nonce of their own to spend."""
    answer: bytes | None = None
    """An answer that is settled beforehand; set only for what bootstraps the registry."""
    items: int = 0
    """How many items a batch holds; 0 for what is no batch, or invalid."""

    @property
    def identity(self) -> tuple[str, bytes] | None:
        """What may not occur twice in one transaction."""
        return None if self.request_id is None else (self.member_id, self.request_id)

    @property
    def certificate_mismatch(self) -> bool:
        """Whether the client certificate names another member than the one whose key signed."""
        return self.call.certificate_member is not None and self.call.certificate_member != self.member_id

    def digest(self, secret: bytes) -> bytes:
        """What is stored to tell a retry from another request under the same request_id.

        Keyed: a plain digest in the database would let a thief of it test guesses about who was asked about. Of a request that
        must not be kept it says nothing but its request_id."""
        content = self.call.message if self.operation.keeps_request else self.request_id or b""
        return hmac.digest(secret, framed("tallystick-request-v1", self.operation.method.encode(), content), "sha256")


@dataclass(frozen=True, slots=True)
class Caller:
    """The member that signed a request, as the registry knew it inside the request's own transaction."""

    member: int
    member_id: str
    roles: frozenset[int]
    purposes: frozenset[int]
    daily_evaluations: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the log a batch goes, known under the lock of its head."""

    first_index: int
    time: datetime
    """When its entries are created."""
    watch_index: int
    """Behind the last entry that put watches."""


class Sequel(Protocol):
    """What is written together with entries because it needs their places. Compared by identity."""

    async def statements(self, connection: Connection, indices: Mapping[Work, int], place: Place) -> Sequence[Execution]:
        """The statements, for those works that share it, each with its index in the log. Everybody else waits meanwhile: what can
        be made before the lock is made before."""
        ...


class Waits(Protocol):
    """A wait before the ledger, which holds neither a connection nor a place in the queue."""

    async def wait(self, reader: Reader, request: Request) -> None:
        """Returns when the request may go on; a refusal is the ledger's."""
        ...

    def stop(self) -> None:
        """Ends every wait, now and from now on: the server is shutting down."""
        ...


@dataclass(slots=True, eq=False)
class Work:
    """One request inside a transaction. An operation sets `answer`, or `refusal`, and nothing else of it but what is marked so."""

    request: Request
    caller: Caller
    barred: bool = False
    """Whether its caller may not make it at all."""
    repeated: bool = False
    """True when this request_id had its effect before: answer, but leave no second effect."""

    answer: bytes | None = None
    """Set by the operation: the serialised answer message."""
    refusal: Refusal | None = None
    """Set by the operation: why it was not carried out. Nothing that it wrote may then remain (see Ledger)."""
    footprint: bool = False
    """Set by the operation: whether others are told that the subjects were asked about."""
    keep_answer: bool = False
    """Set by the operation: store the answer, so that a retry gets it again."""
    submission: tuple[int, int, int] | None = None
    """Set by the operation: how many reports were accepted and rejected."""
    next_page: Cursor | None = None
    """Set by a streaming operation: where the next page begins; None after the last."""
    told: Sequence[tuple[bytes, Subject]] = ()
    """Set by an operation whose answer says whom its entry is about: each with its subject key, in the order of the answer."""
    sequel: Sequel | None = None
    """Set by an operation: what to write when the entry's place is known. Works may share one."""
    puts_watches: bool = False
    """Set by an operation: whether what is reported in later entries is watched by more than before."""

    @property
    def message(self) -> Any:
        """The parsed request message."""
        return self.request.message

    @property
    def named(self) -> Sequence[tuple[bytes, Subject]]:
        """Whom the entry is about, each with its subject key (empty for one that is no token)."""
        return [*zip(self.request.subject_keys, self.request.subjects, strict=True), *self.told]

    @property
    def takes_effect(self) -> bool:
        """Whether it leaves something behind beside its entry in the log: neither refused nor done before."""
        return self.refusal is None and not self.repeated


class Operation(Protocol):
    """One kind of request. The ledger calls `run` with all waiting requests of that kind, in the order of their arrival."""

    contract: Method[Any, Any]
    """What both sides know of the method."""
    keeps_request: bool = True
    """False: the evidence holds neither request nor envelope, only the envelope's leaf hash: both would name whom it erases."""
    cost: int = 0
    """What a request weighs in a transaction beside its own bytes: in bytes of request that are as much work."""
    item_cost: int = 0
    """What each item of a batch weighs, in the same measure."""
    locks: str = ""
    """What rows it locks, by a name; of the operations of one name a transaction runs only one, so that all rows of that name are
    locked in one order."""
    changes_registry: bool = False
    """Whether it changes members or keys: what is admitted meanwhile by what the registry was before is then admitted anew."""
    max_answer: int = MAX_MESSAGE
    """Most bytes of its answer."""
    waits: Waits | None = None
    """What its requests wait for before they go to the ledger."""

    @property
    def method(self) -> str:
        """The full method."""
        return self.contract.path

    @property
    def roles(self) -> frozenset[int]:
        """Any one of these allows it; empty allows every active member."""
        return self.contract.roles

    def validate(self, message: Any, now: datetime) -> object:
        """Checks all that can be checked without the database; raises Refusal. It returns what becomes `Request.prepared`.

        It runs before anything is known of the caller, so it may be costly only in proportion to the message."""
        ...

    def validate_in_steps(self, message: Any, now: datetime) -> Steps[object]:
        """`validate`, with a stop after each item of what takes long: others may be served meanwhile."""
        return self.validate(message, now)
        yield

    async def run(self, connection: Connection, works: Sequence[Work], clock: datetime) -> None:
        """Carries the requests out with set-based statements on sorted keys, and encodes their answers.

        `clock` is the database's, read in this transaction. An error of the database is not caught: the ledger splits the batch.
        """
        ...
