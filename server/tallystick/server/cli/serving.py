"""`tallystickd migrate` and `tallystickd serve`."""

from __future__ import annotations

import asyncio

import click

from tallystick.server.cli.session import require_head, takes_settings
from tallystick.server.errors import Problem
from tallystick.server.installation.certificates import check_pair, load_certificate
from tallystick.server.installation.database import database_url
from tallystick.server.installation.embedded import SYSTEM_USER, folders_to_open
from tallystick.server.installation.identity import check_identity, record_identity
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.services.rating.checking import installed_cards
from tallystick.server.storage import migration
from tallystick.server.storage.serving_role import check_one_database, grant_to_server


def _owner_database(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and not text.startswith("postgresql://"):
        raise click.BadParameter("give postgresql://ROLE@HOST/NAME; the password is better in PGPASSFILE")
    return text


@click.command()
@takes_settings
@click.option("--to", "revision", default="head", show_default=True, help="The revision to bring the schema to.")
@click.option(
    "--database",
    "owner",
    callback=_owner_database,
    help="The same database, as the role that owns the schema: a postgresql:// URL. The role of the setting then only serves.",
)
def migrate(settings: Settings, *, revision: str, owner: str | None) -> None:
    """Brings the database's schema to this program's, and admits the operator when nobody is admitted yet.

    With --database the role that serves is given what serving takes, and nothing else: it can then neither change the schema nor
    what is in the log.
    """
    if owner is not None and settings.embedded_folder is not None:
        raise Problem("--database: the embedded PostgreSQL has one role; set database to another PostgreSQL to have two")
    bring_to_head(settings, revision, owner)


def bring_to_head(settings: Settings, revision: str = "head", owner: str | None = None) -> None:
    """Migrates, and begins the registry and the log with the operator's own admission. Safe to run again.

    `owner` is the way into the database as the role that owns the schema, when it is not the one that serves.
    """
    from tallystick.server.administration import bootstrap

    keys = KeyFolder(settings.key_folder).load()
    _tell_folders_to_open(settings)
    with database_url(settings, create=True) as url:
        owning = owner or url
        if owner is not None:
            check_one_database(owner, url)
        before = migration.current(owning)
        if before is not None:
            # Another server's database is left as it is.
            record_identity(owning, settings, keys)
        migration.upgrade(owning, revision)
        record_identity(owning, settings, keys)
        now = migration.current(owning)
        click.echo(f"schema is at revision {now}" + ("" if now == before else f" (was {before or 'none'})"))
        if now != migration.head():
            return
        if owner is not None:
            _tell_role(grant_to_server(owner, url))
        # The log is written by who serves, from its first entry on.
        if asyncio.run(bootstrap(settings, keys, url)):
            click.echo(f"admitted {settings.operator} as operator: the log's first entries")


def _tell_role(role: str | None) -> None:
    if role is None:
        raise Problem("--database connects as the role that serves: let it be the one that owns the schema, and another serve")
    click.echo(f"{role} may serve: append to the log, and not change it")


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
        installed_cards(url)
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
