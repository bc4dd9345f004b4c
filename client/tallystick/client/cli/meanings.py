"""What the values of an option mean, as `--help` lists them beneath the options; taken from the lists themselves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tallystick.credit.codes import describe_purpose, describe_withdrawal_reason, purpose_meaning
from tallystick.credit.enums import Purpose, WithdrawalReason
from tallystick.crypto.identity_documents import ANY_COUNTRY, DOCUMENTS, GLOBAL_COUNTRY


def purposes() -> str:
    """The agreed purposes, with the trade's codes."""
    rows = []
    for purpose in Purpose:
        if purpose:
            code, _, _ = describe_purpose(purpose).partition(" ")
            rows.append((f"{code if code.isdigit() else '  '} {purpose.name.lower()}", purpose_meaning(purpose)))
    return _table("Purposes, by the trade's code or by the name", rows)


def withdrawal_reasons() -> str:
    """Why an account can be withdrawn."""
    rows = [(reason.name.lower(), describe_withdrawal_reason(reason)) for reason in WithdrawalReason if reason]
    return _table("Reasons", rows)


def identity_types() -> str:
    """The documents that name a subject. The same code is another document for an organisation."""
    rows = []
    for document, named in groupby(DOCUMENTS.items(), key=lambda item: item[1]):
        keys = [key for key, _ in named]
        codes = " ".join(code for _, code in keys) if len(keys) < 3 else f"{keys[0][1]}…{keys[-1][1]}"
        country = {ANY_COUNTRY: "of any country", GLOBAL_COUNTRY: "of no country"}.get(document.country, document.country)
        rows.append((f"{keys[0][0]} {codes}", f"{document.name}, {country}"))
    return _table("Documents, by kind and type", rows)


def epilog(*tables: str) -> str:
    """Tables as click prints them, each as it stands."""
    return "\n\n".join(tables)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(value) for value, _ in rows)
    return "\n".join(["\b", f"{title}:", *(f"  {value:<{width}}  {meaning}" for value, meaning in rows)])
