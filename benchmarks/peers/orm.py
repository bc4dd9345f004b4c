"""The peer's tables, filled with the same subjects as the exchange."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from benchmarks.peers import fastapi_orm as peer
from benchmarks.traffic.requests import month_numbers
from sqlalchemy import insert


def fill(url: str, subjects: Sequence[bytes], accounts_each: int, months: int) -> None:
    """Creates the tables and writes `accounts_each` accounts of `months` months for each subject."""
    sessions = peer.make_sessions(url)
    dates = [datetime.strptime(str(number), "%Y%m%d").date() for number in month_numbers(months)]  # noqa: DTZ007 - a date
    accounts: list[dict[str, object]] = []
    account_months: list[dict[str, object]] = []
    for subject in subjects:
        for _ in range(accounts_each):
            number = len(accounts) + 1
            accounts.append(_account(number, subject))
            account_months.extend(_month(number, month) for month in dates)
    with sessions() as session:
        peer.Base.metadata.create_all(session.get_bind())
        session.execute(insert(peer.Account), accounts)
        session.execute(insert(peer.AccountMonth), account_months)
        session.commit()
        session.connection().exec_driver_sql("ANALYZE")
        session.commit()


def _account(number: int, subject: bytes) -> dict[str, object]:
    return {
        "id": number,
        "subject": subject,
        "institution": "bank-a",
        "account_type": 3,
        "status": 1,
        "currency": "CNY",
        "balance": 123_400,
        "opened_date": date(2015, 1, 5),
    }


def _month(number: int, month: date) -> dict[str, object]:
    return {"account_id": number, "month": month, "disposition": 10, "billed_amount": 100_000, "paid_amount": 100_000}
