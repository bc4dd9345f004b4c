"""The standard services, health and reflection, under the same bounds as our own: they ask for no signature."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health as health_names
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from tallystick.server.errors import Refusal
from tallystick.server.transport.arrival import ARRIVAL_SECONDS, Arrivals, status_code
from tallystick.server.transport.conduct import Context


class Health:
    """grpc.health.v1.Health, but for Watch: a stream that lasts for ever would hold its place for ever."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._stopping = False
        self.status: int = health_pb2.HealthCheckResponse.NOT_SERVING

    def stop(self) -> None:
        """From now on nobody is served, whatever is set."""
        self._stopping = True

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves it."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Check": grpc.stream_unary_rpc_method_handler(self._check)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(health_names.SERVICE_NAME, handlers),))

    async def _check(self, _: AsyncIterator[bytes], context: Context) -> bytes:
        try:
            async with self._arrivals.message(context, public=True) as (_member, message):
                service = health_pb2.HealthCheckRequest.FromString(message).service
        except Refusal as refusal:
            await context.abort(status_code(refusal), refusal.message)
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the bytes are no HealthCheckRequest")
        if service:
            await context.abort(grpc.StatusCode.NOT_FOUND, "health is that of the whole server: leave service empty")
        status = health_pb2.HealthCheckResponse.NOT_SERVING if self._stopping else self.status
        return bytes(health_pb2.HealthCheckResponse(status=status).SerializeToString())


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]  # untyped
    """grpc.reflection.v1alpha.ServerReflection; a stream ends when no question has come for a while."""

    def __init__(self, service_names: Sequence[str], arrivals: Arrivals) -> None:
        super().__init__(service_names=service_names)
        self._arrivals = arrivals

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves it."""
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(self, server)

    async def ServerReflectionInfo(  # noqa: N802 - the RPC's name
        self, request_iterator: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answers question after question."""
        try:
            async with self._arrivals.place(context) as caller:
                async for answer in super().ServerReflectionInfo(self._questions(caller, request_iterator), context):
                    yield answer
        except Refusal as refusal:
            await context.abort(status_code(refusal), refusal.message)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "no question came")

    async def _questions(
        self, caller: str, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest]
    ) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        while True:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                try:
                    request = await anext(requests)
                except StopAsyncIteration:
                    return
            await self._arrivals.conduct.take_turn(caller)
            yield request
