"""gRPC to calls: one generic handler for every method of the contracts, with the message left as the bytes that were signed.

There are no generated servicers: a servicer sees a parsed message, and what was signed and what the log commits to are bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tallystick.contract.reasons import BY_NAME, REASONS, Logged
from tallystick.contract.refusals import encode_status
from tallystick.contract.wire import RECEIPT_KEY, STATUS_KEY
from tallystick.server.errors import Refusal
from tallystick.server.requests.calls import Answer, Call
from tallystick.server.service import PublicMethod, Service
from tallystick.server.telemetry.metrics import CALL_SECONDS, CALLS, UNLOGGED
from tallystick.server.transport.arrival import Arrivals, status_code
from tallystick.server.transport.conduct import Context
from tallystick.v1 import errors_pb2, log_pb2

Requests = AsyncIterator[bytes]


class Dispatcher(grpc.GenericRpcHandler):
    """Finds the handler of a method."""

    def __init__(self, service: Service, arrivals: Arrivals) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method, operation in service.operations.items():
            if operation.contract.paged:
                self._handlers[method] = grpc.stream_stream_rpc_method_handler(_signed_stream(service, method, arrivals))
            else:
                self._handlers[method] = grpc.stream_unary_rpc_method_handler(_signed(service, method, arrivals))
        for method, public in service.public_methods.items():
            self._handlers[method] = grpc.stream_unary_rpc_method_handler(_public(public, method, arrivals))
        _count_from_zero(self._handlers)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method, or None for a method that is not served here."""
        return self._handlers.get(handler_call_details.method)


class Unserved(grpc.GenericRpcHandler):
    """Answers for every method that nobody else serves, as gRPC would; but it counts as a fault of the caller."""

    def __init__(self, arrivals: Arrivals) -> None:
        async def handle(_: Requests, context: Context) -> bytes:
            try:
                async with arrivals.place(context) as caller:
                    arrivals.conduct.fault(caller, context)
            except Refusal as refusal:
                await _abort_unlogged(context, "unserved", refusal)
            raise await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")

        self._handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_unary_rpc_method_handler(handle)

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """The one handler."""
        return self._handler


def _count_from_zero(methods: Iterable[str]) -> None:
    """Begins the counts that alarms are set on: of one that first appears as 1, no monitoring sees the increase."""
    for method in methods:
        CALLS.labels(method, BY_NAME["INTERNAL"].name)
    for reason in REASONS:
        if reason.logged is not Logged.ALWAYS:
            UNLOGGED.labels(reason.name)


def _signed(service: Service, method: str, arrivals: Arrivals) -> Callable[[Requests, Context], Awaitable[bytes]]:
    seconds, answered = CALL_SECONDS.labels(method), CALLS.labels(method, "OK")

    async def handle(_: Requests, context: Context) -> bytes:
        with seconds.time():
            try:
                async with arrivals.message(context) as (caller, message):
                    answer = await service.handle(_call(method, message, caller, context))
            except Refusal as refusal:
                return await _abort_unlogged(context, method, refusal)
            if answer.refusal is not None:
                return await _abort(context, method, answer.refusal, answer)
        answered.inc()
        context.set_trailing_metadata(((RECEIPT_KEY, answer.receipt),))
        return answer.message

    return handle


def _signed_stream(service: Service, method: str, arrivals: Arrivals) -> Callable[[Requests, Context], AsyncIterator[bytes]]:
    async def handle(_: Requests, context: Context) -> AsyncIterator[bytes]:
        try:
            async with arrivals.message(context) as (caller, message):
                async for answer in service.handle_stream(_call(method, message, caller, context)):
                    if answer.refusal is not None:
                        await _abort(context, method, answer.refusal, answer)
                    yield _page(answer)
        except Refusal as refusal:
            await _abort_unlogged(context, method, refusal)
        CALLS.labels(method, "OK").inc()

    return handle


def _page(answer: Answer) -> bytes:
    receipt = log_pb2.Receipt.FromString(answer.receipt)
    return log_pb2.SignedPage(page=answer.message, receipt=receipt).SerializeToString()


def _public(public: PublicMethod, method: str, arrivals: Arrivals) -> Callable[[Requests, Context], Awaitable[bytes]]:
    async def handle(_: Requests, context: Context) -> bytes:
        try:
            async with arrivals.message(context, public=True) as (_member, message):
                answer = await public(message)
        except DecodeError:
            refusal = Refusal(errors_pb2.ERROR_REASON_MESSAGE_MALFORMED, f"the bytes are no request of {method}")
            return await _abort_unlogged(context, method, refusal)
        except Refusal as refusal:
            return await _abort_unlogged(context, method, refusal)
        CALLS.labels(method, "OK").inc()
        return answer

    return handle


def _call(method: str, message: bytes, caller: str, context: Context) -> Call:
    remaining = context.time_remaining()
    return Call(
        method=method,
        metadata=tuple(context.invocation_metadata() or ()),
        message=message,
        certificate_member=caller,
        deadline=None if remaining is None else asyncio.get_running_loop().time() + remaining,
    )


async def _abort_unlogged(context: Context, method: str, refusal: Refusal) -> bytes:
    UNLOGGED.labels(refusal.reason_name).inc()
    return await _abort(context, method, refusal, None)


async def _abort(context: Context, method: str, refusal: Refusal, answer: Answer | None) -> bytes:
    CALLS.labels(method, refusal.reason_name).inc()
    status = encode_status(refusal) if answer is None else answer.message
    trailing = [(STATUS_KEY, status)]
    if answer is not None:
        # grpc.aio drops what set_trailing_metadata was given when a call is aborted: it must go with the abort itself.
        trailing.append((RECEIPT_KEY, answer.receipt))
    await context.abort(status_code(refusal), refusal.message, tuple(trailing))
