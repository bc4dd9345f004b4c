"""What a server reports of its certificates and its disks, whatever stands in the files."""

import shutil
from pathlib import Path

import pytest

from tallystick.server.cli.program import run
from tallystick.server.installation.certificates import CertificateAuthority
from tallystick.server.installation.settings import Settings
from tallystick.server.telemetry.installation import MAX_CERTIFICATES, Installation, certificate_ends

BROKEN = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


def test_each_certificate_of_a_file_is_told_by_its_place(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("one")
    leaf, ca = authority.issue_server(["a.example"]).certificate, authority.issued().certificate
    file = tmp_path / "chain.pem"
    file.write_text(f"subject=CN=a.example\n{leaf}{BROKEN}\n# the issuer\n{ca}")
    ends = certificate_ends("server", file)
    assert [(end.use, end.number) for end in ends] == [("server", 1), ("server", 3)]
    assert ends[0].timestamp < ends[1].timestamp == authority.certificate.not_valid_after_utc.timestamp()


def test_of_many_certificates_those_that_end_first_are_told(tmp_path: Path) -> None:
    authority = CertificateAuthority.create("one")
    leaf, ca = authority.issue_server([]).certificate, authority.issued().certificate
    file = tmp_path / "bundle.pem"
    file.write_text(ca * (MAX_CERTIFICATES + 8) + leaf)
    ends = certificate_ends("client_authority", file)
    assert len(ends) == MAX_CERTIFICATES
    assert ends[-1].number == MAX_CERTIFICATES + 9
    assert ends[-1].timestamp == min(end.timestamp for end in ends)


@pytest.mark.parametrize("content", ["", "no certificate", BROKEN, "-----BEGIN CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_tells_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "file.pem").write_text(content)
    assert certificate_ends("server", tmp_path / "file.pem") == []


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a server that has never been started, with the embedded database."""
    arguments = ["init", tmp_path / "server", "--role", "token-authority", "--origin", "a.example/log", "--no-migrate"]
    assert run([str(argument) for argument in arguments]) == 0
    return Settings.load(tmp_path / "server" / "tallystickd.toml")


def places(installation: Installation) -> dict[str, float]:
    (free,) = [metric for metric in installation.collect() if metric.name == "tallystick_disk_free_bytes"]
    return {sample.labels["place"]: sample.value for sample in free.samples}


def test_a_disk_is_told_while_its_folder_is_there(settings: Settings) -> None:
    installation = Installation(settings)
    assert set(places(installation)) == {"keys", "temporary"}
    assert settings.embedded_folder is not None
    settings.embedded_folder.mkdir(parents=True)
    assert set(places(installation)) == {"keys", "temporary", "database"}
    shutil.rmtree(settings.key_folder)
    assert set(places(installation)) == {"temporary", "database"}


def test_nothing_of_the_installation_is_a_path(settings: Settings) -> None:
    labels = {value for metric in Installation(settings).collect() for sample in metric.samples for value in sample.labels.values()}
    assert {"server", "client_authority", "keys", "temporary"} <= labels
    assert not {value for value in labels if "/" in value}
