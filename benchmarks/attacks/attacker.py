"""The attacker, a process of its own: runs one attack for some seconds and prints what became of it.

python -m benchmarks.attacks.attacker NAME SECONDS PORT SOURCE CA CERTIFICATE KEY
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time

import uvloop
from benchmarks.attacks.floods import ATTACKS, Attack
from benchmarks.attacks.wire import Target

NICE = 10
"""On a small machine the attacker would otherwise win by taking the processors, and not by what it sends."""


async def _run(name: str, seconds: float, target: Target) -> dict[str, int]:
    attack = Attack(target, time.monotonic() + seconds)
    await attack.prove()
    # An attack that outlives its time is ended: the connections go with the process.
    asyncio.get_running_loop().call_later(seconds + 5, os._exit, 3)
    await ATTACKS[name].run(attack)
    return dict(attack.counts)


def main(name: str, seconds: str, port: str, source: str, *paths: str) -> None:
    """Runs it."""
    os.nice(NICE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    counts = uvloop.run(_run(name, float(seconds), Target(int(port), source, *paths)))
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
