"""The market day: banks A and B report their portfolios, bank C screens applicants; each bank is a process of its own."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from examples import banks
from examples.banks import Applicant, Screening, Timing
from examples.card_file import CardClient
from examples.screen import Screen
from examples.servers import BANK_A, BANK_B, BANK_C, Member, profile

KNOWN_APPLICANTS, STRANGERS = 2_700, 300
SEED = 2005
FIRST_STRANGER = 50_000
"""Strangers' numbers follow the clients' at a distance: of none of them anything was reported."""


@dataclass(frozen=True, slots=True)
class Market:
    """What the day brought."""

    reporters_tokens: Timing
    reports: Timing
    inquirer_tokens: Timing
    screening: Screening


def bank_of(number: int) -> Member:
    """Whose client this is: the odd ones are bank A's, the even ones bank B's."""
    return BANK_A if number % 2 else BANK_B


def draw_applicants(clients: Sequence[CardClient], seed: int = SEED) -> list[Applicant]:
    """Who applies at bank C: a random sample of the clients with strangers among them, the same for the same seed."""
    chance = random.Random(seed)
    known = [Applicant(client.number, client) for client in chance.sample(clients, KNOWN_APPLICANTS)]
    applicants = known + [Applicant(FIRST_STRANGER + number, None) for number in range(STRANGERS)]
    chance.shuffle(applicants)
    return applicants


def hold(folder: Path, screen: Screen, clients: Sequence[CardClient], months: tuple[date, ...]) -> Market:
    """Lets the banks do their work, and raises DemoError when anything of it goes wrong."""
    bank_a, bank_b, bank_c = (folder / profile(member) for member in (BANK_A, BANK_B, BANK_C))
    first, second = ([client for client in clients if bank_of(client.number) is bank] for bank in (BANK_A, BANK_B))
    applicants = draw_applicants(clients)
    # New processes, never forked ones: gRPC does not survive a fork.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        with screen.working("banks A and B make the tokens of their clients"):
            numbers = [[client.number for client in each] for each in (first, second)]
            tokens = list(pool.map(banks.tokenise, (bank_a, bank_b), numbers))
        with screen.working("banks A and B report their accounts"):
            reports = list(pool.map(banks.report, (bank_a, bank_b), (first, second), (months, months)))
        with screen.working("bank C makes the tokens of its applicants"):
            own_tokens = pool.submit(banks.tokenise, bank_c, [each.serial for each in applicants]).result()
        with screen.working("bank C queries and screens its applicants"):
            screening = pool.submit(banks.screen, bank_c, applicants, months).result()
    return Market(tokens[0] | tokens[1], reports[0] | reports[1], own_tokens, screening)
