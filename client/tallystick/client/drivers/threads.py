"""The blocking driver: a flow runs on the thread of its caller, many at once on a pool."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import tenacity

from tallystick.client.exceptions import NotUsable, TallystickError
from tallystick.client.flows.report_batches import cut
from tallystick.client.profile.servers import Server
from tallystick.client.protocol.calls import Answered, Call, Finished, Flow, PageStream, RawFailure, advance
from tallystick.client.protocol.events import Watched, tell
from tallystick.client.protocol.retrying import Attempts, TimeLimit, is_retryable
from tallystick.client.protocol.transport import Transport
from tallystick.client.session import Session

__all__ = ["ThreadDriver", "chunks", "cut", "iterate"]

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


class ThreadDriver:
    """Runs the flows of one session. `transports` takes the place of gRPC, `sleep` of the machine's."""

    def __init__(self, session: Session, transports: Mapping[Server, Transport] | None, sleep: Callable[[float], None]) -> None:
        self._session = session
        self._transports = dict(transports or {})
        self._sleep = sleep
        self._closed = False
        self._lock = threading.Lock()
        self._workers: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Saves the token cache and closes the connections; nothing can be sent afterwards."""
        self._closed = True
        self._session.save()
        with self._lock:
            workers, self._workers = self._workers, None
            transports, self._transports = list(self._transports.values()), {}
        if workers is not None:
            workers.shutdown(cancel_futures=True)
        for transport in transports:
            transport.close()

    def require_open(self) -> None:
        """Raises NotUsable. A connection opened after the end would be one that nobody closes."""
        if self._closed:
            raise NotUsable("this exchange is closed (its `with` has ended): open another one")

    def run(self, flow: Flow[R], timeout: float | None = None) -> R:
        """Drives a flow to its result: carries out each call that it yields, all within `timeout` seconds if it is given."""
        self.require_open()
        limit = TimeLimit(timeout)
        step = advance(flow)
        while not isinstance(step, Finished):
            try:
                answered = self._carry_out(step, limit)
            except TallystickError as error:
                step = advance(flow, error=error)
            else:
                step = advance(flow, answered)
        return step.result

    def _carry_out(self, step: Call[Any] | PageStream, limit: TimeLimit) -> Answered[Any] | None:
        if isinstance(step, Call):
            return self._call(step, limit)
        self._stream(step, limit)
        return None

    def _call(self, call: Call[Any], limit: TimeLimit) -> Answered[Any]:
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        patience, hooks = self._session.options.patience, self._session.options.event_hooks
        watched, attempts = Watched(call), Attempts(limit)

        def once() -> Answered[Any]:
            seconds = attempts.begin(patience.timeout)
            attempt = conversation.attempt(call)
            tell(hooks.request, watched.requested())
            raw = transport.unary(call.method.path, call.message, attempt.metadata, seconds)
            try:
                answered = conversation.conclude(call, attempt, raw)
            except TallystickError as error:
                tell(hooks.answer, watched.answered(error=error))
                raise
            tell(hooks.answer, watched.answered(answered))
            return answered

        return self._retrying(is_retryable, watched, attempts)(once)

    def _stream(self, stream: PageStream, limit: TimeLimit) -> None:
        call = stream.call
        conversation = self._session.conversation(call.method.server)
        transport = self._transport(call.method.server)
        patience, hooks = self._session.options.patience, self._session.options.event_hooks
        watched, attempts = Watched(call), Attempts(limit)
        begun = False

        def once() -> None:
            nonlocal begun
            seconds = attempts.begin(patience.stream_timeout)
            attempt = conversation.attempt(call)
            tell(hooks.request, watched.requested())
            try:
                for raw in transport.stream(call.method.path, call.message, attempt.metadata, seconds):
                    if isinstance(raw, RawFailure):
                        raise conversation.failure(call, attempt, raw)
                    begun = True
                    stream.take(conversation.open_page(stream, attempt, raw))
            except TallystickError as error:
                tell(hooks.answer, watched.answered(error=error))
                raise
            tell(hooks.answer, watched.answered())

        # Once a page was taken only the flow knows where to go on.
        self._retrying(lambda error: is_retryable(error) and not begun, watched, attempts)(once)

    def _retrying(self, predicate: Callable[[BaseException], bool], watched: Watched, attempts: Attempts) -> tenacity.Retrying:
        patience = self._session.options.patience

        def before_sleep(state: tenacity.RetryCallState) -> None:
            attempts.failed(state.outcome.exception() if state.outcome else None)
            if event := watched.retried(state):
                tell(self._session.options.event_hooks.retry, event)

        return tenacity.Retrying(
            sleep=self._sleep,
            stop=patience.stop() | attempts.stop(),
            wait=patience.wait(),
            retry=tenacity.retry_if_exception(predicate),
            before_sleep=before_sleep,
            retry_error_callback=attempts.give_up,
        )

    def in_order(self, flow_for: Callable[[S], Flow[list[T]]], chunks: Iterator[S], timeout: float | None = None) -> Iterator[T]:
        """Drives a bounded number of flows at once, each within `timeout` seconds, and yields what they return, in their order."""
        with self._lock:
            self.require_open()
            if self._workers is None:
                self._workers = ThreadPoolExecutor(self._session.options.in_flight, "tallystick")
            workers = self._workers
        running: deque[Future[list[T]]] = deque()
        try:
            for chunk in chunks:
                running.append(workers.submit(self.run, flow_for(chunk), timeout))
                while running and (len(running) >= self._session.options.in_flight or running[0].done()):
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()

    def pages(self, page: Callable[[str], Flow[tuple[list[T], str]]], timeout: float | None = None) -> Iterator[T]:
        """Yields the items of page after page, each asked for when it is needed, and within `timeout` seconds."""
        token = ""
        while True:
            items, token = self.run(page(token), timeout)
            yield from items
            if not token:
                return

    def _transport(self, server: Server) -> Transport:
        with self._lock:
            transport = self._transports.get(server)
            if transport is None:
                from tallystick.client.protocol.grpc_transport import GrpcTransport  # late: see its docstring

                transport = self._transports[server] = GrpcTransport(self._session.endpoint(server).address)
            return transport


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cuts items into lists of at most `size`, taking them as they are needed."""
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def iterate(items: Iterable[T]) -> Iterator[T]:
    """Items, from wherever they come."""
    return iter(items)
