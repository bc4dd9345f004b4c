"""`tallystickd migrate` and `tallystickd serve`."""

from __future__ import annotations

import asyncio

import click

from tallystick.server.cli.session import require_head, takes_settings
from tallystick.server.installation.certificates import check_pair, load_certificate
from tallystick.server.installation.database import database_url
from tallystick.server.installation.embedded import SYSTEM_USER, folders_to_open
from tallystick.server.installation.identity import check_identity, record_identity
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.storage import migration


@click.command()
@takes_settings
@click.option("--to", "revision", default="head", show_default=True, help="The revision to bring the schema to.")
def migrate(settings: Settings, *, revision: str) -> None:
    """Brings the database's schema to this program's, and admits the operator when nobody is admitted yet."""
    bring_to_head(settings, revision)


def bring_to_head(settings: Settings, revision: str = "head") -> None:
    """Migrates, and begins the registry and the log with the operator's own admission. Safe to run again."""
    from tallystick.server.administration import bootstrap

    keys = KeyFolder(settings.key_folder).load()
    _tell_folders_to_open(settings)
    with database_url(settings, create=True) as url:
        before = migration.current(url)
        if before is not None:
            # Another server's database is left as it is.
            record_identity(url, settings, keys)
        migration.upgrade(url, revision)
        record_identity(url, settings, keys)
        now = migration.current(url)
        click.echo(f"schema is at revision {now}" + ("" if now == before else f" (was {before or 'none'})"))
        if now == migration.head() and asyncio.run(bootstrap(settings, keys, url)):
            click.echo(f"admitted {settings.operator} as operator: the log's first entries")


@click.command()
@takes_settings
@click.option("--workers", type=click.IntRange(1, 256), help="How many processes serve.  [default: the setting]")
def serve(settings: Settings, *, workers: int | None) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what is begun. A second signal does not wait."""
    from tallystick.server.process.server import serve as serve_until_stopped

    # Judged here, once and in a line each: the workers would all stumble over it.
    keys = KeyFolder(settings.key_folder).load()
    check_pair(settings.tls_certificate, settings.tls_key)
    load_certificate(settings.tls_client_ca)
    count = workers or settings.workers
    with database_url(settings) as url:
        require_head(url)
        check_identity(url, settings, keys)
        serve_until_stopped(settings, url, count, serving=lambda address: _tell(address, count))


def _tell_folders_to_open(settings: Settings) -> None:
    if settings.embedded_folder is None:
        return
    closed = folders_to_open(settings.embedded_folder)
    if closed:
        click.echo(
            f"tallystickd: as root, the embedded PostgreSQL runs as the system user {SYSTEM_USER} (made if need be), for whom every"
            f" user is let through these folders (chmod go+x): {', '.join(map(str, closed))}",
            err=True,
        )


def _tell(address: str, count: int) -> None:
    click.echo(f"serving on {address}, {count} worker{'s' if count != 1 else ''}")
