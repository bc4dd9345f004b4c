"""`tallystickd doctor --log`: the whole log examined, and what to do about each row that is not what the log gives."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg2 import extensions

from tallystick.server.examination.anomalies import Anomalies, Anomaly
from tallystick.server.examination.examination import Progress, examine_log
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.services.capability import Foundation

_RESTORE = "stop the server, tell the auditors, and restore from a backup"
_ADVICE = {
    "log_tile": "stop the server, tell the auditors, and delete it with all tiles after it or above: serve writes them",
    "replay_horizon": "set it to the minute of the oldest nonce, less one",
    "nonce": "find out who can write to the database",
    "token_meter": "set it to what the log says, and find out who can write to the database",
}


def walk(settings: Settings, url: str, connection: extensions.connection, progress: Progress) -> Anomalies:
    """Examines the log of a server whose database has the schema and the identity of its settings. Raises Problem."""
    return examine_log(connection, Foundation.of(settings, KeyFolder(settings.key_folder).load(), url), progress)


def advised(anomaly: Anomaly) -> str:
    """What was found, and what to do."""
    return f"{anomaly.row}: {anomaly.text}; {_ADVICE.get(anomaly.table, _RESTORE)}"


def summary(anomalies: Anomalies) -> str:
    """How much was found, and what nobody can tell."""
    return "; ".join(_parts(anomalies))


def _parts(anomalies: Anomalies) -> Iterator[str]:
    if anomalies.counts:
        counted = ", ".join(f"{table} {count}" for table, count in sorted(anomalies.counts.items()))
        yield f"{anomalies.counts.total()} rows are not what the log gives ({counted}), {len(anomalies.found)} of them listed"
        yield "keep database and key folder as they are, to find out who did it"
    else:
        yield "every row examined, and nothing found that the log does not give"
    for what, count in sorted(anomalies.untold.items()):
        yield f"cannot be told: {count} {what}"
