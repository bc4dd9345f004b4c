"""What most subcommands need: the settings, the keys, and a database in which administration is logged."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from google.protobuf.message import Message

from tallystick.crypto import keyid
from tallystick.crypto.ed25519 import raw_public_key
from tallystick.server.errors import Problem
from tallystick.server.installation.database import DatabaseProblem, connect, database_url
from tallystick.server.installation.identity import check_identity
from tallystick.server.installation.key_folder import KeyFolder, ServerKeys, read_operator_key
from tallystick.server.installation.settings import Settings
from tallystick.server.storage import migration
from tallystick.v1 import membership_service_pb2 as pb

SERVICE = "/tallystick.v1.MembershipService/"
PAGE_SIZE = 1000

CONFIG_PATH = click.Path(path_type=Path, readable=False)
"""Of the option --config. A file that is missing or not readable is a problem of configuration, and told by it."""

Response = TypeVar("Response", bound=Message)
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Session:
    """An operator at work: everything it does is signed with the operator's key and logged."""

    settings: Settings
    keys: ServerKeys = field(repr=False)
    url: str = field(repr=False)

    def administer(self, method: str, message: Message, response_type: type[Response], *, service: str = SERVICE) -> Response:
        """Carries a request out, of MembershipService unless another is named; raises Refusal."""
        from tallystick.server.administration import administer

        return asyncio.run(administer(self.settings, self.keys, self.url, service + method, message, response_type))

    def members(self) -> Iterator[pb.Member]:
        """Every member with its keys, by member_id."""
        token = ""
        while True:
            request = pb.ListMembersRequest(page_size=PAGE_SIZE, page_token=token)
            page = self.administer("ListMembers", request, pb.ListMembersResponse)
            yield from page.members
            token = page.next_page_token
            if not token:
                return

    def member(self, member_id: str) -> pb.Member:
        """The member of that identifier; raises Problem when there is none."""
        for member in self.members():
            if member.member_id == member_id:
                return member
        raise Problem(f"there is no member {member_id}: see tallystickd member list")


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """A session on the server's database, which must be at the newest revision."""
    keys = load_keys(settings)
    with database_url(settings) as url:
        require_head(url)
        check_identity(url, settings, keys)
        _require_own_key(url, settings, keys)
        yield Session(settings, keys, url)


def _require_own_key(url: str, settings: Settings, keys: ServerKeys) -> None:
    """Raises Problem when the key that signs is another member's than the settings name: acts are logged under whose key it is, and
    nobody acts under another's name without noticing. A key that nobody has is the server's to refuse."""
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT member_id FROM member_key AS key JOIN member ON member.id = key.member WHERE keyid = %s",
            (keyid(raw_public_key(keys.operator_key)),),
        )
        rows = cursor.fetchall()
    for (owner,) in rows:
        if owner != settings.operator:
            named = settings.operator_key or settings.key_folder / "operator.key"
            raise Problem(
                f"{named} is the key of {owner}, and the setting operator says {settings.operator}: set operator and operator_key"
                " (TALLYSTICK_OPERATOR, TALLYSTICK_OPERATOR_KEY) to one operator's"
            )


def load_keys(settings: Settings) -> ServerKeys:
    """The server's keys, with the operator's own when the settings name another than the key folder's."""
    keys = KeyFolder(settings.key_folder).load()
    if settings.operator_key is None:
        return keys
    return replace(keys, operator_key=read_operator_key(settings.operator_key, ask_passphrase))


def ask_passphrase(path: Path) -> str:
    """Asks who sits at the terminal; raises Problem when nobody does."""
    if not sys.stdin.isatty():
        raise Problem(f"{path} is encrypted, and its passphrase is asked at a terminal alone: run the command at one")
    return str(click.prompt(f"passphrase of {path}", hide_input=True, err=True))


def require_head(url: str) -> None:
    """Raises DatabaseProblem when the schema is not the one that this program is written for."""
    found = migration.current(url)
    if found != migration.head():
        raise DatabaseProblem(
            f"the database's schema is at revision {found or 'none'}, not {migration.head()}: run tallystickd migrate"
            " (with --database for the owner, where the database has two roles)"
        )


def new_request_id() -> bytes:
    """A random request_id."""
    return secrets.token_bytes(16)


def takes_settings(command: Command) -> Command:
    """Gives a command the option --config and, as its first argument, the settings."""

    @click.option("--config", type=CONFIG_PATH, help="The configuration file.")
    @functools.wraps(command)
    def run(*arguments: Any, config: Path | None, **options: Any) -> Any:
        given = config or click.get_current_context().find_root().params.get("config")
        return command(Settings.load(given), *arguments, **options)

    return cast("Command", run)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line (JSON Lines).")


def print_json(value: Mapping[str, Any]) -> None:
    """Prints one object on one line, for programs to read; a list is one call for each of its objects."""
    text = json.dumps(value, ensure_ascii=False)
    # What a terminal obeys, or a reader takes for the end of a line, can only be inside of a string here.
    click.echo("".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text))
