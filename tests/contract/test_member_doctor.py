"""`tallystick doctor` at real servers: what it finds well, and what it finds of everything that is not."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from tests.contract import requests
from tests.contract.requests import UPDATE_MEMBER
from tests.contract.system import AUDITOR, INQUIRER, REPORTER, System

from tallystick.client import Exchange, Profile
from tallystick.client.cli.context import Tool
from tallystick.client.cli.doctor import Finding, State, examine
from tallystick.client.cli.program import run
from tallystick.contract.quota_texts import parse_quota
from tallystick.v1 import membership_service_pb2 as membership


def findings(folder: Path, **changed: Any) -> dict[str, Finding]:
    """What is not about quotas, by its check; of several findings of a check the last."""
    with Exchange(Profile.load(folder), **changed) as exchange:
        return {each.check: each for each in examine(exchange)}


def wrong(found: dict[str, Finding]) -> dict[str, str]:
    return {check: each.text for check, each in found.items() if each.state is not State.OK}


def folder_of(system: System, tmp_path: Path, member_id: str = "bank-a") -> Path:
    return Path(shutil.copytree(system[member_id].folder, tmp_path / member_id))


@pytest.mark.parametrize("member_id", ["bank-a", "lender-c", "auditor"])
def test_a_member_that_can_work_is_told_how_the_servers_see_it(system: System, member_id: str, capsys: Any) -> None:
    code = run(["doctor", "--json"], Tool(profile=system[member_id].folder))
    told = {each["check"]: each for each in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (code, {each["state"] for each in told.values()}) == (0, {"ok"})
    assert f"{member_id}, {member_id}, active" in told["exchange: membership"]["text"]
    assert "token_requester" in told["token authority: membership"]["text"]
    assert told["exchange: clock"]["text"] == told["token authority: clock"]["text"] == "agrees with this machine's"
    assert "since 20" in told["exchange: keys"]["text"]
    assert "days" in told["exchange: client certificate"]["text"]
    assert ("exchange: purposes" in told) == (member_id != "auditor")


def test_for_a_person_it_is_a_line_each_and_a_sum(system: System, capsys: Any) -> None:
    assert run(["doctor"], Tool(profile=system["bank-a"].folder)) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert total == f"0 wrong, 0 to be looked after, {len(lines)} well"
    assert all(line.startswith("ok  ") for line in lines)


def test_it_leaves_one_entry_at_each_server_and_nothing_else(system: System) -> None:
    member = system["bank-b"]
    sizes = [system.database_view(caller).size for caller in (member.exchange, member.authority)]
    before = sorted(path for path in member.folder.iterdir() if path.is_file())
    findings(member.folder)
    assert [system.database_view(caller).size for caller in (member.exchange, member.authority)] == [size + 1 for size in sizes]
    assert sorted(path for path in member.folder.iterdir() if path.is_file()) == before


@pytest.mark.parametrize(("days", "way"), [(21, "ahead of"), (-21, "behind")])
def test_a_clock_that_is_weeks_off_is_told_by_how_much(system: System, days: int, way: str) -> None:
    # Of such refusals one a minute is logged, and so has a receipt with the server's time: a member of its own is refused first.
    member = system.admit(f"clock{days}".replace("-", "-behind-"), [REPORTER])
    off = timedelta(days=days)
    with Exchange(Profile.load(member.folder), clock=lambda: time.time() + off.total_seconds()) as exchange:
        found = wrong({each.check: each for each in examine(exchange, lambda: datetime.now(UTC) + off)})
    assert f"created is {abs(days)} days {way} the server's clock" in found["exchange: membership"]
    assert re.search(rf"this machine's is 2[01] days .*{way} the server's .*: set it, by NTP", found["exchange: clock"])


@pytest.mark.parametrize(("seconds", "well"), [(4, True), (-4, True), (7, False), (-40, False)])
def test_a_clock_that_is_seconds_off_is_told_before_it_is_too_much(system: System, seconds: int, well: bool) -> None:
    off = timedelta(seconds=seconds)
    with Exchange(Profile.load(system["bank-a"].folder)) as exchange:
        found = {each.check: each for each in examine(exchange, lambda: datetime.now(UTC) + off)}
    assert (found["exchange: clock"].state is State.OK) is well


def test_a_suspended_member_and_an_unknown_key_are_told_as_such(system: System, tmp_path: Path) -> None:
    system.admit("suspended-e", [INQUIRER], (2,))
    member = membership.Member(member_id="suspended-e", display_name="E", state=membership.MEMBER_STATE_SUSPENDED)
    member.roles.append(membership.ROLE_INQUIRER)
    system.operator.call(UPDATE_MEMBER, membership.UpdateMemberRequest(request_id=requests.request_id(), member=member))
    found = findings(system["suspended-e"].folder)
    assert "suspended" in wrong(found)["exchange: membership"]
    assert found["token authority: membership"].state is State.OK

    folder = folder_of(system, tmp_path)
    (folder / "signing.key").unlink()
    assert run(["key", "new", str(folder / "signing.key")], Tool()) == 0
    assert "key" in wrong(findings(folder))["exchange: membership"]


def test_a_quota_that_is_nearly_used_and_several_keys(system: System) -> None:
    member = system.admit("quota-f", [INQUIRER], (2,))
    message = membership.Member(member_id="quota-f", display_name="F", state=membership.MEMBER_STATE_ACTIVE)
    message.roles.append(membership.ROLE_INQUIRER)
    message.purposes.append(2)  # type: ignore[arg-type]  # the stubs want the enum's own NewType
    message.quotas.append(parse_quota("QueryCreditHistory:subjects=10/day"))
    system.operator.call(UPDATE_MEMBER, membership.UpdateMemberRequest(request_id=requests.request_id(), member=message))
    for _ in range(9):
        assert member.exchange.call(requests.QUERY, requests.query(system.mint.stranger())).ok

    def quotas() -> list[Finding]:
        with Exchange(Profile.load(member.folder)) as exchange:
            found = examine(exchange)
            return [each for each in found if each.check == "exchange: quota" and "QueryCreditHistory" in each.text]

    requests.wait_until(lambda: quotas()[0].state is State.ATTENTION)
    assert "9 used, 1 left until 20" in quotas()[0].text


def test_what_is_missing_for_a_role(system: System, tmp_path: Path) -> None:
    folder = folder_of(system, tmp_path)
    member = (folder / "member.toml").read_text()
    (folder / "member.toml").write_text("\n".join(line for line in member.splitlines() if "account_secret" not in line))
    (folder / "token-authority.toml").unlink()
    assert set(wrong(findings(folder))) == {"account secret", "token authority"}
    assert run(["doctor"], Tool(profile=folder)) == 1


def test_certificates_that_end_soon(system: System) -> None:
    folder = system["bank-a"].folder
    end = min(
        certificate.not_valid_after_utc
        for certificate in x509.load_pem_x509_certificates(Profile.load(folder).exchange.address.certificate)
    )
    with Exchange(Profile.load(folder)) as exchange:
        soon = {each.check: each for each in examine(exchange, lambda: end - timedelta(days=3, hours=1))}
        over = {each.check: each for each in examine(exchange, lambda: end)}
    assert soon["exchange: client certificate"].state is State.ATTENTION
    assert "3 days: ask whoever signed it" in soon["exchange: client certificate"].text
    assert over["exchange: client certificate"].state is State.WRONG


def test_a_server_that_is_not_there_does_not_hide_the_other(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.client.cli.doctor.PATIENCE", 1.0)
    folder = folder_of(system, tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        text = (folder / "exchange.toml").read_text()
        address = next(line for line in text.splitlines() if line.startswith("address"))
        (folder / "exchange.toml").write_text(text.replace(address, f'address = "localhost:{port}"'))
        found = findings(folder)
    assert set(wrong(found)) == {"exchange: address"}
    assert f"localhost:{port}" in found["exchange: address"].text
    assert found["token authority: membership"].state is State.OK


def test_another_token_key_than_the_pinned(system: System, tmp_path: Path) -> None:
    folder = folder_of(system, tmp_path)
    path = folder / "token-authority.toml"
    path.write_text(path.read_text().replace("sequence = 1", "sequence = 2"))
    assert set(wrong(findings(folder))) == {"token authority: token key"}


def test_an_auditor_needs_no_tokens(system: System, tmp_path: Path) -> None:
    member = system.admit("auditor-g", [AUDITOR])
    (member.folder / "token-authority.toml").unlink()
    assert wrong(findings(member.folder)) == {}


def test_a_client_certificate_of_another_authority_is_told_from_a_network_fault(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS 1.3: the server judges it after the client has finished, and can only hang up."""
    monkeypatch.setattr("tallystick.client.cli.doctor.PATIENCE", 2.0)
    folder = folder_of(system, tmp_path)
    for ending in ("crt", "key"):
        shutil.copy(folder / f"token-authority-client.{ending}", folder / f"exchange-client.{ending}")
    text = (folder / "exchange.toml").read_text()
    # By the address at which it listens: for a name with several, gRPC tells of the last one alone.
    (folder / "exchange.toml").write_text(text.replace("localhost:", "127.0.0.1:"))
    assert "does not trust the profile's client certificate" in findings(folder)["exchange: address"].text
