"""The examination of a running server's database, as `tallystickd doctor --log` does it."""

from __future__ import annotations

import psycopg2
from tests.contract.system import Running

from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examination import examine_log
from tallystick.server.services.capability import Foundation


def examine(server: Running, database: str | None = None) -> Anomalies:
    """Everything that it finds; in a copy of the server's database, where one is given."""
    installation = server.installation
    url = database or installation.database
    connection = psycopg2.connect(url)
    try:
        return examine_log(connection, Foundation.of(installation.settings, installation.keys, url))
    finally:
        connection.close()
