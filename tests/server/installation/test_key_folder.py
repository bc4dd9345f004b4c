"""The key folder: closed, complete, never overwritten, never shown."""

import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from tallystick.crypto import epoch_sequence, oprf
from tallystick.server.installation.key_folder import EvidenceKeys, KeyFolder, KeyFolderProblem, write_new_file

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    keys = KeyFolder(tmp_path / "keys")
    keys.create(token_sequence=3)
    return keys


def test_modes(folder: KeyFolder) -> None:
    assert mode(folder.path) == mode(folder.path / "evidence") == 0o700
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"store.key", "receipt.key", "checkpoint.key", "operator.key", "token.key"}
    assert {mode(path) for path in files} == {0o600}


def test_loading_gives_what_was_created(folder: KeyFolder) -> None:
    first, second = folder.load(), folder.load()
    assert first.subject_secret == second.subject_secret
    assert first.subject_secret != first.request_secret
    assert {len(first.subject_secret), len(first.request_secret)} == {32}
    for name in ("receipt_key", "checkpoint_key", "operator_key"):
        public = [getattr(keys, name).public_key().public_bytes_raw() for keys in (first, second)]
        assert public[0] == public[1]
    assert first.token_key is not None
    assert first.token_key == second.token_key
    assert first.token_key.public_key == oprf.public_key(first.token_key.private_key)
    assert epoch_sequence(first.token_key.epoch_id) == first.token_key.sequence == 3


def test_nothing_is_overwritten(folder: KeyFolder) -> None:
    before = {path.name: path.read_bytes() for path in folder.path.glob("*.key")}
    (folder.path / "checkpoint.key").unlink()  # as if the first run had been interrupted
    folder.create(token_sequence=4)
    after = {path.name: path.read_bytes() for path in folder.path.glob("*.key")}
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {"checkpoint.key"}


def test_an_exchange_has_no_token_key(tmp_path: Path) -> None:
    assert KeyFolder(tmp_path / "keys").create().token_key is None


@pytest.mark.parametrize("name", [".", "evidence", "store.key", "token.key"])
@pytest.mark.parametrize("opened", [0o040, 0o004, 0o010])
def test_open_modes_are_refused_with_the_command_to_run(folder: KeyFolder, name: str, opened: int) -> None:
    path = folder.path / name
    closed = mode(path)
    path.chmod(closed | opened)
    with pytest.raises(KeyFolderProblem, match=f"chmod {closed:o} {path}"):
        folder.load()
    path.chmod(closed)
    folder.load()


@pytest.mark.parametrize("name", ["store.key", "receipt.key", "checkpoint.key", "operator.key"])
def test_a_missing_key_is_named(folder: KeyFolder, name: str) -> None:
    (folder.path / name).unlink()
    with pytest.raises(KeyFolderProblem, match=f"{name} is missing: restore"):
        folder.load()


@pytest.mark.parametrize("name", ["store.key", "receipt.key", "token.key"])
@pytest.mark.parametrize("content", [b"", b"\xff", b"00" * 31, b"zz" * 32, b"sequence = 1", b"-----BEGIN PRIVATE KEY-----"])
def test_a_damaged_key_is_named_and_not_shown(folder: KeyFolder, name: str, content: bytes) -> None:
    (folder.path / name).write_bytes(content)
    with pytest.raises(KeyFolderProblem, match=name) as caught:
        folder.load()
    assert not content or content.decode("latin-1") not in str(caught.value)


@pytest.mark.parametrize("sequence", ["0", "-1", "4294967296", "true", '"1"'])
def test_a_token_key_without_a_sequence(folder: KeyFolder, sequence: str) -> None:
    (folder.path / "token.key").write_text(f'sequence = {sequence}\nprivate_key = "{"01" * 32}"\n')
    with pytest.raises(KeyFolderProblem, match="sequence"):
        folder.load()


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyFolderProblem, match="tallystickd init"):
        KeyFolder(tmp_path / "none").load()


def test_repr_shows_no_secret(folder: KeyFolder) -> None:
    keys = folder.load()
    assert keys.token_key is not None
    shown = repr(keys) + repr(keys.token_key) + repr(keys.evidence)
    month_key = keys.evidence.key(NOVEMBER)
    for secret in (keys.subject_secret, keys.request_secret, keys.token_key.private_key, month_key):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_evidence_keys(folder: KeyFolder) -> None:
    keys, others = folder.load().evidence, folder.load().evidence
    assert keys.existing(NOVEMBER) is None
    key = keys.key(NOVEMBER)
    assert len(key) == 32
    assert key == others.key(NOVEMBER) == others.existing(NOVEMBER)
    assert key != keys.key(DECEMBER)
    assert keys.months() == [NOVEMBER, DECEMBER]
    assert mode(folder.path / "evidence/2026-11.key") == 0o600
    folder.load()


def test_a_destroyed_evidence_key_is_gone_for_every_process(folder: KeyFolder) -> None:
    keys, others = folder.load().evidence, folder.load().evidence
    key = keys.key(NOVEMBER)
    assert others.existing(NOVEMBER) == key
    assert keys.destroy(NOVEMBER)
    assert not keys.destroy(NOVEMBER)
    assert keys.existing(NOVEMBER) is None
    assert others.existing(NOVEMBER) is None
    assert keys.months() == []


def test_a_month_is_a_first(folder: KeyFolder) -> None:
    with pytest.raises(ValueError, match="first-of-month"):
        folder.load().evidence.key(date(2026, 11, 2))


def test_several_processes_agree_on_a_new_month(folder: KeyFolder) -> None:
    evidence = EvidenceKeys(folder.path / "evidence")
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        found = set(pool.map(evidence.key, [NOVEMBER] * 12))
    assert found == {evidence.key(NOVEMBER)}
    assert [path.name for path in (folder.path / "evidence").iterdir()] == ["2026-11.key"]


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_new_file(path, "one")
    assert not write_new_file(path, "two")
    assert path.read_text() == "one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
