"""One worker process: a gRPC server over one service, until it is asked to stop.

    python -m tallystick.server.process.worker --config tallystickd.toml [--reuse-port] [--ready-fd N]

On SIGTERM or SIGINT it accepts nothing more, finishes what it has begun, commits, and exits with 0.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click
import grpc
import structlog
import uvloop
from grpc_health.v1 import health as health_names
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from tallystick.contract.limits import TRANSPORT_MAX_MESSAGE
from tallystick.server.composition import compose
from tallystick.server.errors import Problem, Refusal
from tallystick.server.installation.database import DatabaseProblem
from tallystick.server.installation.identity import check_identity
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.service import Service
from tallystick.server.storage.connection import Connection
from tallystick.server.telemetry.logging import configure_events
from tallystick.server.transport.arrival import LOOKAHEAD, MAX_CALLS, MAX_STREAMS, Arrivals
from tallystick.server.transport.dispatch import Dispatcher, Unserved
from tallystick.server.transport.standard_services import Health, Reflection
from tallystick.server.transport.tls import server_credentials

MAX_PENDING = 16_384
"""Most calls that wait for a handler: as many as 128 full connections begin at once."""
READ_CHUNK = 256 * 1024
"""Bytes that one connection is read for before others have a turn: enough for large messages to come as fast as ever."""
MAX_METADATA = 8 * 1024
"""Bytes of a call's headers: our own have some 700."""
HEALTH_INTERVAL = 1.0
"""Seconds between two looks whether the database answers."""

GARBAGE_THRESHOLD = 20_000
"""Objects after which Python's collector looks at the new ones. A batch of reports makes some ten thousand, and nearly all live
until it is committed: after 700, as by default, they would be looked at again and again."""

SETTLING_INTERVAL = 1.0
"""Seconds between two looks at what all workers counted against the members' quotas."""

events = structlog.get_logger()


class PortTakenProblem(Problem):
    """The address to listen on is not to be had."""


async def serve(settings: Settings, *, reuse_port: bool = False, ready_fd: int | None = None) -> None:
    """Serves until SIGTERM or SIGINT. `settings.database` is a PostgreSQL URL; raises Problem when it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keys = KeyFolder(settings.key_folder).load()
    with suppress(DatabaseProblem):
        # A worker that is started again while the database is down comes up all the same, and serves when it is back.
        check_identity(settings.database, settings, keys)
    service = compose(settings, keys, settings.database)
    server, health = _server(settings, service, reuse_port=reuse_port)
    ledger = service.ledger.start()
    watch = asyncio.create_task(_watch_database(service, health), name="health")
    metering = asyncio.create_task(_settle_quotas(service), name="quotas")
    await server.start()
    gc.set_threshold(GARBAGE_THRESHOLD, 10, 10)
    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    if ready_fd is not None:
        os.write(ready_fd, b"\n")
        os.close(ready_fd)
        _stop_with_supervisor(loop, stop)
    events.info("serving", listen=settings.listen, role=settings.role)
    await asyncio.wait({ledger, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    # A ledger that ended by itself has failed: closing it raises why, and the supervisor starts another worker.
    watch.cancel()
    metering.cancel()
    health.stop()
    service.stop_waiting()
    # Calls under way go on through the ledger; only then may it close.
    await server.stop(settings.grace_seconds)
    await service.close()
    events.info("stopped")


def _stop_with_supervisor(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """The supervisor holds the other end of standard input: when it ends, the supervisor is gone, and so do we go."""
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, readable)


def _server(settings: Settings, service: Service, *, reuse_port: bool) -> tuple[grpc.aio.Server, Health]:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", TRANSPORT_MAX_MESSAGE),
            ("grpc.max_send_message_length", TRANSPORT_MAX_MESSAGE),
            # Off for a single worker: with it on, any process of this user could bind the port beside us unseen.
            ("grpc.so_reuseport", int(reuse_port)),
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            # Without them gRPC takes up to 4 MiB of each stream before anybody asks for its message.
            ("grpc.http2.lookahead_bytes", LOOKAHEAD),
            ("grpc.http2.bdp_probe", 0),
            # The default is 4 MiB, which are 300,000 of the smallest frames.
            ("grpc.experimental.tcp_max_read_chunk_size", READ_CHUNK),
            # Past a thousand calls that wait for a handler, gRPC drops some at random: anybody's.
            ("grpc.server.max_pending_requests", MAX_PENDING // 2),
            ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
            ("grpc.max_metadata_size", MAX_METADATA),
            ("grpc.absolute_max_metadata_size", MAX_METADATA),
            # The default is two minutes.
            ("grpc.server_handshake_timeout_ms", 10_000),
            # A client that went without a word is missed within a minute; calls from the living are allowed to be rare.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # An idle connection takes an open file; its client opens another when it has something to ask.
            ("grpc.max_connection_idle_ms", 600_000),
        ],
        maximum_concurrent_rpcs=settings.queue_size + 32 * MAX_CALLS,
    )
    arrivals = Arrivals()
    server.add_generic_rpc_handlers((Dispatcher(service, arrivals),))
    health = Health(arrivals)
    health.add_to(server)
    services = sorted({method.split("/")[1] for method in (*service.operations, *service.public_methods)})
    Reflection((*services, health_names.SERVICE_NAME, reflection.SERVICE_NAME), arrivals).add_to(server)
    server.add_generic_rpc_handlers((Unserved(arrivals),))
    credentials = server_credentials(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    try:
        server.add_secure_port(settings.listen, credentials)
    except RuntimeError:
        raise PortTakenProblem(f"cannot listen on {settings.listen}: stop what listens there, or set listen") from None
    return server, health


async def _watch_database(service: Service, health: Health) -> None:
    """Keeps the health service truthful: a server without its database serves nobody."""

    async def ask(connection: Connection) -> None:
        await connection.fetch("SELECT 1")

    while True:
        try:
            await service.reader.read(ask)
            health.status = health_pb2.HealthCheckResponse.SERVING
        except Refusal:
            health.status = health_pb2.HealthCheckResponse.NOT_SERVING
        await asyncio.sleep(HEALTH_INTERVAL)


async def _settle_quotas(service: Service) -> None:
    while True:
        with suppress(Refusal):
            await service.settle_quotas()
        await asyncio.sleep(SETTLING_INTERVAL)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--reuse-port", is_flag=True, help="Share the port with other workers.")
@click.option("--ready-fd", type=int, help="Where to write one line feed once serving.")
def main(config: Path | None, *, reuse_port: bool, ready_fd: int | None) -> None:
    """One worker of tallystickd serve."""
    try:
        settings = Settings.load(config)
        configure_events(settings.log_level)
        uvloop.run(serve(settings, reuse_port=reuse_port, ready_fd=ready_fd))
    except Problem as problem:
        if ready_fd is None:
            click.echo(f"worker: {problem}", err=True)
        else:
            os.write(ready_fd, f"error: {problem}\n".encode())
        sys.exit(1)


if __name__ == "__main__":
    main()
