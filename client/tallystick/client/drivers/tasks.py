"""The driver on asyncio: flows as tasks of one event loop, their steps on threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import tenacity

from tallystick.client.exceptions import NotUsable, TallystickError
from tallystick.client.flows.report_batches import Batch
from tallystick.client.flows.reporting import Report
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Answered, Call, Finished, Flow, PageStream, RawFailure, advance
from tallystick.client.protocol.events import Watched, tell_awaiting
from tallystick.client.protocol.retrying import Attempts, TimeLimit, is_retryable
from tallystick.client.protocol.transport import AsyncTransport
from tallystick.client.session import Session

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


class TaskDriver:
    """Runs the flows of one session. `transports` takes the place of gRPC, `sleep` of the event loop's."""

    def __init__(
        self, session: Session, transports: Mapping[Server, AsyncTransport] | None, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._session = session
        self._transports = dict(transports or {})
        self._sleep = sleep
        self._closed = False

    async def close(self) -> None:
        """Saves the token cache and closes the connections; nothing can be sent afterwards."""
        self._closed = True
        await asyncio.to_thread(self._session.save)
        transports, self._transports = list(self._transports.values()), {}
        for transport in transports:
            await transport.close()

    def require_open(self) -> None:
        """Raises NotUsable. A connection opened after the end would be one that nobody closes."""
        if self._closed:
            raise NotUsable("this exchange is closed (its `with` has ended): open another one")

    async def run(self, flow: Flow[R], timeout: float | None = None) -> R:
        """Drives a flow to its result, within `timeout` seconds if it is given.

        Its steps run on a thread: a batch of a thousand identities takes a tenth of a second.
        """
        self.require_open()
        limit = TimeLimit(timeout)
        step = await asyncio.to_thread(advance, flow)
        while not isinstance(step, Finished):
            try:
                answered = await self._carry_out(step, limit)
            except TallystickError as error:
                step = await asyncio.to_thread(advance, flow, error=error)
            else:
                step = await asyncio.to_thread(advance, flow, answered)
        return step.result

    async def _carry_out(self, step: Call[Any] | PageStream, limit: TimeLimit) -> Answered[Any] | None:
        if isinstance(step, Call):
            return await self._call(step, limit)
        await self._stream(step, limit)
        return None

    async def _call(self, call: Call[Any], limit: TimeLimit) -> Answered[Any]:
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        patience, hooks = self._session.options.patience, self._session.options.event_hooks
        watched, attempts = Watched(call), Attempts(limit)

        async def once() -> Answered[Any]:
            seconds = attempts.begin(patience.timeout)
            attempt = conversation.attempt(call)
            await tell_awaiting(hooks.request, watched.requested())
            raw = await transport.unary(call.method.path, call.message, attempt.metadata, seconds)
            try:
                answered = conversation.conclude(call, attempt, raw)
            except TallystickError as error:
                await tell_awaiting(hooks.answer, watched.answered(error=error))
                raise
            await tell_awaiting(hooks.answer, watched.answered(answered))
            return answered

        return await self._retrying(is_retryable, watched, attempts)(once)

    async def _stream(self, stream: PageStream, limit: TimeLimit) -> None:
        call = stream.call
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        patience, hooks = self._session.options.patience, self._session.options.event_hooks
        watched, attempts = Watched(call), Attempts(limit)
        begun = False

        async def once() -> None:
            nonlocal begun
            seconds = attempts.begin(patience.stream_timeout)
            attempt = conversation.attempt(call)
            await tell_awaiting(hooks.request, watched.requested())
            try:
                async for raw in transport.stream(call.method.path, call.message, attempt.metadata, seconds):
                    if isinstance(raw, RawFailure):
                        raise conversation.failure(call, attempt, raw)
                    begun = True
                    stream.take(conversation.open_page(stream, attempt, raw))
            except TallystickError as error:
                await tell_awaiting(hooks.answer, watched.answered(error=error))
                raise
            await tell_awaiting(hooks.answer, watched.answered())

        # Once a page was taken only the flow knows where to go on.
        await self._retrying(lambda error: is_retryable(error) and not begun, watched, attempts)(once)

    def _retrying(self, predicate: Callable[[BaseException], bool], watched: Watched, attempts: Attempts) -> tenacity.AsyncRetrying:
        patience = self._session.options.patience

        async def before_sleep(state: tenacity.RetryCallState) -> None:
            attempts.failed(state.outcome.exception() if state.outcome else None)
            if event := watched.retried(state):
                await tell_awaiting(self._session.options.event_hooks.retry, event)

        return tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=patience.stop() | attempts.stop(),
            wait=patience.wait(),
            retry=tenacity.retry_if_exception(predicate),
            before_sleep=before_sleep,
            retry_error_callback=attempts.give_up,
        )

    async def in_order(
        self, flow_for: Callable[[S], Flow[list[T]]], chunks: AsyncIterator[S], timeout: float | None = None
    ) -> AsyncGenerator[T]:
        """Drives a bounded number of flows at once, each within `timeout` seconds, and yields what they return, in their order."""
        limit = self._session.options.in_flight
        running: deque[asyncio.Task[list[T]]] = deque()
        try:
            async for chunk in chunks:
                running.append(asyncio.create_task(self.run(flow_for(chunk), timeout)))
                while running and (len(running) >= limit or running[0].done()):
                    for item in await running.popleft():
                        yield item
            while running:
                for item in await running.popleft():
                    yield item
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def pages(self, page: Callable[[str], Flow[tuple[list[T], str]]], timeout: float | None = None) -> AsyncGenerator[T]:
        """Yields the items of page after page, each asked for when it is needed, and within `timeout` seconds."""
        token = ""
        while True:
            items, token = await self.run(page(token), timeout)
            for item in items:
                yield item
            if not token:
                return

    def _transport(self, server: Server) -> AsyncTransport:
        transport = self._transports.get(server)
        if transport is None:
            from tallystick.client.protocol.grpc_transport import AsyncGrpcTransport  # late: see its docstring

            transport = self._transports[server] = AsyncGrpcTransport(self._session.endpoint(server).address)
        return transport


async def iterate(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Items, from wherever they come."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def chunks(items: Iterable[T] | AsyncIterable[T], size: int) -> AsyncIterator[list[T]]:
    """Cuts items into lists of at most `size`, taking them as they are needed."""
    chunk: list[T] = []
    async for item in iterate(items):
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def cut(reports: Iterable[Report] | AsyncIterable[Report]) -> AsyncIterator[list[Report]]:
    """Cuts reports into batches that one request can carry, taking them as they are needed."""
    batch = Batch()
    async for report in iterate(reports):
        if full := batch.add(report):
            yield full
    if rest := batch.rest():
        yield rest
