"""One server as it runs: the workers, their metrics, and the upkeep beside them."""

from __future__ import annotations

from collections.abc import Callable

from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.process.reports import UpkeepReport, WorkerReport
from tallystick.server.process.supervisor import Supervisor, WorkerPlan
from tallystick.server.process.sweeper import sweep_step
from tallystick.server.process.upkeep import Upkeep
from tallystick.server.roles import Foundation, upkeep_steps
from tallystick.server.storage.census import CensusTaker
from tallystick.server.storage.upkeep import SWEEP_LOCK, Step
from tallystick.server.telemetry.installation import Installation
from tallystick.server.telemetry.logging import configure_events
from tallystick.server.telemetry.metrics_port import serve_metrics

CENSUS_SECONDS = 60.0
"""Time between two looks at the sizes of the tables."""


def serve(settings: Settings, url: str, workers: int, *, serving: Callable[[str], None]) -> None:
    """Serves with `workers` processes until SIGTERM or SIGINT; calls `serving` with the address once all of them serve.

    `url` is the database's, at the newest revision and checked to be this server's. Raises Problem when the server does
    not come up.
    """
    configure_events(settings.log_level)
    keys = KeyFolder(settings.key_folder).load()
    if settings.role == "token-authority":
        keys.require_token_key()
    census = CensusTaker()
    count_tables = Step("census", CENSUS_SECONDS, census.count, alone=False)
    upkeep = Upkeep(url, [*upkeep_steps(Foundation.of(settings, keys, url)), count_tables])
    sweeping = Upkeep(url, [sweep_step(settings, keys, url)] if settings.role == "exchange" else [], name="sweep", lock=SWEEP_LOCK)
    with serve_metrics(settings.metrics_listen) as exposition:
        host, port = settings.listen_address
        plan = WorkerPlan(
            count=workers,
            host=host,
            port=port,
            environment={"TALLYSTICK_DATABASE": url, **exposition.environment},
            config=settings.file,
            grace_seconds=settings.grace_seconds,
        )
        supervisor = Supervisor(plan, on_worker_end=exposition.worker_ended)
        exposition.add(Installation(settings))
        exposition.add(WorkerReport(supervisor, count=workers, queue_size=settings.queue_size))
        exposition.add(UpkeepReport(upkeep, census, sweeping))

        def begin(address: str) -> None:
            upkeep.start()
            if sweeping.steps:
                sweeping.start()
            serving(address)

        try:
            supervisor.run(begin)
        finally:
            sweeping.stop()
            upkeep.stop()
