"""The examination of a running server's database, as `tallystickd doctor --log` does it."""

from __future__ import annotations

import psycopg2
from tests.contract.system import Running

from tallystick.server.examination.anomalies import Anomalies
from tallystick.server.examination.examination import examine_log
from tallystick.server.services.capability import Foundation


def examine(server: Running) -> Anomalies:
    """Everything that it finds."""
    installation = server.installation
    connection = psycopg2.connect(installation.database)
    try:
        return examine_log(connection, Foundation.of(installation.settings, installation.keys, installation.database))
    finally:
        connection.close()
