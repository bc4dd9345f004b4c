"""A refusal as a server of the double gives it."""

from __future__ import annotations

import datetime as dt

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2


class FakeRefusal(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """What a handler raises to refuse."""

    def __init__(
        self, code: str, reason: str, *fields: tuple[str, str], retry_after: float | None = None, logged: bool = True
    ) -> None:
        super().__init__(reason)
        self.code, self.reason, self.fields, self.retry_after, self.logged = code, reason, fields, retry_after, logged

    def status(self) -> bytes:
        details: list[Message] = [error_details_pb2.ErrorInfo(reason=self.reason, domain="tallystick")]
        if self.fields:
            bad = error_details_pb2.BadRequest()
            for name, reason in self.fields:
                bad.field_violations.add(field=name, reason=reason, description=f"{name} is wrong")
            details.append(bad)
        if self.retry_after is not None:
            info = error_details_pb2.RetryInfo()
            info.retry_delay.FromTimedelta(dt.timedelta(seconds=self.retry_after))
            details.append(info)
        packed = []
        for detail in details:
            packed.append(AnyMessage())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code), message=f"refused: {self.reason}", details=packed)
        return bytes(status.SerializeToString())
