"""Whether an account is open or owed."""

import sqlalchemy as sa
from alembic import op

from tallystick.v1.account_pb2 import Account

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STEP = 1000
"""Accounts that are read at once."""

# As the rule was at this revision, by account type: settled, closed, ended, transferred out.
_ENDED = {1: {3, 5}, 2: {3}, 3: {4}, 4: {4}, 5: {3}, 6: {2}, 7: {3}}


def upgrade() -> None:
    """Adds the column, and judges every account by its record."""
    comment = "whether it is open or owed: its member may go on asking about the subject"
    op.add_column("account", sa.Column("live", sa.Boolean, nullable=False, server_default=sa.false(), comment=comment))
    connection = op.get_bind()
    page = sa.text(
        "SELECT subject, member, account_reference, record FROM account"
        " WHERE (subject, member, account_reference) > (:subject, :member, :account_reference)"
        " ORDER BY subject, member, account_reference LIMIT :step"
    )
    update = sa.text(
        "UPDATE account SET live = true WHERE subject = :subject AND member = :member AND account_reference = :account_reference"
    )
    last: dict[str, object] = {"subject": b"", "member": 0, "account_reference": b""}
    while rows := connection.execute(page, last | {"step": _STEP}).all():
        keys = [{"subject": bytes(row[0]), "member": row[1], "account_reference": bytes(row[2])} for row in rows]
        if living := [key for key, row in zip(keys, rows, strict=True) if _is_living(row[3])]:
            connection.execute(update, living)
        last = dict(keys[-1])
    op.alter_column("account", "live", server_default=None)


def downgrade() -> None:
    """Drops it."""
    op.drop_column("account", "live")


def _is_living(record: bytes | None) -> bool:
    if record is None:
        return False
    account = Account.FromString(bytes(record))
    ended = account.closed_date != 0 or account.status in _ENDED.get(account.account_type, set())
    return not ended or account.balance > 0 or account.HasField("running_overdue")
