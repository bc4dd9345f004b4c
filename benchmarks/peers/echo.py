"""A bare grpc.aio server on uvloop: mutual TLS, and an answer of as many bytes as the exchange's. The floor under any service here.

It parses nothing, verifies nothing, stores nothing.

    PEER_BYTES=1200 python -m benchmarks.peers.echo PORT EXCHANGE_FOLDER PROCESSES
"""

from __future__ import annotations

import os
import sys
from typing import Any

import grpc
import uvloop
from benchmarks.peers import processes
from benchmarks.traffic.requests import QUERY


class _Echo(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        answer = bytes(int(os.environ["PEER_BYTES"]))

        async def handle(_message: bytes, _context: Any) -> bytes:
            return answer

        self._handler: Any = grpc.unary_unary_rpc_method_handler(handle)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == QUERY else None


async def _serve(port: int, folder: str) -> None:
    server = grpc.aio.server(handlers=[_Echo()])
    server.add_secure_port(f"127.0.0.1:{port}", processes.credentials(folder))
    await server.start()
    processes.announce()
    await server.wait_for_termination()


def serve(port: int, folder: str) -> None:
    """Serves in this process."""
    uvloop.run(_serve(port, folder))


if __name__ == "__main__":
    processes.run(serve, int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
