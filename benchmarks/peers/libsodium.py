"""Raw libsodium in one thread, called by ctypes: ristretto255 multiplications and Ed25519 verifications, and nothing around them.

A token costs the authority two multiplications, since each is proved: half of this rate is the most that it could reach.
"""

from __future__ import annotations

import ctypes
import secrets
import time

import rbcl


def multiplications(count: int) -> float:
    """Multiplications a second of processor time."""
    multiply = rbcl._sodium.crypto_scalarmult_ristretto255
    point = rbcl.crypto_core_ristretto255_random()
    scalar = rbcl.crypto_core_ristretto255_scalar_random()
    out = ctypes.create_string_buffer(32)
    began = time.process_time()
    for _ in range(count):
        if multiply(out, scalar, point):
            raise RuntimeError("libsodium refused a multiplication")
    return count / (time.process_time() - began)


def verifications(count: int) -> float:
    """Ed25519 verifications a second of processor time, of messages of 300 bytes: about a signature base."""
    sodium = rbcl._sodium
    public, private = ctypes.create_string_buffer(32), ctypes.create_string_buffer(64)
    signature, message = ctypes.create_string_buffer(64), secrets.token_bytes(300)
    size = ctypes.c_ulonglong(len(message))
    sodium.crypto_sign_keypair(public, private)
    sodium.crypto_sign_detached(signature, None, message, size, private)
    began = time.process_time()
    for _ in range(count):
        if sodium.crypto_sign_verify_detached(signature, message, size, public):
            raise RuntimeError("libsodium refused a signature that it made")
    return count / (time.process_time() - began)
