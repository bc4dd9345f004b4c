"""A refusal as an in-memory server sends it."""

from __future__ import annotations

from google.rpc import code_pb2

from tallystick.contract.reasons import BY_NAME, BY_VALUE, Logged
from tallystick.contract.refusals import Refusal, status_bytes
from tallystick.contract.violations import Violation


class AnyRefusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """A refusal of any code and reason, also of one that this version does not know, as a newer server's may be."""

    def __init__(
        self, code: str, reason: str, *fields: tuple[str, str], retry_after: float | None = None, logged: bool = True
    ) -> None:
        super().__init__(reason)
        self.code, self.reason, self.retry_after, self.logged = code, reason, retry_after, logged
        self.message = f"refused: {reason}"
        self.violations = [Violation(name, of, f"{name} is wrong") for name, of in fields]

    @classmethod
    def of(cls, refusal: Refusal) -> AnyRefusal:
        """A refusal of the contract."""
        known = BY_VALUE[refusal.reason]
        made = cls(
            code_pb2.Code.Name(known.code), known.name, retry_after=refusal.retry_after, logged=known.logged is not Logged.NEVER
        )
        made.message, made.violations = refusal.message, list(refusal.violations)
        return made

    @property
    def sparingly(self) -> bool:
        """Whether one a minute is logged."""
        return self.reason in BY_NAME and BY_NAME[self.reason].logged is Logged.SPARINGLY

    def status(self) -> bytes:
        """The serialised google.rpc.Status."""
        return status_bytes(code_pb2.Code.Value(self.code), self.reason, self.message, self.violations, self.retry_after)


def planned(reason: str, field: str = "", description: str = "", retry_after: float | None = None) -> Refusal:
    """A refusal for a reason of the contract, by its name. Raises ValueError for one that it does not have."""
    if reason not in BY_NAME:
        raise ValueError(f"{reason} is no reason of a refusal; give one of {', '.join(BY_NAME)}")
    value, text = BY_NAME[reason].value, description or "refused as the test says"
    refusal = Refusal.of_field(value, field, text) if field else Refusal(value, text)
    refusal.retry_after = retry_after
    return refusal
