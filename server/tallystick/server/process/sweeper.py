"""The sweeper: rounds of the sweep of the watches, each step an operation that the exchange's own member signs.

It takes the path of every request, so what it did is in the log. Crash at any point: the next round goes on where the last step
ended.
"""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog
from psycopg2 import extensions

from tallystick.contract.limits import MAX_SWEPT
from tallystick.contract.methods import SWEEP_WATCHES
from tallystick.server.administration import NameTakenProblem, carry_out, in_process, register_system, signed
from tallystick.server.errors import Problem, Refusal
from tallystick.server.installation.key_folder import ServerKeys
from tallystick.server.installation.settings import Settings
from tallystick.server.service import Service
from tallystick.server.storage.upkeep import Step
from tallystick.v1 import errors_pb2
from tallystick.v1 import monitoring_service_pb2 as pb

STEP_WATCHES = MAX_SWEPT // 2
"""Watches of one step: a second or less of the database's time, and an entry of the log."""
FIRST_AFTER = 5.0
"""Seconds after the start at which the first round begins."""

events = structlog.get_logger()


class SweepProblem(Problem):
    """The exchange's own member may not sweep, and only an operator can help it."""


def sweep_step(settings: Settings, keys: ServerKeys, url: str) -> Step:
    """A round of the sweep every `sweep_minutes`."""

    def run(_connection: extensions.connection) -> int:
        return asyncio.run(sweep_round(settings, keys, url))

    return Step("sweep", settings.sweep_minutes * 60.0, run, due=time.monotonic() + FIRST_AFTER)


async def sweep_round(settings: Settings, keys: ServerKeys, url: str) -> int:
    """Sweeps all watches once; returns how many messages came of it. Nothing is done, nor logged, where there is none.

    Raises Refusal, and SweepProblem when an operator must help."""
    async with in_process(settings, keys, url) as service:
        if not await service.reader.read(lambda connection: connection.fetch("SELECT 1 FROM watch LIMIT 1")):
            return 0
        messages = watches = 0
        began = time.monotonic()
        while True:
            done = await _step(settings, keys, service)
            messages, watches = messages + done.message_count, watches + done.watch_count
            if done.round_complete:
                events.info("swept", watches=watches, messages=messages, seconds=round(time.monotonic() - began, 1))
                return messages


async def _step(settings: Settings, keys: ServerKeys, service: Service) -> pb.SweepWatchesResponse:
    """One step; the exchange's own member is admitted if it is not yet."""
    try:
        return await _sweep(settings, keys, service)
    except Refusal as refusal:
        if refusal.reason == errors_pb2.ERROR_REASON_ROLE_MISSING:
            raise SweepProblem(str(NameTakenProblem(settings))) from None
        if refusal.reason != errors_pb2.ERROR_REASON_KEY_UNKNOWN:
            raise
    try:
        await register_system(settings, keys, service)
    except NameTakenProblem as problem:
        raise SweepProblem(str(problem)) from None
    except Refusal as refusal:
        raise SweepProblem(
            f"operator.key of the key folder cannot admit {settings.system_member} ({refusal.reason_name}): an operator runs"
            " tallystickd member system"
        ) from None
    return await _sweep(settings, keys, service)


async def _sweep(settings: Settings, keys: ServerKeys, service: Service) -> pb.SweepWatchesResponse:
    request = pb.SweepWatchesRequest(request_id=secrets.token_bytes(16), max_watches=STEP_WATCHES)
    call = signed(settings, keys.system_key, SWEEP_WATCHES.path, request, int(time.time()))
    return await carry_out(service, call, pb.SweepWatchesResponse)
