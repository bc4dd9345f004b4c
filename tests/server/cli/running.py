"""What the tests of `tallystickd` share beside fixtures."""

import json
from collections.abc import Callable
from typing import Any

import psycopg2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick.crypto import oprf

Run = Callable[..., tuple[int, str, str]]
TOKEN_KEY = oprf.public_key(oprf.generate_private_key()).hex()


def entries(url: str) -> list[str]:
    """The methods in the log, in its order."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT method FROM audit_entry ORDER BY index")
            return [method.rpartition("/")[2] for (method,) in cursor.fetchall()]
    finally:
        connection.close()


def json_lines(output: str) -> list[dict[str, Any]]:
    """What --json printed: one object a line."""
    objects = [json.loads(line) for line in output.splitlines()]
    assert all(isinstance(each, dict) for each in objects)
    return objects


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()
