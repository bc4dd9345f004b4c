"""Which report set each month of an account: as runs of months.

There is nothing to rewrite: rows as they were written before are read as they are, and written anew when their account is next
reported. The revision is there because a server of an earlier release would read a row with runs as if no report had set its
months: it must not serve such a database, and at another revision than its own it does not.
"""

from itertools import accumulate

import sqlalchemy as sa
from alembic import op

from tallystick.v1.storage_pb2 import AccountVersions, MonthVersion

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STEP = 1000
"""Accounts that are read at once."""


def upgrade() -> None:
    """Nothing: see above."""


def downgrade() -> None:
    """Writes every row with runs as it was written before."""
    connection = op.get_bind()
    page = sa.text(
        "SELECT subject, member, account_reference, versions FROM account"
        " WHERE (subject, member, account_reference) > (:subject, :member, :account_reference)"
        " ORDER BY subject, member, account_reference LIMIT :step"
    )
    update = sa.text(
        "UPDATE account SET versions = :versions"
        " WHERE subject = :subject AND member = :member AND account_reference = :account_reference"
    )
    last: dict[str, object] = {"subject": b"", "member": 0, "account_reference": b""}
    while rows := connection.execute(page, last | {"step": _STEP}).all():
        keys = [{"subject": bytes(row[0]), "member": row[1], "account_reference": bytes(row[2])} for row in rows]
        stored = [(key, AccountVersions.FromString(bytes(row[3]))) for key, row in zip(keys, rows, strict=True)]
        changed = [key | {"versions": _by_month(versions)} for key, versions in stored if versions.run_months]
        if changed:
            connection.execute(update, changed)
        last = dict(keys[-1])


def _by_month(versions: AccountVersions) -> bytes:
    """With a version for each month in place of runs."""
    lateness = versions.state_arrival - versions.state_as_of * 1_000_000
    as_ofs = list(accumulate(versions.run_as_of_deltas, initial=versions.state_as_of))[1:]
    latenesses = list(accumulate(versions.run_lateness_deltas, initial=lateness))[1:]
    for count, as_of, late in zip(versions.run_months, as_ofs, latenesses, strict=True):
        versions.months.extend([MonthVersion(as_of=as_of, arrival=as_of * 1_000_000 + late)] * count)
    for field in ("run_months", "run_as_of_deltas", "run_lateness_deltas"):
        versions.ClearField(field)
    return versions.SerializeToString(deterministic=True)
