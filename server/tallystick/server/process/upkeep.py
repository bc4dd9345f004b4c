"""Upkeep: the thread beside the workers that runs the periodic steps, each at its own pace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event, Thread

import psycopg2
import structlog
from psycopg2 import extensions

from tallystick.server.storage.upkeep import LOCK, Step, prepare, try_lock

events = structlog.get_logger()

TICK_SECONDS = 1.0
JOIN_SECONDS = 15.0
RECONNECT_SECONDS = 5.0


class Upkeep:
    """Runs the steps until it is stopped. A step that fails is logged and tried again when it is next due."""

    def __init__(self, url: str, steps: Sequence[Step], *, name: str = "upkeep", lock: int = LOCK) -> None:
        self._url = url
        self._name = name
        self._lock = lock
        self.steps = tuple(steps)
        self.holds_lock = False
        """Whether it is this process that does the upkeep, and not another server on this database."""
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Lets the running step finish, for a bounded time, and ends; does nothing when it never began."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection = psycopg2.connect(self._url, application_name=f"tallystick-{self._name}", connect_timeout=10)
            except psycopg2.Error as error:
                events.warning("upkeep_waits", error=type(error).__name__)
                self._stop.wait(RECONNECT_SECONDS)
                continue
            try:
                self._work(connection)
            except psycopg2.Error as error:
                events.warning("upkeep_interrupted", error=type(error).__name__)
                self._stop.wait(RECONNECT_SECONDS)
            finally:
                connection.close()

    def _work(self, connection: extensions.connection) -> None:
        """Goes on until told to stop or the connection is lost; leaves to another server on this database what one does alone."""
        prepare(connection)
        try:
            while not self._stop.is_set() and not connection.closed:
                self.holds_lock = self.holds_lock or try_lock(connection, self._lock)
                self._run_due(connection)
                self._stop.wait(TICK_SECONDS if self.holds_lock else RECONNECT_SECONDS)
        finally:
            self.holds_lock = False

    def _run_due(self, connection: extensions.connection) -> None:
        for step in self.steps:
            if self._stop.is_set():
                return
            if time.monotonic() >= step.due and (self.holds_lock or not step.alone):
                self._run_step(step, connection)

    def _run_step(self, step: Step, connection: extensions.connection) -> None:
        try:
            result = step.run(connection)
        except Exception as error:  # noqa: BLE001 - one step's fault must not end the others
            step.failures += 1
            events.error("upkeep_failed", step=step.name, error=type(error).__name__, detail=_without_values(error))
        else:
            step.succeeded = time.time()
            if result:
                events.info("upkeep_done", step=step.name, done=result if isinstance(result, int) else str(result))
        step.due = time.monotonic() + step.period


def _without_values(error: Exception) -> str:
    """What PostgreSQL calls the error, since its text may quote a row. One of the connection has no code."""
    if isinstance(error, psycopg2.Error):
        return error.pgcode or f"{type(error).__name__} without a code: no connection"
    return str(error)
