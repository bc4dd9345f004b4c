"""The profile folder, and the public names of the package."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tallystick.client import Exchange, Identity, InputInvalid, Inquiry, NotUsable, Profile, ProfileError, Purpose, Server
from tallystick.client.profile import profile


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_profile_is_found_by_name_or_by_environment(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Profile.load(system.folder).signer.member_id == "bank-a"
    monkeypatch.setenv("TALLYSTICK_PROFILE", str(system.folder))
    with Exchange.from_profile() as exchange:
        assert exchange.profile.folder == system.folder
    monkeypatch.delenv("TALLYSTICK_PROFILE")
    with pytest.raises(ProfileError, match="TALLYSTICK_PROFILE"):
        Profile.load()
    with pytest.raises(ProfileError, match="no folder"):
        Profile.load(system.folder / "nowhere")


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("member.toml", 'member_id = "bank-a"', "", "member_id: missing"),
        ("member.toml", 'member_id = "bank-a"', "member_id = 7", "member_id: missing, or not a text"),
        ("member.toml", "member_id", "=", "not TOML"),
        ("member.toml", "member_id", f"number = {'9' * 5000}\nmember_id", "not TOML"),
        ("member.toml", "member_id", f"deep = {'[' * 5000}\nmember_id", "not TOML"),
        ("member.toml", '"signing.key"', '"other.key"', "signing_key: .*other.key is missing"),
        ("member.toml", '"signing.key"', '"exchange-ca.crt"', "signing_key: .*exchange-ca.crt: others may read"),
        ("member.toml", '"signing.key"', '"account.secret"', "signing_key: .*not an unencrypted private key"),
        ("account.secret", "5a", "5", "account_secret: .*64 hexadecimal"),
        ("exchange.toml", 'address = "in-memory.invalid:1"', 'address = "localhost"', "address: must be host:port"),
        ("exchange.toml", 'address = "in-memory.invalid:1"', 'address = "localhost:99999"', "address: must be host:port"),
        ("exchange.toml", 'receipt_key = "', 'receipt_key = "00', "receipt_key: must be 64 hexadecimal"),
        ("exchange.toml", 'checkpoint_key = "', 'checkpoint_key = "zz', "checkpoint_key: must be 64 hexadecimal"),
        ("exchange.toml", '"exchange-ca.crt"', '"member.toml"', "ca: .*not certificates"),
        ("token-authority.toml", "token_sequence = 1", "token_sequence = 0", "token_sequence: missing, or not a whole number"),
        ("token-authority.toml", "token_sequence = 1", "token_sequence = true", "token_sequence"),
        ("token-authority.toml", 'token_public_key = "', 'token_public_key = "ff', "token_public_key: must be"),
    ],
)
def test_an_error_names_the_file_and_the_key(system: Any, file: str, old: str, new: str, says: str) -> None:
    edit(system.folder / file, old, new)
    with pytest.raises(ProfileError, match=says) as caught:
        Profile.load(system.folder)
    assert file in str(caught.value) or file == "account.secret"
    assert "\n" not in str(caught.value)
    assert "5a5a" not in str(caught.value)


@pytest.mark.parametrize("file", ["signing.key", "account.secret", "exchange-client.key"])
def test_a_secret_that_others_may_read_is_refused(system: Any, file: str) -> None:
    (system.folder / file).chmod(0o640)
    with pytest.raises(ProfileError, match=f"chmod 600 .*{file}"):
        Profile.load(system.folder)


def test_a_certificate_of_another_key_or_member_is_found_before_anything_is_sent(system: Any) -> None:
    other = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own = (system.folder / "exchange-client.key").read_bytes()
    (system.folder / "exchange-client.key").write_bytes(other)
    with pytest.raises(ProfileError, match=r"exchange\.toml: certificate: is not the certificate of the private key"):
        Profile.load(system.folder)
    (system.folder / "exchange-client.key").write_bytes(own)
    edit(system.folder / "member.toml", '"bank-a"', '"bank-b"')
    with pytest.raises(ProfileError, match=r"certificate: names bank-a, and member\.toml bank-b"):
        Profile.load(system.folder)


def test_what_is_no_identity_is_an_input_error(system: Any) -> None:
    with system.open() as exchange:
        with pytest.raises(InputInvalid, match="give an Identity"):
            exchange.query("C01X00T47", Purpose.LOAN_APPROVAL, "c")
        with pytest.raises(InputInvalid, match="number: give a text"):
            exchange.query(Identity.passport("DE", 17), Purpose.LOAN_APPROVAL, "c")  # type: ignore[arg-type]  # the point
    assert system.exchange.log.entries == []


async def test_after_its_end_an_exchange_sends_nothing(system: Any) -> None:
    with system.open() as exchange:
        pass
    with pytest.raises(NotUsable, match="closed"):
        exchange.checkpoint()
    with pytest.raises(NotUsable, match="closed"):
        list(exchange.query_many([Inquiry(Identity.passport("DE", "C01X00T47"), Purpose.LOAN_APPROVAL, "c")]))
    async with system.open_async() as waiting:
        pass
    with pytest.raises(NotUsable, match="closed"):
        await waiting.checkpoint()


def test_an_auditor_needs_no_token_authority_and_is_told_when_it_does(system: Any) -> None:
    (system.folder / "token-authority.toml").unlink()
    edit(system.folder / "member.toml", 'account_secret = "account.secret"', "")
    with system.open() as exchange:
        assert exchange.audit_verify().verified
        with pytest.raises(ProfileError, match=r"token-authority\.toml"):
            exchange.query(Identity.passport("DE", "C01X00T47"), Purpose.LOAN_APPROVAL, "c")
        with pytest.raises(ProfileError, match=r"token-authority\.toml"):
            exchange.checkpoint(server=Server.TOKEN_AUTHORITY)


def test_secrets_are_not_in_the_profiles_text(system: Any) -> None:
    shown = repr(Profile.load(system.folder))
    assert "PRIVATE" not in shown
    assert "ZZZZ" not in shown, "the account secret's bytes"


@pytest.mark.parametrize(("days", "says"), [(2, r"certificate: expired on \d{4}-"), (-2, "certificate: is valid from .* clock")])
def test_a_certificate_that_is_not_valid_now_is_named_before_anything_is_sent(
    system: Any, monkeypatch: pytest.MonkeyPatch, days: int, says: str
) -> None:
    class Then(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Then:
            moved = dt.datetime.now(tz) + dt.timedelta(days=days)
            return cls.fromtimestamp(moved.timestamp(), tz)

    monkeypatch.setattr(profile, "datetime", Then)
    with pytest.raises(ProfileError, match=says):
        Profile.load(system.folder)


def test_a_byte_order_mark_is_no_part_of_a_profile(system: Any) -> None:
    for name in ("member.toml", "exchange.toml", "token-authority.toml"):
        file = system.folder / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert Profile.load(system.folder).signer.member_id == "bank-a"


@pytest.mark.parametrize("name", ["member.toml", "exchange.toml", "token-authority.toml"])
def test_a_key_that_a_file_does_not_have_is_named(system: Any, name: str) -> None:
    file = system.folder / name
    file.write_text(file.read_text() + 'acount_secret = "x"\n')
    with pytest.raises(ProfileError, match=rf"{name}: acount_secret: is no key of this file; its keys are \w+"):
        Profile.load(system.folder)


def test_the_folder_above_profiles_is_told_from_one(system: Any) -> None:
    with pytest.raises(ProfileError, match=rf"is no profile, and has some in it: .*{system.folder.name}"):
        Profile.load(system.folder.parent)


@pytest.mark.parametrize("address", ["https://exchange.example:7443", "exchange.example:7443/", "exchange.example: 7443"])
def test_an_address_is_host_and_port_alone(system: Any, address: str) -> None:
    file = system.folder / "exchange.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("address")]
    file.write_text("\n".join([f'address = "{address}"', *lines]))
    with pytest.raises(ProfileError, match="must be host:port"):
        Profile.load(system.folder)
