"""The server's errors, by audience: a Refusal answers a peer, a Problem stops an operator's command.

A Refusal is named by its reason (tallystick.v1.ErrorReason). ConcurrentChangeError stays inside the server: the ledger runs the
transaction again.
"""

from __future__ import annotations

from tallystick.contract.refusals import Refusal, refuse_violations

__all__ = ["ConcurrentChangeError", "Problem", "Refusal", "refuse_violations"]


class Problem(Exception):  # noqa: N818 - something for the operator to correct, not a fault of the program
    """Stops an operator's command. Its text is one line that says what to do. It never holds a key, a password or a token."""


class ConcurrentChangeError(Exception):
    """Another transaction made what this one was about to make. When run again, this one finds it."""
