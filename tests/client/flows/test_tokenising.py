"""Tokens made beforehand: in order, in batches, and found in the cache afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.client import Identity, IdentityInvalid, Inquiry, Purpose
from tallystick.crypto import resident_id_check_digit


def resident(serial: int) -> Identity:
    first17 = f"110101199003{serial // 1000 % 28 + 1:02d}{serial % 1000:03d}"
    return Identity.resident_id(first17 + resident_id_check_digit(first17))


def evaluations(system: Any) -> list[str]:
    return [name for name, _, _ in system.authority.calls if name == "EvaluateTokens"]


def test_tokens_come_in_order_and_are_not_asked_for_again(system: Any) -> None:
    people = [resident(n % 1_200) for n in range(1_500)]
    with system.open() as exchange:
        tokens = list(exchange.tokenise(people))
        assert len(evaluations(system)) == 2
        assert tokens[1_200:] == tokens[:300]
        assert len(set(tokens)) == 1_200
        for outcome in exchange.query_many(Inquiry(each, Purpose.LOAN_APPROVAL, "consent-1") for each in people[:400]):
            outcome.unwrap()
        assert len(evaluations(system)) == 2


def test_a_document_that_does_not_hold_stops_it_before_its_batch_is_sent(system: Any) -> None:
    with system.open() as exchange, pytest.raises(IdentityInvalid):
        list(exchange.tokenise([resident(1), Identity.resident_id("123")]))
    assert evaluations(system) == []


async def test_the_asynchronous_exchange_does_the_same(system: Any) -> None:
    people = [resident(n) for n in range(10)]
    with system.open() as exchange:
        expected = list(exchange.tokenise(people))
    async with system.open_async() as exchange:
        assert [token async for token in exchange.tokenise(people)] == expected
