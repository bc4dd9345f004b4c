"""The peer: a textbook FastAPI and SQLAlchemy ORM service that does the same look-up and writes one audit row.

It signs nothing, verifies nothing, keeps no log that anybody could check, and speaks plain HTTP. It is what a competent team would
write first: declarative models, a session for each request, pydantic answers, uvicorn with one process a core.

    PEER_DATABASE=postgresql://… uvicorn benchmarks.peers.fastapi_orm:app --workers 2
"""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import BigInteger, ForeignKey, LargeBinary, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, sessionmaker


class Base(DeclarativeBase):
    """The peer's own tables."""


class Account(Base):
    """One account of one subject."""

    __tablename__ = "peer_account"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    subject: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    institution: Mapped[str]
    account_type: Mapped[int]
    status: Mapped[int]
    currency: Mapped[str]
    balance: Mapped[int | None] = mapped_column(BigInteger)
    opened_date: Mapped[date]
    months: Mapped[list["AccountMonth"]] = relationship(order_by="AccountMonth.month.desc()")


class AccountMonth(Base):
    """One month of one account."""

    __tablename__ = "peer_account_month"
    account_id: Mapped[int] = mapped_column(ForeignKey("peer_account.id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    disposition: Mapped[int]
    billed_amount: Mapped[int | None] = mapped_column(BigInteger)
    paid_amount: Mapped[int | None] = mapped_column(BigInteger)


class AuditRow(Base):
    """Who asked about whom, and why."""

    __tablename__ = "peer_audit"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    time: Mapped[datetime]
    member: Mapped[str]
    subject: Mapped[bytes] = mapped_column(LargeBinary)
    purpose: Mapped[int]
    consent_reference: Mapped[str]


class Query(BaseModel):
    """A request."""

    member: str
    subject: str
    purpose: int
    consent_reference: str


class MonthAnswer(BaseModel):
    """A month, as answered."""

    model_config = ConfigDict(from_attributes=True)
    month: date
    disposition: int
    billed_amount: int | None
    paid_amount: int | None


class AccountAnswer(BaseModel):
    """An account, as answered."""

    model_config = ConfigDict(from_attributes=True)
    institution: str
    account_type: int
    status: int
    currency: str
    balance: int | None
    opened_date: date
    months: list[MonthAnswer]


def make_sessions(url: str) -> sessionmaker[Session]:
    """Sessions on a pool as large as the threads that FastAPI runs its endpoints in."""
    return sessionmaker(create_engine(url, pool_size=40, max_overflow=0), expire_on_commit=False)


sessions = make_sessions(os.environ.get("PEER_DATABASE", "postgresql+psycopg2://"))
app = FastAPI()


def session() -> Iterator[Session]:
    """A session for one request."""
    with sessions() as current:
        yield current


@app.post("/query")
def query(request: Query, current: Annotated[Session, Depends(session)]) -> list[AccountAnswer]:
    """The accounts of a subject, with an audit row written in the same transaction."""
    subject = bytes.fromhex(request.subject)
    accounts = current.scalars(select(Account).where(Account.subject == subject).options(selectinload(Account.months))).all()
    current.add(
        AuditRow(
            time=datetime.now(UTC).replace(tzinfo=None),
            member=request.member,
            subject=subject,
            purpose=request.purpose,
            consent_reference=request.consent_reference,
        )
    )
    answer = [AccountAnswer.model_validate(account) for account in accounts]
    current.commit()
    return answer
