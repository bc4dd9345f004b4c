"""What was used up: nonces, the horizon behind them, and each member's evaluations of a day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from tallystick.contract.instants import microseconds
from tallystick.contract.methods import EVALUATE_TOKENS
from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examined import Examined
from tallystick.server.examination.scratch import Scratch
from tallystick.server.examination.streams import Row, Rows
from tallystick.server.ledger.retention import NONCE_MINUTES

_UNSPENT = ("SIGNATURE_STALE", "CERTIFICATE_MISMATCH")
"""Reasons of refusals whose nonce may not have been spent."""
_SHUT_OUT = ("KEY_REVOKED", "MEMBER_SUSPENDED")
"""Reasons of refusals that leave a nonce each, and an entry a minute."""
_WAY = timedelta(minutes=3)
"""From the day that an evaluation was counted for to its entry."""


class Nonces:
    """Holds the nonces that are still kept against the signatures in the evidence."""

    def __init__(self, anomalies: Anomalies, scratch: Scratch, horizon: int, now: datetime) -> None:
        self._anomalies = anomalies
        self._scratch = scratch
        self._horizon = horizon
        self._unseen: Counter[bytes] = Counter()
        """By key, entries since the horizon whose signature cannot be read any more."""
        self._shut_out: set[bytes] = set()
        if horizon > microseconds(now) // 60_000_000 - NONCE_MINUTES:
            text = "lies further ahead than upkeep sets it: good requests are refused until then"
            self._anomalies.add("replay_horizon", "minute", text)

    def take(self, entry: Examined) -> None:
        """One entry."""
        if microseconds(entry.create_time) // 60_000_000 < self._horizon:
            return
        if entry.envelope is None:
            self._unseen[entry.leaf.keyid] += 1
            return
        if entry.envelope.reason in _SHUT_OUT:
            self._shut_out.add(entry.leaf.keyid)
        signed = entry.signature
        if signed is not None and signed.created // 60 > self._horizon:
            spent = entry.envelope.reason not in _UNSPENT
            row = (signed.created // 60, signed.keyid, signed.nonce, entry.index, spent)
            # One that was refused first may be spent by another entry, or was.
            statement = "INSERT INTO nonce VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET spent = max(spent, excluded.spent)"
            self._scratch.execute(statement, *row)

    def finish(self, stored: Rows) -> None:
        """All entries were taken; the rows are (key), those of the table above the horizon in the order of all three columns."""
        unexplained: Counter[bytes] = Counter()
        order = "SELECT minute, keyid, nonce, entry, spent FROM nonce ORDER BY minute, keyid, nonce"
        for minute, key, nonce, index, spent in self._scratch.rows(order):
            for (other,) in stored.before((minute, key, nonce)):
                self._unexplained(other, unexplained)
            if not stored.take((minute, key, nonce)) and spent:
                text = "MISSING: its request could be sent again for as long as its signature is fresh"
                self._anomalies.add("nonce", f"of entry {index}", text)
        for (other,) in stored.rest():
            self._unexplained(other, unexplained)

    def _unexplained(self, row: tuple[int, bytes, bytes], counted: Counter[bytes]) -> None:
        minute, key, nonce = row
        counted[key] += 1
        if key not in self._shut_out and counted[key] > self._unseen[key]:
            name = f"({minute}, {key.hex()[:16]}…, {nonce.hex()[:8]}…)"
            self._anomalies.add("nonce", name, "no entry was signed with it: somebody added or changed it")


class Meter:
    """Counts the evaluations that the entries say against the meter."""

    def __init__(self, anomalies: Anomalies, members: Mapping[int, str]) -> None:
        self._anomalies = anomalies
        self._members = members
        self._least: dict[tuple[int, date], int] = defaultdict(int)
        self._most: dict[tuple[int, date], int] = defaultdict(int)
        self._untold: set[date] = set()

    def take(self, entry: Examined) -> None:
        """One entry."""
        if entry.leaf.method != EVALUATE_TOKENS.path or not entry.carried_out or entry.repeated is True:
            return
        # Counted for the day of its admission, which at midnight may be the one before.
        days = {entry.create_time.date(), (entry.create_time - _WAY).date()}
        if entry.message is None:
            self._untold |= days
            return
        count = len(entry.message.blinded_elements)
        for day in days:
            self._most[entry.member, day] += count
            self._least[entry.member, day] += count if len(days) == 1 and entry.repeated is False else 0

    def finish(self, rows: Sequence[Row]) -> None:
        """All entries were taken; these are the rows of token_meter."""
        stored = {(member, day): evaluations for member, day, evaluations in rows}
        for member, day in sorted(stored.keys() | self._most.keys()):
            if day in self._untold:
                continue
            found = stored.get((member, day), 0)
            least, most = self._least.get((member, day), 0), self._most.get((member, day), 0)
            if not least <= found <= most or ((member, day) in stored and not most):
                text = f"says {found} evaluations, and the log has {least if least == most else f'{least} to {most}'}"
                self._anomalies.add("token_meter", f"{self._members.get(member, member)}, {day}", text)
