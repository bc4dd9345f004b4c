"""What a server is made of: every method is served, and nothing that is stored about a subject is beyond erasure."""

from __future__ import annotations

from pathlib import Path

from tallystick.contract.methods import METHODS
from tallystick.server.installation.key_folder import KeyFolder
from tallystick.server.installation.settings import Settings
from tallystick.server.roles import ERASED_WITH_THE_LOG, Foundation, capabilities
from tallystick.server.services.capability import Capability
from tallystick.server.storage.tables import metadata


def both_servers(folder: Path) -> tuple[Capability, ...]:
    keys = KeyFolder(folder / "keys").create(token_sequence=1)
    paths = {name: str(folder) for name in ("key_folder", "tls_certificate", "tls_key", "tls_client_ca")}
    common = {"origin": "exchange.example/log", "database": "postgresql://", **paths}
    public_key = keys.require_token_key().public_key.hex()
    exchange = Settings.check({"role": "exchange", "token_public_key": public_key, **common})
    authority = Settings.check({"role": "token-authority", **common})
    return tuple(each for settings in (exchange, authority) for each in capabilities(Foundation.of(settings, keys, "")))


def test_every_method_of_the_contract_is_served(tmp_path: Path) -> None:
    parts = both_servers(tmp_path)
    signed = {operation.method for part in parts for operation in part.operations}
    public = {method.contract.path for part in parts for method in part.public_methods}
    assert signed == {path for path, method in METHODS.items() if not method.public}
    assert public == {path for path, method in METHODS.items() if method.public}


def test_every_table_about_subjects_has_an_eraser(tmp_path: Path) -> None:
    about_subjects = {name for name, table in metadata.tables.items() if "subject" in table.columns}
    erased = {eraser.table for part in both_servers(tmp_path) for eraser in part.erasers}
    assert erased | ERASED_WITH_THE_LOG == about_subjects
