"""A server's settings: a TOML file, each of whose keys an environment variable TALLYSTICK_<KEY> overrides."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tallystick.contract.quota_texts import parse_quota
from tallystick.credit.notices import NoticeRule
from tallystick.crypto import CryptoError, check_element
from tallystick.crypto.key_registration import MEMBER_ID
from tallystick.crypto.origins import is_origin
from tallystick.server.errors import Problem

ENVIRONMENT_PREFIX = "TALLYSTICK_"
CONFIG_VARIABLE = "TALLYSTICK_CONFIG"
DEFAULT_FILE = Path("tallystickd.toml")
EMBEDDED_SCHEME = "embedded:"
MAX_FILE_SIZE = 1 << 20

_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")


class ConfigurationProblem(Problem):
    """A setting is missing or wrong; the text names it."""


def _check_origin(value: str) -> str:
    if not is_origin(value):
        raise ValueError('give a name such as exchange.example/log: 1 to 255 visible ASCII characters without "+"')
    return value


def _check_listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if not match or int(match["port"]) > 65535:
        raise ValueError("give HOST:PORT, such as 127.0.0.1:7443 or [::1]:7443")
    return value


def _check_database(value: str) -> str:
    if value.startswith(EMBEDDED_SCHEME) and len(value) > len(EMBEDDED_SCHEME):
        return value
    if value.startswith("postgresql://"):
        return value
    raise ValueError("give embedded:FOLDER or postgresql://USER:PASSWORD@HOST/NAME")


def _check_member_id(value: str) -> str:
    if not MEMBER_ID.fullmatch(value):
        raise ValueError('give 3 to 32 of a-z, 0-9 and "-", beginning with a letter')
    return value


def _check_public_key(value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("give the token authority's public key as 64 lower-case hexadecimal characters")
    try:
        if value:
            check_element(bytes.fromhex(value))
    except CryptoError:
        raise ValueError("is not the token key: copy token_public_key from tallystickd public at the authority") from None
    return value


def _check_quotas(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        parse_quota(each)
    return value


Listen = Annotated[str, AfterValidator(_check_listen)]


class Settings(BaseSettings):
    """What one server runs with. Relative paths are taken from the folder of the file."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    role: Literal["exchange", "token-authority"]
    origin: Annotated[str, AfterValidator(_check_origin)]
    """The log's name for good: it is in every signature, receipt and checkpoint."""
    listen: Listen = "127.0.0.1:7443"
    database: Annotated[str, AfterValidator(_check_database)]
    key_folder: Path
    tls_certificate: Path
    tls_key: Path
    tls_client_ca: Path
    """Who signs the members' client certificates."""
    token_public_key: Annotated[str, AfterValidator(_check_public_key)] = ""
    """The token authority's key, under which an exchange accepts tokens; empty at the authority itself."""
    token_sequence: int = Field(default=1, ge=1, le=2**32 - 1)
    operator: Annotated[str, AfterValidator(_check_member_id)] = "operator"
    """The member_id under which the operator's own acts are logged."""
    system_member: Annotated[str, AfterValidator(_check_member_id)] = "exchange"
    """The member_id under which an exchange's own acts are logged: the sweep of the watches."""
    operator_key: Path | None = None
    """The key that signs them, when it is not operator.key of the key folder: each of several operators has one."""
    workers: int = Field(default=1, ge=1, le=256)
    queue_size: int = Field(default=4096, ge=1, le=1_000_000)
    """Requests one worker lets wait; past it a caller is told to retry later."""
    batch_size: int = Field(default=256, ge=1, le=10_000)
    """Most requests in one transaction."""
    linger_ms: float = Field(default=2.0, ge=0, le=100)
    """Longest time, in milliseconds, that a request waits for others to share its commit with."""
    metrics_listen: Literal[""] | Listen = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    evidence_months: int = Field(default=60, ge=1, le=1200)
    """How many whole months sealed requests are kept beside the running one."""
    request_days: int = Field(default=7, ge=1, le=3650)
    """How long a retry of a query is recognised by its request_id."""
    submission_days: int = Field(default=400, ge=1, le=3650)
    """The same for submitted reports, which can also be listed that long."""
    quotas: Annotated[tuple[str, ...], AfterValidator(_check_quotas)] = (
        "calls=120000/minute",
        "bytes=2147483648/minute",
        "kept-bytes=68719476736/day",
    )
    """What each member may send unless it has quotas of its own: far more than a bank does."""
    reciprocity_days: int = Field(default=0, ge=0, le=3650)
    """Within how many days a member must have reported in order to query; 0 asks for nothing."""
    require_notice: NoticeRule = NoticeRule.WARN
    """What becomes of the report that first makes a person's account bad and does not say when the person was told."""
    withdrawn_days: int = Field(default=400, ge=1, le=3650)
    """How long a withdrawn account is remembered, so that an older report that comes late does not bring it back."""
    servicing_months: int = Field(default=60, ge=1, le=1200)
    """How many months a servicing event is kept after it was recorded."""
    alert_release_minutes: int = Field(default=60, ge=0, le=1440)
    """How long the windows are at whose end alerts are released, all of a window in no order of their causes; 0 for trying out."""
    sweep_minutes: int = Field(default=10, ge=1, le=1440)
    """How often the watches are swept for what no single report brings about."""
    grace_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long a worker may take to finish what it has begun when it is asked to stop."""

    _file: Path | None = PrivateAttr(default=None)
    _from_file: frozenset[str] = PrivateAttr(default=frozenset())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first: what is passed to the constructor comes from the file (see load)."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _check_role(self) -> Self:
        if self.role == "exchange" and not self.token_public_key:
            raise ValueError("token_public_key: an exchange needs the token authority's public key (64 hexadecimal characters)")
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> Settings:
        """Reads the file at `path`, else the one TALLYSTICK_CONFIG names, else ./tallystickd.toml if it is there.

        Raises ConfigurationProblem, naming the file, the key and what to do.
        """
        file = path or _file_of_environment()
        values = _read_file(file) if file is not None else {}
        if file is None and not any(_from_environment(name) for name in cls.model_fields):
            raise ConfigurationProblem(f"there is no ./{DEFAULT_FILE}: give --config, or set {CONFIG_VARIABLE}")
        settings = cls.check(values, file)
        folder = file.resolve().parent if file is not None else Path.cwd()
        settings = settings.model_copy(update=_absolute(settings, folder))
        settings._file = file
        settings._from_file = frozenset(values)
        return settings

    @classmethod
    def check(cls, values: Mapping[str, Any], file: Path | None = None) -> Settings:
        """The settings that a file with these values gives, with paths as they are there; raises ConfigurationProblem."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigurationProblem(_one_line(cls, error, file)) from None

    @property
    def file(self) -> Path | None:
        """The file that these settings were read from."""
        return self._file

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port; an IPv6 host without its brackets."""
        return split_address(self.listen)

    @property
    def embedded_folder(self) -> Path | None:
        """The data folder of the embedded PostgreSQL, or None when the database is another one."""
        if not self.database.startswith(EMBEDDED_SCHEME):
            return None
        return Path(self.database.removeprefix(EMBEDDED_SCHEME))

    def shown(self) -> dict[str, tuple[Any, str]]:
        """Every setting with its value, fit to be shown, and where the value comes from."""
        shown: dict[str, tuple[Any, str]] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "database":
                value = mask_password(value)
            shown[name] = (str(value) if isinstance(value, Path) else value, self._source(name))
        return shown

    def _source(self, name: str) -> str:
        if _from_environment(name):
            return f"environment {ENVIRONMENT_PREFIX}{name.upper()}"
        return str(self._file) if name in self._from_file else "default"


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT", as Settings.listen is checked to be."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def mask_password(url: str) -> str:
    """A database URL fit to be shown: the password, wherever libpq allows it, replaced by ***."""
    if url.startswith(EMBEDDED_SCHEME):
        return url
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, password = userinfo.partition(":")
    netloc = f"{user}{colon}{'***' if password else ''}{at}{host}"
    query = [(key, "***" if "password" in key.lower() else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query, safe="*/"), parts.fragment))


def _from_environment(name: str) -> bool:
    variable = ENVIRONMENT_PREFIX + name.upper()
    return any(key.upper() == variable and value for key, value in os.environ.items())


def _file_of_environment() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_SIZE:
            raise ConfigurationProblem(f"{path}: larger than 1 MiB; name a tallystickd.toml")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationProblem(f"{path} does not exist: run tallystickd init, or give --config") from None
    except OSError as error:
        raise ConfigurationProblem(f"{path}: {error.strerror}; run this as the server's user, or give another --config") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise ConfigurationProblem(f"{path}: not TOML: {error}") from None


def _absolute(settings: Settings, folder: Path) -> dict[str, Any]:
    update: dict[str, Any] = {
        name: folder / getattr(settings, name) for name in ("key_folder", "tls_certificate", "tls_key", "tls_client_ca")
    }
    if settings.operator_key is not None:
        update["operator_key"] = folder / settings.operator_key
    if settings.embedded_folder is not None:
        update["database"] = f"{EMBEDDED_SCHEME}{folder / settings.embedded_folder}"
    return update


def _one_line(settings: type[Settings], error: ValidationError, file: Path | None) -> str:
    """The first setting that is wrong, and how many more are."""
    wrong: dict[str, ErrorDetails] = {}
    for each in error.errors(include_url=False, include_input=False):
        key = str(each["loc"][0]) if each["loc"] else ""
        # Of a setting that may be several things the last one says most: the others are that it is not empty.
        wrong[key] = each
    key, first = next(iter(wrong.items()))
    where = f"{file}: " if file is not None else "settings: "
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return where + (f"{key}: " if key else "") + _advice(settings, key, first) + more


def _advice(settings: type[Settings], key: str, error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f"is missing: set it in the file or as {ENVIRONMENT_PREFIX}{key.upper()}"
    if kind == "extra_forbidden":
        return "is not a setting: remove it or correct its name"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if kind == "literal_error":
        return f"give {context['expected']}"
    field = settings.model_fields.get(key)
    if field is not None and field.annotation in (int, float):
        whole = "whole " if field.annotation is int else ""
        return f"give a {whole}number from {_bound(field, 'ge')} to {_bound(field, 'le')}"
    if kind in ("string_type", "path_type"):
        return "give text in quotation marks"
    return "cannot be used: docs/operations.md says what it may be"


def _bound(field: FieldInfo, name: str) -> int | float:
    """The smallest or largest value of a number; every number in here has both."""
    return next(cast("int | float", getattr(constraint, name)) for constraint in field.metadata if hasattr(constraint, name))
